package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
)

// shipment is a run of a shipper from where the archive stands.
type shipment struct {
	*Shipper
	open    *segmentWriter     // the segment that is being filled
	begun   time.Time          // when its first envelope was added
	tails   []string           // the tail objects that hold what was shipped of it
	pending []eventlog.Message // of the open segment, not in the archive yet
	base    eventlog.State     // before the first of pending
	oldest  time.Time          // commit time of the first of pending
	since   time.Time          // when that was read
	next    eventlog.State     // behind the last of pending
	last    time.Time          // commit time of that
}

// follow finds the end of the archive, and ships from there until something fails.
func (s *Shipper) follow(ctx context.Context) error {
	sh, err := s.resume(ctx)
	if err != nil {
		return err
	}
	f, err := eventlog.Follow(ctx, s.log, sh.next)
	if err != nil {
		return foreign(err)
	}
	defer f.Close()
	s.set(func(st *ShipperStatus) {
		st.Running, st.Shipped, st.Time = true, sh.next.Position, sh.last
		st.Error, st.Since, st.Failures = "", time.Time{}, 0
	})
	for {
		batch, err := sh.wait(ctx, f)
		if err != nil {
			return err
		}
		for i := range batch {
			if err := sh.add(ctx, &batch[i]); err != nil {
				return err
			}
		}
		if err := sh.ship(ctx); err != nil {
			return err
		}
	}
}

// foreign turns what eventlog.Check finds into what is wrong between log and archive.
func foreign(err error) error {
	switch {
	case errors.Is(err, eventlog.ErrBehind), errors.Is(err, eventlog.ErrHash):
		return fmt.Errorf("%w: %w (hint: use an empty target, or recover the store from this archive)", ErrForeign, err)
	case errors.Is(err, eventlog.ErrPurged):
		return fmt.Errorf("%w (hint: the log was purged before it was archived; use an empty target and make a snapshot)", err)
	}
	return err
}

// resume reads where the archive ends, and the open segment back from its tail objects. Tail objects that a sealed segment replaced
// are removed.
func (s *Shipper) resume(ctx context.Context) (*shipment, error) {
	a, err := Create(ctx, s.target, s.opts.Shards, s.opts.Key)
	if err != nil {
		return nil, err
	}
	shard, err := a.Shard(ctx, s.opts.Shard)
	if err != nil {
		return nil, err
	}
	sh := &shipment{Shipper: s}
	first, _ := shard.Extent()
	list, _ := shard.cat.chain(first)
	if len(list) == 0 {
		if sh.next, err = s.origin(ctx, shard); err != nil {
			return nil, err
		}
		sh.begin(sh.next)
		return sh, nil
	}
	sealed := len(list)
	for sealed > 0 && !list[sealed-1].sealed {
		sealed--
	}
	if err := sh.rebuild(ctx, shard, list[max(sealed-1, 0):], sealed > 0); err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, n := range list {
		used[n.Name] = true
	}
	for _, n := range shard.cat.segments {
		if !n.sealed && !used[n.Name] && n.last <= sh.next.Position {
			if err := s.target.Delete(ctx, n.Name); err != nil {
				return nil, err
			}
		}
	}
	return sh, nil
}

// origin is where an archive without segments begins: at a snapshot if there is one, else where the log begins.
func (s *Shipper) origin(ctx context.Context, shard *Shard) (eventlog.State, error) {
	if n := len(shard.cat.snapshots); n > 0 {
		o, err := shard.open(ctx, shard.cat.snapshots[n-1], kindSnapshot)
		if err != nil {
			return eventlog.State{}, err
		}
		return o.foot.after(), nil
	}
	head, err := s.log.Head(ctx)
	if err != nil || head.First <= 1 {
		return eventlog.State{}, err
	}
	payload, err := s.log.Read(ctx, head.First)
	if err != nil {
		return eventlog.State{}, fmt.Errorf("begin the archive at %d: %w", head.First, err)
	}
	env, err := eventlog.Decode(head.First, payload)
	if err != nil {
		return eventlog.State{}, fmt.Errorf("begin the archive at %d: %w", head.First, err)
	}
	return StateBefore(&env), nil
}

// StateBefore is where a log stood before an envelope, from what the envelope says.
func StateBefore(env *eventlog.Envelope) eventlog.State {
	st := eventlog.State{Position: env.Position - 1, Hash: env.PrevHash, NextIndex: env.FirstIndex, Epoch: env.Epoch}
	if _, starts := env.Entries[0].Event.(*event.EpochStarted); starts {
		st.Epoch--
	}
	return st
}

// rebuild fills the open segment from its tail objects, list without the first when that is the sealed segment before it.
func (sh *shipment) rebuild(ctx context.Context, shard *Shard, list []named, afterSealed bool) error {
	if afterSealed {
		o, err := shard.open(ctx, list[0], kindSegment)
		if err != nil {
			return err
		}
		sh.next, sh.last = o.foot.after(), time.UnixMicro(o.foot.LastTime).UTC()
		sh.set(func(st *ShipperStatus) { st.Sealed = o.foot.Last })
		list = list[1:]
	} else if o, err := shard.open(ctx, list[0], kindSegment); err != nil {
		return err
	} else {
		sh.next = o.foot.before()
	}
	sh.begin(sh.next)
	if len(list) == 0 {
		return nil
	}
	sh.begun = sh.opts.Now()
	err := shard.Envelopes(ctx, sh.next, list[len(list)-1].last, func(env *eventlog.Envelope) error {
		sh.next, sh.last = env.State(), env.Time
		return sh.open.add(env)
	})
	if err != nil {
		return fmt.Errorf("read the open segment back: %w (hint: remove an object that is damaged: what the log still has is shipped again)", err)
	}
	for _, n := range list {
		sh.tails = append(sh.tails, n.Name)
	}
	sh.base = sh.next
	return nil
}

