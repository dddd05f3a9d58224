package archive

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"angarium/eventlog"
	"angarium/eventlog/event"
)

// log checks a segment or pack by itself.
func (v *verifier) log(ctx context.Context, n named) error {
	o, err := v.s.open(ctx, n, n.kind())
	if err != nil {
		return err
	}
	b, err := o.whole(ctx)
	if err != nil {
		return err
	}
	for _, ref := range o.foot.Frames {
		if _, err := o.parseIn(b, ref); err != nil {
			return err
		}
	}
	if n.kind() == kindPack {
		return v.pack(ctx, o, b)
	}
	chain := eventlog.NewChain(o.foot.before())
	indexes := newIndexes()
	frame, k := uint32(0), 0
	counts, err := o.recordCounts(ctx, b)
	if err != nil {
		return err
	}
	err = o.messages(ctx, b, func(m eventlog.Message) error {
		env, err := chain.Extend(m)
		if err != nil {
			return damageOf(o, err)
		}
		for int(frame) < len(counts) && k == counts[frame] {
			frame, k = frame+1, 0
		}
		k++
		v.res.Envelopes++
		v.res.Events += uint64(len(env.Entries))
		for _, e := range env.Entries {
			indexes.add(e, frame)
			if err := v.body(n, env.Position, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if chain.State() != o.foot.after() {
		return &DamageError{n.Name, -1, fmt.Errorf("it ends at %s, its footer says %s", chain.State().Mark(), o.foot.after().Mark())}
	}
	return v.indexes(ctx, o, indexes)
}

// body checks a body when its last chunk has come. A chunk without those before it is no fault of a segment whose predecessor is missing.
func (v *verifier) body(n named, at eventlog.Position, e event.Entry) error {
	c, ok := e.Event.(*event.BodyChunk)
	if !ok {
		return nil
	}
	if _, known := v.have[c.GUID]; known && v.g.partial[c.GUID] == nil && c.Offset > 0 {
		return nil // a second upload of a body that was complete before this one was
	}
	if c.Offset > 0 && v.g.partial[c.GUID] == nil {
		v.report(Finding{Kind: FindingBody, Shard: v.s.number, Object: n.Name, Position: at, Detail: fmt.Sprintf("body %s: the chunks before are missing", c.GUID)})
		return nil
	}
	_, done, err := v.g.Add(c)
	if err != nil {
		v.report(Finding{Kind: FindingBody, Shard: v.s.number, Object: n.Name, Position: at, Detail: err.Error()})
		return nil
	}
	if _, known := v.have[c.GUID]; done && !known {
		v.have[c.GUID] = at
		v.res.Bodies++
	}
	return nil
}

// pack checks the records and bodies of a pack.
func (v *verifier) pack(ctx context.Context, o *object, b []byte) error {
	c := o.content(b)
	indexes := newIndexes()
	for i := range c.records {
		recs, err := c.read(ctx, i)
		if err != nil {
			return err
		}
		err = c.chunks(ctx, recs, func(event.GUID) bool { return true }, func(at eventlog.Position, e event.Entry) error {
			indexes.add(e, uint32(i))
			return v.body(o.name, at, e)
		})
		if err != nil {
			return err
		}
	}
	return v.indexes(ctx, o, indexes)
}

// recordCounts gives the number of records in each frame of them.
func (o *object) recordCounts(ctx context.Context, b []byte) ([]int, error) {
	c := o.content(b)
	counts := make([]int, len(c.records))
	for i := range c.records {
		recs, err := c.read(ctx, i)
		if err != nil {
			return nil, err
		}
		counts[i] = len(recs)
	}
	return counts, nil
}

// indexes compares what a segment says of its contents with these.
func (v *verifier) indexes(ctx context.Context, o *object, want *indexes) error {
	var accounts []accountIndex
	var guids []guidIndex
	if err := errors.Join(o.index(ctx, frameAccounts, &accounts), o.index(ctx, frameGUIDs, &guids)); err != nil {
		return err
	}
	for name, same := range map[string]bool{
		"account": slices.EqualFunc(accounts, want.accounts(), func(a, b accountIndex) bool { return reflect.DeepEqual(a, b) }),
		"body":    slices.EqualFunc(guids, want.guids(), func(a, b guidIndex) bool { return reflect.DeepEqual(a, b) }),
	} {
		if !same {
			v.report(Finding{Kind: FindingIndex, Shard: v.s.number, Object: o.name.Name, Position: o.name.first, Detail: "the index by " + name + " is not that of its events"})
		}
	}
	return nil
}

// snapshot checks a snapshot with its rows, and that the archive has its bodies.
func (v *verifier) snapshot(ctx context.Context, n named, used map[string]bool) error {
	o, err := v.s.open(ctx, n, kindSnapshot)
	if err != nil {
		return err
	}
	for _, part := range o.foot.Parts {
		used[part.Name] = true
	}
	if _, err := o.whole(ctx); err != nil {
		return err
	}
	v.res.Snapshots++
	p := &Snapshot{s: v.s, o: o, ctx: ctx, frames: map[string][]row{}}
	rows := uint64(0)
	for i, part := range o.foot.Parts {
		r, err := p.part(i)
		if err == nil {
			_, err = r.whole(ctx)
		}
		if err == nil && !slices.Equal(r.foot.Keys[0], part.Key) {
			err = &DamageError{part.Name, -1, errors.New("its first key is not what the snapshot says")}
		}
		for k := 0; err == nil && k < len(r.foot.Keys); k++ {
			var list []row
			list, err = p.frame(r, k)
			rows += uint64(len(list))
		}
		if err != nil {
			if err := v.found(named{Info: Info{Name: part.Name}, first: n.first}, err); err != nil {
				return err
			}
			v.sick[n.Name] = true
		}
	}
	if !v.sick[n.Name] && rows != o.foot.Rows {
		return &DamageError{n.Name, -1, fmt.Errorf("%d rows, not %d", rows, o.foot.Rows)}
	}
	if st, err := v.s.StateAt(ctx, n.first); err == nil && st != o.foot.after() {
		v.report(Finding{Kind: FindingChain, Shard: v.s.number, Object: n.Name, Position: n.first, Detail: "it is of another history than the segments"})
	} else if err != nil && !errors.Is(err, ErrMissing) && !errors.Is(err, ErrDamaged) {
		return err
	}
	return v.snapshotBodies(p, n)
}

func (v *verifier) snapshotBodies(p *Snapshot, n named) error {
	want, err := p.GUIDs()
	if err != nil {
		return err
	}
	missing := 0
	var sample event.GUID
	for guid := range want {
		if at, ok := v.have[guid]; (!ok || at > n.first) && v.g.partial[guid] == nil {
			missing++
			sample = guid
		}
	}
	if missing > 0 {
		v.report(Finding{Kind: FindingBody, Shard: v.s.number, Object: n.Name, Position: n.first, Detail: fmt.Sprintf("%d of its bodies are not in the archive, as %s", missing, sample)})
	}
	return nil
}
