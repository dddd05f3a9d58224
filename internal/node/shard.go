package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/jslog"
	"angarium/internal/durable"
	"angarium/replica"
)

// Hooks observe a node, for metrics. Any may be nil.
type Hooks struct {
	Committed func(shard int, c eventlog.Commit)
	Applied   func(shard, envelopes, events, bytes int, took time.Duration)
	Synced    func(shard, segments int, took time.Duration, err error)
}

// shard is one shard on this node. It is the mailstore.Appender of its log: while the node leads the shard.
type shard struct {
	number  int
	node    *Node
	log     eventlog.Log
	base    eventlog.State // behind which the log begins
	replica *replica.Replica
	writer  atomic.Pointer[eventlog.Writer]
	damage  atomic.Pointer[damage] // what is wrong with the log; nil while nothing is known to be
	broken  error                  // why log is none: it was damaged when it was opened

	cancel context.CancelFunc
	done   chan struct{} // closed when following has ended
}

// followPause is how long a replica waits before it tries to follow a log again that did not answer.
const followPause = time.Second

func (n *Node) openShard(ctx context.Context, number int) (*shard, error) {
	s := &shard{number: number, node: n}
	dir := shardDir(n.opts.Data, number)
	if err := finishRebuild(dir); err != nil {
		return nil, err
	}
	if err := n.takeFetched(ctx, number); err != nil {
		return nil, err
	}
	var err error
	if s.base, err = n.layout.Bases[number].state(); err != nil {
		return nil, err
	}
	r, err := replica.Open(n.replicaOptions(number, dir))
	if err != nil {
		return nil, err
	}
	s.replica = r
	if err := s.openLog(ctx); err != nil {
		return s, err
	}
	if n.notification != nil {
		n.notification.notifier.Feed(number).Start(s.log, r)
	}
	if s.broken == nil {
		s.follow()
	}
	return s, nil
}

// openLog opens the log of a shard whose replica is open, or makes it at the first start. One that is damaged is put aside until it is mended,
// if there may be another node that has what is missing; else it is refused.
func (s *shard) openLog(ctx context.Context) error {
	n, known := s.node, s.replica.Applied().Mark()
	if n.inCluster() {
		log, err := n.openClusterLog(ctx, s.number, known)
		if err == nil {
			s.log = log
		}
		return err
	}
	if err := s.takeMended(ctx, known); err != nil {
		return err
	}
	log, err := n.logs.open(ctx, s.number, known)
	if errors.Is(err, jslog.ErrMissing) && !n.layout.LogsMade && known == s.base.Mark() {
		log, err = n.logs.create(ctx, s.number, s.base)
	}
	if err == nil {
		s.log = log
		err = s.checkEnd(ctx)
	}
	if err == nil {
		return nil
	}
	if !mendable(err) || !n.canMend() {
		return s.refused(err)
	}
	s.putAside(err)
	return nil
}

func (n *Node) replicaOptions(number int, dir string) replica.Options {
	c, h := n.opts.Config.Replica, n.opts.Hooks
	o := replica.Options{
		Dir: dir, Shard: number, CacheBytes: int64(c.CacheSize), MemtableBytes: int(c.MemtableSize),
		Logger: n.log.With("part", "replica", "shard", number),
	}
	if n.opts.Serve {
		o.Hooks.Heal = func(guid event.GUID) ([]byte, error) { return n.bodyElsewhere(number, guid) }
	}
	if n.notification != nil {
		o.Hooks.Committing = n.notification.notifier.Feed(number).Committing
	}
	if h.Applied != nil {
		o.Hooks.Applied = func(envelopes, events, bytes int, took time.Duration) {
			h.Applied(number, envelopes, events, bytes, took)
		}
	}
	if h.Synced != nil {
		o.Hooks.Synced = func(segments int, took time.Duration, err error) { h.Synced(number, segments, took, err) }
	}
	return o
}

// follow lets the replica follow the log until the shard is closed or the replica halts.
func (s *shard) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.done = cancel, make(chan struct{})
	go func() {
		defer close(s.done)
		for ctx.Err() == nil {
			err := s.replica.Run(ctx, s.log)
			if err == nil || errors.Is(err, replica.ErrHalted) {
				s.damaged(err)
				return // the replica has logged why
			}
			s.node.log.Warn("replica cannot follow its log; trying again", "shard", s.number, "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(followPause):
			}
		}
	}()
}

