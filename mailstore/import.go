package mailstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// ImportedMailbox is a mailbox that comes from another store, with the numbers it had there.
type ImportedMailbox struct {
	New NewMailbox `cbor:"1,keyasint"`
	// UIDValidity is the one it is to keep; 0: it gets a new one.
	UIDValidity uint32 `cbor:"2,keyasint,omitempty"`
	// Modseq is its HIGHESTMODSEQ (RFC 7162): what is done to the account from here on is above it.
	Modseq uint64 `cbor:"3,keyasint,omitempty"`
}

// ImportOutcome says what became of an ImportedMailbox.
type ImportOutcome struct {
	Mailbox     event.MailboxID `cbor:"1,keyasint"`
	UIDValidity uint32          `cbor:"2,keyasint"`
	Made        bool            `cbor:"3,keyasint,omitempty"` // it was not there, or was there without ever having had a message
	Kept        bool            `cbor:"4,keyasint,omitempty"` // it has the UIDVALIDITY it is to keep
}

// Bounds of the numbers that are taken from elsewhere. Beyond them the account's own would run out.
const (
	maxImportedValidity = 1<<32 - 1<<20
	maxImportedModseq   = 1 << 62
)

// ImportMailboxes makes mailboxes with the UIDVALIDITY they had elsewhere, all in one event log unit, and says what became of each. One that
// is there and never had a message is made anew. A UIDVALIDITY that the account may have given before, or that another mailbox of the import
// has too, is not kept: such a mailbox is left as it is, or gets a new one. A special use that another mailbox has is left to it, unless
// that one never had a message.
func (s *Store) ImportMailboxes(ctx context.Context, id Identity, account string, list []ImportedMailbox) ([]ImportOutcome, error) {
	list = slices.Clone(list)
	for i := range list {
		name, err := CleanName(list[i].New.Name)
		if err != nil {
			return nil, err
		}
		list[i].New.Name = name
	}
	return perform(ctx, s, opImportMailboxes, id, importBoxesRequest{onAccount{account}, list}, (*write).importMailboxes)
}

type importBoxesRequest struct {
	onAccount
	List []ImportedMailbox `cbor:"2,keyasint"`
}

func (r importBoxesRequest) valid(s *Store) error {
	errs := []error{r.onAccount.valid(s)}
	for i := range r.List {
		errs = append(errs, validName(r.List[i].New.Name))
	}
	return errors.Join(errs...)
}

