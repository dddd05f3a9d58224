package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
)

// maxOpenObjects bounds the footers that a Shard keeps.
const maxOpenObjects = 2048

// Shard reads one shard of an archive as it was when it was listed. It is safe for concurrent use.
type Shard struct {
	a      *Archive
	number int
	cat    *catalog

	mu      sync.Mutex
	objects map[string]*object
}

// Shard lists the objects of a shard.
func (a *Archive) Shard(ctx context.Context, number int) (*Shard, error) {
	if number < 0 || number >= a.shards {
		return nil, fmt.Errorf("%w: shard %d of %d", ErrMissing, number, a.shards)
	}
	cat, err := loadCatalog(ctx, a.target, number)
	if err != nil {
		return nil, err
	}
	return &Shard{a: a, number: number, cat: cat, objects: map[string]*object{}}, nil
}

// open reads the end of an object, unless it was read already.
func (s *Shard) open(ctx context.Context, n named, kind byte) (*object, error) {
	s.mu.Lock()
	o := s.objects[n.Name]
	s.mu.Unlock()
	if o != nil {
		return o, nil
	}
	o, err := s.a.openObject(ctx, n, kind, s.number)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.objects) >= maxOpenObjects {
		clear(s.objects)
	}
	s.objects[n.Name] = o
	return o, nil
}

// Extent says which positions the segments hold, the last of them shipped so far; zeros when there are none. Whether there is a gap
// between them is for Verify to say.
func (s *Shard) Extent() (first, last eventlog.Position) { return s.cat.head() }

// Head is where the log stood behind the last envelope in the archive that is reached without a gap from the first, and when that
// was; the zero State when there is none.
func (s *Shard) Head(ctx context.Context) (eventlog.State, time.Time, error) {
	first, _ := s.cat.head()
	list, _ := s.cat.chain(max(first, 1))
	if len(list) == 0 {
		return eventlog.State{}, time.Time{}, nil
	}
	o, err := s.open(ctx, list[len(list)-1], kindSegment)
	if err != nil {
		return eventlog.State{}, time.Time{}, err
	}
	return o.foot.after(), time.UnixMicro(o.foot.LastTime).UTC(), nil
}

// cover gives the segments with the positions from to to: ErrMissing when one of them is not there.
func (s *Shard) cover(from, to eventlog.Position) ([]named, error) {
	if from > to {
		return nil, nil
	}
	list, next := s.cat.chain(from)
	if next <= to {
		return nil, fmt.Errorf("%w: position %d of shard %d", ErrMissing, next, s.number)
	}
	n := sort.Search(len(list), func(i int) bool { return list[i].last >= to })
	return list[:n+1], nil
}

// loaded is a segment in memory.
type loaded struct {
	o   *object
	b   []byte
	err error
}

// Envelopes gives the envelopes behind a state up to position to, decoded and verified: each continues the one before. The next segment
// is read while fn works on one. Damage is a *DamageError, a missing position ErrMissing, another history an *eventlog.ChainError.
func (s *Shard) Envelopes(ctx context.Context, after eventlog.State, to eventlog.Position, fn func(*eventlog.Envelope) error) error {
	list, err := s.cover(after.Position+1, to)
	if err != nil {
		return err
	}
	chain := eventlog.NewChain(after)
	return s.eachLoaded(ctx, list, func(l loaded) error {
		err := l.o.messages(ctx, l.b, func(m eventlog.Message) error {
			if m.Position <= chain.State().Position || m.Position > to {
				return nil
			}
			env, err := chain.Extend(m)
			if err != nil {
				return damageOf(l.o, err)
			}
			return fn(&env)
		})
		if err == nil && chain.State().Position < min(to, l.o.name.last) {
			err = &DamageError{l.o.name.Name, -1, fmt.Errorf("it has no envelope %d", chain.State().Position+1)}
		}
		return err
	})
}

