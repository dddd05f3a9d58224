package imapd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"angarium/imapd/wire"
)

// freeBuffers bounds the unused read buffers, and write buffers, that a Server keeps.
const freeBuffers = 256

// Server is an IMAP server. Its methods may be called from any goroutine.
type Server struct {
	opts      Options
	commands  map[string]command
	caps      []capability
	readPool  *wire.BufferPool
	writePool *wire.BufferPool
	uploading atomic.Int64 // bytes of messages in APPEND commands under way

	ctx    context.Context // of the sessions; ends when a shutdown has no more patience
	cancel context.CancelFunc
	wg     sync.WaitGroup // of the sessions

	mu        sync.Mutex
	stopping  bool
	listeners map[net.Listener]struct{}
	open      map[net.Conn]*session // by the connection below TLS; nil until there is a session
	byAddress map[netip.Addr]int
	byAccount map[string]map[*session]struct{}
}

// New makes a server.
func New(opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{
		opts: opts, commands: commandTable(), caps: capabilityTable(), ctx: ctx, cancel: cancel,
		readPool:  wire.NewBufferPool(wire.DefaultReadBuffer, freeBuffers),
		writePool: wire.NewBufferPool(wire.DefaultWriteBuffer, freeBuffers),
		listeners: map[net.Listener]struct{}{}, open: map[net.Conn]*session{},
		byAddress: map[netip.Addr]int{}, byAccount: map[string]map[*session]struct{}{},
	}, nil
}

// ErrServerClosed is returned by Serve when it is called after Shutdown.
var ErrServerClosed = errors.New("imapd: server is shut down")

// Serve accepts connections on l, which it closes in the end, until Shutdown; then it returns nil. With implicitTLS each connection
// begins with a TLS handshake (RFC 8314).
func (srv *Server) Serve(l net.Listener, implicitTLS bool) error {
	defer l.Close()
	if implicitTLS && srv.opts.TLS == nil {
		return errors.New("imapd: implicit TLS without a TLS configuration")
	}
	srv.mu.Lock()
	if srv.stopping {
		srv.mu.Unlock()
		return ErrServerClosed
	}
	srv.listeners[l] = struct{}{}
	srv.mu.Unlock()
	defer srv.forget(l)
	wait := time.Duration(0)
	for {
		c, err := l.Accept()
		if err == nil {
			wait = 0
			srv.accept(c, implicitTLS)
			continue
		}
		if srv.draining() {
			return nil
		}
		// Out of file descriptors, or a client that was gone at once: the listener goes on.
		if ne, ok := errors.AsType[net.Error](err); !ok || errors.Is(err, net.ErrClosed) || ne.Timeout() {
			return fmt.Errorf("accept IMAP connections: %w", err)
		}
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		srv.opts.Logger.Warn("accept failed", "error", err, "retry_after", wait)
		select {
		case <-time.After(wait):
		case <-srv.ctx.Done():
			return nil
		}
	}
}

func (srv *Server) forget(l net.Listener) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.listeners, l)
}

// accept admits a connection and starts its session.
func (srv *Server) accept(raw net.Conn, implicitTLS bool) {
	remote := addressOf(raw.RemoteAddr())
	if refused := srv.admit(raw, remote); refused != "" {
		srv.opts.Hooks.Refused(refused)
		if !implicitTLS {
			// Not waited for: the socket's buffer is empty and takes this line, or the client does without it.
			_ = raw.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = raw.Write([]byte("* BYE [UNAVAILABLE] Too many connections\r\n"))
		}
		_ = raw.Close()
		return
	}
	go func() {
		defer srv.wg.Done()
		defer srv.release(raw, remote)
		srv.opts.Hooks.Opened()
		defer srv.opts.Hooks.Closed()
		c := net.Conn(raw)
		if implicitTLS {
			tc, err := srv.handshake(raw)
			if err != nil {
				srv.opts.Hooks.Refused("tls")
				srv.opts.Logger.Debug("TLS handshake failed", "client", raw.RemoteAddr().String(), "error", err)
				return
			}
			c = tc
		}
		s := newSession(srv, newConn(c, &srv.opts.Hooks), remote, implicitTLS)
		srv.attach(raw, s)
		s.serve(srv.ctx)
	}()
}

// handshake does the server's part of a TLS handshake within the time for a login.
func (srv *Server) handshake(raw net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(srv.ctx, srv.opts.Limits.CommandRead)
	defer cancel()
	tc := tls.Server(raw, srv.opts.TLS)
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return tc, nil
}

// admit counts a connection, and says why it cannot be served; "" when it can.
func (srv *Server) admit(raw net.Conn, remote netip.Addr) (refused string) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.stopping || len(srv.open) >= srv.opts.Limits.Connections:
		return "connections"
	case remote.IsValid() && !remote.IsLoopback() && srv.byAddress[remote] >= srv.opts.Limits.ConnectionsPerAddress:
		return "address"
	}
	srv.open[raw] = nil
	srv.byAddress[remote]++
	srv.wg.Add(1)
	return ""
}

// attach makes a session known, so that a shutdown can wake it.
func (srv *Server) attach(raw net.Conn, s *session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.open[raw] = s
	if srv.stopping {
		s.r.Interrupt()
	}
}

func (srv *Server) release(raw net.Conn, remote netip.Addr) {
	_ = raw.Close() // there is nothing left to be lost
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.open, raw)
	decrement(srv.byAddress, remote)
}

// login counts a session of an account; ok is false when there are too many.
func (srv *Server) login(account string, s *session) (ok bool) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	sessions := srv.byAccount[account]
	if len(sessions) >= srv.opts.Limits.SessionsPerAccount {
		return false
	}
	if sessions == nil {
		sessions = map[*session]struct{}{}
		srv.byAccount[account] = sessions
	}
	sessions[s] = struct{}{}
	return true
}

// logout takes back login; it is called by the session itself.
func (srv *Server) logout(s *session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.byAccount[s.id.Account], s)
	if len(srv.byAccount[s.id.Account]) == 0 {
		delete(srv.byAccount, s.id.Account)
	}
}

// Oust ends the sessions of an account, each when its command is done: it was disabled or deleted, or has another password.
func (srv *Server) Oust(account string) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for s := range srv.byAccount[account] {
		s.ousted.Store(true)
		s.r.Interrupt()
	}
}

func decrement[K comparable](m map[K]int, k K) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}

func (srv *Server) draining() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.stopping
}

// Shutdown stops the server: it closes the listeners, says BYE to sessions that wait at once and to the others when their command is done,
// and waits for them all. When ctx ends first, what is still running is cut off, and the error is that of ctx.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.mu.Lock()
	srv.stopping = true
	for l := range srv.listeners {
		_ = l.Close() // Serve reports what matters
	}
	for raw, s := range srv.open {
		if s != nil {
			s.r.Interrupt()
		} else {
			_ = raw.Close() // in a TLS handshake
		}
	}
	srv.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.wg.Wait()
	}()
	select {
	case <-done:
		srv.cancel()
		return nil
	case <-ctx.Done():
	}
	srv.cancel()
	srv.mu.Lock()
	for raw := range srv.open {
		_ = raw.Close() // to wake whoever is blocked on it
	}
	srv.mu.Unlock()
	<-done
	return fmt.Errorf("shut down the IMAP server: %w", ctx.Err())
}

// addressOf gives the IP address of a connection's peer; invalid for a unix socket.
func addressOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
