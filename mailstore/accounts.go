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
	if err := id.mayAdminister(); err != nil {
		return err
	}
	w, err := s.begin(ctx, id, name)
	if err != nil {
		return err
	}
	old, err := state.GetAccount(w.reader(), name)
	if err == nil && old != nil && !old.Deleted {
		err = fmt.Errorf("%w: %s", ErrAccountExists, name)
	}
	if err != nil {
		w.end()
		return err
	}
	if old == nil {
		old = &state.Account{Name: name}
	}
	events := []event.Event{&event.AccountCreated{Account: name, Credential: cred}}
	t := &tree{account: old, now: w.now}
	for _, m := range append([]NewMailbox{{Name: Inbox}}, s.opts.DefaultMailboxes...) {
		created, err := t.create(m.Name, m.SpecialUse)
		if err != nil {
			w.end()
			return fmt.Errorf("default mailbox %q: %w", m.Name, err)
		}
		events = append(events, created)
		if m.Subscribe {
			events = append(events, &event.SubscriptionSet{Account: name, Name: m.Name, Subscribed: true, Modseq: t.modseq()})
		}
	}
	return w.commit(ctx, events...)
}

// SetCredential replaces an account's credential.
func (s *Store) SetCredential(ctx context.Context, id Identity, name string, cred event.Credential) error {
	return s.changeAccount(ctx, id, name, func(*state.Account) event.Event {
		return &event.CredentialSet{Account: name, Credential: cred}
	})
}

// DisableAccount bars an account from logging in, or lets it in again.
func (s *Store) DisableAccount(ctx context.Context, id Identity, name string, disabled bool) error {
	return s.changeAccount(ctx, id, name, func(a *state.Account) event.Event {
		if a.Disabled == disabled {
			return nil
		}
		return &event.AccountDisabled{Account: name, Disabled: disabled}
	})
}

// DeleteAccount removes an account with all its mail.
func (s *Store) DeleteAccount(ctx context.Context, id Identity, name string) error {
	return s.changeAccount(ctx, id, name, func(*state.Account) event.Event { return &event.AccountDeleted{Account: name} })
}

// changeAccount appends one event about an account that exists; a nil event changes nothing.
func (s *Store) changeAccount(ctx context.Context, id Identity, name string, decide func(*state.Account) event.Event) error {
	if err := id.mayAdminister(); err != nil {
		return err
	}
	w, err := s.begin(ctx, id, name)
	if err != nil {
		return err
	}
	a, err := s.Account(ctx, name)
	if err != nil {
		w.end()
		return err
	}
	e := decide(a)
	if e == nil {
		w.end()
		return nil
	}
	return w.commit(ctx, e)
}
