package mailstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// FlagOp is what a STORE does with the flags it names.
type FlagOp int

// The operations of STORE (RFC 9051, section 6.4.6).
const (
	SetFlags FlagOp = iota
	AddFlags
	RemoveFlags
)

// FlagUpdate is one STORE.
type FlagUpdate struct {
	UIDs  event.UIDSet `cbor:"1,keyasint"`
	Op    FlagOp       `cbor:"2,keyasint"`
	Flags []string     `cbor:"3,keyasint,omitempty"`
	// UnchangedSince, if not nil, leaves messages alone whose modseq is above it (RFC 7162, section 3.1.3).
	UnchangedSince *uint64 `cbor:"4,keyasint,omitempty"`
}

// FlagResult says what a STORE did.
type FlagResult struct {
	Modseq   uint64       `cbor:"1,keyasint"` // of the messages that changed; 0 when none did
	Changed  event.UIDSet `cbor:"2,keyasint"` // got other flags
	Modified event.UIDSet `cbor:"3,keyasint"` // left alone for UnchangedSince
}

// StoreFlags changes flags of messages in an open mailbox. UIDs that are not there are passed over.
func (b *Mailbox) StoreFlags(ctx context.Context, up FlagUpdate) (FlagResult, error) {
	if err := b.mayWrite(); err != nil {
		return FlagResult{}, err
	}
	return performIn(ctx, b, opStoreFlags, flagsRequest{b.target(), up}, (*write).storeFlags)
}

type flagsRequest struct {
	target
	Update FlagUpdate `cbor:"3,keyasint"`
}

func (r flagsRequest) valid(s *Store) error {
	if r.Update.Op < SetFlags || r.Update.Op > RemoveFlags {
		return fmt.Errorf("%w: no such change of flags: %d", errRequest, r.Update.Op)
	}
	return errors.Join(r.target.valid(s), validUIDs(r.Update.UIDs))
}

func (w *write) storeFlags(ctx context.Context, req flagsRequest) (FlagResult, error) {
	if err := w.lock(ctx, req.Account); err != nil {
		return FlagResult{}, err
	}
	e, res, err := w.decideFlags(req.Account, req.Update)
	if err != nil || e == nil {
		w.end()
		return res, err
	}
	if err := w.commit(ctx, e); err != nil {
		return FlagResult{}, err
	}
	return res, nil
}

// delta is how the flags of a message change.
type delta struct{ add, remove state.Flags }

func (w *write) decideFlags(account string, up FlagUpdate) (*event.FlagsChanged, FlagResult, error) {
	var res FlagResult
	a, snap, err := w.openBox(account)
	if err != nil {
		return nil, res, err
	}
	k := newKeywords(snap.Mailbox)
	if up.Op == RemoveFlags { // a keyword that the mailbox does not have is on no message
		known := slices.DeleteFunc(slices.Clone(up.Flags), func(f string) bool { _, ok := state.FlagBit(k.names, f); return !ok })
		up.Flags = known
	}
	names, err := k.clean(up.Flags)
	if err != nil {
		return nil, res, err
	}
	var want state.Flags
	for _, n := range names {
		bit, _ := state.FlagBit(k.names, n)
		want = want.With(bit)
	}
	groups := map[delta]event.UIDSet{}
	for live := range among(snap, up.UIDs) {
		if up.UnchangedSince != nil && live.Modseq > *up.UnchangedSince {
			res.Modified = res.Modified.Add(live.UID)
			continue
		}
		d := difference(up.Op, live.Flags, want)
		if d == (delta{}) {
			continue
		}
		groups[d] = groups[d].Add(live.UID)
		res.Changed = res.Changed.Add(live.UID)
	}
	if len(groups) == 0 {
		return nil, res, nil
	}
	res.Modseq = a.Modseq + 1
	e := &event.FlagsChanged{Account: account, Mailbox: snap.Mailbox.ID, Modseq: res.Modseq}
	for d, uids := range groups {
		e.Changes = append(e.Changes, event.FlagChange{UIDs: uids, Add: d.add.Names(k.names), Remove: d.remove.Names(k.names)})
	}
	slices.SortFunc(e.Changes, func(x, y event.FlagChange) int { return cmp.Compare(x.UIDs[0].First, y.UIDs[0].First) })
	return e, res, nil
}

func difference(op FlagOp, have, want state.Flags) delta {
	switch op {
	case AddFlags:
		return delta{add: want.AndNot(have)}
	case RemoveFlags:
		return delta{remove: intersect(have, want)}
	}
	return delta{add: want.AndNot(have), remove: have.AndNot(want)}
}

func intersect(f, g state.Flags) state.Flags { return state.Flags{f[0] & g[0], f[1] & g[1]} }
