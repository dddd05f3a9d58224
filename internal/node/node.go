package node

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"angarium/eventlog/jslog"
	"angarium/internal/codec"
	"angarium/internal/config"
	"angarium/mailstore"
	"angarium/notify/bus"
)

// Options says how to open a node.
type Options struct {
	Data    string // the data directory
	Config  config.Config
	Create  bool // make a store in an empty directory, or fetch one from the node that it is to join
	Serve   bool // take part in the site: be linked with the other nodes
	Logger  *slog.Logger
	Version string
	Hooks   Hooks
	TLS     *tls.Config // for NATS clients, if the configuration demands TLS of them; may be nil
	// Progress, if not nil, is told what takes long at the start.
	Progress func(what string)

	// What tests put in the place of the network and of the log's server; nil outside of them.
	dial func(ctx context.Context, address string) (net.Conn, error)
	logs logs
}

func (o *Options) progress(what string) {
	if o.Progress != nil {
		o.Progress(what)
	}
}

// Node is an open data directory.
type Node struct {
	opts       Options
	log        *slog.Logger
	name       string
	lock       *os.File
	layout     *layout
	layoutLock sync.Mutex // held while the layout changes, once the node is open
	secret     []byte
	started    time.Time

	server  *jslog.Embedded // nil with an external log
	conn    *jslog.Conn
	logs    logs
	shards  []*shard
	store   *mailstore.Store
	site    *site    // nil: this node has no channels
	cluster *cluster // nil: this node is in no cluster

	notification *notification // nil: no server runs
	keysLock     sync.Mutex
	keys         *bus.Keys // of consumers; nil until they are asked for

	retention *retention

	archiving *archiving // nil: no server runs, or there is no archive
	restoring sync.Mutex // held while a restore runs
	expiring  expiring
	importing sync.Map // accounts that an import is at work on

	heals *heals
	scrub *scrubber // nil: no server runs

	// Sessions counts connections by service, for status; set by the server.
	Sessions func() map[string]int
	// Reload reads certificates again; set by the server.
	Reload func() error
	// Oust ends the sessions of an account that was changed; set by the server.
	Oust func(account string)
	// ChannelAddr is where the server takes the links of other nodes; set by the server.
	ChannelAddr func() string
	// Restart asks the server to close the node and open it again; set by the server.
	Restart func()

	rebuilding sync.Mutex // held while a rebuild runs
}

// Open opens a node: its replicas follow their logs. Lead makes it take writes.
func Open(ctx context.Context, opts Options) (_ *Node, err error) {
	n := &Node{opts: opts, log: opts.Logger, name: opts.Config.Server.Node, started: time.Now()}
	n.retention = newRetention(n)
	if n.name == "" {
		if n.name, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("name of this node: %w", err)
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close(context.WithoutCancel(ctx)))
		}
	}()
	if err := n.openDir(ctx); err != nil {
		return nil, err
	}
	if err := n.openLogServer(ctx); err != nil {
		return nil, err
	}
	if opts.Serve {
		if err := n.openNotification(ctx); err != nil {
			return nil, err
		}
	}
	if err := n.openShards(ctx); err != nil {
		return nil, err
	}
	if opts.Serve && n.hasChannels() {
		if n.site, err = newSite(n); err != nil {
			return nil, err
		}
	}
	if err := n.openStore(); err != nil {
		return nil, err
	}
	if n.notification != nil {
		n.notification.notifier.Start()
	}
	if opts.Serve {
		if err := n.openArchiving(); err != nil {
			return nil, err
		}
		n.openExpiring()
	}
	if n.inCluster() {
		if err := n.openCluster(ctx); err != nil {
			return nil, err
		}
	}
	if n.site != nil {
		if err := n.site.open(); err != nil {
			return nil, err
		}
	}
	if n.cluster != nil {
		err = n.cluster.start()
	}
	if err == nil && opts.Serve {
		n.retention.start()
		err = n.openScrub()
	}
	return n, err
}

// inCluster says whether this node shares its log with others.
func (n *Node) inCluster() bool { return n.opts.Config.Cluster.Listen != "" }

func (n *Node) openDir(ctx context.Context) (err error) {
	dir, shards := n.opts.Data, 0
	if n.opts.Create {
		shards = n.opts.Config.Server.Shards
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("%w: %w", ErrNotInitialised, err)
	}
	if n.lock, err = lockDir(dir); err != nil {
		return err
	}
	if n.opts.Create {
		if err := n.joinFirst(ctx); err != nil {
			return err
		}
	}
	if n.layout, err = openLayout(dir, shards); err != nil {
		return err
	}
	if n.heals, err = openHeals(dir); err != nil {
		return err
	}
	n.secret, err = secret(dir)
	return err
}

