package replica

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"angarium/eventlog"
	"angarium/replica/state"
)

// Load fills an empty replica that does not run with a state, as that of a snapshot, instead of the envelopes that led to it. fill writes a part
// of it, again and again, each time into a transaction of its own, until it says that it is done: then the replica stands at the state's
// place in the log. A replica whose Load failed, or was interrupted, is to be removed.
func (r *Replica) Load(at eventlog.State, when time.Time, fill func(tx state.Tx) (done bool, err error)) error {
	if p := r.Applied().Position; p != 0 {
		return fmt.Errorf("load a state: the replica is not empty, it stands at %d", p)
	}
	for done := false; !done; {
		if err := r.health.err(); err != nil {
			return err
		}
		var err error
		if done, err = r.loadBatch(at, when, fill); err != nil {
			return fmt.Errorf("load a state: %w", err)
		}
	}
	return r.Flush()
}

func (r *Replica) loadBatch(at eventlog.State, when time.Time, fill func(tx state.Tx) (bool, error)) (done bool, err error) {
	r.applying.Lock()
	defer r.applying.Unlock()
	b := r.db.NewIndexedBatch()
	defer b.Close()
	t := &tx{batch: b, bodies: r.bodies, absent: &r.absent}
	defer r.absent.settle()
	done, err = fill(t)
	if err = errors.Join(err, t.release()); err != nil {
		return false, err
	}
	if done {
		last := &eventlog.Envelope{Position: at.Position, Hash: at.Hash, FirstIndex: at.NextIndex, Epoch: at.Epoch, Time: when}
		return true, r.commit(b, last, nil, nil)
	}
	return false, b.Commit(pebble.NoSync)
}
