package replica

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"angarium/eventlog/event"
	"angarium/replica/body"
	"angarium/replica/state"
)

// BodySlice is what CheckBodies has read.
type BodySlice struct {
	Last  event.GUID // of the last body read
	Done  bool       // there are no more
	Bytes uint64     // read
	Bad   []event.GUID
}

// CheckBodies reads bodies in the order of their GUIDs, from behind one on, until it has read maxBytes of them, and names those that are damaged.
// The zero GUID begins at the first. It holds on to nothing: the next call sees the replica as it is then.
func (r *Replica) CheckBodies(ctx context.Context, behind event.GUID, maxBytes uint64) (BodySlice, error) {
	s := BodySlice{Last: behind, Done: true}
	err := state.ScanBodiesFrom(r.Reader(), behind, func(guid event.GUID, b *state.Body) (bool, error) {
		if s.Bytes >= maxBytes {
			s.Done = false
			return false, nil
		}
		s.Last = guid
		for _, e := range b.Extents {
			s.Bytes += body.RecordOverhead + uint64(e.Length)
		}
		err := r.checkBody(guid, b)
		if errors.Is(err, body.ErrClosed) {
			return false, err
		}
		if err != nil {
			s.Bad = append(s.Bad, guid)
		}
		return true, ctx.Err()
	})
	if err != nil {
		err = fmt.Errorf("check bodies: %w", err)
	}
	return s, err
}

// StoredBody gives a body as it is stored, for RepairBody of another replica: the bytes of its extents, and nothing that is damaged.
func (r *Replica) StoredBody(guid event.GUID) ([]byte, error) {
	b, err := r.lookUpBody(guid)
	if err != nil {
		return nil, err
	}
	if err := r.checkBody(guid, b); err != nil {
		return nil, err
	}
	return r.readStored(guid, b)
}

// RepairBody writes a damaged body anew from what StoredBody of another replica gave. Bytes that do not decode to the body that the GUID
// names are refused.
func (r *Replica) RepairBody(guid event.GUID, stored []byte) error {
	b, err := r.lookUpBody(guid)
	if err != nil {
		return err
	}
	raw, err := r.codec.Decode(b.Encoding, b.Size, stored)
	if err == nil && event.GUID(sha256.Sum256(raw)) != guid {
		err = errors.New("it does not hash to its GUID")
	}
	if err != nil {
		return fmt.Errorf("repair body %s: what came instead: %w", guid, err)
	}
	for _, e := range b.Extents {
		if uint64(len(stored)) < uint64(e.Length) {
			return fmt.Errorf("repair body %s: it is stored otherwise elsewhere", guid)
		}
		if err := r.bodies.Repair(body.Extent{Segment: e.Segment, Offset: e.Offset, Length: e.Length}, guid, stored[:e.Length]); err != nil {
			return fmt.Errorf("repair body %s: %w", guid, err)
		}
		stored = stored[e.Length:]
	}
	return r.checkBody(guid, b)
}

func (r *Replica) lookUpBody(guid event.GUID) (*state.Body, error) {
	b, err := state.GetBody(r.Reader(), guid)
	if err == nil && b == nil {
		err = fmt.Errorf("%w: %s", ErrNoBody, guid)
	}
	return b, err
}

// CheckMailboxes checks some mailboxes, as state.CheckMailboxes does, at the moment.
func (r *Replica) CheckMailboxes(behind event.MailboxID, messages uint64, report func(state.Violation)) (last event.MailboxID, sum state.CheckSummary, done bool, err error) {
	snap := r.db.NewSnapshot()
	defer func() { err = errors.Join(err, snap.Close()) }()
	return state.CheckMailboxes(reader{snap}, behind, messages, report)
}

// CheckTables checks all that CheckMailboxes does not, as state.CheckTables does, at the moment.
func (r *Replica) CheckTables(report func(state.Violation)) (sum state.CheckSummary, err error) {
	snap := r.db.NewSnapshot()
	defer func() { err = errors.Join(err, snap.Close()) }()
	return state.CheckTables(reader{snap}, report)
}
