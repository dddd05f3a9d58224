package salvage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"angarium/eventlog/event"
	"angarium/mailstore"
)

// account is an account of the new history, as it is, or in a plan as it would be.
type account struct {
	name       string
	there      bool
	credential event.Credential
	disabled   bool
	boxes      map[event.MailboxID]*box // by id; those of the tail by the id they had there
	names      map[string]*box
	subscribed []string
}

// box is a mailbox of the new history.
type box struct {
	account *account
	id      event.MailboxID // zero in a plan, for one that would be made
	name    string
	uses    []string
	guids   map[event.GUID]uint32 // GUID and UID of its messages; nil when not read
	added   map[event.GUID]uint32 // those that salvage appended; UID 0 in a plan
}

// account reads an account.
func (e *engine) account(ctx context.Context, name string) (*account, error) {
	if a := e.accounts[name]; a != nil {
		return a, nil
	}
	a := &account{name: name}
	if !e.dry {
		// An attempt before may have ended without an answer: what it did has to be seen, or it would be done twice.
		if err := e.store.CatchUp(ctx, e.id, name); err != nil {
			return nil, err
		}
	}
	e.accounts[name] = a
	return a, e.refresh(ctx, a)
}

// refresh reads what the store has of an account. Mailboxes known under an id of the tail stay so.
func (e *engine) refresh(ctx context.Context, a *account) error {
	row, err := e.store.Account(ctx, a.name)
	if errors.Is(err, mailstore.ErrNoAccount) {
		a.there = false
		return nil
	}
	if err != nil {
		return err
	}
	list, err := e.store.Mailboxes(ctx, e.id, a.name)
	if err != nil {
		return err
	}
	if a.subscribed, err = e.store.Subscriptions(ctx, e.id, a.name); err != nil {
		return err
	}
	a.there, a.credential, a.disabled = true, row.Credential, row.Disabled
	byID := map[event.MailboxID]*box{}
	for _, b := range a.boxes {
		byID[b.id] = b
	}
	mapped := a.boxes
	a.boxes, a.names = map[event.MailboxID]*box{}, map[string]*box{}
	for _, m := range list {
		b := byID[m.ID]
		if b == nil {
			b = &box{account: a, id: m.ID, added: map[event.GUID]uint32{}}
		}
		b.name, b.uses = m.Name, m.SpecialUse
		a.boxes[m.ID], a.names[m.Name] = b, b
	}
	for id, b := range mapped {
		if a.boxes[b.id] == b {
			a.boxes[id] = b
		}
	}
	return nil
}

// changeAccounts does what the tail says of accounts, and of the log itself.
func (e *engine) changeAccounts(ctx context.Context) error {
	for n := range e.items {
		it := &e.items[n]
		name := it.event.AccountName()
		if name == "" {
			switch it.event.(type) {
			case *event.EpochStarted, *event.Checkpoint, *event.BodiesDropped:
				it.skip("concerns the old log only")
			}
			continue
		}
		a, err := e.account(ctx, name)
		if err != nil {
			return fmt.Errorf("read account %s: %w", name, err)
		}
		switch v := it.event.(type) {
		case *event.AccountCreated:
			err = e.createAccount(ctx, it, a, v)
		case *event.CredentialSet:
			if !it.superseded(n, e.last.credential[name], e.items) {
				err = e.setCredential(ctx, it, a, v)
			}
		case *event.AccountDisabled:
			if !it.superseded(n, e.last.disabled[name], e.items) {
				err = e.disable(ctx, it, a, v)
			}
		case *event.AccountDeleted:
			it.skip("nothing is deleted")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) createAccount(ctx context.Context, it *item, a *account, v *event.AccountCreated) error {
	if a.there {
		it.already++
		return nil
	}
	ok, err := e.do(ctx, it, func() error { return e.store.CreateAccount(ctx, e.id, a.name, v.Credential) })
	if !ok || err != nil {
		return err
	}
	it.applied++
	if !e.dry {
		return e.refresh(ctx, a)
	}
	a.there, a.credential = true, v.Credential
	inbox := &box{account: a, name: mailstore.Inbox, guids: map[event.GUID]uint32{}, added: map[event.GUID]uint32{}}
	a.boxes, a.names = map[event.MailboxID]*box{}, map[string]*box{mailstore.Inbox: inbox}
	return nil
}

// noAccount tells that an account is not there.
func (it *item) noAccount(a *account) bool {
	if !a.there {
		it.skip("the account is not there")
	}
	return !a.there
}

func (e *engine) setCredential(ctx context.Context, it *item, a *account, v *event.CredentialSet) error {
	switch {
	case it.noAccount(a):
		return nil
	case reflect.DeepEqual(a.credential, v.Credential):
		it.already++
		return nil
	}
	ok, err := e.do(ctx, it, func() error { return e.store.SetCredential(ctx, e.id, a.name, v.Credential) })
	if ok {
		it.applied++
		a.credential = v.Credential
	}
	return err
}

// disable bars an account. To let one in again is left to a person: it may have been barred since for another reason.
func (e *engine) disable(ctx context.Context, it *item, a *account, v *event.AccountDisabled) error {
	switch {
	case it.noAccount(a):
		return nil
	case a.disabled == v.Disabled:
		it.already++
		return nil
	case !v.Disabled:
		it.skip("the account stays barred")
		return nil
	}
	ok, err := e.do(ctx, it, func() error { return e.store.DisableAccount(ctx, e.id, a.name, true) })
	if ok {
		it.applied++
		a.disabled = true
	}
	return err
}

// taken says which other mailbox of the account has one of the special uses.
func (a *account) taken(uses []string, but *box) *box {
	for _, name := range slices.Sorted(maps.Keys(a.names)) {
		b := a.names[name]
		if b != but && slices.ContainsFunc(b.uses, func(u string) bool { return slices.Contains(uses, u) }) {
			return b
		}
	}
	return nil
}
