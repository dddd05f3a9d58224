package state

import (
	"fmt"

	"angarium/eventlog/event"
)

// Applier applies events one after the other and keeps the rows they touch decoded: each is read once and written once, by Flush, however
// many events change it. What it has applied is in tx only after Flush. After an error the caller drops both. It is for one goroutine.
type Applier struct {
	tx       Tx
	totals   *Totals
	accounts map[string]*kept[Account]
	boxes    map[event.MailboxID]*box
	bodies   map[event.GUID]*Body // known ones; nil for those that were dropped
}

// NewApplier makes an applier over a transaction.
func NewApplier(tx Tx) (*Applier, error) {
	totals, err := GetTotals(tx)
	if err != nil {
		return nil, err
	}
	a := &Applier{tx: tx, totals: totals}
	a.forgetAll()
	return a, nil
}

func (a *Applier) forgetAll() {
	a.accounts, a.boxes, a.bodies = map[string]*kept[Account]{}, map[event.MailboxID]*box{}, map[event.GUID]*Body{}
}

// kept is a row that counts in the digest of the state.
type kept[T any] struct {
	row    *T
	digest uint64 // of the row as it is stored; 0 when it is not
	dirty  bool
}

// box is one mailbox at work.
type box struct {
	kept[Mailbox]
	pages map[uint32]*keptPage
	gone  bool // it was deleted
}

type keptPage struct {
	live  Page
	dirty bool
}

// touch is what the event at hand makes of one mailbox.
type touch struct {
	*box
	change Change
}

// work is one event being applied.
type work struct {
	*Applier
	meta    event.Meta
	account *Account // the account of the event
	touched []*touch
	changes []Change
}

// finish makes the changes of the event known.
func (w *work) finish() error {
	for _, t := range w.touched {
		if !t.gone {
			if err := w.bury(t); err != nil {
				return err
			}
			row := *t.row // the row goes on changing, what was told of it does not
			t.change.Mailbox = &row
		}
		w.changes = append(w.changes, t.change)
	}
	return nil
}

// bury leaves a tombstone of what the event expunged.
func (w *work) bury(t *touch) error {
	if len(t.change.Expunged) == 0 {
		return nil
	}
	v, err := rowEnc.Marshal(t.change.Expunged)
	if err != nil {
		return err
	}
	return w.tx.Set(keyTombstone(t.row.ID, t.row.HighestModseq), v)
}

// Flush writes what was applied, and forgets the rows.
func (a *Applier) Flush() error {
	for _, b := range a.boxes {
		if err := a.flushBox(b); err != nil {
			return err
		}
	}
	for name, k := range a.accounts {
		if err := flushRow(a, keyAccount(name), k); err != nil {
			return err
		}
	}
	v, err := rowEnc.Marshal(a.totals)
	if err != nil {
		return err
	}
	a.forgetAll()
	return a.tx.Set(keyTotals, v)
}

func (a *Applier) flushBox(b *box) error {
	if b.gone {
		return nil
	}
	for n, p := range b.pages {
		if !p.dirty {
			continue
		}
		key, err := keyOf(tablePage, b.row.ID, n), error(nil)
		if len(p.live) > 0 {
			err = a.tx.Set(key, encodePage(nil, p.live))
		} else {
			err = a.tx.Delete(key)
		}
		if err != nil {
			return err
		}
	}
	return flushRow(a, keyMailbox(b.row.ID), &b.kept)
}

// flushRow writes a row and puts it into the digest of the state in the place of the one before.
func flushRow[T any](a *Applier, key []byte, k *kept[T]) error {
	if !k.dirty {
		return nil
	}
	v, err := rowEnc.Marshal(k.row)
	if err != nil {
		return fmt.Errorf("encode row: %w", err)
	}
	a.totals.Digest ^= k.digest
	k.digest = digestRow(key, v)
	a.totals.Digest ^= k.digest
	k.dirty = false
	return a.tx.Set(key, v)
}