// begin starts a new segment.
func (sh *shipment) begin(after eventlog.State) {
	var buf []byte
	if sh.open != nil {
		buf = sh.open.obj.buf // of the segment that is in the archive now
	}
	sh.open = newSegmentWriter(kindSegment, sh.opts.Shard, after, sh.opts.Key, sh.zip, buf)
	sh.tails, sh.base = nil, after
	sh.clear()
}

// clear forgets what is in the archive now.
func (sh *shipment) clear() {
	clear(sh.pending)
	sh.pending, sh.oldest, sh.since = sh.pending[:0], time.Time{}, time.Time{}
}

// wait gives what comes next in the log, or nothing when it is time to ship what there is.
func (sh *shipment) wait(ctx context.Context, f *eventlog.Follower) ([]eventlog.Envelope, error) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	if due, ok := sh.due(); ok {
		var stop context.CancelFunc
		waiting, stop = context.WithTimeout(waiting, max(due.Sub(sh.opts.Now()), 0))
		defer stop()
	}
	sh.mu.Lock()
	sh.wake = cancel
	if len(sh.pending) > 0 && sh.flushTo > sh.base.Position && sh.flushTo <= sh.next.Position {
		cancel() // there is nothing to wait for
	}
	sh.mu.Unlock()
	batch, err := f.NextBatch(waiting, shipEvents, shipBytes)
	sh.mu.Lock()
	sh.wake = nil
	sh.mu.Unlock()
	if err != nil && ctx.Err() == nil && waiting.Err() != nil {
		return nil, nil
	}
	return batch, err
}

// due says when something has to be shipped, if nothing more comes.
func (sh *shipment) due() (time.Time, bool) {
	if len(sh.pending) > 0 {
		return sh.since.Add(sh.opts.TailDelay), true
	}
	if !sh.open.empty() && sh.open.bytes() >= minSealBytes {
		return sh.begun.Add(sh.opts.SegmentAge), true
	}
	return time.Time{}, false
}

// add takes an envelope into the open segment, and seals that when it is full.
func (sh *shipment) add(ctx context.Context, env *eventlog.Envelope) error {
	if sh.open.empty() {
		sh.begun = sh.opts.Now()
	}
	if err := sh.open.add(env); err != nil {
		return err
	}
	if len(sh.pending) == 0 {
		sh.oldest, sh.since = env.Time, sh.opts.Now()
		sh.set(func(st *ShipperStatus) { st.Oldest = env.Time })
	}
	sh.pending = append(sh.pending, eventlog.Message{Position: env.Position, Payload: env.Payload})
	sh.next, sh.last = env.State(), env.Time
	if sh.open.bytes() >= sh.opts.SegmentBytes {
		return sh.seal(ctx)
	}
	return nil
}

// ship ships what is due.
func (sh *shipment) ship(ctx context.Context) error {
	now := sh.opts.Now()
	aged := !sh.open.empty() && now.Sub(sh.begun) >= sh.opts.SegmentAge && sh.open.bytes() >= minSealBytes
	sh.mu.Lock()
	flush := sh.flushTo > sh.base.Position && sh.flushTo <= sh.next.Position
	sh.mu.Unlock()
	late := len(sh.pending) > 0 && (flush || now.Sub(sh.since) >= sh.opts.TailDelay)
	switch {
	case aged, late && len(sh.tails) >= maxTails:
		return sh.seal(ctx)
	case late:
		return sh.shipTail(ctx)
	}
	return nil
}

// shipTail puts what the archive does not have yet of the open segment into a tail object.
func (sh *shipment) shipTail(ctx context.Context) error {
	w := newSegmentWriter(kindSegment, sh.opts.Shard, sh.base, sh.opts.Key, sh.zip, nil)
	for _, m := range sh.pending {
		env, err := eventlog.Decode(m.Position, m.Payload)
		if err != nil {
			return err
		}
		if err := w.add(&env); err != nil {
			return err
		}
	}
	data, err := w.finish()
	if err != nil {
		return err
	}
	name := segmentName(sh.opts.Shard, sh.base.Position+1, sh.next.Position, false)
	if err := sh.upload(ctx, name, data, false); err != nil {
		return err
	}
	sh.tails = append(sh.tails, name)
	sh.base = sh.next
	sh.clear()
	return nil
}

// seal puts the open segment into the archive, removes its tail objects, and begins a new one.
func (sh *shipment) seal(ctx context.Context) error {
	name := segmentName(sh.opts.Shard, sh.open.foot.First, sh.next.Position, true)
	data, err := sh.open.finish()
	if err != nil {
		return err
	}
	if err := sh.upload(ctx, name, data, true); err != nil {
		return err
	}
	tails := sh.tails
	sh.begin(sh.next)
	for _, t := range tails {
		if err := sh.target.Delete(ctx, t); err != nil {
			return err // the next resume removes them
		}
	}
	return nil
}

func (sh *shipment) upload(ctx context.Context, name string, data []byte, sealed bool) error {
	begin := time.Now()
	if err := sh.put(ctx, name, data, sh.next); err != nil {
		return err
	}
	sh.set(func(st *ShipperStatus) {
		st.Shipped, st.Time, st.Oldest = sh.next.Position, sh.last, time.Time{}
		if sealed {
			st.Sealed = sh.next.Position
		}
	})
	if sh.opts.Hooks.Shipped != nil {
		s := Shipped{Sealed: sealed, Envelopes: len(sh.pending), Bytes: len(data), Took: time.Since(begin)}
		if !sh.oldest.IsZero() {
			s.Lag = sh.opts.Now().Sub(sh.oldest)
		}
		sh.opts.Hooks.Shipped(s)
	}
	return nil
}
