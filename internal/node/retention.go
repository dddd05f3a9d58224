package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"angarium/eventlog"
	"angarium/internal/control"
	"angarium/notify"
	"angarium/replica"
)

const (
	// purgeEvery is how often it is looked what of the logs can go.
	purgeEvery = 10 * time.Minute
	// tidyEvery is how often bodies without messages are looked for, and disk space is given back. It reads the record of every message.
	tidyEvery = 6 * time.Hour
	// tidyFirst is when that is done first after a start: a node that is restarted often does it, too.
	tidyFirst = 15 * time.Minute
	// settleTime is how long ago a receiver must have reached a position to be sure not to ask for what is before it again: what it notes of its
	// position, and what it wrote, is on stable storage by then.
	settleTime = 5 * time.Minute
	// observeEvery is how often it is looked where the receivers are.
	observeEvery = time.Minute
)

// retention keeps the logs and bodies of a node from growing for good.
type retention struct {
	node   *Node
	cancel context.CancelFunc
	done   sync.WaitGroup

	purging  sync.Mutex // held by a purge
	tidying  sync.Mutex // held while bodies are looked after
	mu       sync.Mutex
	settled  places // of receivers, settleTime ago or longer; nil: not known yet
	recent   places
	recentAt time.Time
	running  map[int]*control.CompactedShard // compactions under way, by shard
	totals   map[int]RetentionTotals
	noted    map[int]string // what was last logged as the reason for purging nothing
}

// RetentionTotals is what was done in a shard since the start, for metrics.
type RetentionTotals struct {
	Purged  uint64 // positions
	Dropped uint64 // bodies
	Moved   uint64 // bytes
	Freed   uint64 // bytes of segments
}

// places says from where on receivers need the log, by name and shard.
type places map[string]map[int]notify.Place

func newRetention(n *Node) *retention {
	return &retention{node: n, running: map[int]*control.CompactedShard{}, totals: map[int]RetentionTotals{}, noted: map[int]string{}}
}

// start does all that in the background, until close.
func (r *retention) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.done.Go(func() {
		r.every(ctx, observeEvery, observeEvery, func(context.Context) error { r.observe(time.Now()); return nil })
	})
	if r.node.opts.Config.Log.Retain > 0 {
		r.done.Go(func() { r.every(ctx, purgeEvery, purgeEvery, r.purgeAll) })
	}
	r.done.Go(func() { r.every(ctx, tidyFirst, tidyEvery, r.tidyAll) })
}

func (r *retention) close() {
	if r.cancel != nil {
		r.cancel()
	}
	r.done.Wait()
}

func (r *retention) every(ctx context.Context, first, pause time.Duration, do func(context.Context) error) {
	for wait := first; ; wait = pause {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := do(ctx); err != nil && ctx.Err() == nil {
			r.node.log.Warn("the log or the bodies are not looked after; trying again", "error", err)
		}
	}
}

// observe notes where the receivers of events are.
func (r *retention) observe(now time.Time) {
	no := r.node.notification
	if no == nil {
		return
	}
	at := places{}
	for _, st := range no.notifier.Status() {
		at[st.Name] = st.Places
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.recent == nil:
		r.recent, r.recentAt = at, now
	case now.Sub(r.recentAt) >= settleTime:
		r.settled, r.recent, r.recentAt = r.recent, at, now
	}
}

// purgeAll purges what can be of every shard, and logs why when nothing can although it is old enough.
func (r *retention) purgeAll(ctx context.Context) error {
	for _, s := range r.node.shards {
		res, err := r.purge(ctx, s, false, func(control.Progress) {})
		if err != nil {
			return fmt.Errorf("purge the log of shard %d: %w", s.number, err)
		}
		reason := holding(res)
		r.mu.Lock()
		news := reason != "" && r.noted[s.number] != reason
		r.noted[s.number] = reason
		r.mu.Unlock()
		if news {
			r.node.log.Warn("the log is kept longer than configured", "shard", s.number, "reason", reason)
		}
	}
	return nil
}

// holding says what keeps the log longer than it is to be kept; empty for nothing.
func holding(res control.PurgedShard) string {
	for _, h := range res.Holds {
		if h.Kind == holdRetain {
			return ""
		}
		text := h.Kind
		if h.Name != "" {
			text += " " + h.Name
		}
		return fmt.Sprintf("%s needs it from %d on: %s", text, h.Position, h.Detail)
	}
	return ""
}

