package mailstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Account reads an account: ErrNoAccount when there is none. Anybody may ask: it is what a login needs.
func (s *Store) Account(_ context.Context, name string) (*state.Account, error) {
	a, err := state.GetAccount(s.shardOf(name).Replica.Reader(), name)
	if err != nil {
		return nil, fmt.Errorf("read account %s: %w", name, err)
	}
	if a == nil || a.Deleted {
		return nil, fmt.Errorf("%w: %s", ErrNoAccount, name)
	}
	return a, nil
}

// Accounts lists all accounts in order of their names.
func (s *Store) Accounts(_ context.Context, id Identity) ([]*state.Account, error) {
	if err := id.mayAdminister(); err != nil {
		return nil, err
	}
	var list []*state.Account
	for _, sh := range s.shards {
		err := state.ScanAccounts(sh.Replica.Reader(), func(a *state.Account) (bool, error) {
			if !a.Deleted {
				list = append(list, a)
			}
			return true, nil
		})
		if err != nil {
			return nil, fmt.Errorf("list accounts: %w", err)
		}
	}
	slices.SortFunc(list, func(a, b *state.Account) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// CreateAccount makes an account with an INBOX and the default mailboxes. The name must be canonical.
func (s *Store) CreateAccount(ctx context.Context, id Identity, name string, cred event.Credential) error {
	_, err := perform(ctx, s, opCreateAccount, id, credentialRequest{onAccount{name}, cred}, (*write).createAccount)
	return err
}

type credentialRequest struct {
	onAccount
	Credential event.Credential `cbor:"2,keyasint"`
}

func (w *write) createAccount(ctx context.Context, req credentialRequest) (nothing, error) {
	if err := w.lock(ctx, req.Account); err != nil {
		return nothing{}, err
	}
	events, err := w.decideAccount(req)
	if err != nil {
		w.end()
		return nothing{}, err
	}
	return nothing{}, w.commit(ctx, events...)
}

func (w *write) decideAccount(req credentialRequest) ([]event.Event, error) {
	name := req.Account
	old, err := state.GetAccount(w.reader(), name)
	if err == nil && old != nil && !old.Deleted {
		err = fmt.Errorf("%w: %s", ErrAccountExists, name)
	}
	if err != nil {
		return nil, err
	}
	if old == nil {
		old = &state.Account{Name: name}
	}
	events := []event.Event{&event.AccountCreated{Account: name, Credential: req.Credential}}
	t := &tree{account: old, now: w.now}
	for _, m := range append([]NewMailbox{{Name: Inbox}}, w.s.opts.DefaultMailboxes...) {
		created, err := t.create(m.Name, m.SpecialUse)
		if err != nil {
			return nil, fmt.Errorf("default mailbox %q: %w", m.Name, err)
		}
		events = append(events, created)
		if m.Subscribe {
			events = append(events, &event.SubscriptionSet{Account: name, Name: m.Name, Subscribed: true, Modseq: t.modseq()})
		}
	}
	return events, nil
}

// SetCredential replaces an account's credential.
func (s *Store) SetCredential(ctx context.Context, id Identity, name string, cred event.Credential) error {
	_, err := perform(ctx, s, opSetCredential, id, credentialRequest{onAccount{name}, cred}, (*write).setCredential)
	return err
}

func (w *write) setCredential(ctx context.Context, req credentialRequest) (nothing, error) {
	return w.changeAccount(ctx, req.Account, func(*state.Account) event.Event {
		return &event.CredentialSet{Account: req.Account, Credential: req.Credential}
	})
}

// DisableAccount bars an account from logging in, or lets it in again.
func (s *Store) DisableAccount(ctx context.Context, id Identity, name string, disabled bool) error {
	_, err := perform(ctx, s, opDisableAccount, id, disableRequest{onAccount{name}, disabled}, (*write).disableAccount)
	return err
}

type disableRequest struct {
	onAccount
	Disabled bool `cbor:"2,keyasint"`
}

func (w *write) disableAccount(ctx context.Context, req disableRequest) (nothing, error) {
	return w.changeAccount(ctx, req.Account, func(a *state.Account) event.Event {
		if a.Disabled == req.Disabled {
			return nil
		}
		return &event.AccountDisabled{Account: req.Account, Disabled: req.Disabled}
	})
}

// DeleteAccount removes an account with all its mail.
func (s *Store) DeleteAccount(ctx context.Context, id Identity, name string) error {
	_, err := perform(ctx, s, opDeleteAccount, id, onAccount{name}, (*write).deleteAccount)
	return err
}

func (w *write) deleteAccount(ctx context.Context, req onAccount) (nothing, error) {
	return w.changeAccount(ctx, req.Account, func(*state.Account) event.Event { return &event.AccountDeleted{Account: req.Account} })
}

// changeAccount appends one event about an account that exists; a nil event changes nothing.
func (w *write) changeAccount(ctx context.Context, name string, decide func(*state.Account) event.Event) (nothing, error) {
	if err := w.lock(ctx, name); err != nil {
		return nothing{}, err
	}
	a, err := w.s.Account(ctx, name)
	if err != nil {
		w.end()
		return nothing{}, err
	}
	e := decide(a)
	if e == nil {
		w.end()
		return nothing{}, nil
	}
	return nothing{}, w.commit(ctx, e)
}
