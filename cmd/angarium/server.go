package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"angarium/imapd"
	"angarium/internal/auth"
	"angarium/internal/buildinfo"
	"angarium/internal/config"
	"angarium/internal/control"
	"angarium/internal/node"
	"angarium/internal/obs"
	"angarium/lmtpd"
	"angarium/lmtpd/address"
	"angarium/socketmap"
)

const (
	// closeTime is how long the node may take to close: what is on its way to the log has to be answered.
	closeTime = 20 * time.Second
	// leadPause is the time between attempts to lead shards that could not be led.
	leadPause = 5 * time.Second
	// drainTime is how long running commands and deliveries may take to end at a stop.
	drainTime = 20 * time.Second
	// checkpointEvery is how often the primary states in the log what its replicas must have.
	checkpointEvery = 5 * time.Minute
)

// server is everything that runs while a data directory is served.
type server struct {
	cfg     config.Config
	log     *slog.Logger
	notify  *obs.Notify
	metrics *metrics
	certs   *config.Certificates // nil without TLS
	auth    *auth.Authenticator
	node    *node.Node

	imap      *imapd.Server
	lmtp      *lmtpd.Server
	socketmap *socketmap.Server

	ctx     context.Context // of what runs beside the protocols
	cancel  context.CancelFunc
	running sync.WaitGroup
	failed  chan error // a listener broke
	restart chan struct{}
	addrs   map[string]net.Addr // by service, the first of each
	closing []net.Listener      // until they serve
	signals chan os.Signal
}

// startServer opens the node and all listeners, and serves.
func startServer(ctx context.Context, cfg config.Config) (_ *server, err error) {
	s := &server{cfg: cfg, metrics: newMetrics(), failed: make(chan error, 16), restart: make(chan struct{}, 1), addrs: map[string]net.Addr{}}
	if s.log, _, err = obs.NewLogger(os.Stderr, cfg.Logging.Format, cfg.Logging.Level); err != nil {
		return nil, usageError{err}
	}
	s.notify = obs.NewNotify(s.log)
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop(false))
		}
	}()
	if s.certs, err = cfg.TLS.Load(); err != nil && !errors.Is(err, config.ErrNoCertificate) {
		return nil, usageError{err}
	}
	s.node, err = node.Open(ctx, node.Options{
		Data: cfg.Server.DataDir, Config: cfg, Create: true, Serve: true, Logger: s.log, Version: buildinfo.Version(), Hooks: s.metrics.nodeHooks(),
		TLS:      s.tlsConfig(),
		Progress: s.notify.Status,
	})
	if err != nil {
		s.node = nil
		return nil, err
	}
	s.node.ChannelAddr = s.channelAddr
	s.node.Reload, s.node.Restart, s.node.Sessions = s.reload, s.askRestart, s.sessions
	s.metrics.registry.MustRegister(shardCollector{s.node, s.log})
	if err := s.node.Lead(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		s.log.Error("not everything can be written; reads go on", "error", err)
		s.background(s.lead)
	}
	if err := s.makeProtocols(); err != nil {
		return nil, err
	}
	if err := s.listen(ctx); err != nil {
		return nil, err
	}
	s.background(s.checkpoints)
	s.background(func(ctx context.Context) {
		if err := s.notify.Watchdog(ctx, func(context.Context) error { return nil }); err != nil {
			s.log.Warn("systemd watchdog", "error", err)
		}
	})
	s.signals = make(chan os.Signal, 1)
	signal.Notify(s.signals, syscall.SIGHUP)
	s.notify.Ready()
	s.log.Info("serving", "node", s.node.Name(), "data", cfg.Server.DataDir, "version", buildinfo.Version())
	return s, nil
}

func (s *server) makeProtocols() (err error) {
	if s.auth, err = s.newAuthenticator(); err != nil {
		return err
	}
	tlsConfig := s.tlsConfig()
	if s.imap, err = imapd.New(s.imapOptions(tlsConfig)); err != nil {
		return err
	}
	s.node.Oust = s.imap.Oust
	opts, err := s.lmtpOptions(tlsConfig)
	if err != nil {
		return err
	}
	if s.lmtp, err = lmtpd.New(opts); err != nil {
		return err
	}
	s.socketmap, err = socketmap.New(socketmap.Options{
		Store: s.node.Store(), Logger: s.log.With("part", "socketmap"),
		Resolver: address.Resolver{
			DefaultDomain: s.cfg.Server.DefaultDomain, Delimiter: s.cfg.LMTP.RecipientDelimiter, Postmaster: s.cfg.Server.Postmaster,
		},
	})
	return err
}

