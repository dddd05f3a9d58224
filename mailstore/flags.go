package mailstore

import (
	"cmp"
	"context"
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
	UIDs  event.UIDSet
	Op    FlagOp
	Flags []string
	// UnchangedSince, if not nil, leaves messages alone whose modseq is above it (RFC 7162, section 3.1.3).
	UnchangedSince *uint64
}

// FlagResult says what a STORE did.
type FlagResult struct {
	Modseq   uint64       // of the messages that changed; 0 when none did
	Changed  event.UIDSet // got other flags
	Modified event.UIDSet // left alone for UnchangedSince
}

// StoreFlags changes flags of messages in an open mailbox. UIDs that are not there are passed over.
func (b *Mailbox) StoreFlags(ctx context.Context, up FlagUpdate) (FlagResult, error) {
	if err := b.mayWrite(); err != nil {
		return FlagResult{}, err
	}
	w, err := b.s.begin(ctx, b.id, b.Account)
	if err != nil {
		return FlagResult{}, err
	}
	e, res, err := w.decideFlags(b, up)
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

func (w *write) decideFlags(b *Mailbox, up FlagUpdate) (*event.FlagsChanged, FlagResult, error) {
	var res FlagResult
	a, snap, err := w.openBox(b)
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
	for live := range b.among(snap, up.UIDs) {
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
	e := &event.FlagsChanged{Account: b.Account, Mailbox: snap.Mailbox.ID, Modseq: res.Modseq}
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
