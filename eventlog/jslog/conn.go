package jslog

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"angarium/eventlog"
)

// Sync is what is known of when an external server syncs: whether an acknowledged append survives a power cut.
type Sync int

// The values of Sync.
const (
	SyncUnstated Sync = iota // logs are not opened
	SyncAlways               // the operator states that every server of the log runs with sync_interval "always"
	SyncUnsafe               // the operator accepts that a power cut loses acknowledged mail
)

// ConnectOptions say how to reach an external server.
type ConnectOptions struct {
	URL          string // one or more, separated by commas
	Name         string // of this client, for the server's lists; default "angarium"
	TLS          *tls.Config
	CredsFile    string // JWT and seed
	NkeySeedFile string
	User         string
	Password     string
	Domain       string // JetStream domain to use; default the account's own
	Sync         Sync
	Logger       *slog.Logger
}

// Conn is a connection to a server, on which logs can be opened. Each tail makes a further connection, so that a replay does not hold
// up appends.
type Conn struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	url     string
	opts    []nats.Option
	domain  string
	sync    Sync
	room    func(n int) error // nil: not known
	recents *recents          // of the embedded server; nil with an external one
	log     *slog.Logger
}

const (
	dialTimeout = 5 * time.Second
	// requestTimeout bounds each request to JetStream: a cluster without a leader does not answer at all.
	requestTimeout = 5 * time.Second
	// readTimeout is for the largest envelope, which a leader sends as base64 in JSON.
	readTimeout   = 20 * time.Second
	reconnectWait = 100 * time.Millisecond
	pingInterval  = 5 * time.Second
	maxPings      = 2
)

// Connect connects to an external server.
func Connect(opt ConnectOptions) (*Conn, error) {
	var opts []nats.Option
	if opt.Name == "" {
		opt.Name = "angarium"
	}
	opts = append(opts, nats.Name(opt.Name))
	if opt.TLS != nil {
		opts = append(opts, nats.Secure(opt.TLS))
	}
	if opt.CredsFile != "" {
		opts = append(opts, nats.UserCredentials(opt.CredsFile))
	}
	if opt.NkeySeedFile != "" {
		nkey, err := nats.NkeyOptionFromSeed(opt.NkeySeedFile)
		if err != nil {
			return nil, fmt.Errorf("connect to log server: %w", err)
		}
		opts = append(opts, nkey)
	}
	if opt.User != "" {
		opts = append(opts, nats.UserInfo(opt.User, opt.Password))
	}
	log := opt.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c, err := connectDomain(opt.URL, opt.Domain, log, opts)
	if err != nil {
		return nil, err
	}
	c.sync = opt.Sync
	return c, nil
}

func connect(url string, log *slog.Logger, opts []nats.Option) (*Conn, error) {
	return connectDomain(url, "", log, opts)
}

func connectDomain(url, domain string, log *slog.Logger, opts []nats.Option) (*Conn, error) {
	c := &Conn{url: url, domain: domain, log: log, opts: append([]nats.Option{
		nats.Timeout(dialTimeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait, reconnectWait),
		nats.ReconnectBufSize(-1), // what cannot be sent fails at once
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPings),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("log connection", "error", err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { log.Debug("log connection lost", "error", err) }),
	}, opts...)}
	var err error
	c.nc, c.js, err = c.dial()
	return c, err
}

func (c *Conn) dial() (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect(c.url, c.opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to log server: %w: %w", eventlog.ErrUnavailable, err)
	}
	var js jetstream.JetStream
	if c.domain == "" {
		js, err = jetstream.New(nc)
	} else {
		js, err = jetstream.NewWithDomain(nc, c.domain)
	}
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("connect to log server: %w", err)
	}
	return nc, js, nil
}

// NATS gives the connection, for other use of the same server. It is Close that ends it.
func (c *Conn) NATS() *nats.Conn { return c.nc }

// Close ends the connection. Close the logs before.
func (c *Conn) Close() error {
	c.nc.Close()
	return nil
}
