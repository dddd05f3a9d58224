package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"angarium/eventlog"
)

// WatchOptions says what to watch. The zero value is everything from now on.
type WatchOptions struct {
	Filter Filter
	Shards []int         // [all]
	Since  map[int]Place // where to begin, by shard [now, or SinceTime]
	After  time.Time     // not zero: begin with the first event of this time or later, in shards that Since does not name
	Once   bool          // end with what is there at the start, instead of waiting for more
}

// sessionWatch is a watcher's share in the events of sessions.
type sessionWatch struct{ c chan *Event }

// sessionBacklog is how many events of sessions a watcher may be behind.
const sessionBacklog = 256

// Watch calls fn with events, in order for each shard, until ctx ends, fn fails, or, with Once, there are no more. fn is not called from two goroutines
// at a time. History that is not there is a *HistoryError, and nothing else is passed over.
func (n *Notifier) Watch(ctx context.Context, opts WatchOptions, fn func(*Event) error) error {
	if err := opts.Filter.Check(); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	feeds, err := n.pick(opts.Shards)
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	places := make([]Place, len(feeds))
	for i, f := range feeds {
		if places[i], err = f.since(ctx, opts); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex // of fn
	w := watch{sieve: opts.Filter.Sieve(), once: opts.Once, fn: func(e *Event) error {
		mu.Lock()
		defer mu.Unlock()
		if err := context.Cause(ctx); err != nil {
			return err
		}
		return fn(e)
	}}
	for i, f := range feeds {
		wg.Go(func() {
			if err := w.feed(ctx, f, places[i]); err != nil {
				cancel(err)
			}
		})
	}
	if !opts.Once {
		wg.Go(func() {
			if err := n.watchSessions(ctx, w); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (n *Notifier) pick(shards []int) ([]*Feed, error) {
	if len(shards) == 0 {
		return n.feeds, nil
	}
	var feeds []*Feed
	for _, s := range shards {
		if s < 0 || s >= len(n.feeds) {
			return nil, fmt.Errorf("no shard %d", s)
		}
		feeds = append(feeds, n.feeds[s])
	}
	return feeds, nil
}

type watch struct {
	sieve *Sieve
	once  bool
	fn    func(*Event) error
}

// feed gives the events of one shard.
func (w *watch) feed(ctx context.Context, f *Feed, at Place) error {
	c := f.Cursor(at)
	defer c.Close()
	end := max(f.Head(), f.replica.Applied().Position) // the feed may be about to see what was acknowledged before
	for !w.once || at.Position <= end {
		b, err := c.Next(ctx)
		if err != nil {
			return err
		}
		for _, e := range b.Events {
			if w.once && e.Position > end {
				return nil
			}
			if e = w.sieve.Apply(e, f.ReadBody); e == nil {
				continue
			}
			if err := w.fn(e); err != nil {
				return err
			}
		}
		at = b.Next
	}
	return nil
}

func (n *Notifier) watchSessions(ctx context.Context, w watch) error {
	s := &sessionWatch{c: make(chan *Event, sessionBacklog)}
	n.mu.Lock()
	n.watchers[s] = struct{}{}
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.watchers, s)
	}()
	for {
		select {
		case e := <-s.c:
			if e = w.sieve.pass(e); e == nil {
				continue
			}
			if err := w.fn(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// since gives the place where a watcher begins.
func (f *Feed) since(ctx context.Context, opts WatchOptions) (Place, error) {
	if at, ok := opts.Since[f.opts.Shard]; ok {
		return at, nil
	}
	if opts.After.IsZero() {
		return Place{Position: f.Head() + 1}, nil
	}
	return f.At(ctx, opts.After)
}

// At gives the place of the first envelope that the log holds and that was committed at a time or later. It trusts the primaries' clocks as far as
// they agree.
func (f *Feed) At(ctx context.Context, t time.Time) (Place, error) {
	head, err := f.log.Head(ctx)
	if err != nil {
		return Place{}, fmt.Errorf("look for %s in the log: %w", t, err)
	}
	low, high := head.First, head.Last+1 // the place is in low ≤ place ≤ high
	for low < high {
		middle := low + (high-low)/2
		payload, err := f.log.Read(ctx, middle)
		if errors.Is(err, eventlog.ErrNotFound) { // purged meanwhile
			low = middle + 1
			continue
		}
		if err != nil {
			return Place{}, fmt.Errorf("look for %s in the log: %w", t, err)
		}
		env, err := eventlog.Decode(middle, payload)
		if err != nil {
			return Place{}, fmt.Errorf("look for %s in the log: position %d: %w", t, middle, err)
		}
		if env.Time.Before(t) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return Place{Position: low}, nil
}

// Time says when the envelope at a position was committed. It fails with eventlog.ErrNotFound for one that the log does not hold.
func (f *Feed) Time(ctx context.Context, at eventlog.Position) (time.Time, error) {
	payload, err := f.log.Read(ctx, at)
	if err != nil {
		return time.Time{}, fmt.Errorf("read position %d of shard %d: %w", at, f.opts.Shard, err)
	}
	env, err := eventlog.Decode(at, payload)
	if err != nil {
		return time.Time{}, fmt.Errorf("read position %d of shard %d: %w", at, f.opts.Shard, err)
	}
	return env.Time, nil
}
