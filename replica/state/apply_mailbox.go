package state

import (
	"fmt"

	"angarium/eventlog/event"
)

func (w *work) mailboxCreated(e *event.MailboxCreated) error {
	if err := w.openAt(e.Account, e.Modseq); err != nil {
		return err
	}
	old, err := w.keptBox(e.Mailbox)
	if err != nil {
		return err
	}
	if old != nil {
		return fmt.Errorf("%w: mailbox id %s is in use", ErrDiverged, e.Mailbox)
	}
	if e.UIDNext > 0 {
		err = w.exhume(e)
		w.account.UIDValidity = max(w.account.UIDValidity, e.UIDValidity)
	} else {
		err = w.takeUIDValidity(e)
	}
	if err != nil {
		return err
	}
	w.account.Mailboxes++
	w.totals.Mailboxes++
	b := &box{pages: map[uint32]*keptPage{}}
	b.row = &Mailbox{
		ID: e.Mailbox, Account: e.Account, Name: e.Name, UIDValidity: e.UIDValidity, UIDNext: 1,
		HighestModseq: e.Modseq, CreatedModseq: e.Modseq, TombstoneFrom: e.Modseq, SpecialUse: e.SpecialUse,
	}
	w.boxes[e.Mailbox] = b
	w.touch(b)
	if e.UIDNext > 1 { // whoever knew the mailbox is told that all he knew is gone
		b.row.UIDNext, b.row.RecentUID = e.UIDNext, e.UIDNext-1
		if err := w.set(keyTombstone(e.Mailbox, e.Modseq), event.UIDSet{{First: 1, Last: e.UIDNext - 1}}); err != nil {
			return err
		}
	}
	return w.setName(e.Account, e.Name, e.Mailbox)
}

// exhume checks what an event claims of a mailbox that comes back. A mailbox that was deleted before graves were kept has none: then there is
// nothing to check against.
func (w *work) exhume(e *event.MailboxCreated) error {
	g, err := GetGrave(w.tx, e.Account, e.Mailbox)
	if g == nil || err != nil {
		return err
	}
	if e.UIDValidity != g.UIDValidity || e.UIDNext < g.UIDNext {
		return fmt.Errorf("%w: mailbox %s comes back with UIDVALIDITY %d and UIDNEXT %d, where it was %d and %d",
			ErrDiverged, e.Mailbox, e.UIDValidity, e.UIDNext, g.UIDValidity, g.UIDNext)
	}
	return w.tx.Delete(keyNamed(tableGrave, e.Account, string(e.Mailbox[:])))
}

// takeUIDValidity gives a mailbox its UIDVALIDITY: one beyond the range of those the account ever gave, so that none comes twice. Below the
// range it is only for imports. How low the range reaches before the first import is for the primary to know.
func (w *work) takeUIDValidity(e *event.MailboxCreated) error {
	a := w.account
	lowest := a.Imported
	if lowest == 0 {
		lowest = a.UIDValidity
	}
	switch {
	case !e.Imported && e.UIDValidity > a.UIDValidity:
		a.UIDValidity = e.UIDValidity
	case e.Imported && e.UIDValidity < lowest:
		a.Imported = e.UIDValidity
	default:
		return fmt.Errorf("%w: UIDVALIDITY %d after %d to %d", ErrDiverged, e.UIDValidity, lowest, a.UIDValidity)
	}
	return nil
}

// setName enters a name in the tree; it must be free.
func (w *work) setName(account, name string, id event.MailboxID) error {
	key := keyNamed(tableName, account, name)
	v, err := w.tx.Get(key)
	if err != nil {
		return err
	}
	if v != nil {
		return fmt.Errorf("%w: mailbox %q of %q exists", ErrDiverged, name, account)
	}
	return w.tx.Set(key, id[:])
}

// mailboxRenamed frees all the old names before it takes the new ones: a subtree may move onto names within itself.
func (w *work) mailboxRenamed(e *event.MailboxRenamed) error {
	if err := w.openAt(e.Account, e.Modseq); err != nil {
		return err
	}
	seen := map[event.MailboxID]bool{}
	for _, r := range e.Renames {
		if seen[r.Mailbox] {
			return fmt.Errorf("%w: mailbox %s renamed twice in one event", ErrDiverged, r.Mailbox)
		}
		seen[r.Mailbox] = true
		b, err := w.openBox(r.Mailbox)
		if err != nil {
			return err
		}
		if err := w.tx.Delete(keyNamed(tableName, e.Account, b.row.Name)); err != nil {
			return err
		}
		b.row.Name, b.row.HighestModseq = r.Name, e.Modseq
	}
	for _, r := range e.Renames {
		if err := w.setName(e.Account, r.Name, r.Mailbox); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) mailboxDeleted(e *event.MailboxDeleted) error {
	if err := w.openAt(e.Account, e.Modseq); err != nil {
		return err
	}
	b, err := w.openBox(e.Mailbox)
	if err != nil {
		return err
	}
	return w.dropMailbox(b)
}

func (w *work) dropMailbox(b *touch) error {
	b.gone = true
	w.account.Mailboxes--
	w.totals.Mailboxes--
	w.totals.Messages -= uint64(b.row.Messages)
	w.totals.Digest ^= b.digest
	if err := w.tx.Delete(keyMailbox(b.row.ID)); err != nil {
		return err
	}
	if err := w.tx.Delete(keyNamed(tableName, b.row.Account, b.row.Name)); err != nil {
		return err
	}
	grave := &Grave{UIDValidity: b.row.UIDValidity, UIDNext: b.row.FirstUID()}
	if err := w.set(keyNamed(tableGrave, b.row.Account, string(b.row.ID[:])), grave); err != nil {
		return err
	}
	for _, table := range []byte{tablePage, tableMessage, tableTombstone} {
		prefix := prefixOf(table, b.row.ID)
		if err := w.tx.DeleteRange(prefix, after(prefix)); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) subscriptionSet(e *event.SubscriptionSet) error {
	if err := w.openAt(e.Account, e.Modseq); err != nil {
		return err
	}
	w.changes = append(w.changes, Change{Account: e.Account})
	key := keyNamed(tableSubscription, e.Account, e.Name)
	if e.Subscribed {
		return w.put(key, []byte{1})
	}
	return w.remove(key)
}

func (w *work) specialUseSet(e *event.SpecialUseSet) error {
	if err := w.openAt(e.Account, e.Modseq); err != nil {
		return err
	}
	b, err := w.openBox(e.Mailbox)
	if err != nil {
		return err
	}
	b.row.SpecialUse, b.row.HighestModseq = e.SpecialUse, e.Modseq
	return nil
}

func (w *work) recentTaken(e *event.RecentTaken) error {
	if err := w.open(e.Account); err != nil {
		return err
	}
	b, err := w.openBox(e.Mailbox)
	if err != nil {
		return err
	}
	if e.UID >= b.row.UIDNext || e.UID < b.row.RecentUID {
		return fmt.Errorf("%w: recent up to UID %d, was %d, UIDNEXT %d", ErrDiverged, e.UID, b.row.RecentUID, b.row.UIDNext)
	}
	b.row.RecentUID = e.UID
	return nil
}
