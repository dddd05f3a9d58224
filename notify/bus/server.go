package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"angarium/internal/natslog"
	"angarium/notify"
)

// ServerOptions configures the server of consumers. Zero values mean the defaults named here.
type ServerOptions struct {
	Dir           string // of the store; made if missing
	Keys          *Keys
	Name          string        // of the server ["angarium-notify"]
	Listen        string        // address for consumers, HOST:PORT; "": none, the server serves this process alone
	TLS           *tls.Config   // nil: consumers connect in the clear
	MaxStoreBytes int64         // what all streams together may hold [no more than each by itself]
	SyncEvery     time.Duration // how much a power cut can take back, to be published again [5s]
	Limits        Limits        // of each stream
	Logger        *slog.Logger
}

const (
	defaultSync    = 5 * time.Second
	startTimeout   = 60 * time.Second
	setupTimeout   = 30 * time.Second
	maxPayload     = 8 << 20
	maxMemoryStore = 64 << 20
	maxStore       = 1 << 50 // the limits of all streams are added up against it, and those of the accounts hold the same events again
	maxControlLine = 4096
	lameDuck       = 2 * time.Second
	lameDuckGrace  = 200 * time.Millisecond
)

// Server is a nats-server in this process for the consumers of events.
type Server struct {
	opts     ServerOptions
	log      *slog.Logger
	srv      *server.Server
	resolver *server.MemAccResolver
}