// damageOf names the object in which an envelope is damaged. One of another history is not damage.
func damageOf(o *object, err error) error {
	if errors.Is(err, eventlog.ErrCorrupt) || errors.Is(err, eventlog.ErrGap) {
		return &DamageError{o.name.Name, -1, err}
	}
	return fmt.Errorf("%s: %w", o.name.Name, err)
}

// eachLoaded reads segments whole, one ahead.
func (s *Shard) eachLoaded(ctx context.Context, list []named, fn func(loaded) error) error {
	ctx, cancel := context.WithCancel(ctx)
	ahead := make(chan loaded) // one is read while one is worked on
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(ahead)
		for _, n := range list {
			var l loaded
			if l.o, l.err = s.open(ctx, n, kindSegment); l.err == nil {
				l.b, l.err = l.o.whole(ctx)
			}
			select {
			case ahead <- l:
			case <-ctx.Done():
				return
			}
			if l.err != nil {
				return
			}
		}
	}()
	defer func() { cancel(); <-done }()
	for range list {
		l, ok := <-ahead
		if !ok {
			return ctx.Err()
		}
		if l.err != nil {
			return l.err
		}
		if err := fn(l); err != nil {
			return err
		}
	}
	return nil
}

// StateAt gives the state of the log behind a position, as Envelopes needs it.
func (s *Shard) StateAt(ctx context.Context, at eventlog.Position) (eventlog.State, error) {
	if at == 0 {
		return eventlog.State{}, nil
	}
	list, err := s.cover(at, at)
	if err != nil {
		// It may be that of the envelope before the first segment.
		if next, nextErr := s.cover(at+1, at+1); nextErr == nil {
			if o, openErr := s.open(ctx, next[0], kindSegment); openErr == nil && o.foot.First == at+1 {
				return o.foot.before(), nil
			}
		}
		// Or that of a snapshot, before which all was pruned.
		if snap, snapErr := s.SnapshotUpTo(ctx, at); snapErr == nil && snap.At().Position == at {
			return snap.At(), nil
		}
		return eventlog.State{}, err
	}
	o, err := s.open(ctx, list[0], kindSegment)
	if err != nil {
		return eventlog.State{}, err
	}
	if o.foot.Last == at {
		return o.foot.after(), nil
	}
	st := o.foot.before()
	if err := s.Envelopes(ctx, st, at, func(env *eventlog.Envelope) error { st = env.State(); return nil }); err != nil {
		return eventlog.State{}, err
	}
	return st, nil
}

// PositionAt gives the position of the last envelope before the first one that is later than t, from position from on: the state of the
// store at that time. Should the clock of the primary have been set back, what came meanwhile does not count as before t. When
// already the envelope at from is later, it gives from-1.
func (s *Shard) PositionAt(ctx context.Context, from eventlog.Position, t time.Time) (eventlog.Position, error) {
	micros := t.UnixMicro()
	list, next := s.cat.chain(from)
	for _, n := range list {
		o, err := s.open(ctx, n, kindSegment)
		if err != nil {
			return 0, err
		}
		if o.foot.MaxTime <= micros {
			continue
		}
		c := o.content(nil)
		for i := range c.records {
			recs, err := c.read(ctx, i)
			if err != nil {
				return 0, err
			}
			for k := range recs {
				h, err := recs[k].header()
				if err != nil {
					return 0, damage(n.Name, int64(c.records[i].Offset), err)
				}
				if recs[k].Position >= from && h.time > micros {
					return recs[k].Position - 1, nil
				}
			}
		}
	}
	return next - 1, nil
}

// At gives the position that a restore to a time goes to: as PositionAt, or, for a time before the history that is kept whole, that of the
// newest snapshot up to then. ErrMissing says that the archive does not reach back so far.
func (s *Shard) At(ctx context.Context, t time.Time) (eventlog.Position, error) {
	first, _ := s.Extent()
	pos, err := s.PositionAt(ctx, max(first, 1), t)
	if err != nil || pos >= first || first <= 1 {
		return pos, err
	}
	list, err := s.Snapshots(ctx)
	for _, info := range slices.Backward(list) {
		if !info.Time.After(t) {
			return info.Position, nil
		}
	}
	return 0, errors.Join(fmt.Errorf("%w: anything as old as %s", ErrMissing, t.Format(time.RFC3339)), err)
}

