package mailstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Recipient is where a delivery goes: a mailbox of an account, INBOX when Mailbox is empty or is not there.
type Recipient struct {
	Account string `cbor:"1,keyasint"`
	Mailbox string `cbor:"2,keyasint,omitempty"`
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
//
// A delivery that the primary has made is a success even when this node's replica did not get it in time: who delivers does not read here, and
// a sender that is told to try again would double the message.
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
	var route route
	for {
		err := s.deliverOnce(ctx, id, b, to, list, results)
		if err == nil {
			return
		}
		if !route.again(ctx, s, err) {
			fail(err)
			return
		}
		for _, i := range list {
			results[i] = Delivered{}
		}
	}
}

func (s *Store) deliverOnce(ctx context.Context, id Identity, b *Body, to []Recipient, list []int, results []Delivered) error {
	w, err := s.enter(ctx, id, s.shardOf(to[list[0]].Account))
	if err != nil {
		return err
	}
	if w.remote == nil {
		return w.deliver(ctx, b, to, list, results)
	}
	w.end()
	return w.forwardDelivery(ctx, b, to, list, results)
}

// deliver decides on a delivery and commits it. The error is for all recipients that have none of their own.
func (w *write) deliver(ctx context.Context, b *Body, to []Recipient, list []int, results []Delivered) error {
	var accounts []string
	for _, i := range list {
		accounts = append(accounts, to[i].Account)
	}
	slices.Sort(accounts)
	if err := w.lock(ctx, slices.Compact(accounts)...); err != nil {
		return err
	}
	events, err := w.bodies(ctx, []*Body{b})
	if err != nil {
		w.end()
		return err
	}
	bodies := len(events)
	events = w.decideDelivery(b, to, list, results, events)
	if len(events) == bodies {
		w.end()
		return nil
	}
	return w.commit(ctx, events...)
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
		if m.FirstUID() == lastUID {
			results[i].Err = fmt.Errorf("%w: mailbox %q has no UIDs left", ErrLimit, m.Name)
			continue
		}
		a := accounts[to[i].Account]
		a.Modseq++
		results[i] = Delivered{Mailbox: m.ID, UIDValidity: m.UIDValidity, UID: m.FirstUID()}
		done[m.ID] = results[i]
		events = append(events, &event.MessagesAppended{
			Account: a.Name, Mailbox: m.ID, Modseq: a.Modseq,
			Messages: []event.Message{{UID: m.FirstUID(), GUID: b.GUID, InternalDate: w.now.Unix(), SaveDate: w.now.Unix()}},
		})
	}
	return events
}

// deliverRequest is a delivery to recipients of one shard.
type deliverRequest struct {
	Body *Body       `cbor:"1,keyasint"`
	To   []Recipient `cbor:"2,keyasint"`
}

func (r deliverRequest) shardKey() string { return r.To[0].Account }

func (r deliverRequest) permitted(id Identity) error {
	for _, to := range r.To {
		if err := id.may(to.Account); err != nil {
			return err
		}
	}
	return nil
}

func (r deliverRequest) valid(s *Store) error {
	if len(r.To) == 0 {
		return fmt.Errorf("%w: no recipients", errRequest)
	}
	for _, to := range r.To {
		if err := validAccount(to.Account); err != nil {
			return err
		}
		if s.shardOf(to.Account) != s.shardOf(r.shardKey()) {
			return fmt.Errorf("%w: recipients of several shards", errRequest)
		}
	}
	return r.Body.verify(s)
}

// deliveredTo is a Delivered on its way to another node.
type deliveredTo struct {
	Mailbox     event.MailboxID `cbor:"1,keyasint"`
	UIDValidity uint32          `cbor:"2,keyasint"`
	UID         uint32          `cbor:"3,keyasint"`
	Failure     *failure        `cbor:"4,keyasint,omitempty"`
}

// forwardDelivery has the primary deliver.
func (w *write) forwardDelivery(ctx context.Context, b *Body, to []Recipient, list []int, results []Delivered) error {
	req := deliverRequest{Body: b}
	for _, i := range list {
		req.To = append(req.To, to[i])
	}
	r, err := forward[deliverRequest, []deliveredTo](ctx, w, opDeliver, req)
	if err != nil {
		return err
	}
	if len(r.Result) != len(list) {
		return fmt.Errorf("%w: %w: the primary answered for %d recipients of %d", ErrUnavailable, eventlog.ErrUnknown, len(r.Result), len(list))
	}
	for n, i := range list {
		d := r.Result[n]
		results[i] = Delivered{Mailbox: d.Mailbox, UIDValidity: d.UIDValidity, UID: d.UID, Err: d.Failure.err()}
	}
	return nil
}

// serveDelivery makes a delivery that another node forwarded.
func (w *write) serveDelivery(ctx context.Context, req deliverRequest) ([]deliveredTo, error) {
	list := make([]int, len(req.To))
	for i := range list {
		list[i] = i
	}
	results := make([]Delivered, len(req.To))
	err := w.deliver(ctx, req.Body, req.To, list, results)
	if errors.Is(err, ErrNotPrimary) {
		return nil, err
	}
	if err != nil {
		for i := range results {
			if results[i].Err == nil {
				results[i].Err = err
			}
		}
	}
	answer := make([]deliveredTo, len(results))
	for i, d := range results {
		answer[i] = deliveredTo{Mailbox: d.Mailbox, UIDValidity: d.UIDValidity, UID: d.UID, Failure: failureOf(d.Err)}
	}
	return answer, nil
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