// StartServer starts the server and waits until it has recovered its streams.
func StartServer(ctx context.Context, opts ServerOptions) (_ *Server, err error) {
	if opts.Name == "" {
		opts.Name = "angarium-notify"
	}
	if opts.SyncEvery <= 0 {
		opts.SyncEvery = defaultSync
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{opts: opts, log: opts.Logger, resolver: &server.MemAccResolver{}}
	defer func() {
		if err != nil {
			err = fmt.Errorf("start server of consumers: %w", err)
		}
	}()
	o, err := s.options()
	if err != nil {
		return nil, err
	}
	if s.srv, err = server.NewServer(o); err != nil {
		return nil, err
	}
	s.srv.SetLoggerV2(natslog.Logger{Log: s.log}, false, false, false)
	s.srv.Start()
	if err := s.await(ctx); err != nil {
		s.stop()
		return nil, err
	}
	if err := s.ensureStreams(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// ensureStreams makes the streams that are not there, and listens for changes of the keys from then on.
func (s *Server) ensureStreams(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	k := s.opts.Keys
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := s.ensureStream(ctx, "", k.f.Main); err != nil {
		return err
	}
	for account, seed := range k.f.Accounts {
		if err := s.ensureStream(ctx, account, seed); err != nil {
			return err
		}
	}
	k.changed = s.accountChanged
	return nil
}

// options makes the configuration, with the claims of all accounts.
func (s *Server) options() (*server.Options, error) {
	k := s.opts.Keys
	k.mu.Lock()
	defer k.mu.Unlock()
	operator, err := k.f.operatorClaims()
	if err != nil {
		return nil, err
	}
	system, err := k.f.systemClaims()
	if err != nil {
		return nil, err
	}
	if err := s.store(system); err != nil {
		return nil, err
	}
	for _, account := range append([]string{""}, keysOf(k.f.Accounts)...) {
		claims, err := k.f.accountClaims(account)
		if err == nil {
			err = s.store(claims)
		}
		if err != nil {
			return nil, err
		}
	}
	o := &server.Options{
		ServerName: s.opts.Name, DontListen: s.opts.Listen == "", NoSigs: true, NoLog: true,
		TrustedOperators: []*jwt.OperatorClaims{operator}, SystemAccount: operator.SystemAccount, AccountResolver: s.resolver,
		JetStream: true, StoreDir: s.opts.Dir, SyncInterval: s.opts.SyncEvery, JetStreamMaxMemory: maxMemoryStore, JetStreamMaxStore: maxStore,
		MaxPayload: maxPayload, MaxControlLine: maxControlLine, LameDuckDuration: lameDuck, LameDuckGracePeriod: lameDuckGrace,
	}
	if s.opts.MaxStoreBytes > 0 {
		o.JetStreamMaxStore = s.opts.MaxStoreBytes
	}
	if s.opts.Listen == "" {
		return o, nil
	}
	host, port, err := net.SplitHostPort(s.opts.Listen)
	if err != nil {
		return nil, fmt.Errorf("address of consumers: %w", err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("address of consumers: %w", err)
	}
	o.Host, o.Port = host, int(n)
	if n == 0 {
		o.Port = server.RANDOM_PORT
	}
	if s.opts.TLS != nil {
		o.TLSConfig, o.TLSTimeout = s.opts.TLS, server.TLS_TIMEOUT.Seconds()
	}
	return o, nil
}

func keysOf(m map[string]string) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	return list
}

// store lets the server know of an account.
func (s *Server) store(claims string) error {
	c, err := jwt.DecodeAccountClaims(claims)
	if err != nil {
		return fmt.Errorf("claims of an account: %w", err)
	}
	return s.resolver.Store(c.Subject, claims)
}

// await waits until the server is ready.
func (s *Server) await(ctx context.Context) error {
	for deadline := time.Now().Add(startTimeout); !s.srv.ReadyForConnections(100 * time.Millisecond); {
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("it is not ready")
		}
	}
	if !s.srv.JetStreamEnabled() {
		return fmt.Errorf("JetStream did not start in %s", s.opts.Dir)
	}
	return nil
}

func (s *Server) stop() {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}

// Addr is the address that the server listens at, "" when it does not.
func (s *Server) Addr() string {
	if a := s.srv.Addr(); a != nil {
		return a.String()
	}
	return ""
}

// Consumers counts the connections of consumers.
func (s *Server) Consumers() int { return s.srv.NumClients() }

// Connect makes a connection of this process that may do everything in the NATS account of the stream.
func (s *Server) Connect() (*nats.Conn, error) {
	s.opts.Keys.mu.Lock()
	seed := s.opts.Keys.f.Main
	s.opts.Keys.mu.Unlock()
	return s.connect(seed, "publisher")
}

func (s *Server) connect(accountSeed, name string) (*nats.Conn, error) {
	token, seed, _, err := newUser(accountSeed, name, jwt.Permissions{})
	if err != nil {
		return nil, fmt.Errorf("connect to the server of consumers: %w", err)
	}
	nc, err := nats.Connect("", nats.InProcessServer(s.srv), nats.UserJWTAndSeed(token, seed), nats.Name("angarium "+name),
		nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		return nil, fmt.Errorf("connect to the server of consumers: %w", err)
	}
	return nc, nil
}

// accountChanged takes new claims of an account into use; k.mu of the keys is held.
func (s *Server) accountChanged(account, claims string) error {
	c, err := jwt.DecodeAccountClaims(claims)
	if err != nil {
		return fmt.Errorf("claims of account %q: %w", account, err)
	}
	if err := s.resolver.Store(c.Subject, claims); err != nil {
		return fmt.Errorf("claims of account %q: %w", account, err)
	}
	a, err := s.srv.LookupAccount(c.Subject)
	if err != nil {
		return fmt.Errorf("account %q on the server of consumers: %w", account, err)
	}
	s.srv.UpdateAccountClaims(a, c)
	if account == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	return s.ensureStream(ctx, account, s.opts.Keys.f.Accounts[account])
}

// ensureStream makes the large stream, or that of a mail account, which is fed from the large one.
func (s *Server) ensureStream(ctx context.Context, account, seed string) error {
	nc, err := s.connect(seed, "setup")
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("stream of consumers: %w", err)
	}
	cfg := s.opts.Limits.config(account)
	if account != "" {
		cfg.Sources = []*jetstream.StreamSource{{
			Name: StreamName, FilterSubject: cfg.Subjects[0],
			External: &jetstream.ExternalStream{APIPrefix: sourceAPI, DeliverPrefix: sourceDeliver + "." + notify.AccountToken(account)},
		}}
	}
	_, err = ensure(ctx, js, cfg)
	return err
}

// Shutdown stops the server. Close the connections of Connect before.
func (s *Server) Shutdown() {
	k := s.opts.Keys
	k.mu.Lock()
	k.changed = nil
	k.mu.Unlock()
	s.srv.LameDuckShutdown() // returns at once if the server does not listen
	s.stop()
}
