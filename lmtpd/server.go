package lmtpd

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"angarium/lmtpd/address"
)

// Server is an LMTP server. Make it with New.
type Server struct {
	opts     Options
	resolver address.Resolver
	ctx      context.Context // of the deliveries under way; ends when a Shutdown gives up waiting
	cancel   context.CancelFunc
	buffered atomic.Int64 // octets charged against Options.MaxBuffered
	refused  limitedLog
	scratch  sync.Pool // *[]byte of capacity scratchSize, empty: where small messages are received

	mu        sync.Mutex
	closing   bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	wg        sync.WaitGroup // of the connections
}

// New makes a server, or says which option is wrong.
func New(opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, resolver: opts.resolver(), listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{}}
	s.scratch.New = func() any { b := make([]byte, 0, scratchSize); return &b }
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Serve takes connections from a listener, which it closes in the end. It returns nil after Shutdown, and else the error that
// ended it. Several listeners may be served at once.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return l.Close()
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
	}()
	delay := time.Duration(0)
	for {
		nc, err := l.Accept()
		if err == nil {
			delay = 0
			s.accept(nc)
			continue
		}
		if s.isClosing() {
			return nil
		}
		if !temporary(err) {
			_ = l.Close() // the error to report is that of Accept
			return fmt.Errorf("accept LMTP connections: %w", err)
		}
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		s.opts.Logger.Warn("cannot accept a connection", "err", err, "retry_in", delay)
		select {
		case <-time.After(delay):
		case <-s.ctx.Done():
		}
	}
}

// temporary reports errors such as a lack of file descriptors, after which the next Accept may succeed.
func temporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary() && !errors.Is(err, net.ErrClosed)
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// accept starts the goroutine of a connection, or refuses it. A refusal is temporary (421): a mistake in the list of peers shall not
// send mail back.
func (s *Server) accept(nc net.Conn) {
	remote := addrOf(nc)
	if !s.allowed(nc, remote) {
		s.refuse(nc, RefusedPeer, "421 4.7.1 %s does not take mail from your address\r\n")
		return
	}
	c := newConn(s, nc, remote)
	s.mu.Lock()
	full := len(s.conns) >= s.opts.MaxConnections
	if !s.closing && !full {
		s.conns[c] = struct{}{}
		s.wg.Add(1)
		s.mu.Unlock()
		if hook := s.opts.Hooks.Connected; hook != nil {
			hook(NotRefused)
		}
		go s.run(c)
		return
	}
	s.mu.Unlock()
	s.refuse(nc, RefusedConnections, "421 4.3.2 %s has too many connections, try again later\r\n")
}

func (s *Server) run(c *conn) {
	defer s.wg.Done()
	c.serve(s.ctx)
	c.close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	if hook := s.opts.Hooks.Disconnected; hook != nil {
		hook()
	}
}

// refuse tells a client that it is not welcome. It writes to a new connection, which does not block; one with TLS is only closed.
func (s *Server) refuse(nc net.Conn, why Refusal, greeting string) {
	if _, isTLS := nc.(*tls.Conn); !isTLS {
		_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = fmt.Fprintf(nc, greeting, s.opts.Hostname) // whether the client reads it is its own affair
	}
	_ = nc.Close()
	if suppressed, ok := s.refused.allow(time.Now()); ok {
		s.opts.Logger.Warn("connection refused", "client", nc.RemoteAddr().String(), "reason", string(why), "suppressed", suppressed)
	}
	if hook := s.opts.Hooks.Connected; hook != nil {
		hook(why)
	}
}

func (s *Server) allowed(nc net.Conn, remote netip.Addr) bool {
	if _, unix := nc.RemoteAddr().(*net.UnixAddr); unix {
		return true
	}
	for _, p := range s.opts.Peers {
		if p.Contains(remote) {
			return true
		}
	}
	return false
}

// addrOf gives the address of a TCP client, and the invalid address for others.
func addrOf(nc net.Conn) netip.Addr {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// Shutdown stops the server: it closes the listeners, sends idle clients away with 421, lets transactions that have begun come to
// their end, and returns nil when all connections are closed. When ctx ends first, it cancels the deliveries, closes the connections and returns ctx's
// error; their goroutines end when the store returns.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for l := range s.listeners {
		_ = l.Close() // nothing can be done about an error
	}
	for c := range s.conns {
		c.drain()
	}
	s.mu.Unlock()
	defer s.cancel()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.close()
	}
	return fmt.Errorf("shut down the LMTP server: %w", ctx.Err())
}

// newSession makes the id of a connection.
func newSession() string { return rand.Text()[:12] }

// limitedLog lets one line through each second and counts the others.
type limitedLog struct {
	mu         sync.Mutex
	last       time.Time
	suppressed int
}

func (l *limitedLog) allow(now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.last) < time.Second {
		l.suppressed++
		return 0, false
	}
	suppressed, l.suppressed, l.last = l.suppressed, 0, now
	return suppressed, true
}

// isClosed reports errors that only say that the other side, or Shutdown, has closed the connection.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, errDraining)
}
