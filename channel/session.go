package channel

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// session is one life of a link: its two connections. The first of them to fail ends it.
type session struct {
	id      sessionID
	peer    *Peer
	address string // of the other end
	version string // of the other end's program
	started time.Time

	client *http.ClientConn // for requests to the peer
	calls  inflight         // to the peer
	done   chan struct{}    // closed when the session has ended

	mu    sync.Mutex
	conns []*conn
	err   error // why it ended
	ended bool
}

func newSession(p *Peer, id sessionID, address, version string) *session {
	return &session{id: id, peer: p, address: address, version: version, started: time.Now(), done: make(chan struct{})}
}

// wrap makes a connection part of the session.
func (s *session) wrap(c net.Conn) *conn {
	wrapped := &conn{Conn: c, session: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, wrapped)
	if s.ended {
		c.Close()
	}
	return wrapped
}

// close ends the session and its connections; only the first call's reason counts.
func (s *session) close(reason error) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended, s.err = true, reason
	conns := s.conns
	s.mu.Unlock()
	for _, c := range conns {
		c.Conn.Close()
	}
	close(s.done)
	s.peer.lost(s)
}

func (s *session) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// conn is a connection of a session. It is not a *tls.Conn to net/http, which therefore speaks HTTP/2 on it with prior knowledge.
type conn struct {
	net.Conn
	session *session
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.session.peer.received.Add(uint64(n))
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.session.peer.sent.Add(uint64(n))
	return n, err
}

// Close implements net.Conn. HTTP/2 closes a connection when it failed, or when its peer showed no sign of life.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.session.close(fmt.Errorf("%w: connection closed", ErrUnreachable))
	return err
}

// http2Config is the same for both ends of both connections.
func http2Config() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: maxStreams, StrictMaxConcurrentRequests: true,
		MaxReadFrameSize:              maxFrameBytes,
		MaxReceiveBufferPerConnection: connWindowBytes, MaxReceiveBufferPerStream: streamWindowBytes,
		SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: writeTimeout,
	}
}

func http2Only() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// newClient speaks HTTP/2 as a client on a connection.
func newClient(ctx context.Context, c *conn) (*http.ClientConn, error) {
	transport := &http.Transport{
		Protocols: http2Only(), HTTP2: http2Config(), DisableCompression: true, MaxResponseHeaderBytes: maxHeaderBytes,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil },
	}
	client, err := transport.NewClientConn(ctx, "http", "peer:80")
	if err != nil {
		return nil, fmt.Errorf("start HTTP/2: %w", err)
	}
	return client, nil
}

// feed is a net.Listener of connections that others have made.
type feed struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newFeed() *feed { return &feed{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (f *feed) push(c net.Conn) error {
	select {
	case f.conns <- c:
		return nil
	case <-f.closed:
		return ErrClosed
	}
}

// Accept implements net.Listener.
func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (f *feed) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

// Addr implements net.Listener.
func (f *feed) Addr() net.Addr { return &net.UnixAddr{Name: "channels", Net: "unix"} }

// traffic counts the bytes of a link on the wire, inside TLS.
type traffic struct {
	sent, received atomic.Uint64
}
