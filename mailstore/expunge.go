package mailstore

import (
	"context"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Expunge removes the messages with \Deleted, of those in uids if uids is not nil (RFC 4315, section 2.1). It returns what was removed and
// the modseq of that, 0 when nothing was.
func (b *Mailbox) Expunge(ctx context.Context, uids event.UIDSet) (event.UIDSet, uint64, error) {
	if err := b.mayWrite(); err != nil {
		return nil, 0, err
	}
	w, err := b.s.begin(ctx, b.id, b.Account)
	if err != nil {
		return nil, 0, err
	}
	a, snap, err := w.openBox(b)
	if err != nil || snap.Mailbox.Deleted == 0 {
		w.end()
		return nil, 0, err
	}
	if uids == nil {
		uids = event.UIDSet{{First: 1, Last: lastUID}}
	}
	var gone event.UIDSet
	for live := range b.among(snap, uids) {
		if live.Flags.Has(state.Deleted) {
			gone = gone.Add(live.UID)
		}
	}
	if len(gone) == 0 {
		w.end()
		return nil, 0, nil
	}
	e := &event.MessagesExpunged{Account: b.Account, Mailbox: snap.Mailbox.ID, Modseq: a.Modseq + 1, UIDs: gone}
	if err := w.commit(ctx, e); err != nil {
		return nil, 0, err
	}
	return gone, e.Modseq, nil
}
