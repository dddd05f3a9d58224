package restore

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/eventlog/event"
	"angarium/replica/state"
)

// ErrTooOld says that a history does not reach back to a point.
var ErrTooOld = errors.New("the history does not reach back so far")

// Event is an event with its place in the log.
type Event = archive.Event

// History is the past of one shard: its log, its archive, or both. At least one is not nil.
//
// Where the log reaches back to what is asked, it alone is read. Otherwise the archive is, and the log for what is not in the archive yet.
type History struct {
	Log     eventlog.Log
	Archive *archive.Shard
}

// Bounds of a batch that is read from the log.
const (
	readEvents = 2048
	readBytes  = 8 << 20
)

func (h History) head(ctx context.Context) (eventlog.Head, error) {
	if h.Log == nil {
		return eventlog.Head{}, nil
	}
	return h.Log.Head(ctx)
}

// Last gives the newest position.
func (h History) Last(ctx context.Context) (eventlog.Position, error) {
	head, err := h.head(ctx)
	if err != nil || h.Archive == nil {
		return head.Last, err
	}
	_, last := h.Archive.Extent()
	return max(head.Last, last), nil
}

// inLog says whether the log has all from a position on.
func (h History) inLog(ctx context.Context, from eventlog.Position) (bool, error) {
	if h.Log == nil {
		return false, nil
	}
	head, err := h.Log.Head(ctx)
	return err == nil && head.First <= from, err
}

// Resolve gives the position that a point stands for. Of a time it is the last one before the first envelope that is later.
func (h History) Resolve(ctx context.Context, p Point) (eventlog.Position, error) {
	last, err := h.Last(ctx)
	if err != nil {
		return 0, err
	}
	if p.Time.IsZero() {
		if p.Position > last {
			return 0, fmt.Errorf("%w: position %d, where the history ends at %d", ErrPoint, p.Position, last)
		}
		return p.Position, nil
	}
	head, err := h.head(ctx)
	if err != nil {
		return 0, err
	}
	if h.Log != nil && head.Last >= head.First {
		pos, err := h.searchLog(ctx, head, p.Time)
		if err != nil || pos >= head.First || head.First <= 1 || h.Archive == nil {
			return pos, err
		}
	}
	if h.Archive == nil {
		return 0, nil
	}
	return h.Archive.At(ctx, p.Time)
}

// searchLog finds the last position up to a time. Times in a log ascend, unless the primary's clock was set back: then the search ends at one
// of the places where they pass the time.
func (h History) searchLog(ctx context.Context, head eventlog.Head, t time.Time) (eventlog.Position, error) {
	var failed error
	n := sort.Search(int(head.Last-head.First)+1, func(i int) bool {
		if failed != nil {
			return true
		}
		env, err := h.envelope(ctx, head.First+eventlog.Position(i))
		if err != nil {
			failed = err
			return true
		}
		return env.Time.After(t)
	})
	return head.First + eventlog.Position(n) - 1, failed
}

func (h History) envelope(ctx context.Context, pos eventlog.Position) (eventlog.Envelope, error) {
	payload, err := h.Log.Read(ctx, pos)
	if err != nil {
		return eventlog.Envelope{}, err
	}
	return eventlog.Decode(pos, payload)
}

// base gives a state to begin a fold with that leads to a position, and where it stands: nil and 0 for the empty state.
func (h History) base(ctx context.Context, to eventlog.Position) (state.Reader, eventlog.Position, error) {
	if whole, err := h.inLog(ctx, 1); whole || err != nil {
		return nil, 0, err
	}
	if h.Archive == nil {
		return nil, 0, fmt.Errorf("%w: the log was purged (hint: name the archive)", ErrTooOld)
	}
	first, _ := h.Archive.Extent()
	snap, err := h.Archive.SnapshotUpTo(ctx, to)
	switch {
	case err == nil:
		return snap, snap.At().Position, nil
	case first <= 1 && (errors.Is(err, archive.ErrMissing) || errors.Is(err, archive.ErrDamaged)):
		return nil, 0, nil
	case errors.Is(err, archive.ErrMissing):
		return nil, 0, fmt.Errorf("%w: %w", ErrTooOld, err)
	}
	return nil, 0, err
}

