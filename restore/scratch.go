package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/eventlog/event"
	"angarium/replica/state"
)

// overlay is a state.Tx in memory over a state that does not change. It is for one goroutine.
type overlay struct {
	*state.Memory
	base  state.Reader // nil: empty
	gone  map[string]bool
	holes [][2][]byte // ranges of keys of base that are gone
}

func newOverlay(base state.Reader) *overlay {
	return &overlay{Memory: state.NewMemory(), base: base, gone: map[string]bool{}}
}

// hidden says that a row of base is gone.
func (o *overlay) hidden(key []byte) bool {
	if o.gone[string(key)] {
		return true
	}
	return slices.ContainsFunc(o.holes, func(h [2][]byte) bool { return bytes.Compare(h[0], key) <= 0 && bytes.Compare(key, h[1]) < 0 })
}

// Get implements state.Reader.
func (o *overlay) Get(key []byte) ([]byte, error) {
	if v, ok := o.Rows[string(key)]; ok {
		return v, nil
	}
	if o.base == nil || o.hidden(key) {
		return nil, nil
	}
	return o.base.Get(key)
}

// Scan implements state.Reader.
func (o *overlay) Scan(lo, hi []byte, fn func(key, value []byte) (bool, error)) error {
	if o.base == nil {
		return o.Memory.Scan(lo, hi, fn)
	}
	rows := map[string][]byte{}
	err := o.base.Scan(lo, hi, func(k, v []byte) (bool, error) {
		if !o.hidden(k) {
			rows[string(k)] = bytes.Clone(v)
		}
		return true, nil
	})
	if err == nil {
		err = o.Memory.Scan(lo, hi, func(k, v []byte) (bool, error) { rows[string(k)] = v; return true, nil })
	}
	if err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		if more, err := fn([]byte(k), rows[k]); !more || err != nil {
			return err
		}
	}
	return nil
}

// Delete implements state.Tx.
func (o *overlay) Delete(key []byte) error {
	o.gone[string(key)] = true
	return o.Memory.Delete(key)
}

// DeleteRange implements state.Tx.
func (o *overlay) DeleteRange(lo, hi []byte) error {
	o.holes = append(o.holes, [2][]byte{bytes.Clone(lo), bytes.Clone(hi)})
	return o.Memory.DeleteRange(lo, hi)
}

// scratch is the state of one account at some point, made by folding its events.
type scratch struct {
	tx      *overlay
	applier *state.Applier
	at      eventlog.Position
}

// fold folds the events of an account up to a position. watch, if not nil, is called before each event is applied; it may read the state
// after flush.
func fold(ctx context.Context, h History, account string, to eventlog.Position, watch func(*scratch, Event) error) (*scratch, error) {
	s, err := foldEvents(ctx, h, account, account, to, watch)
	if errors.Is(err, state.ErrDiverged) {
		// Messages may have been copied from another account, of which nothing is known yet: then all events are needed.
		s, err = foldEvents(ctx, h, account, "", to, watch)
	}
	if err != nil {
		return nil, fmt.Errorf("fold the history of %s up to %d: %w", account, to, err)
	}
	return s, nil
}

func foldEvents(ctx context.Context, h History, account, filter string, to eventlog.Position, watch func(*scratch, Event) error) (*scratch, error) {
	base, at, err := h.base(ctx, to)
	if err != nil {
		return nil, err
	}
	s := &scratch{tx: newOverlay(base), at: to}
	if s.applier, err = state.NewApplier(s.tx); err != nil {
		return nil, err
	}
	err = h.Events(ctx, at+1, to, archive.EventFilter{Account: filter}, func(e Event) error {
		if watch != nil && e.Entry.Event.AccountName() == account {
			if err := watch(s, e); err != nil {
				return err
			}
		}
		return s.apply(e.Entry)
	})
	if err != nil {
		return nil, err
	}
	return s, s.applier.Flush()
}

// flush makes what was applied readable.
func (s *scratch) flush() error { return s.applier.Flush() }

// apply applies an event. Bodies are left out of the fold; one that a message refers to is made up, empty: only its GUID is of interest.
func (s *scratch) apply(e event.Entry) error {
	switch ev := e.Event.(type) {
	case *event.EpochStarted, *event.Checkpoint, *event.BodyChunk, *event.BodiesDropped:
		return nil
	case *event.MessagesAppended:
		for i := range ev.Messages {
			known := event.Entry{Event: &event.BodyChunk{GUID: ev.Messages[i].GUID, Structure: []byte{0}}}
			if _, err := s.applier.Apply(known); err != nil {
				return err
			}
		}
	}
	_, err := s.applier.Apply(e)
	return err
}
