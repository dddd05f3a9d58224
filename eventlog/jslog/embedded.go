package jslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"angarium/eventlog"
	"angarium/internal/natslog"
)

// EmbeddedOptions configure a server in this process.
type EmbeddedOptions struct {
	Dir           string // of the store; made if missing. Nothing else may be in it, and no other process may use it.
	Name          string // of the server; default "angarium"
	Domain        string // JetStream domain; default none
	MaxStoreBytes int64  // what all streams together may hold; 0: as much as the disk has
	MinFreeBytes  int64  // appends are refused when the file system has less than this free; default 256 MiB; <0: never
	Logger        *slog.Logger

	// Configure may change the server's options further: listeners, accounts, TLS, routes. What the guarantees of this package
	// rest on is set after it. Without it the server listens nowhere. A server with routes has to listen for clients too
	// (DontListen = false): nats-server starts its routes behind its client listener.
	Configure func(*server.Options)
}

const (
	defaultMinFree     = 256 << 20
	maxPayload         = 8 << 20 // above it, nats-server warns
	maxMemoryStore     = 64 << 20
	startTimeout       = 60 * time.Second // a stream of 5 million messages without index takes 7 s
	healthInterval     = time.Second
	maxRestartDelay    = 30 * time.Second
	lameDuckDuration   = 2 * time.Second
	lameDuckGrace      = 200 * time.Millisecond
	maxControlLineSize = 4096
)

// Embedded is a nats-server in this process, with JetStream on.
type Embedded struct {
	opt     EmbeddedOptions
	log     *slog.Logger
	cancel  context.CancelFunc
	done    chan struct{} // closed when the watcher has ended
	recents recents

	mu   sync.Mutex
	srv  *server.Server
	shut bool
}

// StartEmbedded starts a server and waits until it has recovered its streams.
func StartEmbedded(ctx context.Context, opt EmbeddedOptions) (*Embedded, error) {
	if opt.Dir == "" {
		return nil, errors.New("start embedded log server: no directory")
	}
	if opt.MinFreeBytes == 0 {
		opt.MinFreeBytes = defaultMinFree
	}
	e := &Embedded{opt: opt, log: opt.Logger, done: make(chan struct{})}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	srv, err := e.start(ctx)
	if err != nil {
		return nil, err
	}
	e.srv = srv
	watch, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	go e.watch(watch)
	return e, nil
}

func (e *Embedded) options() *server.Options {
	o := &server.Options{
		ServerName:          e.opt.Name,
		DontListen:          true,
		LameDuckDuration:    lameDuckDuration,
		LameDuckGracePeriod: lameDuckGrace,
		JetStreamMaxMemory:  maxMemoryStore,
		MaxControlLine:      maxControlLineSize,
	}
	if o.ServerName == "" {
		o.ServerName = "angarium"
	}
	if e.opt.MaxStoreBytes > 0 {
		o.JetStreamMaxStore = e.opt.MaxStoreBytes
	}
	if e.opt.Configure != nil {
		e.opt.Configure(o)
	}
	o.JetStream = true
	o.JetStreamDomain = e.opt.Domain
	o.StoreDir = e.opt.Dir
	o.SyncAlways = true
	o.NoSigs = true
	o.NoLog = true // its own; SetLoggerV2 is used instead
	o.MaxPayload = maxPayload
	return o
}

func (e *Embedded) start(ctx context.Context) (*server.Server, error) {
	opts := e.options()
	if opts.DontListen && (opts.Cluster.Port != 0 || len(opts.Routes) > 0) {
		return nil, errors.New("start embedded log server: a server with routes has to listen for clients")
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("start embedded log server: %w", err)
	}
	srv.SetLoggerV2(natslog.Logger{Log: e.log}, false, false, false)
	srv.Start()
	deadline := time.Now().Add(startTimeout)
	for !srv.ReadyForConnections(100 * time.Millisecond) {
		if err := ctx.Err(); err != nil || time.Now().After(deadline) {
			stop(srv)
			return nil, fmt.Errorf("start embedded log server: not ready: %w", errors.Join(err, eventlog.ErrUnavailable))
		}
	}
	if !srv.JetStreamEnabled() {
		stop(srv)
		return nil, fmt.Errorf("start embedded log server: JetStream did not start in %s: %w", e.opt.Dir, eventlog.ErrUnavailable)
	}
	return srv, nil
}

