package state

import (
	"fmt"
	"maps"
	"slices"

	"angarium/eventlog/event"
)

// work is the rows that one event touches: read once, changed in memory, written by flush.
type work struct {
	tx      Tx
	meta    event.Meta
	totals  *Totals
	account *Account // the account of the event
	boxes   []*box
	changes []Change
}

// box is one mailbox at work.
type box struct {
	row    *Mailbox
	pages  map[uint32]Page // those read so far; a written one is never empty unless it was emptied
	change Change
	tomb   event.UIDSet // what the event expunged
	gone   bool         // the event deleted the mailbox
}

// flush writes what changed.
func (w *work) flush() error {
	for _, b := range w.boxes {
		if err := w.flushBox(b); err != nil {
			return err
		}
	}
	if w.account != nil {
		if err := w.put(keyAccount(w.account.Name), w.account); err != nil {
			return err
		}
	}
	v, err := rowEnc.Marshal(w.totals)
	if err != nil {
		return err
	}
	return w.tx.Set(keyTotals, v)
}

func (w *work) flushBox(b *box) error {
	if b.gone {
		w.changes = append(w.changes, b.change)
		return nil
	}
	for _, n := range slices.Sorted(maps.Keys(b.pages)) {
		key, err := keyOf(tablePage, b.row.ID, n), error(nil)
		if p := b.pages[n]; len(p) > 0 {
			err = w.tx.Set(key, encodePage(nil, p))
		} else {
			err = w.tx.Delete(key)
		}
		if err != nil {
			return err
		}
	}
	if len(b.tomb) > 0 {
		v, err := rowEnc.Marshal(b.tomb)
		if err != nil {
			return err
		}
		if err := w.tx.Set(keyTombstone(b.row.ID, b.row.HighestModseq), v); err != nil {
			return err
		}
		b.change.Expunged = b.tomb
	}
	if err := w.put(keyMailbox(b.row.ID), b.row); err != nil {
		return err
	}
	b.change.Mailbox = b.row
	w.changes = append(w.changes, b.change)
	return nil
}

// put writes a row that counts in the digest of the state.
func (w *work) put(key []byte, row any) error {
	v, err := rowEnc.Marshal(row)
	if err != nil {
		return fmt.Errorf("encode row: %w", err)
	}
	return w.putRaw(key, v)
}

func (w *work) putRaw(key, value []byte) error {
	if err := w.forget(key); err != nil {
		return err
	}
	w.totals.Digest ^= digestRow(key, value)
	return w.tx.Set(key, value)
}

// forget takes a row out of the digest.
func (w *work) forget(key []byte) error {
	old, err := w.tx.Get(key)
	if err == nil && old != nil {
		w.totals.Digest ^= digestRow(key, old)
	}
	return err
}

// remove deletes a row that counts in the digest of the state.
func (w *work) remove(key []byte) error {
	if err := w.forget(key); err != nil {
		return err
	}
	return w.tx.Delete(key)
}

// open reads the account of the event, which must exist.
func (w *work) open(name string) error {
	a, err := GetAccount(w.tx, name)
	if err != nil {
		return err
	}
	if a == nil || a.Deleted {
		return fmt.Errorf("%w: account %q does not exist", ErrDiverged, name)
	}
	w.account = a
	return nil
}

// openAt reads the account of the event and gives it the event's modseq, which must be above the last one.
func (w *work) openAt(name string, modseq uint64) error {
	if err := w.open(name); err != nil {
		return err
	}
	if modseq <= w.account.Modseq {
		return fmt.Errorf("%w: modseq %d after %d in account %q", ErrDiverged, modseq, w.account.Modseq, name)
	}
	w.account.Modseq = modseq
	return nil
}

// openBox reads a mailbox of the event's account.
func (w *work) openBox(id event.MailboxID) (*box, error) {
	row, err := GetMailbox(w.tx, id)
	if err != nil {
		return nil, err
	}
	if row == nil || row.Account != w.account.Name {
		return nil, fmt.Errorf("%w: account %q has no mailbox %s", ErrDiverged, w.account.Name, id)
	}
	return w.addBox(row), nil
}

func (w *work) addBox(row *Mailbox) *box {
	b := &box{row: row, pages: map[uint32]Page{}, change: Change{Account: row.Account, ID: row.ID}}
	w.boxes = append(w.boxes, b)
	return b
}

// page gives a page of the mailbox, to be changed in place or replaced with setPage.
func (w *work) page(b *box, number uint32) (Page, error) {
	if p, ok := b.pages[number]; ok {
		return p, nil
	}
	p, err := GetPage(w.tx, b.row.ID, number)
	if err != nil {
		return nil, err
	}
	b.pages[number] = p
	return p, nil
}

// count adds a message to the summary, or takes it away (sign -1).
func (w *work) count(b *box, l Live, size uint64, sign int) {
	u, n := uint32(sign), uint64(sign) // two's complement: adding ^0 takes one away
	r := b.row
	r.Messages += u
	r.Size += size * n
	if !l.Flags.Has(Seen) {
		r.Unseen += u
	}
	if l.Flags.Has(Deleted) {
		r.Deleted += u
	}
	w.totals.Messages += n
}