// Lead makes this node take writes, unless it is for another node to lead, or this one does not know yet: then it sees to it once it does.
//
// A shard that cannot be led keeps no other from being led; Lead may be called again, and passes over those it leads already.
func (n *Node) Lead(ctx context.Context) error {
	switch {
	case n.cluster != nil:
		return nil // whoever has the lease of a shard leads it
	case n.site != nil:
		return n.site.start(ctx)
	}
	return n.lead(ctx)
}

// lead makes this node the primary of all shards: it starts a new epoch in each log and takes writes once its replica has applied what
// was there.
func (n *Node) lead(ctx context.Context) error {
	var errs []error
	for _, s := range n.shards {
		if s.writer.Load() != nil {
			continue
		}
		if err := s.lead(ctx, 0); err != nil {
			errs = append(errs, fmt.Errorf("lead shard %d: %w", s.number, err))
		}
	}
	return errors.Join(errs...)
}

// lead starts an epoch in the shard's log, or several, until it is above one that another log has had.
func (s *shard) lead(ctx context.Context, above uint64) error {
	if err := s.catchUp(ctx); err != nil {
		return err
	}
	state := s.replica.Applied()
	for begun := false; !begun || state.Epoch <= above; begun = true {
		var err error
		if state, err = eventlog.Fence(ctx, s.log, state, s.node.name); err != nil {
			return err
		}
	}
	if err := s.replica.Wait(ctx, state.Position); err != nil {
		return err
	}
	if err := s.replica.FlushSoon(); err != nil { // what was applied again after a crash is not applied a third time
		return err
	}
	opts := eventlog.Options{Logger: s.node.log.With("part", "writer", "shard", s.number), AckTimeout: s.node.opts.Config.Log.Timeout.Std()}
	if h := s.node.opts.Hooks.Committed; h != nil {
		opts.Hooks.Committed = func(c eventlog.Commit) { h(s.number, c) }
	}
	s.writer.Store(eventlog.NewWriter(s.log, state, opts))
	return nil
}

// catchUp waits until the replica has applied what the log holds now. A long replay is told of.
func (s *shard) catchUp(ctx context.Context) error {
	head, err := s.log.Head(ctx)
	if err != nil {
		return err
	}
	for {
		wait, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := s.replica.Wait(wait, head.Last)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if err := s.replica.Err(); err != nil {
			return err
		}
		s.node.log.Info("applying the log", "shard", s.number, "applied", uint64(s.replica.Applied().Position), "of", uint64(head.Last))
		s.node.opts.progress(fmt.Sprintf("applying the log: %d of %d", s.replica.Applied().Position, head.Last))
	}
}

// Append implements mailstore.Appender.
func (s *shard) Append(ctx context.Context, unit ...event.Entry) (eventlog.Receipt, error) {
	w := s.writer.Load()
	if w == nil {
		return eventlog.Receipt{}, fmt.Errorf("%w: this node does not lead shard %d", eventlog.ErrUnavailable, s.number)
	}
	receipt, err := w.Append(ctx, unit...)
	if err != nil || s.node.site == nil {
		return receipt, err
	}
	return receipt, s.node.site.acknowledged(ctx, s, receipt.Position)
}

// holds checks that the log has an envelope.
func (s *shard) holds(ctx context.Context, at eventlog.Mark) error {
	return eventlog.Check(ctx, s.log, at)
}

func (s *shard) close(ctx context.Context) error {
	var errs []error
	if w := s.writer.Load(); w != nil {
		errs = append(errs, w.Close(ctx))
	}
	if s.cancel != nil {
		s.cancel()
		<-s.done
	}
	errs = append(errs, s.replica.Close())
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	return errors.Join(errs...)
}

// finishRebuild puts a complete rebuilt replica in the place of the old one. Each step can be repeated after a crash.
func finishRebuild(dir string) error {
	fresh := rebuildDir(dir)
	if _, err := os.Stat(filepath.Join(fresh, rebuiltMark)); err == nil {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove the replica that was rebuilt: %w", err)
		}
		if err := os.Rename(fresh, dir); err != nil {
			return fmt.Errorf("put the rebuilt replica in its place: %w", err)
		}
		if err := durable.SyncDir(filepath.Dir(dir)); err != nil { // the mark must not go before the new name stands
			return fmt.Errorf("put the rebuilt replica in its place: %w", err)
		}
	} else if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove an unfinished rebuild: %w", err)
	}
	if err := os.Remove(filepath.Join(dir, rebuiltMark)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("put the rebuilt replica in its place: %w", err)
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// rebuiltMark is the name of the file that says that a rebuilt replica is complete.
const rebuiltMark = "REBUILT"

func rebuildDir(dir string) string { return dir + ".rebuild" }
