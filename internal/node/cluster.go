package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"angarium/eventlog"
	"angarium/eventlog/jslog"
	"angarium/mailstore"
)

const (
	// leaseBucket is where the leases of the shards are kept.
	leaseBucket = "ANGARIUM_LEASES"
	// renewEvery is how often a primary renews its lease.
	renewEvery = 500 * time.Millisecond
	// leaseTime is how long a lease may stand still, by the clock of whoever looks at it, before another node takes it. It says when to try;
	// that the primary before cannot write any more is the log's part.
	leaseTime = 3 * time.Second
	// clusterWait is the pause between attempts to reach a cluster that has no leader yet.
	clusterWait = 500 * time.Millisecond
	// clusterForwardWait bounds how long a write looks for a primary while the lead moves.
	clusterForwardWait = 30 * time.Second
	// drainCalls bounds the wait for messages on their way at a stop.
	drainCalls = 2 * time.Second
	// farewell is how long a node that gave leases back goes on saying that it does not lead: three looks of the others.
	farewell = 3 * renewEvery
	// leaseAsk bounds one look at a lease.
	leaseAsk = 2 * time.Second
)

// cluster is this node's part among nodes that share one replicated log.
type cluster struct {
	node *Node
	log  *slog.Logger
	kv   jetstream.KeyValue
	sub  *nats.Subscription // of forwarded writes
	acks *nats.Subscription // of what nodes outside acknowledged; nil without channels

	cancel  context.CancelFunc
	keepers sync.WaitGroup
	calls   sync.WaitGroup // of other nodes
	parts   parts
	thaws   thaws
	closing atomic.Bool
	met     atomic.Bool // the cluster is known to be alive, or not to have been superseded, since this node started

	mu          sync.Mutex
	leases      []lease // by shard, as last seen
	far         farState
	farRevision uint64
	farKnown    bool
}

// lease says which node leads a shard.
type lease struct {
	Node     string `json:"node"` // "": it was given back
	revision uint64
	seen     time.Time // when it was first seen at this revision, by this node's clock
	moves    int       // how often it was seen to be renewed by another node
	heard    time.Time // when it was last looked at
}

// clusterServer makes the options of a log server in a cluster. Its client listener is there because routes need one; only this
// process knows its password.
func (n *Node) clusterServer(password string) (func(*server.Options), error) {
	c := n.opts.Config.Cluster
	host, portText, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("cluster.listen: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("cluster.listen: %w", err)
	}
	secret := ""
	if c.SecretFile != "" {
		data, err := os.ReadFile(c.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("cluster.secret_file: %w", err)
		}
		secret = strings.TrimSpace(string(data))
	}
	var routes []*url.URL
	for _, r := range c.Routes {
		u := &url.URL{Scheme: "nats", Host: r}
		if secret != "" {
			u.User = url.UserPassword(clusterUser, secret)
		}
		routes = append(routes, u)
	}
	return func(o *server.Options) {
		o.DontListen = false
		o.Host, o.Port = "127.0.0.1", server.RANDOM_PORT
		o.Username, o.Password = clusterUser, password
		o.Cluster = server.ClusterOpts{Name: c.Name, Host: host, Port: port}
		if secret != "" {
			o.Cluster.Username, o.Cluster.Password = clusterUser, secret
		}
		o.Routes = routes
	}, nil
}

const clusterUser = "angarium"

// openClusterLog opens the log of a shard, or makes it with the other nodes at the first start. It waits until most nodes are there.
func (n *Node) openClusterLog(ctx context.Context, number int, known eventlog.Mark) (*jslog.Log, error) {
	cfg := streamConfig(number)
	cfg.Replicas = n.opts.Config.Cluster.Replicas
	for {
		log, err := jslog.Open(ctx, n.conn, cfg, known)
		if errors.Is(err, jslog.ErrMissing) && !n.layout.LogsMade && known == (eventlog.Mark{}) {
			log, err = jslog.Create(ctx, n.conn, cfg)
		}
		if err == nil || !(errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, jslog.ErrExists) || clusterForming(err)) {
			return log, err
		}
		n.log.Debug("the cluster's log is not there yet", "shard", number, "error", err)
		n.opts.progress("waiting for the other nodes of the cluster")
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the cluster's log: %w", errors.Join(ctx.Err(), err))
		case <-time.After(clusterWait):
		}
	}
}

// clusterForming says of an error that there are not enough servers yet to keep a stream.
func clusterForming(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == 10005 || api.ErrorCode == 10008 || api.Code == 503)
}