// tlsConfig is that of all listeners; nil without a certificate.
func (s *server) tlsConfig() *tls.Config {
	if s.certs == nil {
		return nil
	}
	return s.certs.Config()
}

func (s *server) newAuthenticator() (*auth.Authenticator, error) {
	c := s.cfg.Auth
	ttl := c.CacheTTL.Std()
	if ttl == 0 {
		ttl = -1
	}
	checker, err := auth.NewChecker(auth.CheckerOptions{
		Iterations: c.ScramIterations, Secret: s.node.Secret(), CacheTTL: ttl, CacheEntries: c.CacheEntries,
	})
	if err != nil {
		return nil, err
	}
	opts := auth.Options{Lookup: s.node.Lookup, Checker: checker, DefaultDomain: s.cfg.Server.DefaultDomain}
	if c.Throttle {
		exempt, err := config.ParseNetworks(c.ThrottleExempt)
		if err != nil {
			return nil, usageError{err}
		}
		opts.Throttle = auth.NewThrottle(auth.ThrottleOptions{
			FreePerAddress: c.ThrottlePerAddress, FreePerAccount: c.ThrottlePerAccount, Window: c.ThrottleWindow.Std(),
			MaxDelay: c.ThrottleMaxDelay.Std(), Exempt: exempt,
		})
	}
	return auth.New(opts)
}

// listener is one kind of listener of the configuration.
type listener struct {
	service   string
	addresses []string
	mode      string
	serve     func(net.Listener) error
}

func (s *server) listeners() []listener {
	c := &s.cfg
	return []listener{
		{"imap", c.IMAP.Listen, c.IMAP.SocketMode, func(l net.Listener) error { return s.imap.Serve(l, false) }},
		{"imaps", c.IMAP.ListenTLS, c.IMAP.SocketMode, func(l net.Listener) error { return s.imap.Serve(l, true) }},
		{"lmtp", c.LMTP.Listen, c.LMTP.SocketMode, s.lmtp.Serve},
		{"socketmap", c.Socketmap.Listen, c.Socketmap.SocketMode, s.socketmap.Serve},
		{"channel", c.Channel.Listen, "0600", s.serveChannels},
		{"http", c.HTTP.Listen, "0600", func(l net.Listener) error {
			checks := []obs.Check{{Name: "shards", Func: s.node.Ready}}
			return obs.ServeHTTP(s.ctx, l, obs.Handler(s.metrics.registry, checks), s.log)
		}},
		{"control", []string{"unix:" + filepath.Join(c.Server.DataDir, control.SocketName)}, "0600", s.serveControl},
	}
}

// listen opens every listener before it serves any.
func (s *server) listen(ctx context.Context) error {
	type open struct {
		net.Listener
		serve   func(net.Listener) error
		service string
	}
	var all []open
	fail := func(err error) error {
		for _, l := range all {
			err = errors.Join(err, l.Close())
		}
		return err
	}
	for _, kind := range s.listeners() {
		mode, err := config.ParseSocketMode(kind.mode)
		if err != nil {
			return fail(usageError{err})
		}
		for _, a := range kind.addresses {
			l, err := listenOn(ctx, a, mode)
			if err != nil {
				return fail(fmt.Errorf("listen for %s on %s: %w", kind.service, a, err))
			}
			all = append(all, open{l, kind.serve, kind.service})
			if s.addrs[kind.service] == nil {
				s.addrs[kind.service] = l.Addr()
			}
			s.log.Info("listening", "service", kind.service, "address", l.Addr().String())
		}
	}
	for _, l := range all {
		s.running.Go(func() {
			// A stop may come before this goroutine has begun to serve.
			if err := l.serve(l.Listener); err != nil && !errors.Is(err, imapd.ErrServerClosed) {
				s.failed <- fmt.Errorf("%s on %s: %w", l.service, l.Addr(), err)
			}
		})
	}
	return nil
}

