package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"angarium/eventlog"
)

// Replica is what a recovery fills. *replica.Replica is one.
type Replica interface {
	// Applied says where the replica stands.
	Applied() eventlog.State
	// Apply applies envelopes that come next, as one batch.
	Apply(batch []eventlog.Envelope) error
}

// RecoverOptions says what to recover and where to. Zero values mean the defaults named here.
type RecoverOptions struct {
	// To is the last position [the last in the archive; should there be a gap before it, ErrMissing names that].
	To eventlog.Position

	// OpenLog gives the new log, which is to begin behind a state: the zero State, or that of a snapshot. A log that holds a
	// part of this history already, from an attempt that was interrupted, is continued. [no log is written]
	OpenLog func(ctx context.Context, after eventlog.State) (eventlog.Log, error)

	// Replica is filled too. One that an interrupted attempt left is continued. [none is]
	Replica Replica

	// FromSnapshot begins at the newest snapshot up to To, even when the archive has all that was before it. The log then has no more
	// history than that. Without it that is done only where segments from the first position on are missing.
	FromSnapshot bool

	Progress func(RecoverProgress) // may be nil
}

// RecoverProgress says how far a recovery is.
type RecoverProgress struct {
	Done, Total      eventlog.Position // positions
	Envelopes        uint64
	Events           uint64
	Bytes            uint64        // of envelopes
	Elapsed, Remains time.Duration // Remains is an estimate; 0 while there is none
}

// Bounds of a recovery.
const (
	recoverEvents = 1024    // of a batch for the replica
	recoverBytes  = 4 << 20 // of a batch
	recoverAhead  = 64      // appends to the log that were not answered yet
)

// Recover brings a shard back from the archive: its envelopes go into a new log, verbatim, and into a new replica. What comes of it is the
// shard as it was at that position, every number included. It gives the state at the end.
func (s *Shard) Recover(ctx context.Context, opts RecoverOptions) (eventlog.State, RecoverProgress, error) {
	r := &recovery{s: s, opts: opts, begin: time.Now()}
	state, err := r.run(ctx)
	r.progress.Elapsed = time.Since(r.begin)
	return state, r.progress, err
}

type recovery struct {
	s        *Shard
	opts     RecoverOptions
	begin    time.Time
	progress RecoverProgress

	log      eventlog.Log // nil: none
	logged   eventlog.State
	inFlight []<-chan error // oldest first
	batch    []eventlog.Envelope
	events   int
	bytes    int
}

func (r *recovery) run(ctx context.Context) (eventlog.State, error) {
	if r.opts.To == 0 {
		_, r.opts.To = r.s.Extent()
	}
	base, snap, err := r.base(ctx)
	if err != nil {
		return eventlog.State{}, err
	}
	from := base
	if r.opts.Replica != nil {
		if from, err = r.startReplica(ctx, base, snap); err != nil {
			return eventlog.State{}, err
		}
	}
	if r.opts.OpenLog != nil {
		if err := r.startLog(ctx, base); err != nil {
			return eventlog.State{}, err
		}
		if r.opts.Replica == nil || r.logged.Position < from.Position {
			from = r.logged
		}
	}
	r.progress.Done, r.progress.Total = from.Position, r.opts.To
	end := from
	err = r.s.Envelopes(ctx, from, r.opts.To, func(env *eventlog.Envelope) error {
		end = env.State()
		return r.add(ctx, env)
	})
	if err == nil {
		err = r.flush(ctx)
	}
	if waitErr := r.settle(0); err == nil {
		err = waitErr
	}
	return end, err
}

// base decides where to begin: at the beginning, or at a snapshot.
func (r *recovery) base(ctx context.Context) (eventlog.State, *Snapshot, error) {
	_, gap := r.s.cover(1, r.opts.To)
	if !r.opts.FromSnapshot && gap == nil {
		return eventlog.State{}, nil, nil
	}
	snap, err := r.s.SnapshotUpTo(ctx, r.opts.To)
	if errors.Is(err, ErrMissing) && gap != nil {
		return eventlog.State{}, nil, fmt.Errorf("recover up to %d: %w, and %w", r.opts.To, gap, err)
	}
	if err != nil {
		return eventlog.State{}, nil, err
	}
	return snap.At(), snap, nil
}

