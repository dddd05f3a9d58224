package mailstore

import (
	"context"

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
	id := b.box.ID()
	taken := b.sh.recentTaken(id)
	if b.ReadOnly || taken == 0 {
		return nil
	}
	w, err := b.s.begin(ctx, b.id, b.Account)
	if err != nil {
		return err
	}
	_, snap, err := w.openBox(b)
	taken = b.sh.recentTaken(id) // another session may have written it meanwhile
	if err != nil || taken <= snap.Mailbox.RecentUID {
		w.end()
		b.sh.forgetRecent(id, taken)
		return err
	}
	if err := w.commit(ctx, &event.RecentTaken{Account: b.Account, Mailbox: id, UID: taken}); err != nil {
		return err
	}
	b.sh.forgetRecent(id, taken)
	return nil
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