// openCluster takes the writes that other nodes forward, and knows the leases. The node's shards and store are open. start follows.
func (n *Node) openCluster(ctx context.Context) error {
	c := &cluster{node: n, log: n.log.With("part", "cluster"), leases: make([]lease, len(n.shards))}
	js, err := jetstream.New(n.conn.NATS())
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	for {
		c.kv, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: leaseBucket, Replicas: n.opts.Config.Cluster.Replicas, Storage: jetstream.FileStorage})
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cluster: leases: %w", errors.Join(ctx.Err(), err))
		case <-time.After(clusterWait):
		}
	}
	if c.sub, err = n.conn.NATS().Subscribe(mailSubject(n.name), c.receive); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	n.cluster = c
	return c.catchUp(ctx)
}

// start takes part in leading. The node's links are open.
func (c *cluster) start() error {
	run, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	if err := c.openFar(); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	c.keepers.Go(func() { c.keepFar(run) })
	for i := range c.node.shards {
		c.keepers.Go(func() { c.keep(run, i) })
	}
	return nil
}

// catchUp waits until this node has applied what the cluster's log holds. One that was killed has missed some of it: a client that comes back
// must not find less than it has seen here before, and UIDs that it knows must be there, or its commands pass over them.
func (c *cluster) catchUp(ctx context.Context) error {
	for _, s := range c.node.shards {
		for {
			err := s.catchUp(ctx)
			if err == nil || s.replica.Err() != nil { // a replica that is halted serves what it has
				break
			}
			c.node.opts.progress("waiting for the other nodes of the cluster")
			select {
			case <-ctx.Done():
				return fmt.Errorf("cluster: shard %d: catch up: %w", s.number, errors.Join(ctx.Err(), err))
			case <-time.After(clusterWait):
			}
		}
	}
	return nil
}

// remote gives the way to the primary of a shard, for the store.
func (n *Node) clusterRemote(s *shard) func() mailstore.Forwarder {
	return func() mailstore.Forwarder {
		if s.writer.Load() != nil {
			return nil
		}
		return clusterForwarder{n}
	}
}

