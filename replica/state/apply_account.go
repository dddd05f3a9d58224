package state

import (
	"fmt"

	"angarium/eventlog/event"
)

func (w *work) accountCreated(e *event.AccountCreated) error {
	k, err := w.keptAccount(e.Account)
	if err != nil {
		return err
	}
	if k.row == nil {
		k.row = &Account{Name: e.Account}
	} else if !k.row.Deleted {
		return fmt.Errorf("%w: account %q exists", ErrDiverged, e.Account)
	}
	a := k.row
	a.Credential, a.Deleted, a.Disabled, a.Created = e.Credential, false, false, w.meta.Time
	k.dirty = true
	w.changes = append(w.changes, Change{Account: e.Account})
	return nil
}

func (w *work) credentialSet(e *event.CredentialSet) error {
	if err := w.open(e.Account); err != nil {
		return err
	}
	w.account.Credential = e.Credential
	w.changes = append(w.changes, Change{Account: e.Account})
	return nil
}

func (w *work) accountDisabled(e *event.AccountDisabled) error {
	if err := w.open(e.Account); err != nil {
		return err
	}
	w.account.Disabled = e.Disabled
	w.changes = append(w.changes, Change{Account: e.Account})
	return nil
}

func (w *work) accountDeleted(e *event.AccountDeleted) error {
	if err := w.Flush(); err != nil { // which makes all mailboxes of the account readable
		return err
	}
	if err := w.open(e.Account); err != nil {
		return err
	}
	list, err := Mailboxes(w.tx, e.Account)
	if err != nil {
		return err
	}
	for _, row := range list {
		b, err := w.openBox(row.ID)
		if err != nil {
			return err
		}
		if err := w.dropMailbox(b); err != nil {
			return err
		}
	}
	names, err := Subscriptions(w.tx, e.Account)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := w.remove(keyNamed(tableSubscription, e.Account, n)); err != nil {
			return err
		}
	}
	w.account.Deleted, w.account.Disabled, w.account.Credential = true, false, event.Credential{}
	w.changes = append(w.changes, Change{Account: e.Account})
	return nil
}
