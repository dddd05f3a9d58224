package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/jslog"
	"angarium/eventlog/memlog"
	"angarium/internal/config"
	"angarium/mailstore"
)

// simLogs are the logs of one life of a node: in memory, slow, and durable once they acknowledge.
type simLogs struct {
	mu   sync.Mutex
	rnd  *rand.Rand
	logs map[int]*memlog.Log
}

func newSimLogs(rnd *rand.Rand) *simLogs { return &simLogs{rnd: rnd, logs: map[int]*memlog.Log{}} }

// next gives what the next life of the node finds.
func (l *simLogs) next() *simLogs {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := newSimLogs(l.rnd)
	for shard, log := range l.logs {
		c.logs[shard] = log.Clone()
	}
	return c
}

func (l *simLogs) open(ctx context.Context, shard int, known eventlog.Mark) (eventlog.Log, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.logs[shard] == nil {
		return nil, jslog.ErrMissing
	}
	log := l.logs[shard].Clone() // the one before was closed
	log.SetHook(l.slow)
	l.logs[shard] = log
	if err := eventlog.Check(ctx, log, known); err != nil {
		return nil, err
	}
	return log, nil
}

func (l *simLogs) create(_ context.Context, shard int, after eventlog.State) (eventlog.Log, error) {
	log := memlog.NewBehind(after.Mark())
	log.SetHook(l.slow)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logs[shard] = log
	return log, nil
}

func (l *simLogs) remove(_ context.Context, shard int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.logs, shard)
	return nil
}

// slow lets an append take its time: before it is stored, and before that is told.
func (l *simLogs) slow(eventlog.Mark, []byte) memlog.Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	return memlog.Fault{Hold: l.laterLocked(), HoldAck: l.laterLocked()}
}

func (l *simLogs) laterLocked() <-chan struct{} {
	c := make(chan struct{})
	d := time.Duration(l.rnd.IntN(2000)) * time.Microsecond
	if l.rnd.IntN(100) == 0 {
		d += time.Duration(l.rnd.IntN(500)) * time.Millisecond
	}
	time.AfterFunc(d, func() { close(c) })
	return c
}

// simNode is a node of a simulated site, through all its lives.
type simNode struct {
	site  *simSite
	name  string
	join  string // the join token; empty for the first node
	lives int
	dir   string // of the life it has, or had last
	logs  *simLogs

	mu   sync.Mutex
	life *simLife // nil while it is down, or opens its directory again
	down bool     // it was stopped or killed
	wg   sync.WaitGroup
}

// simLife is a node from its start to its end.
type simLife struct {
	of      *simNode
	node    *Node
	host    *simHost
	ctx     context.Context // ends when clients are to leave
	cancel  context.CancelFunc
	clients sync.WaitGroup
	restart chan struct{}
	once    sync.Once
}

const (
	// simStop bounds how long a node may take to end.
	simStop = 20 * time.Second
	// simStart bounds how long a node may take to start, and to fetch what it needs.
	simStart = 5 * time.Minute
)

func (n *simNode) config() config.Config {
	c := config.Default()
	c.Server.Node, c.Server.Shards = n.name, n.site.shards
	c.Replica.CacheSize, c.Replica.MemtableSize = 1<<20, 256<<10
	c.Replica.BodyEncoding = "none"
	c.Channel.Listen = []string{n.name + ":1"}
	c.Channel.AckPolicy = n.site.ackPolicy
	c.Channel.AckTimeout = config.Duration(2 * time.Second)
	if n.join != "" {
		c.Channel.JoinFile = n.site.path(n.name + ".join")
	}
	return c
}

// start opens the node.
func (n *simNode) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), simStart)
	defer cancel()
	l := &simLife{of: n, host: n.site.net.host(n.name), restart: make(chan struct{}, 1)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	n.lives++
	var err error
	l.node, err = Open(ctx, Options{
		Data: n.dir, Config: n.config(), Create: true, Serve: true, Version: "sim",
		Logger: slog.New(n.site.logHandler(n.name, n.lives)), dial: l.host.dial, logs: n.logs,
	})
	if err != nil {
		return fmt.Errorf("open %s: %w", n.name, err)
	}
	l.node.ChannelAddr = func() string { return n.name + ":1" }
	l.node.Restart = func() {
		select {
		case l.restart <- struct{}{}:
		default:
		}
	}
	if err := l.node.Lead(ctx); err != nil {
		n.site.tracef("%s: lead: %v", n.name, err)
	}
	listener := l.host.listen()
	n.wg.Go(func() {
		if err := l.node.ServeChannels(listener); err != nil {
			n.site.tracef("%s: serve channels: %v", n.name, err)
		}
	})
	n.wg.Go(func() {
		select {
		case <-l.restart:
			n.site.tracef("%s opens its directory again", n.name)
			n.again(l)
		case <-l.ctx.Done():
		}
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.life, n.down = l, false
	return nil
}

// isDown says whether it is for the story to start the node.
func (n *simNode) isDown() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.down
}

// again stops the node and starts it, unless that life is over.
func (n *simNode) again(l *simLife) {
	if !n.take(l, false) {
		return
	}
	l.close()
	n.logs = n.logs.next()
	if err := n.start(); err != nil {
		n.site.failf("%v", err)
	}
}

// take ends a life for the outside: false when it has ended already. down is when the node does not start by itself.
func (n *simNode) take(l *simLife, down bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l == nil || n.life != l {
		return false
	}
	n.life, n.down = nil, down
	return true
}

// close lets the clients leave and closes the node.
func (l *simLife) close() {
	l.cancel()
	l.clients.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), simStop)
	defer cancel()
	if err := l.node.Close(ctx); err != nil {
		l.of.site.tracef("%s: close: %v", l.of.name, err)
	}
	l.host.die(false)
}

// current gives the life that the node has; nil while it is down.
func (n *simNode) current() *simLife {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life
}

// enter gives the node to a client, until it calls leave.
func (n *simNode) enter() (l *simLife, leave func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life == nil {
		return nil, nil
	}
	n.life.clients.Add(1)
	return n.life, n.life.clients.Done
}

func (l *simLife) store() *mailstore.Store { return l.node.Store() }

// dead says whether the life has ended: then what is heard from it was never said.
func (l *simLife) dead() bool {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	return l.of.life != l
}

// stop stops the node.
func (n *simNode) stop() bool {
	l := n.current()
	if !n.take(l, true) {
		return false
	}
	l.close()
	n.logs = n.logs.next()
	return true
}

// crash kills the node: what it wrote to its files and its log until now is what its next life finds. silent is when its peers are not told.
func (n *simNode) crash(silent bool) bool {
	l := n.current()
	if !n.take(l, true) {
		return false
	}
	l.host.die(silent)
	n.logs = n.logs.next()
	dir := n.site.path(fmt.Sprintf("%s-%d", n.name, n.lives))
	if err := copyTree(n.dir, dir); err != nil {
		n.site.failf("crash %s: %v", n.name, err)
	}
	old := n.dir
	n.dir = dir
	n.wg.Go(func() { // the ghost has to go, and whatever it does is seen by nobody
		l.close()
		if err := os.RemoveAll(old); err != nil {
			n.site.failf("crash %s: %v", n.name, err)
		}
	})
	return true
}

// copyTree copies a directory as it is at the moment. What is removed meanwhile is not part of it.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	})
}
