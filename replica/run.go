package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/fxamacker/cbor/v2"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/replica/body"
	"angarium/replica/state"
)

// Bounds of one batch of envelopes, and the pause before a batch that could not be stored is tried again.
const (
	batchEvents = 512
	batchBytes  = 4 << 20
	retryPause  = 500 * time.Millisecond
)

// What was applied is made durable at least so often, and after so many bytes of the log, while more comes: what has to be applied again
// after a crash is no more than that, or a memtable.
const (
	flushEvery = 30 * time.Second
	flushBytes = 256 << 20
)

// Run follows a log from where the replica stands, until ctx ends (then it returns nil) or the replica halts (*HaltError). A
// batch that cannot be stored, as on a full disk, is tried again until it can.
func (r *Replica) Run(ctx context.Context, log eventlog.Log) error {
	f, err := eventlog.Follow(ctx, log, r.Applied())
	if err != nil {
		return r.ended(ctx, err)
	}
	batches := eventlog.NewBatches(f, batchEvents, batchBytes)
	defer batches.Close()
	r.setStatus(Following, nil)
	flushed, size := time.Now(), 0
	for {
		batch, err := batches.Next(ctx)
		if err == nil {
			err = r.store(ctx, batch)
		}
		for i := range batch {
			size += len(batch[i].Payload)
		}
		if err == nil && (time.Since(flushed) >= flushEvery || size >= flushBytes) {
			flushed, size = time.Now(), 0
			err = r.FlushSoon()
		}
		if err != nil {
			return r.ended(ctx, err)
		}
	}
}

// ended decides what an error of following means: the end of ctx, a halt, or something the caller may try again after.
func (r *Replica) ended(ctx context.Context, err error) error {
	var chain *eventlog.ChainError
	var halt *HaltError
	switch {
	case errors.As(err, &chain):
		halt = &HaltError{chain.Position, chain.Err}
	case errors.As(err, &halt):
	case ctx.Err() != nil:
		r.setStatus(Stopped, nil)
		return nil
	default:
		r.setStatus(Stalled, err)
		return fmt.Errorf("follow the log: %w", err)
	}
	r.setStatus(Halted, halt)
	r.opts.Logger.Error("replica halted", "shard", r.opts.Shard, "position", uint64(halt.Position), "reason", halt.Err)
	if r.opts.Hooks.Halted != nil {
		r.opts.Hooks.Halted(halt)
	}
	return halt
}

func (r *Replica) setStatus(status string, reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.reason = status, reason
	if status == Halted {
		r.wakeLocked(reason)
	}
}

// store applies a batch, trying again while the disk does not take it.
func (r *Replica) store(ctx context.Context, batch []eventlog.Envelope) error {
	for {
		err := r.Apply(batch)
		if err == nil || errors.Is(err, ErrHalted) || errors.Is(err, body.ErrFailed) {
			return err
		}
		r.opts.Logger.Error("replica cannot store what it applies; trying again", "shard", r.opts.Shard, "error", err)
		r.setStatus(Stalled, err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryPause):
		}
		r.setStatus(Following, nil)
	}
}

// Apply applies envelopes that come next, as one batch. Run does so for all that comes; others call it only on a replica that
// does not run. When an envelope does not fit, those before it are applied and the error is a *HaltError.
func (r *Replica) Apply(batch []eventlog.Envelope) error {
	if err := r.health.err(); err != nil {
		return err
	}
	r.applying.Lock()
	defer r.applying.Unlock()
	return r.applyLocked(batch)
}

func (r *Replica) applyLocked(batch []eventlog.Envelope) error {
	begin := time.Now()
	mark := r.bodies.Mark()
	b := r.db.NewIndexedBatch()
	defer b.Close()
	t := &tx{batch: b, bodies: r.bodies, absent: &r.absent}
	defer r.absent.settle()
	applier, err := state.NewApplier(t)
	if err != nil {
		return errors.Join(err, t.release())
	}
	news, end := r.watches.begin(r.Reader())
	defer end()
	var changes []state.Change
	var events, bytes int
	for i := range batch {
		env := &batch[i]
		for _, entry := range env.Entries {
			c, err := applier.Apply(entry)
			if err != nil {
				return r.applyUpTo(batch[:i], mark, env.Position, errors.Join(err, t.release()))
			}
			changes = append(changes, c...)
			if err := r.unmark(b, entry.Event); err != nil {
				return errors.Join(err, t.release(), r.rollback(mark))
			}
			news.add(entry, c)
		}
		events += len(env.Entries)
		bytes += len(env.Payload)
	}
	if err := errors.Join(applier.Flush(), t.release()); err != nil {
		return errors.Join(err, r.rollback(mark))
	}
	committed := func() {}
	if hook := r.opts.Hooks.Committing; hook != nil {
		committed = hook(batch, changes, r.Reader())
	}
	if err := r.commit(b, &batch[len(batch)-1], changes, news); err != nil {
		return errors.Join(err, r.rollback(mark))
	}
	committed()
	if r.opts.Hooks.Applied != nil {
		r.opts.Hooks.Applied(len(batch), events, bytes, time.Since(begin))
	}
	return nil
}

// applyUpTo applies the envelopes before one that failed.
func (r *Replica) applyUpTo(before []eventlog.Envelope, mark body.Mark, failed eventlog.Position, cause error) error {
	if err := r.rollback(mark); err != nil {
		return errors.Join(cause, err)
	}
	if !errors.Is(cause, state.ErrDiverged) && !errors.Is(cause, state.ErrCorrupt) {
		return cause // of the disk: nothing is wrong with the log
	}
	if len(before) > 0 {
		if err := r.applyLocked(before); err != nil {
			return err
		}
	}
	return &HaltError{failed, cause}
}

// rollback cuts the bodies of a batch that was not committed, so that bodies lie at the same place on every replica.
func (r *Replica) rollback(mark body.Mark) error {
	if err := r.bodies.Rollback(mark); err != nil {
		return fmt.Errorf("take back the bodies of a failed batch: %w", err)
	}
	return nil
}

// commit stores a batch with the position it leads to, and tells everybody.
func (r *Replica) commit(b *pebble.Batch, last *eventlog.Envelope, changes []state.Change, news *accountChanges) error {
	s := last.State()
	next := place{
		Format: r.format(), Position: s.Position, Hash: s.Hash, NextIndex: s.NextIndex, Epoch: s.Epoch,
		Bodies: r.bodies.Mark(), Time: last.Time.UnixMicro(),
	}
	v, err := cbor.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode position: %w", err)
	}
	if err := b.Set(keyPlace, v, nil); err != nil {
		return fmt.Errorf("write position: %w", err)
	}
	if err := b.Commit(pebble.NoSync); err != nil { // waits when the index has too much to flush: nobody else may have to
		return fmt.Errorf("commit to index: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.place = next
	r.publishLocked(changes)
	news.publish()
	r.wakeLocked(nil)
	return nil
}

// publishLocked hands the changes to the mailboxes in memory.
func (r *Replica) publishLocked(changes []state.Change) {
	touched := map[*Box]struct{}{}
	for i := range changes {
		c := &changes[i]
		if c.ID == (event.MailboxID{}) {
			continue
		}
		if box, ok := r.boxes[c.ID]; ok {
			box.applyLocked(c, r.place.Position)
			touched[box] = struct{}{}
		}
	}
	for box := range touched {
		box.publishLocked()
	}
	r.evictLocked() // idle boxes may have grown
}
