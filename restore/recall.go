package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/replica/state"
)

// Found is where messages with a Message-ID are.
type Found struct {
	Account  string   `json:"account"`
	Mailbox  string   `json:"mailbox"`
	UIDs     string   `json:"uids"`
	Messages int      `json:"messages"`
	GUIDs    []string `json:"guids"`

	uids event.UIDSet
}

// FindMessage looks for a Message-ID, with or without its angle brackets, in every mailbox of all accounts, or of those named. The identity must
// be one that may act on all accounts.
func FindMessage(ctx context.Context, store *mailstore.Store, id mailstore.Identity, messageID string, accounts ...string) ([]Found, error) {
	if messageID = strings.TrimSpace(messageID); messageID == "" {
		return nil, fmt.Errorf("%w: no Message-ID", ErrOptions)
	}
	if !strings.HasPrefix(messageID, "<") {
		messageID = "<" + messageID + ">"
	}
	if len(accounts) == 0 {
		all, err := store.Accounts(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, a := range all {
			accounts = append(accounts, a.Name)
		}
	}
	var list []Found
	for _, account := range accounts {
		boxes, err := store.Mailboxes(ctx, id, account)
		if err != nil {
			return nil, err
		}
		for _, b := range boxes {
			f, err := findIn(ctx, store, id, account, b.Name, messageID)
			if errors.Is(err, mailstore.ErrNoMailbox) { // deleted meanwhile
				continue
			}
			if err != nil {
				return nil, err
			}
			if f.Messages > 0 {
				list = append(list, f)
			}
		}
	}
	return list, nil
}

func findIn(ctx context.Context, store *mailstore.Store, id mailstore.Identity, account, mailbox, messageID string) (Found, error) {
	f := Found{Account: account, Mailbox: mailbox}
	b, err := store.Open(ctx, id, account, mailbox, true)
	if err != nil {
		return f, err
	}
	defer b.Close()
	err = b.Messages(1, 1<<32-1, func(m state.Message) (bool, error) {
		ids, err := messageIDs(m.Structure)
		if err != nil {
			return false, fmt.Errorf("message %d of %q of %s: %w", m.UID, mailbox, account, err)
		}
		if slices.Contains(ids, messageID) {
			f.uids = f.uids.Add(m.UID)
			if guid := m.GUID.String(); !slices.Contains(f.GUIDs, guid) {
				f.GUIDs = append(f.GUIDs, guid)
			}
		}
		return ctx.Err() == nil, ctx.Err()
	})
	f.UIDs, f.Messages = f.uids.String(), f.uids.Len()
	return f, err
}

// Recall takes the messages that FindMessage found out of their mailboxes, and says how many. A restore brings them back.
func Recall(ctx context.Context, store *mailstore.Store, id mailstore.Identity, found []Found) (int, error) {
	id.Service = "recall"
	n := 0
	for _, f := range found {
		b, err := store.Open(ctx, id, f.Account, f.Mailbox, false)
		if errors.Is(err, mailstore.ErrNoMailbox) {
			continue
		}
		if err != nil {
			return n, err
		}
		err = expunge(ctx, b, f.uids)
		b.Close()
		if err != nil {
			return n, fmt.Errorf("recall from %q of %s: %w", f.Mailbox, f.Account, err)
		}
		n += f.Messages
	}
	return n, nil
}