// keep renews the lease of a shard while this node leads it, and takes it when it stands still.
func (c *cluster) keep(ctx context.Context, shard int) {
	// The nodes begin one after the other, so that the shards are spread over them.
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration((shard+int(c.order()))%3) * renewEvery):
	}
	t := time.NewTicker(renewEvery)
	defer t.Stop()
	for ctx.Err() == nil {
		if err := c.look(ctx, shard); err != nil && ctx.Err() == nil {
			c.log.Debug("lease", "shard", shard, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
	c.giveBack(shard)
}

// order is a small number that differs between nodes.
func (c *cluster) order() uint64 { return uint64(mailstore.ShardOf(c.node.name, 3)) }

func leaseKey(shard int) string { return "shard-" + strconv.Itoa(shard) }

// look reads a lease and does what follows from it.
func (c *cluster) look(ctx context.Context, shard int) error {
	ask, cancel := context.WithTimeout(ctx, leaseAsk)
	defer cancel()
	s := c.node.shards[shard]
	entry, err := c.kv.Get(ask, leaseKey(shard))
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return c.take(ctx, s, 0)
	case err != nil:
		c.lapse(s)
		return err
	}
	l := c.note(shard, entry)
	if by := c.supersededBy(); by != "" {
		c.giveBack(shard)
		return nil
	}
	if l.Node == c.node.name && s.writer.Load() != nil {
		return c.renew(ask, s, l)
	}
	if l.Node != c.node.name && s.writer.Load() != nil {
		c.log.Warn("another node leads the shard", "shard", shard, "primary", l.Node)
		return c.resign(ctx, s)
	}
	if l.Node == "" || l.Node == c.node.name || time.Since(l.seen) > leaseTime {
		return c.take(ctx, s, l.revision)
	}
	return nil
}

// note remembers a lease as it was seen.
func (c *cluster) note(shard int, entry jetstream.KeyValueEntry) lease {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := &c.leases[shard]
	if entry.Revision() != l.revision || l.seen.IsZero() {
		before := *l
		*l = lease{revision: entry.Revision(), seen: time.Now()}
		if err := json.Unmarshal(entry.Value(), l); err != nil {
			l.Node = ""
		}
		if l.Node == before.Node && l.Node != c.node.name && l.Node != "" {
			if l.moves = before.moves + 1; l.moves >= leaseMoves {
				c.met.Store(true)
			}
		}
	}
	l.heard = time.Now()
	return *l
}

// lapse stops leading when the lease could not be renewed for so long that another node may have it.
func (c *cluster) lapse(s *shard) {
	c.mu.Lock()
	l := c.leases[s.number]
	c.mu.Unlock()
	if s.writer.Load() != nil && time.Since(l.seen) > 4*leaseTime {
		c.log.Warn("the lease cannot be renewed", "shard", s.number)
		_ = c.resign(context.Background(), s) // it says itself why it cannot
	}
}

func (c *cluster) renew(ctx context.Context, s *shard, l lease) error {
	if err := s.writer.Load().Err(); err != nil { // deposed by the log
		return c.resign(ctx, s)
	}
	_, err := c.kv.Update(ctx, leaseKey(s.number), c.value(c.node.name), l.revision)
	return err
}

func (c *cluster) value(node string) []byte {
	b, _ := json.Marshal(lease{Node: node}) // a struct of strings
	return b
}

// take takes a lease that is free, and leads.
func (c *cluster) take(ctx context.Context, s *shard, revision uint64) error {
	if err := s.replica.Err(); err != nil {
		return err // a node that cannot apply the log cannot lead it
	}
	if !c.mayLead() {
		return nil
	}
	ask, cancel := context.WithTimeout(ctx, leaseAsk)
	defer cancel()
	var err error
	if revision == 0 {
		_, err = c.kv.Create(ask, leaseKey(s.number), c.value(c.node.name))
	} else {
		_, err = c.kv.Update(ask, leaseKey(s.number), c.value(c.node.name), revision)
	}
	if err != nil {
		return err // another node was first, or there is no quorum
	}
	lead, cancelLead := context.WithTimeout(ctx, leadTime)
	defer cancelLead()
	far, _ := c.knownFar()
	if err := s.lead(lead, far.Above); err != nil {
		return fmt.Errorf("lead: %w", err)
	}
	c.met.Store(true)
	c.log.Info("leading", "shard", s.number, "epoch", s.writer.Load().State().Epoch)
	return nil
}

// resign ends leading a shard.
func (c *cluster) resign(ctx context.Context, s *shard) error {
	ctx, cancel := context.WithTimeout(ctx, drainShards)
	defer cancel()
	w := s.writer.Load()
	thaw, err := c.node.store.Freeze(ctx, s.number)
	if err == nil {
		defer thaw()
	}
	s.writer.Store(nil)
	if w == nil {
		return nil
	}
	if err := w.Close(ctx); err != nil && !errors.Is(err, eventlog.ErrFenced) {
		return err
	}
	return nil
}

// giveBack gives a lease back at a stop, so that another node takes it at once.
func (c *cluster) giveBack(shard int) {
	s := c.node.shards[shard]
	if s.writer.Load() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainShards)
	defer cancel()
	if err := c.resign(ctx, s); err != nil {
		c.log.Warn("log writer does not end", "shard", shard, "error", err)
	}
	if entry, err := c.kv.Get(ctx, leaseKey(shard)); err == nil {
		if l := c.note(shard, entry); l.Node == c.node.name {
			_, _ = c.kv.Update(ctx, leaseKey(shard), c.value(""), l.revision) // else it stands still and is taken
		}
	}
}

// leader is the node that leads a shard, as far as is known.
func (c *cluster) leader(shard int) string {
	if c.node.shards[shard].writer.Load() != nil {
		return c.node.name
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leases[shard].Node
}

// leads says whether this node leads any shard.
func (c *cluster) leads() bool {
	return slices.ContainsFunc(c.node.shards, func(s *shard) bool { return s.writer.Load() != nil })
}

// close gives the leases back, answers what was forwarded to this node, and takes nothing more.
func (c *cluster) close() {
	c.closing.Store(true)
	led := c.leads()
	if c.cancel != nil {
		c.cancel()
	}
	c.keepers.Wait()
	if led { // what is sent to a subscription that is gone is lost without a word, and its outcome would be unknown
		time.Sleep(farewell)
	}
	if c.acks != nil {
		_ = c.acks.Unsubscribe() // it fails only on a connection that is closed already
	}
	drained := make(chan struct{})
	c.sub.SetClosedHandler(func(string) { close(drained) })
	if err := c.sub.Drain(); err == nil {
		select {
		case <-drained:
		case <-time.After(drainCalls):
		}
	}
	c.calls.Wait()
	if err := c.node.conn.NATS().FlushTimeout(drainCalls); err != nil {
		c.log.Debug("answers may be lost", "error", err)
	}
}
