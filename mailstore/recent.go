package mailstore

import (
	"context"
	"errors"

	"angarium/eventlog/event"
	"angarium/replica"
)

// TakeRecent makes this session the one that is told of the new messages of a snapshot as \Recent (RFC 3501, section 2.3.2): those with
// first ≤ UID; first is 0 when there are none. No other session will be told of them. On a mailbox opened read-only it only looks.
//
// The log is told when the session is done with the mailbox (KeepRecent): after a crash a message can be \Recent a second time.
func (b *Mailbox) TakeRecent(snap *replica.Snapshot) (first uint32) {
	sh, id, last := b.sh, b.box.ID(), snap.List.LastUID()
	sh.recentMu.Lock()
	defer sh.recentMu.Unlock()
	taken := max(sh.recent[id], snap.Mailbox.RecentUID)
	if last <= taken {
		return 0
	}
	if !b.ReadOnly {
		sh.recent[id] = last
	}
	return taken + 1
}

// KeepRecent writes to the log up to where messages were told as \Recent, if it does not say so yet.
func (b *Mailbox) KeepRecent(ctx context.Context) error {
	taken := b.sh.recentTaken(b.box.ID())
	if b.ReadOnly || taken == 0 {
		return nil
	}
	if _, err := performIn(ctx, b, opKeepRecent, recentRequest{b.target(), taken}, (*write).keepRecent); err != nil {
		if errors.Is(err, ErrNoMailbox) {
			b.sh.forgetRecent(b.box.ID(), taken)
		}
		return err
	}
	b.sh.forgetRecent(b.box.ID(), taken)
	return nil
}

type recentRequest struct {
	target
	UID uint32 `cbor:"3,keyasint"`
}

func (w *write) keepRecent(ctx context.Context, req recentRequest) (nothing, error) {
	if err := w.lock(ctx, req.Account); err != nil {
		return nothing{}, err
	}
	_, snap, err := w.openBox(req.Account)
	if err != nil {
		w.end()
		return nothing{}, err
	}
	taken := min(req.UID, snap.Mailbox.UIDNext-1) // another node may have been told of UIDs that this history does not have
	if taken <= snap.Mailbox.RecentUID {
		w.end()
		return nothing{}, nil
	}
	return nothing{}, w.commit(ctx, &event.RecentTaken{Account: req.Account, Mailbox: req.Mailbox, UID: taken})
}

func (sh *shard) recentTaken(id event.MailboxID) uint32 {
	sh.recentMu.Lock()
	defer sh.recentMu.Unlock()
	return sh.recent[id]
}

// forgetRecent drops what the log says by now.
func (sh *shard) forgetRecent(id event.MailboxID, upTo uint32) {
	sh.recentMu.Lock()
	defer sh.recentMu.Unlock()
	if sh.recent[id] <= upTo {
		delete(sh.recent, id)
	}
}
