package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"angarium/eventlog"
	"angarium/internal/control"
	"angarium/internal/durable"
	"angarium/replica"
	"angarium/replica/state"
)

// Bounds of one batch of a rebuild.
const (
	rebuildEvents = 2048
	rebuildBytes  = 8 << 20
)

// rebuild makes the replica of a shard anew from its log, beside the one there is, up to where that stands, and compares the two. The
// new one takes the old one's place when the shard is opened the next time.
func (s *shard) rebuild(ctx context.Context, progress func(done, total uint64)) (control.RebuiltShard, error) {
	res := control.RebuiltShard{Shard: s.number}
	head, err := s.log.Head(ctx)
	if err != nil {
		return res, err
	}
	if head.First > 1 {
		return res, &control.Error{
			Code: control.CodeUsage, Message: fmt.Sprintf("the log of shard %d begins at %d: a replica cannot be made from it alone", s.number, head.First),
			Hint: "restore it from the archive or seed it from another node",
		}
	}
	dir := shardDir(s.node.opts.Data, s.number)
	fresh := rebuildDir(dir)
	if err := os.RemoveAll(fresh); err != nil {
		return res, fmt.Errorf("remove an unfinished rebuild: %w", err)
	}
	opts := s.node.replicaOptions(s.number, fresh)
	opts.Hooks = replica.Hooks{}
	r, err := replica.Open(opts)
	if err != nil {
		return res, err
	}
	err = s.replay(ctx, r, head.Last, &res, progress)
	if err == nil {
		err = s.compare(ctx, r, &res)
	}
	if err = errors.Join(err, r.Close()); err != nil {
		return res, errors.Join(err, os.RemoveAll(fresh)) // it may be what fills the disk
	}
	return res, durable.WriteFile(filepath.Join(fresh, rebuiltMark), nil)
}

// replay applies the log to a new replica up to a position.
func (s *shard) replay(ctx context.Context, r *replica.Replica, to eventlog.Position, res *control.RebuiltShard, progress func(done, total uint64)) error {
	f, err := eventlog.Follow(ctx, s.log, eventlog.State{})
	if err != nil {
		return err
	}
	batches := eventlog.NewBatches(f, rebuildEvents, rebuildBytes)
	defer batches.Close()
	begin := time.Now()
	for r.Applied().Position < to {
		batch, err := batches.Next(ctx)
		if err != nil {
			return err
		}
		for i := range batch { // no further than asked for: the digests are compared there
			if batch[i].Position > to {
				batch = batch[:i]
				break
			}
			res.Events += uint64(len(batch[i].Entries))
		}
		if err := r.Apply(batch); err != nil {
			return err
		}
		progress(uint64(r.Applied().Position), uint64(to))
	}
	res.Seconds = time.Since(begin).Seconds()
	return nil
}

// compare compares the digests of both replicas, if the old one still stands where the new one does.
func (s *shard) compare(ctx context.Context, r *replica.Replica, res *control.RebuiltShard) error {
	totals, err := state.GetTotals(r.Reader())
	if err != nil {
		return err
	}
	res.Position, res.Digest = uint64(r.Applied().Position), digestText(totals.Digest)
	old, err := s.replica.Status()
	if err == nil && old.Applied.Position == r.Applied().Position {
		res.OldDigest = digestText(old.Totals.Digest)
		res.Same = res.OldDigest == res.Digest
	}
	return ctx.Err()
}
