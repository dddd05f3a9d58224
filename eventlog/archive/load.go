package archive

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Loader is a Replica that can begin with a snapshot instead of the first envelope.
type Loader interface {
	// Load fills an empty replica, which stands at a state when fill has said that it is done: only then does anything count that
	// was written. fill is called again and again, each time with a transaction of its own.
	Load(at eventlog.State, time time.Time, fill func(tx state.Tx) (done bool, err error)) error
}

// Load brings the snapshot into an empty replica: the rows as they were, and the bodies by applying their chunks in the order in
// which they came, so that each lies where it lies on a replica that followed the log.
func (p *Snapshot) Load(ctx context.Context, into Loader) error {
	want, err := p.GUIDs()
	if err != nil {
		return err
	}
	steps := make(chan func(state.Tx) error)
	ctx, cancel := context.WithCancel(ctx)
	failed := make(chan error, 1)
	go func() {
		defer close(steps)
		failed <- p.produce(ctx, want, steps)
	}()
	err = into.Load(p.At(), p.Time(), func(tx state.Tx) (bool, error) {
		step, ok := <-steps
		if !ok {
			return true, <-failed
		}
		return false, step(tx)
	})
	cancel()
	for range steps { // until the other side has ended
	}
	if err != nil {
		return fmt.Errorf("load %s: %w", p.Name(), err)
	}
	return nil
}

// produce gives the steps of a load, in order.
func (p *Snapshot) produce(ctx context.Context, want map[event.GUID]bool, steps chan<- func(state.Tx) error) error {
	send := func(step func(state.Tx) error) error {
		select {
		case steps <- step:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := p.eachChunk(ctx, want, func(batch []event.Entry) error {
		return send(func(tx state.Tx) error { return applyAll(tx, batch) })
	}); err != nil {
		return err
	}
	if err := send(func(tx state.Tx) error { return p.complete(tx, want) }); err != nil {
		return err
	}
	var rows []row
	size := 0
	flush := func() error {
		batch := rows
		rows, size = nil, 0
		return send(func(tx state.Tx) error {
			for _, r := range batch {
				if err := tx.Set(r.Key, r.Value); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := p.Scan(nil, bytes.Repeat([]byte{0xff}, 8), func(k, v []byte) (bool, error) {
		rows = append(rows, row{Key: k, Value: v})
		if size += len(k) + len(v); size >= loadRows {
			return true, flush()
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return flush()
}

func applyAll(tx state.Tx, batch []event.Entry) error {
	a, err := state.NewApplier(tx)
	if err != nil {
		return err
	}
	for _, e := range batch {
		if _, err := a.Apply(e); err != nil {
			return err
		}
	}
	return a.Flush()
}

// eachChunk gives the chunks of bodies up to the snapshot, in the order of the log, in batches.
func (p *Snapshot) eachChunk(ctx context.Context, want map[event.GUID]bool, fn func([]event.Entry) error) error {
	var batch []event.Entry
	size := 0
	next := eventlog.Position(1)
	for _, n := range p.s.bodySources() {
		if n.first > p.o.foot.Last {
			break
		}
		o, err := p.s.open(ctx, n, n.kind())
		if err != nil {
			return err
		}
		b, err := o.whole(ctx)
		if err != nil {
			return err
		}
		c := o.content(b)
		for i := range c.records {
			recs, err := c.read(ctx, i)
			if err != nil {
				return err
			}
			err = c.chunks(ctx, recs, func(g event.GUID) bool { return want[g] }, func(at eventlog.Position, e event.Entry) error {
				if at < next || at > p.o.foot.Last {
					return nil // of an overlap, or after the snapshot
				}
				chunk := e.Event.(*event.BodyChunk)
				chunk.Data = bytes.Clone(chunk.Data)
				batch = append(batch, e)
				if size += len(chunk.Data) + 256; size < loadRows {
					return nil
				}
				full := batch
				batch, size = nil, 0
				return fn(full)
			})
			if err != nil {
				return err
			}
		}
		next = max(next, n.last+1)
	}
	return fn(batch)
}

// complete holds that every body of the snapshot has come.
func (p *Snapshot) complete(tx state.Tx, want map[event.GUID]bool) error {
	seen := 0
	err := tx.Scan(nil, bytes.Repeat([]byte{0xff}, 8), func(k, _ []byte) (bool, error) {
		if state.IsBodyKey(k) {
			seen++
		}
		return true, nil
	})
	if err == nil && seen != len(want) {
		err = fmt.Errorf("%w: %d of %d bodies of %s", ErrMissing, len(want)-seen, len(want), p.Name())
	}
	return err
}
