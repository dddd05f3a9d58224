package mailstore

import (
	"context"
	"fmt"

	"angarium/eventlog/event"
	"angarium/replica"
	"angarium/replica/state"
)

// Transferred says what COPY or MOVE did: the n-th UID of Source became First+n in the destination (RFC 4315, RFC 6851).
type Transferred struct {
	UIDValidity uint32 // of the destination
	Source      event.UIDSet
	First       uint32
}

// Copy puts copies of messages into another mailbox of the account, or into the same. UIDs that are not there are passed over; when none is,
// Source is empty.
func (b *Mailbox) Copy(ctx context.Context, uids event.UIDSet, to string) (Transferred, error) {
	return b.transfer(ctx, uids, to, func(t transfer) event.Event {
		return &event.MessagesCopied{
			Account: b.Account, Source: b.box.ID(), SourceUIDs: t.uids, Dest: t.dest.ID,
			FirstUID: t.dest.UIDNext, Modseq: t.modseq, SaveDate: t.saveDate,
		}
	})
}

// Move moves messages to another mailbox of the account, in one event (RFC 6851). Within one mailbox it gives them new UIDs.
func (b *Mailbox) Move(ctx context.Context, uids event.UIDSet, to string) (Transferred, error) {
	if err := b.mayWrite(); err != nil {
		return Transferred{}, err
	}
	return b.transfer(ctx, uids, to, func(t transfer) event.Event {
		if t.dest.ID == b.box.ID() {
			return nil
		}
		return &event.MessagesMoved{
			Account: b.Account, Source: b.box.ID(), SourceUIDs: t.uids, Dest: t.dest.ID,
			FirstUID: t.dest.UIDNext, Modseq: t.modseq, SaveDate: t.saveDate,
		}
	})
}

type transfer struct {
	uids     event.UIDSet
	dest     *state.Mailbox
	modseq   uint64
	saveDate int64
}

func (b *Mailbox) transfer(ctx context.Context, uids event.UIDSet, to string, decide func(transfer) event.Event) (Transferred, error) {
	w, err := b.s.begin(ctx, b.id, b.Account)
	if err != nil {
		return Transferred{}, err
	}
	t, snap, err := w.decideTransfer(b, uids, to)
	if err != nil || len(t.uids) == 0 {
		w.end()
		return Transferred{}, err
	}
	res := Transferred{UIDValidity: t.dest.UIDValidity, Source: t.uids, First: t.dest.UIDNext}
	e := decide(t)
	events := []event.Event{e}
	if e == nil { // a move within the mailbox: a copy and the expunge of what was copied, as one unit
		copied := &event.MessagesCopied{
			Account: b.Account, Source: snap.Mailbox.ID, SourceUIDs: t.uids, Dest: t.dest.ID,
			FirstUID: t.dest.UIDNext, Modseq: t.modseq, SaveDate: t.saveDate,
		}
		events = []event.Event{copied, &event.MessagesExpunged{Account: b.Account, Mailbox: t.dest.ID, Modseq: t.modseq + 1, UIDs: t.uids}}
	}
	if err := w.commit(ctx, events...); err != nil {
		return Transferred{}, err
	}
	return res, nil
}

func (w *write) decideTransfer(b *Mailbox, uids event.UIDSet, to string) (transfer, *replica.Snapshot, error) {
	var t transfer
	a, snap, err := w.openBox(b)
	if err != nil {
		return t, nil, err
	}
	if _, t.dest, err = w.openMailbox(b.Account, to); err != nil {
		return t, nil, err
	}
	keywords := newKeywords(t.dest)
	var flags state.Flags
	for live := range b.among(snap, uids) {
		t.uids = t.uids.Add(live.UID)
		flags = flags.Or(live.Flags)
	}
	if _, err := keywords.clean(flags.Names(snap.Mailbox.Keywords)); err != nil {
		return t, nil, err
	}
	if uint64(t.dest.UIDNext)+uint64(t.uids.Len()) > lastUID {
		return t, nil, fmt.Errorf("%w: mailbox %q has no UIDs left", ErrLimit, t.dest.Name)
	}
	t.modseq, t.saveDate = a.Modseq+1, w.now.Unix()
	return t, snap, nil
}