func (w *write) importMailboxes(ctx context.Context, req importBoxesRequest) ([]ImportOutcome, error) {
	out := make([]ImportOutcome, len(req.List))
	err := w.changeTree(ctx, req.Account, func(t *tree) ([]event.Event, error) {
		im := &importer{tree: t, list: req.List, out: out, limit: w.s.opts.MaxMailboxes}
		return im.decide()
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// importer decides on the mailboxes of an import.
type importer struct {
	*tree
	list   []ImportedMailbox
	out    []ImportOutcome
	limit  int
	events []event.Event
}

func (im *importer) decide() ([]event.Event, error) {
	lowest := im.lowest()
	order := make([]int, 0, len(im.list))
	var modseq uint64
	for i := range im.list {
		if m := im.list[i].Modseq; m < maxImportedModseq {
			modseq = max(modseq, m)
		}
		order = append(order, i)
	}
	// A UIDVALIDITY has to lie beyond all that were given: those above go up from there, those below go down.
	above := func(i int) bool { return im.list[i].UIDValidity > im.account.UIDValidity }
	slices.SortStableFunc(order, func(a, b int) int {
		va, vb := im.list[a].UIDValidity, im.list[b].UIDValidity
		switch {
		case above(a) && above(b):
			return cmp.Compare(va, vb)
		case above(a) != above(b):
			if above(a) {
				return -1
			}
			return 1
		}
		return cmp.Compare(vb, va)
	})
	before := im.account.Modseq
	im.account.Modseq = max(before, modseq)
	var fresh []int
	for _, i := range order {
		kept, err := im.keep(i, &lowest)
		if err != nil {
			return nil, err
		}
		if !kept {
			fresh = append(fresh, i)
		}
	}
	slices.Sort(fresh)
	for _, i := range fresh {
		if err := im.renumber(i); err != nil {
			return nil, err
		}
	}
	return im.events, nil
}

// lowest gives the lowest UIDVALIDITY that the account ever gave, 0 when that is not known. An account's first mailbox is its INBOX, and has
// the lowest of those it gave itself; the INBOX of an account that was deleted and made again does not have modseq 1.
func (im *importer) lowest() uint32 {
	if im.account.Imported > 0 {
		return im.account.Imported
	}
	if inbox := im.find(Inbox); inbox != nil && inbox.CreatedModseq == 1 {
		return inbox.UIDValidity
	}
	return 0
}

// pristine says that a mailbox never had a message.
func pristine(m *state.Mailbox) bool { return m.UIDNext == 1 }

// keep makes a mailbox with its UIDVALIDITY, if that can be.
func (im *importer) keep(i int, lowest *uint32) (bool, error) {
	m := &im.list[i]
	old := im.find(m.New.Name)
	if old != nil && m.UIDValidity != 0 && old.UIDValidity == m.UIDValidity {
		im.out[i] = ImportOutcome{Mailbox: old.ID, UIDValidity: old.UIDValidity, Kept: true}
		return true, nil
	}
	above := m.UIDValidity > im.account.UIDValidity && m.UIDValidity <= maxImportedValidity
	below := m.UIDValidity > 0 && m.UIDValidity < *lowest
	if (!above && !below) || (old != nil && !pristine(old)) {
		return false, nil
	}
	if old != nil {
		im.remove(old)
		if len(m.New.SpecialUse) == 0 {
			m.New.SpecialUse = old.SpecialUse
		}
	}
	created, err := im.make(i)
	if err != nil {
		return false, err
	}
	if created.UIDValidity = m.UIDValidity; below {
		created.Imported = true
		*lowest = m.UIDValidity
	} else {
		im.account.UIDValidity = m.UIDValidity
	}
	im.out[i] = ImportOutcome{Mailbox: created.Mailbox, UIDValidity: created.UIDValidity, Made: true, Kept: true}
	return true, nil
}

// renumber makes a mailbox that does not keep its UIDVALIDITY, unless it is there.
func (im *importer) renumber(i int) error {
	if old := im.find(im.list[i].New.Name); old != nil {
		im.out[i] = ImportOutcome{Mailbox: old.ID, UIDValidity: old.UIDValidity, Made: pristine(old)}
		return nil
	}
	created, err := im.make(i)
	if err != nil {
		return err
	}
	im.account.UIDValidity = max(uint32(im.now.Unix()), im.account.UIDValidity+1)
	created.UIDValidity = im.account.UIDValidity
	im.out[i] = ImportOutcome{Mailbox: created.Mailbox, UIDValidity: created.UIDValidity, Made: true}
	return nil
}

// make decides on a mailbox but for its UIDVALIDITY.
func (im *importer) make(i int) (*event.MailboxCreated, error) {
	m := im.list[i].New
	if len(im.boxes) >= im.limit {
		return nil, fmt.Errorf("%w: %d mailboxes", ErrLimit, len(im.boxes))
	}
	created := &event.MailboxCreated{
		Account: im.account.Name, Mailbox: newMailboxID(), Name: m.Name, SpecialUse: im.uses(m.SpecialUse), Modseq: im.modseq(),
	}
	im.events = append(im.events, created)
	if m.Subscribe {
		im.events = append(im.events, &event.SubscriptionSet{Account: im.account.Name, Name: m.Name, Subscribed: true, Modseq: im.modseq()})
	}
	k, _ := slices.BinarySearchFunc(im.boxes, m.Name, func(m *state.Mailbox, n string) int { return strings.Compare(m.Name, n) })
	im.boxes = slices.Insert(im.boxes, k, &state.Mailbox{ID: created.Mailbox, Name: m.Name, SpecialUse: created.SpecialUse, UIDNext: 2})
	return created, nil
}

// remove decides to delete a mailbox that never had a message.
func (im *importer) remove(old *state.Mailbox) {
	im.events = append(im.events, &event.MailboxDeleted{Account: im.account.Name, Mailbox: old.ID, Modseq: im.modseq()})
	im.boxes = slices.DeleteFunc(slices.Clone(im.boxes), func(m *state.Mailbox) bool { return m.ID == old.ID })
}

// uses gives those special uses that a mailbox of the import can have, and takes them from mailboxes that never had a message.
func (im *importer) uses(wanted []string) []string {
	var uses []string
	for _, u := range wanted {
		k := slices.IndexFunc(specialUses, func(s string) bool { return strings.EqualFold(s, u) })
		if k < 0 || slices.Contains(uses, specialUses[k]) {
			continue
		}
		u = specialUses[k]
		holder := slices.IndexFunc(im.boxes, func(m *state.Mailbox) bool { return slices.Contains(m.SpecialUse, u) })
		if holder >= 0 {
			m := im.boxes[holder]
			if !pristine(m) {
				continue
			}
			left := *m
			left.SpecialUse = slices.DeleteFunc(slices.Clone(m.SpecialUse), func(s string) bool { return s == u })
			im.boxes[holder] = &left
			im.events = append(im.events, &event.SpecialUseSet{Account: im.account.Name, Mailbox: m.ID, SpecialUse: left.SpecialUse, Modseq: im.modseq()})
		}
		uses = append(uses, u)
	}
	return uses
}