// tidyAll looks after the bodies of every shard.
func (r *retention) tidyAll(ctx context.Context) error {
	for _, s := range r.node.shards {
		if _, err := r.tidy(ctx, s, func(control.Progress) {}); err != nil {
			return fmt.Errorf("give back disk space of shard %d: %w", s.number, err)
		}
	}
	return nil
}

// tidy drops bodies of a shard that had no message for long enough, if this node leads it, and gives the space of what was dropped back.
func (r *retention) tidy(ctx context.Context, s *shard, progress func(control.Progress)) (res control.CompactedShard, err error) {
	res.Shard = s.number
	keep := r.node.opts.Config.Replica.KeepBodies.Std()
	if keep <= 0 {
		return res, nil
	}
	if !r.tidying.TryLock() {
		return res, &control.Error{Code: control.CodeUnavailable, Message: "disk space is being given back already"}
	}
	defer r.tidying.Unlock()
	if res.Before, err = s.bodyUse(ctx); err != nil {
		return res, err
	}
	r.setRunning(s.number, &res)
	defer r.setRunning(s.number, nil)
	if w := s.writer.Load(); w != nil && w.Err() == nil {
		progress(control.Progress{What: "look for bodies without messages"})
		now := time.Now()
		if _, err := s.replica.MarkGarbage(ctx, now); err != nil {
			return res, err
		}
		for n := 1; n > 0; {
			if n, err = r.node.store.DropBodies(ctx, s.number, now.Add(-keep)); err != nil {
				return res, err
			}
			res.Dropped += n
			progress(control.Progress{What: "drop bodies", Done: uint64(res.Dropped), Unit: "bodies"})
		}
	}
	if res.Waiting, _, err = s.replica.Marks(); err != nil {
		return res, err
	}
	err = r.compact(ctx, s, &res, progress)
	return res, err
}

func (r *retention) compact(ctx context.Context, s *shard, res *control.CompactedShard, progress func(control.Progress)) error {
	st, err := s.replica.Compact(ctx, replica.CompactOptions{
		BytesPerSecond: int(r.node.opts.Config.Replica.CompactRate),
		Progress: func(st replica.CompactState) {
			now := *res
			setCompacted(&now, st)
			r.setRunning(s.number, &now)
			progress(control.Progress{What: "compact bodies", Done: st.Segments, Total: st.Of, Unit: "segments"})
		},
	})
	setCompacted(res, st)
	r.count(s.number, func(t *RetentionTotals) {
		t.Dropped += uint64(res.Dropped)
		t.Moved += st.Moved
		t.Freed += st.Freed
	})
	if err != nil {
		return err
	}
	if res.Dropped > 0 || res.Segments > 0 {
		r.node.log.Info("gave back disk space of bodies", "shard", s.number, "dropped", res.Dropped, "segments", res.Segments, "moved", res.Moved, "freed", res.Freed)
	}
	res.After, err = s.bodyUse(ctx)
	return err
}

func setCompacted(res *control.CompactedShard, st replica.CompactState) {
	res.Segments, res.Moved, res.Freed, res.Damaged, res.Held = st.Segments, st.Moved, st.Freed, st.Damaged, st.Held
}

func (r *retention) setRunning(shard int, res *control.CompactedShard) {
	if res != nil {
		now := *res
		res = &now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[shard] = res
}

func (r *retention) count(shard int, add func(*RetentionTotals)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.totals[shard]
	add(&t)
	r.totals[shard] = t
}

// RetentionTotals is what was purged, dropped and given back in a shard since the start.
func (n *Node) RetentionTotals(shard int) RetentionTotals {
	n.retention.mu.Lock()
	defer n.retention.mu.Unlock()
	return n.retention.totals[shard]
}

func (s *shard) bodyUse(ctx context.Context) (control.BodyUse, error) {
	u, err := s.replica.BodyUse(ctx, 0)
	return control.BodyUse{Bytes: u.Bytes, Live: u.Live, Garbage: u.Bytes - min(u.Live, u.Bytes)}, err
}

// FirstPosition is where the log of a shard begins.
func (n *Node) FirstPosition(ctx context.Context, shard int) (eventlog.Position, error) {
	head, err := n.shards[shard].log.Head(ctx)
	return head.First, err
}
