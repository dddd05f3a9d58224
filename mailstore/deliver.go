package mailstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Recipient is where a delivery goes: a mailbox of an account, INBOX when Mailbox is empty or is not there.
type Recipient struct {
	Account string
	Mailbox string
}

// Delivered is what became of one recipient.
type Delivered struct {
	Mailbox     event.MailboxID
	UIDValidity uint32
	UID         uint32
	Err         error // ErrNoAccount, ErrUnavailable …; nil when the message is on disk
}

// Deliver puts one message into a mailbox of each recipient. Within a shard it is one append of one body. A recipient named twice
// gets it once. The results are in the order of the recipients.
func (s *Store) Deliver(ctx context.Context, id Identity, b *Body, to []Recipient) []Delivered {
	results := make([]Delivered, len(to))
	byShard := map[*shard][]int{}
	for i, r := range to {
		if err := id.may(r.Account); err != nil {
			results[i].Err = err
			continue
		}
		sh := s.shardOf(r.Account)
		byShard[sh] = append(byShard[sh], i)
	}
	for _, sh := range s.shards {
		if list := byShard[sh]; len(list) > 0 {
			s.deliverTo(ctx, id, b, to, list, results)
		}
	}
	return results
}

// deliverTo delivers to the recipients list, which are of one shard.
func (s *Store) deliverTo(ctx context.Context, id Identity, b *Body, to []Recipient, list []int, results []Delivered) {
	fail := func(err error) {
		for _, i := range list {
			if results[i].Err == nil {
				results[i].Err = err
			}
		}
	}
	var accounts []string
	for _, i := range list {
		accounts = append(accounts, to[i].Account)
	}
	slices.Sort(accounts)
	w, err := s.begin(ctx, id, slices.Compact(accounts)...)
	if err != nil {
		fail(err)
		return
	}
	events, err := w.bodies(ctx, []*Body{b})
	if err != nil {
		w.end()
		fail(err)
		return
	}
	bodies := len(events)
	events = w.decideDelivery(b, to, list, results, events)
	if len(events) == bodies {
		w.end()
		return
	}
	if err := w.commit(ctx, events...); err != nil {
		fail(err)
	}
}

// decideDelivery gives each recipient's message its UID and adds the events to those there are.
func (w *write) decideDelivery(b *Body, to []Recipient, list []int, results []Delivered, events []event.Event) []event.Event {
	accounts := map[string]*state.Account{}
	done := map[event.MailboxID]Delivered{}
	for _, i := range list {
		m, err := w.findRecipient(accounts, to[i])
		if err != nil {
			results[i].Err = err
			continue
		}
		if twice, ok := done[m.ID]; ok {
			results[i] = twice
			continue
		}
		if m.UIDNext == lastUID {
			results[i].Err = fmt.Errorf("%w: mailbox %q has no UIDs left", ErrLimit, m.Name)
			continue
		}
		a := accounts[to[i].Account]
		a.Modseq++
		results[i] = Delivered{Mailbox: m.ID, UIDValidity: m.UIDValidity, UID: m.UIDNext}
		done[m.ID] = results[i]
		events = append(events, &event.MessagesAppended{
			Account: a.Name, Mailbox: m.ID, Modseq: a.Modseq,
			Messages: []event.Message{{UID: m.UIDNext, GUID: b.GUID, InternalDate: w.now.Unix(), SaveDate: w.now.Unix()}},
		})
	}
	return events
}

// lastUID is never given to a message: UIDNEXT has to be a number of 32 bits too.
const lastUID = 1<<32 - 1

// findRecipient finds the mailbox of a recipient, and reads his account into accounts once.
func (w *write) findRecipient(accounts map[string]*state.Account, to Recipient) (*state.Mailbox, error) {
	if accounts[to.Account] == nil {
		a, err := state.GetAccount(w.reader(), to.Account)
		if err != nil {
			return nil, err
		}
		if a == nil || a.Deleted {
			return nil, fmt.Errorf("%w: %s", ErrNoAccount, to.Account)
		}
		accounts[to.Account] = a
	}
	for _, name := range []string{to.Mailbox, Inbox} {
		if name == "" {
			continue
		}
		m, err := state.LookupMailbox(w.reader(), to.Account, name)
		if m != nil || err != nil {
			return m, err
		}
	}
	return nil, fmt.Errorf("%w: INBOX of %s", ErrNoMailbox, to.Account)
}

// Recipient checks that mail for an account can be delivered: ErrNoAccount when there is none.
func (s *Store) Recipient(ctx context.Context, account string) error {
	_, err := s.Account(ctx, account)
	if err != nil && !errors.Is(err, ErrNoAccount) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