func stop(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}

// InProcessConn implements nats.InProcessConnProvider. It leads to the server that runs at the moment.
func (e *Embedded) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	srv := e.srv
	e.mu.Unlock()
	if srv == nil {
		return nil, fmt.Errorf("embedded log server: %w", eventlog.ErrUnavailable)
	}
	return srv.InProcessConn()
}

// ClientURL gives the address at which clients of other processes reach the server, if Configure made it listen.
func (e *Embedded) ClientURL() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.srv == nil {
		return ""
	}
	return e.srv.ClientURL()
}

// Connect makes a connection within the process. opts are for what Configure demands, such as credentials.
func (e *Embedded) Connect(opts ...nats.Option) (*Conn, error) {
	opts = append([]nats.Option{nats.InProcessServer(e)}, opts...)
	c, err := connect("", e.log, opts)
	if err != nil {
		return nil, err
	}
	c.sync = SyncAlways
	c.room, c.recents = e.room, &e.recents
	return c, nil
}

// room says whether the file system has room for n more bytes.
func (e *Embedded) room(n int) error {
	if e.opt.MinFreeBytes < 0 {
		return nil
	}
	free, err := freeBytes(e.opt.Dir)
	if err != nil {
		return fmt.Errorf("free space of %s: %w", e.opt.Dir, err)
	}
	if free < e.opt.MinFreeBytes+int64(n) {
		return fmt.Errorf("%w: %s has %d bytes free, %d are kept free", eventlog.ErrNoSpace, e.opt.Dir, free, e.opt.MinFreeBytes)
	}
	return nil
}

// Shutdown stops the server: connections are told first if it listens, so that clients in a cluster move on. Close the logs
// and connections before.
func (e *Embedded) Shutdown() {
	e.cancel()
	<-e.done
	e.mu.Lock()
	srv := e.srv
	e.srv, e.shut = nil, true
	e.mu.Unlock()
	if srv == nil {
		return
	}
	srv.LameDuckShutdown() // returns at once if the server does not listen
	stop(srv)
}

// watch restarts the server when a store refuses writes.
func (e *Embedded) watch(ctx context.Context) {
	defer close(e.done)
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if cause := e.writeError(); cause != "" {
			e.log.Error("log store refuses writes, restarting the embedded server", "error", cause)
			e.restart(ctx)
		}
	}
}

// writeError gives the first write error of a stream, or that JetStream was shut down because of one.
func (e *Embedded) writeError() string {
	health := e.srv.Healthz(&server.HealthzOptions{Details: true})
	for _, problem := range health.Errors {
		// The server has no code for it.
		if problem.Type == server.HealthzErrorStream && strings.Contains(problem.Error, "write error") {
			return problem.Error
		}
	}
	if !e.srv.JetStreamEnabled() {
		return "JetStream is disabled"
	}
	return ""
}

// restart makes the newest blocks durable and starts a new server on the same store, for as long as it takes.
func (e *Embedded) restart(ctx context.Context) {
	e.mu.Lock()
	old := e.srv
	e.srv = nil
	e.mu.Unlock()
	stop(old)
	for delay := healthInterval; ; delay = min(2*delay, maxRestartDelay) {
		err := rewriteNewestBlocks(e.opt.Dir)
		if err == nil {
			var srv *server.Server
			if srv, err = e.start(ctx); err == nil {
				e.mu.Lock()
				e.srv = srv
				e.mu.Unlock()
				e.log.Info("embedded log server restarted")
				return
			}
		}
		e.log.Error("restart of the embedded log server failed", "error", err)
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
