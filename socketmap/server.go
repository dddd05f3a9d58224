package socketmap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"angarium/lmtpd/address"
)

// Store is what the server needs of a mail store; *mailstore.Store is one.
type Store interface {
	// Recipient checks that an account can get mail: mailstore.ErrNoAccount when there is none, another error when it can't tell.
	Recipient(ctx context.Context, account string) error
}

// Options configure a Server. Zero values mean the defaults named here.
type Options struct {
	Store    Store            // required
	Resolver address.Resolver // the same as lmtpd's
	Maps     []string         // names of maps that are served [any]

	MaxRequest     int           // octets of a request; the protocol allows 100,000 [4096]
	MaxConnections int           // at once [1000]
	Timeout        time.Duration // silence after which a client is disconnected [5 min]
	LookupTimeout  time.Duration // of the store for one request [10 s]

	Logger *slog.Logger // [slog.Default()]
	// Answered, if not nil, is told the status of every answer: "OK", "NOTFOUND", "TEMP" or "PERM".
	Answered func(status string)
}

// Server answers lookups. Make it with New.
type Server struct {
	opts   Options
	ctx    context.Context // of the lookups
	cancel context.CancelFunc

	mu        sync.Mutex
	closing   bool
	listeners map[net.Listener]struct{}
	conns     map[net.Conn]struct{}
	wg        sync.WaitGroup // of the connections
}

// New makes a server, or says which option is wrong.
func New(opts Options) (*Server, error) {
	if opts.Store == nil {
		return nil, errors.New("socketmap: Store is required")
	}
	setDefault(&opts.MaxRequest, 4096)
	setDefault(&opts.MaxConnections, 1000)
	setDefault(&opts.Timeout, 5*time.Minute)
	setDefault(&opts.LookupTimeout, 10*time.Second)
	setDefault(&opts.Logger, slog.Default())
	if opts.MaxRequest < 0 || opts.MaxConnections < 0 || opts.Timeout < 0 || opts.LookupTimeout < 0 {
		return nil, errors.New("socketmap: a limit is negative")
	}
	s := &Server{opts: opts, listeners: map[net.Listener]struct{}{}, conns: map[net.Conn]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

func setDefault[T comparable](field *T, def T) {
	var zero T
	if *field == zero {
		*field = def
	}
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
		if s.ctx.Err() != nil {
			return nil
		}
		if !temporary(err) {
			_ = l.Close() // the error to report is that of Accept
			return fmt.Errorf("accept socketmap connections: %w", err)
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

// accept starts the goroutine of a connection; one over the limit is closed, which the client takes for a temporary failure.
func (s *Server) accept(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.conns) >= s.opts.MaxConnections {
		_ = nc.Close()
		return
	}
	s.conns[nc] = struct{}{}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		s.serve(nc)
		s.mu.Lock()
		delete(s.conns, nc)
		s.mu.Unlock()
	}()
}

// Shutdown closes the listeners and the connections; a client asks again elsewhere or later. It returns ctx's error when
// lookups under way have not ended before it.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.cancel()
	for l := range s.listeners {
		_ = l.Close() // nothing can be done about an error
	}
	for nc := range s.conns {
		_ = nc.Close()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shut down the socketmap server: %w", ctx.Err())
	}
}
