// Package notifytest makes whole mail stores with notification for tests: a store over a log in memory, and beside its replica a second,
// simple one whose changes feed a notify.Feed as a replica's do.
package notifytest

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/internal/codec"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/notify"
	"angarium/replica/state"
)

// Host is the server's name in URLs.
const Host = "mail.example.org"

// Start is the time of the first change; each further one comes a second later.
var Start = time.Date(2024, 2, 29, 12, 0, 0, 123e6, time.UTC)

// batchEvents is how many events are applied at once, about.
const batchEvents = 64

// Env is a store whose events can be read.
type Env struct {
	*storetest.Env
	Followers []*Follower
}

// New makes a store whose clock goes on by a second with each question.
func New(t testing.TB, shards int) *Env {
	t.Helper()
	var mu sync.Mutex
	now := Start
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
	env := &Env{Env: storetest.New(t, shards, mailstore.Options{Now: clock})}
	for i := range shards {
		env.Followers = append(env.Followers, NewFollower(t, env.Logs[i]))
	}
	return env
}

// Feeds starts a feed on each follower and runs them. They are closed at the end of the test.
func (e *Env) Feeds(t testing.TB) []*notify.Feed {
	t.Helper()
	var feeds []*notify.Feed
	for i, f := range e.Followers {
		feed := notify.NewFeed(notify.FeedOptions{Shard: i, Host: Host})
		f.Run(t, feed)
		feeds = append(feeds, feed)
	}
	return feeds
}

// Settle waits until the followers have applied all that is in the logs.
func (e *Env) Settle(t testing.TB) {
	t.Helper()
	for i, f := range e.Followers {
		head, err := e.Logs[i].Head(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		f.Wait(t, head.Last)
	}
}

// Follower is a replica in memory.
type Follower struct {
	// Lockstep lets the feed project each envelope before the next one is applied. Without it, what a later one removes may be gone by then.
	Lockstep bool

	log   eventlog.Log
	codec *codec.Codec

	mu      sync.Mutex
	changed *sync.Cond
	mem     *state.Memory
	at      eventlog.State
	err     error
}

var _ notify.Replica = (*Follower)(nil)

// NewFollower makes a follower that stands before the log.
func NewFollower(t testing.TB, log eventlog.Log) *Follower {
	t.Helper()
	c, err := codec.New()
	if err != nil {
		t.Fatal(err)
	}
	f := &Follower{log: log, codec: c, mem: state.NewMemory()}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// Run follows the log and hands the changes to feed, until the end of the test or until the function it returns is called, which also closes feed.
func (f *Follower) Run(t testing.TB, feed *notify.Feed) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	feed.Start(f.log, f)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f.follow(ctx, feed); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("follower: %v", err)
		}
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			<-done
			feed.Close()
		})
	}
	t.Cleanup(stop)
	return stop
}

func (f *Follower) follow(ctx context.Context, feed *notify.Feed) error {
	follower, err := eventlog.Follow(ctx, f.log, f.Applied())
	if err != nil {
		return err
	}
	defer follower.Close()
	for {
		events := batchEvents
		if f.Lockstep {
			events = 1
		}
		batch, err := follower.NextBatch(ctx, events, 1<<20)
		if err != nil {
			return err
		}
		if err := f.apply(feed, batch); err != nil {
			return err
		}
		if f.Lockstep {
			c := feed.Cursor(notify.Place{Position: follower.State().Position})
			_, err := c.Next(ctx)
			c.Close()
			if err != nil {
				return err
			}
		}
	}
}

func (f *Follower) apply(feed *notify.Feed, batch []eventlog.Envelope) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := &state.Memory{Rows: maps.Clone(f.mem.Rows)}
	applier, err := state.NewApplier(f.mem)
	if err != nil {
		return err
	}
	var changes []state.Change
	for i := range batch {
		for _, entry := range batch[i].Entries {
			c, err := applier.Apply(entry)
			if err != nil {
				return err
			}
			changes = append(changes, c...)
		}
	}
	if err := applier.Flush(); err != nil {
		return err
	}
	committed := feed.Committing(batch, changes, before)
	f.at = batch[len(batch)-1].State()
	committed()
	f.changed.Broadcast()
	return nil
}

// Wait waits until the follower has applied a position.
func (f *Follower) Wait(t testing.TB, position eventlog.Position) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.at.Position < position {
		f.changed.Wait()
	}
}

// Applied implements notify.Replica.
func (f *Follower) Applied() eventlog.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

// Reader implements notify.Replica.
func (f *Follower) Reader() state.Reader { return reader{f} }

// ReadBody implements notify.Replica.
func (f *Follower) ReadBody(guid event.GUID) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, err := state.GetBody(f.mem, guid)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, errors.New("no such body")
	}
	stored, err := f.mem.ReadBody(guid, b)
	if err != nil {
		return nil, err
	}
	return f.codec.Decode(b.Encoding, b.Size, stored)
}

// reader reads the follower's rows between two batches.
type reader struct{ f *Follower }

// Get implements state.Reader.
func (r reader) Get(key []byte) ([]byte, error) {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	return r.f.mem.Get(key)
}

// Scan implements state.Reader.
func (r reader) Scan(lo, hi []byte, fn func(key, value []byte) (bool, error)) error {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	return r.f.mem.Scan(lo, hi, fn)
}