// Events gives the events from one position to another, in order.
func (h History) Events(ctx context.Context, from, to eventlog.Position, filter archive.EventFilter, fn func(Event) error) error {
	if from > to {
		return nil
	}
	whole, err := h.inLog(ctx, from)
	if err != nil {
		return err
	}
	if !whole {
		if h.Archive == nil {
			return fmt.Errorf("%w: position %d", ErrTooOld, from)
		}
		_, last := h.Archive.Extent()
		if last < from {
			return fmt.Errorf("%w: position %d is neither in the log nor in the archive", ErrTooOld, from)
		}
		upTo := min(to, last)
		if err := h.Archive.Events(ctx, from, upTo, filter, fn); err != nil {
			return err
		}
		if from = upTo + 1; from > to {
			return nil
		}
		if h.Log == nil {
			return fmt.Errorf("%w: position %d", archive.ErrMissing, from)
		}
	}
	return h.logEvents(ctx, from, to, filter, fn)
}

// logEvents reads the log, and decodes of it what passes the filter.
func (h History) logEvents(ctx context.Context, from, to eventlog.Position, filter archive.EventFilter, fn func(Event) error) error {
	prev := eventlog.Hash{}
	if from > 1 {
		env, err := h.envelope(ctx, from)
		if err != nil {
			return fmt.Errorf("read the log from %d: %w", from, err)
		}
		prev = env.PrevHash
	}
	tail, err := h.Log.Tail(ctx, from)
	if err != nil {
		return fmt.Errorf("read the log from %d: %w", from, err)
	}
	defer tail.Close()
	for pos := from; pos <= to; pos++ {
		m, err := tail.Next(ctx)
		if err == nil && m.Position != pos {
			err = &eventlog.ChainError{Position: pos, Err: eventlog.ErrGap}
		}
		if err == nil {
			prev, err = archive.ScanMessage(m, prev, filter, fn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// envelopes reads the log.
func (h History) envelopes(ctx context.Context, from, to eventlog.Position, fn func(*eventlog.Envelope) error) error {
	after := eventlog.State{}
	if from > 1 {
		env, err := h.envelope(ctx, from)
		if err != nil {
			return fmt.Errorf("read the log from %d: %w", from, err)
		}
		after = archive.StateBefore(&env)
	}
	f, err := eventlog.Follow(ctx, h.Log, after)
	if err != nil {
		return err
	}
	batches := eventlog.NewBatches(f, readEvents, readBytes)
	defer batches.Close()
	for {
		batch, err := batches.Next(ctx)
		if err != nil {
			return err
		}
		for i := range batch {
			if batch[i].Position > to {
				return nil
			}
			if err := fn(&batch[i]); err != nil {
				return err
			}
			if batch[i].Position == to {
				return nil
			}
		}
	}
}

// Bodies gives the messages of GUIDs as they were received, and removes them from want. What is left there is in neither log nor archive. The
// error can be archive.ErrDamaged, after all that can be read was given.
func (h History) Bodies(ctx context.Context, want map[event.GUID]bool, fn func(guid event.GUID, raw []byte) error) error {
	var damaged error
	if h.Archive != nil {
		damaged = h.Archive.Bodies(ctx, want, fn)
		if damaged != nil && !errors.Is(damaged, archive.ErrDamaged) {
			return damaged
		}
	}
	if len(want) == 0 || h.Log == nil {
		return damaged
	}
	head, err := h.Log.Head(ctx)
	if err != nil || head.Last < head.First {
		return errors.Join(err, damaged)
	}
	g, err := archive.NewGatherer()
	if err != nil {
		return err
	}
	err = h.envelopes(ctx, head.First, head.Last, func(env *eventlog.Envelope) error {
		for _, e := range env.Entries {
			c, ok := e.Event.(*event.BodyChunk)
			if !ok || !want[c.GUID] {
				continue
			}
			raw, done, err := g.Add(c)
			if err != nil || !done { // the log may begin in the middle of a body
				continue
			}
			delete(want, c.GUID)
			if err := fn(c.GUID, raw); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(want) > 0 {
		err = damaged
	}
	return err
}
