package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// A mark says since when a body is known to have no message. It is a row of this replica alone: a primary decides by its marks which bodies to drop
// (event.BodiesDropped), and that event is what all replicas go by. The invariant is that a marked body has no message: Apply removes the mark with the
// very batch that brings a message, or a piece of the body, again. Marking and applying exclude each other by applying; what is applied while the
// marks are being found is kept in recalled.

// prefixMark begins the keys of marks; the GUID follows. The value is the time in microseconds since 1970, big-endian.
var prefixMark = []byte{0, 'g'}

const (
	// markStep is how many marks are written while nothing can be applied.
	markStep = 4096
	// maxRecalled bounds the bodies that are remembered while marks are found; with more, the search is given up and begun again the next time.
	maxRecalled = 1 << 20
)

// ErrBusy says that something was given up because too much came in between.
var ErrBusy = errors.New("replica is too busy")

func keyMark(guid event.GUID) []byte {
	return append(slices.Clip(slices.Clone(prefixMark)), guid[:]...)
}

// MarkGarbage looks for bodies that no message refers to, and marks those that are not marked yet with the time. It reads the record of every message
// and holds 8 bytes for each.
func (r *Replica) MarkGarbage(ctx context.Context, now time.Time) (marked int, err error) {
	if err := r.beginMarking(); err != nil {
		return 0, err
	}
	defer func() {
		r.applying.Lock()
		r.recalled = nil
		r.applying.Unlock()
	}()
	found, err := r.unreferenced(ctx)
	if err != nil {
		return 0, fmt.Errorf("look for bodies without messages: %w", err)
	}
	for step := range slices.Chunk(found, markStep) {
		n, err := r.mark(ctx, step, now)
		marked += n
		if err != nil {
			return marked, fmt.Errorf("mark bodies without messages: %w", err)
		}
	}
	return marked, nil
}

func (r *Replica) beginMarking() error {
	r.applying.Lock()
	defer r.applying.Unlock()
	if r.recalled != nil {
		return fmt.Errorf("mark bodies without messages: %w: it is under way", ErrBusy)
	}
	r.recalled = map[event.GUID]struct{}{}
	return nil
}

// unreferenced lists the bodies that no message refers to and that have no mark, as of now.
func (r *Replica) unreferenced(ctx context.Context) ([]event.GUID, error) {
	snap := r.db.NewSnapshot()
	defer snap.Close()
	rows := reader{snap}
	// The first 8 bytes stand for a body. Should two agree in them, one is kept that could go.
	var referenced []uint64
	err := state.ScanReferenced(rows, func(guid event.GUID) (bool, error) {
		referenced = append(referenced, binary.BigEndian.Uint64(guid[:]))
		return true, ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(referenced)
	var found []event.GUID
	err = state.ScanBodies(rows, func(guid event.GUID, _ *state.Body, _ bool) (bool, error) {
		if _, ok := slices.BinarySearch(referenced, binary.BigEndian.Uint64(guid[:])); !ok {
			found = append(found, guid)
		}
		return true, ctx.Err()
	})
	return found, err
}

// mark writes a step of marks.
func (r *Replica) mark(ctx context.Context, guids []event.GUID, now time.Time) (int, error) {
	r.applying.Lock()
	defer r.applying.Unlock()
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case len(r.recalled) > maxRecalled:
		return 0, fmt.Errorf("%w: more than %d bodies were referred to meanwhile", ErrBusy, maxRecalled)
	}
	if err := r.health.err(); err != nil {
		return 0, err
	}
	b := r.db.NewBatch()
	defer b.Close()
	n := 0
	for _, guid := range guids {
		if _, ok := r.recalled[guid]; ok {
			continue
		}
		key := keyMark(guid)
		old, err := reader{r.db}.Get(key)
		if err != nil {
			return 0, err
		}
		if old != nil {
			continue // since earlier
		}
		if err := b.Set(key, binary.BigEndian.AppendUint64(nil, uint64(now.UnixMicro())), nil); err != nil {
			return 0, fmt.Errorf("write mark: %w", err)
		}
		n++
	}
	if n == 0 {
		return 0, nil
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return 0, fmt.Errorf("commit to index: %w", err)
	}
	r.marked = true
	return n, nil
}

// Garbage lists bodies that were marked at a time or before, by ascending GUID, at most limit. They are sure to have no message only while nothing can be
// applied.
func (r *Replica) Garbage(until time.Time, limit int) ([]event.GUID, error) {
	var list []event.GUID
	err := r.scanMarks(func(guid event.GUID, since time.Time) bool {
		if !since.After(until) {
			list = append(list, guid)
		}
		return len(list) < limit
	})
	return list, err
}

// Marks counts the marked bodies and gives the time of the oldest mark.
func (r *Replica) Marks() (count int, oldest time.Time, err error) {
	err = r.scanMarks(func(_ event.GUID, since time.Time) bool {
		if count++; oldest.IsZero() || since.Before(oldest) {
			oldest = since
		}
		return true
	})
	return count, oldest, err
}

func (r *Replica) scanMarks(fn func(guid event.GUID, since time.Time) bool) error {
	hi := []byte{prefixMark[0], prefixMark[1] + 1}
	return reader{r.db}.Scan(prefixMark, hi, func(k, v []byte) (bool, error) {
		if len(k) != len(prefixMark)+32 || len(v) != 8 {
			return false, fmt.Errorf("%w: mark %q", state.ErrCorrupt, k)
		}
		var guid event.GUID
		copy(guid[:], k[len(prefixMark):])
		return fn(guid, time.UnixMicro(int64(binary.BigEndian.Uint64(v))).UTC()), nil
	})
}

// unmark removes the marks of bodies that an event speaks of, in the batch that applies it. r.applying is held.
func (r *Replica) unmark(b *pebble.Batch, ev event.Event) error {
	if !r.marked && r.recalled == nil {
		return nil
	}
	var errs []error
	one := func(guid event.GUID) {
		if r.recalled != nil && len(r.recalled) <= maxRecalled {
			r.recalled[guid] = struct{}{}
		}
		if r.marked {
			errs = append(errs, b.Delete(keyMark(guid), nil))
		}
	}
	switch e := ev.(type) {
	case *event.BodyChunk:
		one(e.GUID)
	case *event.BodiesDropped:
		for _, guid := range e.GUIDs {
			one(guid)
		}
	case *event.MessagesAppended:
		for i := range e.Messages {
			one(e.Messages[i].GUID)
		}
	}
	return errors.Join(errs...)
}