// Event is an event of the log with its place.
type Event struct {
	Position eventlog.Position
	Index    uint64    // global index
	Time     time.Time // of the envelope, UTC
	Entry    event.Entry
}

// EventFilter says which events Events gives.
type EventFilter struct {
	Account string // events of this account; "" for all
	Chunks  bool   // the BodyChunk events too, without their data
}

// Events gives the events from position from to position to, in order, without the bytes of bodies. It reads only the frames that the index
// names for the account. Frames are checked by their checksums; the hash chain is not, as it goes over what is not read.
func (s *Shard) Events(ctx context.Context, from, to eventlog.Position, filter EventFilter, fn func(Event) error) error {
	list, err := s.cover(from, to)
	if err != nil {
		return err
	}
	for _, n := range list {
		o, err := s.open(ctx, n, kindSegment)
		if err != nil {
			return err
		}
		upTo := min(to, n.last)
		if err := o.events(ctx, from, upTo, filter, fn); err != nil {
			return err
		}
		from = upTo + 1
	}
	return nil
}

func (o *object) events(ctx context.Context, from, to eventlog.Position, filter EventFilter, fn func(Event) error) error {
	c := o.content(nil)
	frames, err := o.framesOf(ctx, filter, len(c.records))
	if err != nil {
		return err
	}
	for _, number := range frames {
		recs, err := c.read(ctx, int(number))
		if err != nil {
			return err
		}
		for i := range recs {
			if recs[i].Position < from || recs[i].Position > to {
				continue
			}
			if err := o.recordEvents(&recs[i], filter, fn); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *object) recordEvents(rec *record, filter EventFilter, fn func(Event) error) error {
	h, err := rec.header()
	if err != nil {
		return damage(o.name.Name, -1, err)
	}
	for i := range rec.Events {
		p := &rec.Events[i]
		var entry event.Entry
		switch {
		case !p.isChunk():
			entry, err = p.entry()
		case !filter.Chunks:
			continue
		default:
			entry, _, err = p.chunk(nil)
		}
		if errors.Is(err, event.ErrNewer) {
			return fmt.Errorf("%s: position %d: %w", o.name.Name, rec.Position, err)
		}
		if err != nil {
			return damage(o.name.Name, -1, fmt.Errorf("position %d: %w", rec.Position, err))
		}
		if name := entry.Event.AccountName(); filter.Account != "" && name != filter.Account && !p.isChunk() {
			continue
		}
		ev := Event{Position: rec.Position, Index: h.firstIndex + uint64(i), Time: time.UnixMicro(h.time).UTC(), Entry: entry}
		if err := fn(ev); err != nil {
			return err
		}
	}
	return nil
}

// framesOf gives the frames of records to read for a filter.
func (o *object) framesOf(ctx context.Context, filter EventFilter, all int) ([]uint32, error) {
	if filter.Account == "" || filter.Chunks {
		list := make([]uint32, all)
		for i := range list {
			list[i] = uint32(i)
		}
		return list, nil
	}
	var index []accountIndex
	if err := o.index(ctx, frameAccounts, &index); err != nil {
		return nil, err
	}
	k := sort.Search(len(index), func(i int) bool { return index[i].Account >= filter.Account })
	if k == len(index) || index[k].Account != filter.Account {
		return nil, nil
	}
	return index[k].Frames, nil
}

// index reads an index of a segment or pack.
func (o *object) index(ctx context.Context, typ byte, list any) error {
	refs := o.foot.refs(typ)
	if len(refs) != 1 {
		return &DamageError{o.name.Name, -1, fmt.Errorf("it has %d indexes of type %q", len(refs), typ)}
	}
	raw, err := o.frame(ctx, refs[0])
	if err != nil {
		return err
	}
	if err := decMode.Unmarshal(raw, list); err != nil {
		return damage(o.name.Name, int64(refs[0].Offset), fmt.Errorf("index: %w", err))
	}
	return nil
}
