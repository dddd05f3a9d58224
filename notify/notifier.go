package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Options configures a Notifier. Zero values mean the defaults named here.
type Options struct {
	Host    string // the server's name in URLs ["localhost"]
	Shards  int    // of the node
	Sinks   []Sink
	Archive func(shard int) Archive // nil, or may give nil: what the log has purged is gone
	Logger  *slog.Logger            // [none]
}

// Notifier is the notification of a node: a feed for each shard, and the sinks that read them.
type Notifier struct {
	opts  Options
	feeds []*Feed

	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	watchers map[*sessionWatch]struct{}
}

// sinkPause is how long a sink that failed rests before it is run again.
const sinkPause = 5 * time.Second

// New makes a notifier. The Committing of each Feed is to be a hook of its shard's replica.
func New(opts Options) (*Notifier, error) {
	if opts.Host == "" {
		opts.Host = "localhost"
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Shards < 1 {
		return nil, errors.New("notify: no shards")
	}
	names := map[string]bool{}
	for _, s := range opts.Sinks {
		if names[s.Name()] {
			return nil, fmt.Errorf("notify: two sinks are called %q", s.Name())
		}
		names[s.Name()] = true
	}
	n := &Notifier{opts: opts, watchers: map[*sessionWatch]struct{}{}}
	for i := range opts.Shards {
		fo := FeedOptions{Shard: i, Host: opts.Host, Logger: opts.Logger}
		if opts.Archive != nil {
			fo.Archive = opts.Archive(i)
		}
		n.feeds = append(n.feeds, NewFeed(fo))
	}
	return n, nil
}

// Feed is the feed of a shard.
func (n *Notifier) Feed(shard int) *Feed { return n.feeds[shard] }

// Start runs the sinks, until Close. Every feed has to be started before.
func (n *Notifier) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	for _, s := range n.opts.Sinks {
		n.wg.Go(func() { n.run(ctx, s) })
	}
}

func (n *Notifier) run(ctx context.Context, s Sink) {
	for ctx.Err() == nil {
		err := s.Run(ctx, n.feeds)
		if err == nil {
			return
		}
		n.opts.Logger.Error("sink failed; starting it again", "sink", s.Name(), "error", err)
		select {
		case <-time.After(sinkPause):
		case <-ctx.Done():
		}
	}
}

// Close stops the sinks, whose positions are durable then, and ends the feeds and whoever watches. It is called before the replicas and logs are
// closed.
func (n *Notifier) Close() {
	if n.cancel != nil {
		n.cancel()
	}
	n.wg.Wait()
	for _, f := range n.feeds {
		f.Close()
	}
}

// Status says how the sinks do.
func (n *Notifier) Status() []SinkStatus {
	list := make([]SinkStatus, 0, len(n.opts.Sinks))
	for _, s := range n.opts.Sinks {
		st := s.Status()
		for _, f := range n.feeds {
			if at, ok := st.Places[f.Shard()]; ok {
				st.Behind += uint64(max(f.Head()+1, at.Position) - at.Position)
			}
		}
		list = append(list, st)
	}
	return list
}

// Login tells of a login, Logout of its end. Both are best effort: they are not in the log, go to those who listen at the moment, and are lost to all
// others. They never wait.
func (n *Notifier) Login(i SessionInfo) { n.session(Login, i) }

// Logout tells that a session with a login has ended.
func (n *Notifier) Logout(i SessionInfo) { n.session(Logout, i) }

func (n *Notifier) session(name Name, i SessionInfo) {
	e := sessionEvent(name, n.opts.Host, i)
	for _, s := range n.opts.Sinks {
		if t, ok := s.(SessionSink); ok {
			t.Session(e)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for w := range n.watchers {
		select {
		case w.c <- e:
		default: // it does not keep up
		}
	}
}
