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

// message is what a restore compares of a message.
type message struct {
	uid   uint32
	guid  event.GUID
	flags []string
	date  int64 // seconds since 1970
}

// flagKey is a text that is equal for equal sets of flags: case does not matter in them, nor their order.
func flagKey(flags []string) string {
	lower := make([]string, len(flags))
	for i, f := range flags {
		lower[i] = strings.ToLower(f)
	}
	slices.Sort(lower)
	return strings.Join(lower, " ")
}

// box is a mailbox as it was, or is.
type box struct {
	row  *state.Mailbox
	load func(context.Context) ([]message, error) // its messages by ascending UID
}

// account is an account as it was, or is.
type account struct {
	row   *state.Account // nil: there is none
	boxes []*box         // in order of their names
	subs  []string       // in order
}

func (a *account) byName(name string) *box {
	for _, b := range a.boxes {
		if b.row.Name == name {
			return b
		}
	}
	return nil
}

func (a *account) byID(id event.MailboxID) *box {
	for _, b := range a.boxes {
		if b.row.ID == id {
			return b
		}
	}
	return nil
}

// account gives the account as it is in the scratch state.
func (s *scratch) account(name string) (*account, error) {
	row, err := state.GetAccount(s.tx, name)
	if err != nil || row == nil || row.Deleted {
		return &account{}, err
	}
	a := &account{row: row}
	if a.subs, err = state.Subscriptions(s.tx, name); err != nil {
		return nil, err
	}
	rows, err := state.Mailboxes(s.tx, name)
	for _, row := range rows {
		a.boxes = append(a.boxes, &box{row: row, load: func(context.Context) ([]message, error) { return s.messages(row) }})
	}
	return a, err
}

// messages gives the messages of a mailbox in the scratch state.
func (s *scratch) messages(row *state.Mailbox) ([]message, error) {
	var list []message
	err := state.ScanPages(s.tx, row.ID, func(_ uint32, p state.Page) (bool, error) {
		for _, l := range p {
			list = append(list, message{uid: l.UID, flags: l.Flags.Names(row.Keywords)})
		}
		return true, nil
	})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	i := 0
	err = state.ScanMessages(s.tx, row.ID, list[0].uid, list[len(list)-1].uid, func(m state.Message) (bool, error) {
		for i < len(list) && list[i].uid < m.UID {
			i++
		}
		if i < len(list) && list[i].uid == m.UID {
			list[i].guid, list[i].date = m.GUID, m.InternalDate
		}
		return true, nil
	})
	return list, err
}

// liveAccount reads an account as it is now.
func liveAccount(ctx context.Context, store *mailstore.Store, id mailstore.Identity, name string) (*account, error) {
	row, err := store.Account(ctx, name)
	if errors.Is(err, mailstore.ErrNoAccount) {
		return &account{}, nil
	}
	if err != nil {
		return nil, err
	}
	a := &account{row: row}
	if a.subs, err = store.Subscriptions(ctx, id, name); err != nil {
		return nil, err
	}
	rows, err := store.Mailboxes(ctx, id, name)
	for _, row := range rows {
		a.boxes = append(a.boxes, &box{row: row, load: func(ctx context.Context) ([]message, error) {
			return liveMessages(ctx, store, id, name, row.Name)
		}})
	}
	return a, err
}

func liveMessages(ctx context.Context, store *mailstore.Store, id mailstore.Identity, account, mailbox string) ([]message, error) {
	b, err := store.Open(ctx, id, account, mailbox, true)
	if err != nil {
		return nil, fmt.Errorf("read mailbox %q: %w", mailbox, err)
	}
	defer b.Close()
	snap := b.Snapshot()
	list := make([]message, 0, snap.List.Len())
	for _, l := range snap.List.All() {
		list = append(list, message{uid: l.UID, flags: l.Flags.Names(snap.Mailbox.Keywords)})
	}
	if len(list) == 0 {
		return nil, nil
	}
	i, found := 0, make([]bool, len(list))
	err = b.Messages(list[0].uid, list[len(list)-1].uid, func(m state.Message) (bool, error) {
		for i < len(list) && list[i].uid < m.UID {
			i++
		}
		if i < len(list) && list[i].uid == m.UID {
			list[i].guid, list[i].date, found[i] = m.GUID, m.InternalDate, true
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read mailbox %q: %w", mailbox, err)
	}
	kept := list[:0]
	for i := range list { // without those that were expunged since the snapshot
		if found[i] {
			kept = append(kept, list[i])
		}
	}
	return kept, nil
}
