package mailstore

import (
	"context"
	"errors"
	"fmt"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Transferred says what COPY or MOVE did: the n-th UID of Source became First+n in the destination (RFC 4315, RFC 6851).
type Transferred struct {
	UIDValidity uint32       `cbor:"1,keyasint"` // of the destination
	Source      event.UIDSet `cbor:"2,keyasint"`
	First       uint32       `cbor:"3,keyasint"`
}

// Copy puts copies of messages into another mailbox of the account, or into the same. UIDs that are not there are passed over; when none is,
// Source is empty.
func (b *Mailbox) Copy(ctx context.Context, uids event.UIDSet, to string) (Transferred, error) {
	return performIn(ctx, b, opCopy, transferRequest{b.target(), uids, to}, (*write).copyMessages)
}

// Move moves messages to another mailbox of the account, in one event (RFC 6851). Within one mailbox it gives them new UIDs.
func (b *Mailbox) Move(ctx context.Context, uids event.UIDSet, to string) (Transferred, error) {
	if err := b.mayWrite(); err != nil {
		return Transferred{}, err
	}
	return performIn(ctx, b, opMove, transferRequest{b.target(), uids, to}, (*write).moveMessages)
}

type transferRequest struct {
	target
	UIDs event.UIDSet `cbor:"3,keyasint"`
	To   string       `cbor:"4,keyasint"`
}

func (r transferRequest) valid(s *Store) error {
	return errors.Join(r.target.valid(s), validUIDs(r.UIDs))
}

func (w *write) copyMessages(ctx context.Context, req transferRequest) (Transferred, error) {
	return w.transfer(ctx, req, func(t transfer) []event.Event {
		return []event.Event{&event.MessagesCopied{
			Account: req.Account, Source: req.Mailbox, SourceUIDs: t.uids, Dest: t.dest.ID,
			FirstUID: t.dest.FirstUID(), Modseq: t.modseq, SaveDate: t.saveDate,
		}}
	})
}

func (w *write) moveMessages(ctx context.Context, req transferRequest) (Transferred, error) {
	return w.transfer(ctx, req, func(t transfer) []event.Event {
		if t.dest.ID != req.Mailbox {
			return []event.Event{&event.MessagesMoved{
				Account: req.Account, Source: req.Mailbox, SourceUIDs: t.uids, Dest: t.dest.ID,
				FirstUID: t.dest.FirstUID(), Modseq: t.modseq, SaveDate: t.saveDate,
			}}
		}
		return []event.Event{ // a copy and the expunge of what was copied, as one unit
			&event.MessagesCopied{
				Account: req.Account, Source: req.Mailbox, SourceUIDs: t.uids, Dest: t.dest.ID,
				FirstUID: t.dest.FirstUID(), Modseq: t.modseq, SaveDate: t.saveDate,
			},
			&event.MessagesExpunged{Account: req.Account, Mailbox: t.dest.ID, Modseq: t.modseq + 1, UIDs: t.uids},
		}
	})
}

type transfer struct {
	uids     event.UIDSet
	dest     *state.Mailbox
	modseq   uint64
	saveDate int64
}

func (w *write) transfer(ctx context.Context, req transferRequest, decide func(transfer) []event.Event) (Transferred, error) {
	if err := w.lock(ctx, req.Account); err != nil {
		return Transferred{}, err
	}
	t, err := w.decideTransfer(req)
	if err != nil || len(t.uids) == 0 {
		w.end()
		return Transferred{}, err
	}
	if err := w.commit(ctx, decide(t)...); err != nil {
		return Transferred{}, err
	}
	return Transferred{UIDValidity: t.dest.UIDValidity, Source: t.uids, First: t.dest.FirstUID()}, nil
}

func (w *write) decideTransfer(req transferRequest) (transfer, error) {
	var t transfer
	a, snap, err := w.openBox(req.Account)
	if err != nil {
		return t, err
	}
	if _, t.dest, err = w.openMailbox(req.Account, req.To); err != nil {
		return t, err
	}
	keywords := newKeywords(t.dest)
	var flags state.Flags
	for live := range among(snap, req.UIDs) {
		t.uids = t.uids.Add(live.UID)
		flags = flags.Or(live.Flags)
	}
	if _, err := keywords.clean(flags.Names(snap.Mailbox.Keywords)); err != nil {
		return t, err
	}
	if uint64(t.dest.FirstUID())+uint64(t.uids.Len()) > lastUID {
		return t, fmt.Errorf("%w: mailbox %q has no UIDs left", ErrLimit, t.dest.Name)
	}
	t.modseq, t.saveDate = a.Modseq+1, w.now.Unix()
	return t, nil
}