func listenOn(ctx context.Context, address string, mode fs.FileMode) (net.Listener, error) {
	a, err := config.ParseAddress(address)
	if err != nil {
		return nil, usageError{err}
	}
	return a.Listen(ctx, mode)
}

// serveControl serves the control socket. Its answers can take hours: no time limits.
func (s *server) serveControl(l net.Listener) error {
	srv := &http.Server{Handler: s.node.Handler(), ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return s.ctx }}
	stopped := make(chan struct{})
	stop := context.AfterFunc(s.ctx, func() {
		defer close(stopped)
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil { // the handlers' own context has ended: they end, too, before the node closes
			_ = srv.Close()
		}
	})
	err := srv.Serve(l)
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	<-stopped
	return nil
}

// serveChannels takes the links of other nodes until the server stops.
func (s *server) serveChannels(l net.Listener) error {
	stop := context.AfterFunc(s.ctx, func() { _ = l.Close() }) // the hub may have closed it
	defer stop()
	return s.node.ServeChannels(l)
}

// channelAddr is the address of the first channel listener.
func (s *server) channelAddr() string {
	if a := s.addrs["channel"]; a != nil {
		return a.String()
	}
	return ""
}

func (s *server) background(f func(context.Context)) {
	s.running.Go(func() { f(s.ctx) })
}

// checkpoints appends checkpoints now and then.
func (s *server) checkpoints(ctx context.Context) {
	t := time.NewTicker(checkpointEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := s.node.Checkpoint(ctx); err != nil {
				s.log.Warn("checkpoint", "error", err)
			}
		}
	}
}

// reload reads the certificate again.
func (s *server) reload() error {
	s.notify.Reloading()
	defer s.notify.Ready()
	if s.certs == nil {
		return nil
	}
	if err := s.certs.Reload(); err != nil {
		return err
	}
	s.log.Info("certificate read again", "expires", s.certs.Leaf().NotAfter)
	return nil
}

func (s *server) askRestart() {
	select {
	case s.restart <- struct{}{}:
	default: // it was asked for already
	}
}

// wait returns when ctx ends, a listener breaks, or (again is true) the node is to be opened again.
func (s *server) wait(ctx context.Context) (again bool) {
	for {
		select {
		case <-ctx.Done():
			return false
		case err := <-s.failed:
			s.log.Error("listener broke; stopping", "error", err)
			s.failed <- err
			return false
		case <-s.restart:
			s.log.Info("opening the data directory again")
			return true
		case <-s.signals:
			if err := s.reload(); err != nil {
				s.log.Error("reload", "error", err)
			}
		}
	}
}

// lead tries again to lead the shards that could not be led at the start, but for those whose replica is halted: they stay so.
func (s *server) lead(ctx context.Context) {
	t := time.NewTicker(leadPause)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		err := s.node.Lead(ctx)
		if err == nil {
			s.log.Info("all shards can be written")
			return
		}
		s.log.Debug("not everything can be written", "error", err)
	}
}

// stop ends everything: no new connections, running commands and deliveries end, then the node closes. It is told apart from a restart
// of what is in the process, which ends nothing for the service manager.
func (s *server) stop(restart bool) error {
	if restart {
		s.notify.Status("opening the data directory again")
	} else {
		s.notify.Stopping()
	}
	if s.signals != nil {
		signal.Stop(s.signals)
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	var errs []error
	var drain sync.WaitGroup
	for _, shut := range s.shutdowns() {
		drain.Go(func() {
			if err := shut(ctx); err != nil {
				s.log.Warn("a client was cut off", "error", err)
			}
		})
	}
	drain.Wait()
	s.cancel()
	s.running.Wait()
	select {
	case err := <-s.failed:
		errs = append(errs, err)
	default:
	}
	if s.node != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		errs = append(errs, s.node.Close(ctx))
	}
	return errors.Join(errs...)
}

func (s *server) shutdowns() []func(context.Context) error {
	var list []func(context.Context) error
	if s.imap != nil {
		list = append(list, s.imap.Shutdown)
	}
	if s.lmtp != nil {
		list = append(list, s.lmtp.Shutdown)
	}
	if s.socketmap != nil {
		list = append(list, s.socketmap.Shutdown)
	}
	return list
}