// load reads a row that counts in the digest; its row is nil when there is none.
func load[T any](r Reader, key []byte) (kept[T], error) {
	v, err := r.Get(key)
	if v == nil || err != nil {
		return kept[T]{}, err
	}
	digest := digestRow(key, v)
	row, err := decodeRow[T](key, v)
	return kept[T]{row: row, digest: digest}, err
}

// remove deletes a row that counts in the digest of the state.
func (a *Applier) remove(key []byte) error {
	old, err := a.tx.Get(key)
	if err != nil {
		return err
	}
	if old != nil {
		a.totals.Digest ^= digestRow(key, old)
	}
	return a.tx.Delete(key)
}

// put writes a row that counts in the digest and that is not kept.
func (a *Applier) put(key, value []byte) error {
	if err := a.remove(key); err != nil {
		return err
	}
	a.totals.Digest ^= digestRow(key, value)
	return a.tx.Set(key, value)
}

// set writes a row that does not count in the digest of the state.
func (a *Applier) set(key []byte, row any) error {
	v, err := rowEnc.Marshal(row)
	if err != nil {
		return fmt.Errorf("encode row: %w", err)
	}
	return a.tx.Set(key, v)
}

// keptAccount reads an account, also a deleted one; its row is nil when there never was one.
func (a *Applier) keptAccount(name string) (*kept[Account], error) {
	if k, ok := a.accounts[name]; ok {
		return k, nil
	}
	k, err := load[Account](a.tx, keyAccount(name))
	if err != nil {
		return nil, err
	}
	a.accounts[name] = &k
	return &k, nil
}

// keptBox reads a mailbox; nil when there is none.
func (a *Applier) keptBox(id event.MailboxID) (*box, error) {
	b, ok := a.boxes[id]
	if !ok {
		k, err := load[Mailbox](a.tx, keyMailbox(id))
		if err != nil {
			return nil, err
		}
		b = &box{kept: k, pages: map[uint32]*keptPage{}, gone: k.row == nil}
		a.boxes[id] = b
	}
	if b.gone {
		return nil, nil
	}
	return b, nil
}

// body reads a body that is known; nil when it is not.
func (a *Applier) body(guid event.GUID) (*Body, error) {
	if b, ok := a.bodies[guid]; ok {
		return b, nil
	}
	b, err := GetBody(a.tx, guid)
	if b != nil {
		a.bodies[guid] = b
	}
	return b, err
}

// open reads the account of the event, which must exist, to change it.
func (w *work) open(name string) error {
	k, err := w.keptAccount(name)
	if err != nil {
		return err
	}
	if k.row == nil || k.row.Deleted {
		return fmt.Errorf("%w: account %q does not exist", ErrDiverged, name)
	}
	k.dirty = true
	w.account = k.row
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

// openBox reads a mailbox of the event's account, to change it.
func (w *work) openBox(id event.MailboxID) (*touch, error) {
	b, err := w.keptBox(id)
	if err != nil {
		return nil, err
	}
	if b == nil || b.row.Account != w.account.Name {
		return nil, fmt.Errorf("%w: account %q has no mailbox %s", ErrDiverged, w.account.Name, id)
	}
	return w.touch(b), nil
}

func (w *work) touch(b *box) *touch {
	b.dirty = true
	t := &touch{box: b, change: Change{Account: b.row.Account, ID: b.row.ID}}
	w.touched = append(w.touched, t)
	return t
}

// page gives a page of a mailbox, to be changed.
func (a *Applier) page(b *box, number uint32) (*keptPage, error) {
	if p, ok := b.pages[number]; ok {
		return p, nil
	}
	live, err := GetPage(a.tx, b.row.ID, number)
	if err != nil {
		return nil, err
	}
	p := &keptPage{live: live}
	b.pages[number] = p
	return p, nil
}

// count adds a message to the summary, or takes it away (sign -1).
func (a *Applier) count(b *box, l Live, size uint64, sign int) {
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
	a.totals.Messages += n
}