func (n *Node) openLogServer(ctx context.Context) (err error) {
	switch {
	case n.opts.logs != nil:
		n.logs = n.opts.logs
		return nil
	case n.opts.Config.Log.URL != "":
		n.conn, err = n.connectExternal(n.opts.Config.Log)
	default:
		err = n.startEmbedded(ctx)
	}
	n.logs = streams{n}
	return err
}

func (n *Node) startEmbedded(ctx context.Context) (err error) {
	c := n.opts.Config.Log
	minFree := int64(c.MinFree)
	if minFree == 0 {
		minFree = -1
	}
	opts := jslog.EmbeddedOptions{
		Dir: filepath.Join(n.opts.Data, "log"), Name: n.name, Domain: c.Domain,
		MaxStoreBytes: int64(c.MaxStore), MinFreeBytes: minFree, Logger: n.log.With("part", "log"),
	}
	var connect []nats.Option
	if n.inCluster() {
		password := rand.Text()
		if opts.Configure, err = n.clusterServer(password); err != nil {
			return err
		}
		connect = append(connect, nats.UserInfo(clusterUser, password))
	}
	n.server, err = jslog.StartEmbedded(ctx, opts)
	if err != nil {
		return err
	}
	n.conn, err = n.server.Connect(connect...)
	return err
}

func (n *Node) connectExternal(c config.Log) (*jslog.Conn, error) {
	opts := jslog.ConnectOptions{
		URL: c.URL, Name: "angarium " + n.name, CredsFile: c.Credentials, NkeySeedFile: c.NKey, Domain: c.Domain,
		Logger: n.log.With("part", "log"),
	}
	switch {
	case c.UnsafeSync:
		opts.Sync = jslog.SyncUnsafe
	case c.SyncAlways:
		opts.Sync = jslog.SyncAlways
	}
	var err error
	if opts.TLS, err = clientTLS(c); err != nil {
		return nil, err
	}
	return jslog.Connect(opts)
}

func (n *Node) openShards(ctx context.Context) error {
	for i := range n.layout.Shards {
		s, err := n.openShard(ctx, i)
		if s != nil {
			n.shards = append(n.shards, s)
		}
		if err != nil {
			return fmt.Errorf("open shard %d: %w", i, err)
		}
	}
	if !n.layout.LogsMade {
		n.layout.LogsMade = true
		return n.layout.write(n.opts.Data)
	}
	return nil
}

func (n *Node) openStore() (err error) {
	c := n.opts.Config
	encodings := map[string]codec.Policy{"auto": codec.Auto, "zstd": codec.Zstd, "s2": codec.S2, "none": codec.None}
	opts := mailstore.Options{
		Encoding: encodings[c.Replica.BodyEncoding],
		// Headers are added to a message between the limit of LMTP and the store.
		MaxMessage: int64(max(c.IMAP.MaxAppendSize, c.LMTP.MaxMessageSize)) + headerRoom,
	}
	for _, s := range n.shards {
		sh := mailstore.Shard{Replica: s.replica, Log: s, Recovered: n.layout.Recovered[s.number], Holds: s.holds}
		switch {
		case n.inCluster():
			sh.Remote, opts.ForwardWait = n.clusterRemote(s), clusterForwardWait
		case n.site != nil:
			sh.Remote = n.site.remote(s)
		}
		opts.Shards = append(opts.Shards, sh)
	}
	n.store, err = mailstore.New(opts)
	return err
}

// headerRoom is what lmtpd may add to a message.
const headerRoom = 4 << 10

// Store is the mail store of the node.
func (n *Node) Store() *mailstore.Store { return n.store }

// Name is the node's name.
func (n *Node) Name() string { return n.name }

// Secret is the site's secret.
func (n *Node) Secret() []byte { return n.secret }

// Close closes everything in the order that loses nothing: writers, replicas, log, lock.
func (n *Node) Close(ctx context.Context) error {
	var errs []error
	n.closeExpiring()
	n.retention.close()
	if n.cluster != nil { // its last writes may wait for a link's acknowledgement
		n.cluster.close()
	}
	if n.site != nil {
		errs = append(errs, n.site.close(ctx))
	}
	if n.scrub != nil {
		n.scrub.close()
	}
	n.closeArchiving()
	n.closeNotification()
	for _, s := range n.shards {
		errs = append(errs, s.close(ctx))
	}
	if n.conn != nil {
		errs = append(errs, n.conn.Close())
	}
	if n.server != nil {
		n.server.Shutdown()
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	return errors.Join(errs...)
}