// startReplica loads the snapshot into a replica that is empty, and gives where the replica stands.
func (r *recovery) startReplica(ctx context.Context, base eventlog.State, snap *Snapshot) (eventlog.State, error) {
	at := r.opts.Replica.Applied()
	if at.Position > base.Position || snap == nil {
		return at, r.checkHistory(ctx, at)
	}
	if at.Position < base.Position {
		loader, ok := r.opts.Replica.(Loader)
		if !ok {
			return at, fmt.Errorf("recover from the snapshot at %d: this replica cannot load one", base.Position)
		}
		if err := snap.Load(ctx, loader); err != nil {
			return at, err
		}
	}
	return base, nil
}

// startLog opens the log and finds how much of the history it has.
func (r *recovery) startLog(ctx context.Context, base eventlog.State) error {
	var err error
	if r.log, err = r.opts.OpenLog(ctx, base); err != nil {
		return fmt.Errorf("open the new log: %w", err)
	}
	head, err := r.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("new log: %w", err)
	}
	if head.Last <= base.Position {
		r.logged = base
		return nil
	}
	if r.logged, err = r.s.StateAt(ctx, head.Last); err != nil {
		return fmt.Errorf("the new log is not empty: %w", err)
	}
	if err := eventlog.Check(ctx, r.log, r.logged.Mark()); err != nil {
		return fmt.Errorf("the new log is not empty: %w: %w", ErrForeign, err)
	}
	return nil
}

// checkHistory holds that a replica stands at a place of this history.
func (r *recovery) checkHistory(ctx context.Context, at eventlog.State) error {
	if at.Position == 0 {
		return nil
	}
	have, err := r.s.StateAt(ctx, at.Position)
	if err == nil && have.Hash != at.Hash {
		err = ErrForeign
	}
	if err != nil {
		return fmt.Errorf("the new replica is not empty: %w", err)
	}
	return nil
}

// add takes an envelope to log and replica.
func (r *recovery) add(ctx context.Context, env *eventlog.Envelope) error {
	if r.log != nil && env.Position > r.logged.Position {
		if err := r.settle(recoverAhead - 1); err != nil {
			return err
		}
		r.inFlight = append(r.inFlight, r.log.Append(ctx, r.logged.Mark(), env.Payload))
		r.logged = env.State()
	}
	if r.opts.Replica != nil && env.Position > r.opts.Replica.Applied().Position {
		r.batch = append(r.batch, *env)
	}
	r.events += len(env.Entries)
	r.bytes += len(env.Payload)
	r.progress.Envelopes++
	r.progress.Events += uint64(len(env.Entries))
	r.progress.Bytes += uint64(len(env.Payload))
	r.progress.Done = env.Position
	if r.events >= recoverEvents || r.bytes >= recoverBytes {
		return r.flush(ctx)
	}
	return nil
}

// settle waits until no more than keep appends are unanswered.
func (r *recovery) settle(keep int) error {
	for len(r.inFlight) > keep {
		err := <-r.inFlight[0]
		r.inFlight = r.inFlight[1:]
		if err != nil {
			return fmt.Errorf("append to the new log: %w", err)
		}
	}
	return nil
}

// flush applies the batch.
func (r *recovery) flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(r.batch) > 0 {
		if err := r.opts.Replica.Apply(r.batch); err != nil {
			return fmt.Errorf("apply to the new replica: %w", err)
		}
	}
	clear(r.batch)
	r.batch, r.events, r.bytes = r.batch[:0], 0, 0
	p := &r.progress
	p.Elapsed = time.Since(r.begin)
	if done := float64(p.Envelopes); done > 0 && p.Total > p.Done {
		p.Remains = time.Duration(float64(p.Elapsed) / done * float64(p.Total-p.Done))
	}
	if r.opts.Progress != nil {
		r.opts.Progress(*p)
	}
	return nil
}
