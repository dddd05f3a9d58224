package mailstore

import (
	"context"
	"errors"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Expunge removes the messages with \Deleted, of those in uids if uids is not nil (RFC 4315, section 2.1). It returns what was removed and
// the modseq of that, 0 when nothing was.
func (b *Mailbox) Expunge(ctx context.Context, uids event.UIDSet) (event.UIDSet, uint64, error) {
	if err := b.mayWrite(); err != nil {
		return nil, 0, err
	}
	if uids == nil {
		uids = event.UIDSet{{First: 1, Last: lastUID}}
	}
	res, err := performIn(ctx, b, opExpunge, expungeRequest{target: b.target(), UIDs: uids}, (*write).expungeMessages)
	return res.UIDs, res.Modseq, err
}

// Remove is Expunge of messages with or without \Deleted: for policies, which no client has to mark messages for.
func (b *Mailbox) Remove(ctx context.Context, uids event.UIDSet) (event.UIDSet, uint64, error) {
	if err := b.mayWrite(); err != nil || len(uids) == 0 {
		return nil, 0, err
	}
	res, err := performIn(ctx, b, opExpunge, expungeRequest{target: b.target(), UIDs: uids, Unmarked: true}, (*write).expungeMessages)
	return res.UIDs, res.Modseq, err
}

type expungeRequest struct {
	target
	UIDs     event.UIDSet `cbor:"3,keyasint"`
	Unmarked bool         `cbor:"4,keyasint,omitempty"` // messages without \Deleted, too
}

func (r expungeRequest) valid(s *Store) error {
	return errors.Join(r.target.valid(s), validUIDs(r.UIDs))
}

type expunged struct {
	UIDs   event.UIDSet `cbor:"1,keyasint"`
	Modseq uint64       `cbor:"2,keyasint"`
}

func (w *write) expungeMessages(ctx context.Context, req expungeRequest) (expunged, error) {
	if err := w.lock(ctx, req.Account); err != nil {
		return expunged{}, err
	}
	a, snap, err := w.openBox(req.Account)
	if err != nil || (snap.Mailbox.Deleted == 0 && !req.Unmarked) {
		w.end()
		return expunged{}, err
	}
	var gone event.UIDSet
	for live := range among(snap, req.UIDs) {
		if req.Unmarked || live.Flags.Has(state.Deleted) {
			gone = gone.Add(live.UID)
		}
	}
	if len(gone) == 0 {
		w.end()
		return expunged{}, nil
	}
	e := &event.MessagesExpunged{Account: req.Account, Mailbox: snap.Mailbox.ID, Modseq: a.Modseq + 1, UIDs: gone}
	if err := w.commit(ctx, e); err != nil {
		return expunged{}, err
	}
	return expunged{gone, e.Modseq}, nil
}
