package mailstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// SpecialUses are the attributes of RFC 6154 that a mailbox can have.
var specialUses = []string{`\All`, `\Archive`, `\Drafts`, `\Flagged`, `\Junk`, `\Sent`, `\Trash`}

// SpecialUses lists the special uses that a mailbox can have.
func SpecialUses() []string { return slices.Clone(specialUses) }

// NewMailbox says how a mailbox is to be made.
type NewMailbox struct {
	Name       string   `cbor:"1,keyasint"`
	SpecialUse []string `cbor:"2,keyasint,omitempty"`
	Subscribe  bool     `cbor:"3,keyasint,omitempty"`
	// ID makes a mailbox that was deleted from the account come back, empty, under its id: ErrMailboxExists when there is one of that id. It has
	// the UIDVALIDITY it had as long as the store knows which UIDs were given in it, none of which is given again; or else a new one. Only
	// administrators may name an id.
	ID event.MailboxID `cbor:"4,keyasint,omitzero"`
}

// tree is an account's mailboxes while a write decides what becomes of them.
type tree struct {
	account *state.Account
	boxes   []*state.Mailbox // in order of their names
	now     time.Time
}

// openTree reads an account's mailboxes; the account must exist.
func (w *write) openTree(account string) (*tree, error) {
	a, err := state.GetAccount(w.reader(), account)
	if err != nil {
		return nil, err
	}
	if a == nil || a.Deleted {
		return nil, fmt.Errorf("%w: %s", ErrNoAccount, account)
	}
	boxes, err := state.Mailboxes(w.reader(), account)
	if err != nil {
		return nil, err
	}
	return &tree{a, boxes, w.now}, nil
}

func (t *tree) find(name string) *state.Mailbox {
	k, ok := slices.BinarySearchFunc(t.boxes, name, func(m *state.Mailbox, n string) int { return strings.Compare(m.Name, n) })
	if !ok {
		return nil
	}
	return t.boxes[k]
}

// modseq gives the account's next modseq.
func (t *tree) modseq() uint64 {
	t.account.Modseq++
	return t.account.Modseq
}

// again decides on a mailbox that comes back. Its name must be free.
func (t *tree) again(r state.Reader, m NewMailbox) (*event.MailboxCreated, error) {
	there, err := state.GetMailbox(r, m.ID)
	if err == nil && there != nil {
		err = fmt.Errorf("%w: its id is that of %q", ErrMailboxExists, there.Name)
	}
	if err != nil {
		return nil, err
	}
	grave, err := state.GetGrave(r, t.account.Name, m.ID)
	if err != nil {
		return nil, err
	}
	e, err := t.create(m.Name, m.SpecialUse)
	if err != nil {
		return nil, err
	}
	e.Mailbox = m.ID
	if grave != nil {
		e.UIDValidity, e.UIDNext = grave.UIDValidity, grave.UIDNext
	}
	return e, nil
}

// create decides on a new mailbox, whose name must be free.
func (t *tree) create(name string, uses []string) (*event.MailboxCreated, error) {
	for _, u := range uses {
		if !slices.Contains(specialUses, u) {
			return nil, fmt.Errorf("%w: unknown use %s", ErrSpecialUse, u)
		}
		for _, m := range t.boxes {
			if slices.Contains(m.SpecialUse, u) {
				return nil, fmt.Errorf("%w: %s is %q", ErrSpecialUse, u, m.Name)
			}
		}
	}
	// UIDVALIDITY is the time in seconds, pushed on when two mailboxes are made within one: it never comes twice in an account.
	t.account.UIDValidity = max(uint32(t.now.Unix()), t.account.UIDValidity+1)
	return &event.MailboxCreated{
		Account: t.account.Name, Mailbox: newMailboxID(), Name: name,
		UIDValidity: t.account.UIDValidity, Modseq: t.modseq(), SpecialUse: uses,
	}, nil
}

func newMailboxID() (id event.MailboxID) {
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	return id
}

// changeTree decides on an account's mailboxes and commits the events that decide returns; none changes nothing.
func (w *write) changeTree(ctx context.Context, account string, decide func(*tree) ([]event.Event, error)) error {
	if err := w.lock(ctx, account); err != nil {
		return err
	}
	t, err := w.openTree(account)
	var events []event.Event
	if err == nil {
		events, err = decide(t)
	}
	if err != nil || len(events) == 0 {
		w.end()
		return err
	}
	return w.commit(ctx, events...)
}

// CreateMailbox makes a mailbox and returns its id. Its superiors need not exist.
func (s *Store) CreateMailbox(ctx context.Context, id Identity, account string, m NewMailbox) (event.MailboxID, error) {
	name, err := CleanName(m.Name)
	if err != nil {
		return event.MailboxID{}, err
	}
	m.Name = name
	return perform(ctx, s, opCreateMailbox, id, createRequest{onMail{account}, m}, (*write).createMailbox)
}

type createRequest struct {
	onMail
	New NewMailbox `cbor:"2,keyasint"`
}

func (r createRequest) permitted(id Identity) error {
	if !r.New.ID.IsZero() {
		return id.mayAdminister()
	}
	return r.onMail.permitted(id)
}

func (r createRequest) valid(s *Store) error {
	return errors.Join(r.onMail.valid(s), validName(r.New.Name))
}

func (w *write) createMailbox(ctx context.Context, req createRequest) (event.MailboxID, error) {
	var made event.MailboxID
	name := req.New.Name
	err := w.changeTree(ctx, req.Account, func(t *tree) ([]event.Event, error) {
		if t.find(name) != nil {
			return nil, fmt.Errorf("%w: %q", ErrMailboxExists, name)
		}
		if len(t.boxes) >= w.s.opts.MaxMailboxes {
			return nil, fmt.Errorf("%w: %d mailboxes", ErrLimit, len(t.boxes))
		}
		var created *event.MailboxCreated
		var err error
		if req.New.ID.IsZero() {
			created, err = t.create(name, req.New.SpecialUse)
		} else {
			created, err = t.again(w.reader(), req.New)
		}
		if err != nil {
			return nil, err
		}
		made = created.Mailbox
		events := []event.Event{created}
		if req.New.Subscribe {
			events = append(events, &event.SubscriptionSet{Account: req.Account, Name: name, Subscribed: true, Modseq: t.modseq()})
		}
		return events, nil
	})
	return made, err
}

// DeleteMailbox removes a mailbox with its messages. Mailboxes below it stay (RFC 9051, section 6.3.5).
func (s *Store) DeleteMailbox(ctx context.Context, id Identity, account, name string) error {
	name, err := CleanName(name)
	if err != nil {
		return err
	}
	_, err = perform(ctx, s, opDeleteMailbox, id, nameRequest{onMail{account}, name}, (*write).deleteMailbox)
	return err
}

type nameRequest struct {
	onMail
	Name string `cbor:"2,keyasint"`
}

func (r nameRequest) valid(s *Store) error { return errors.Join(r.onMail.valid(s), validName(r.Name)) }

func (w *write) deleteMailbox(ctx context.Context, req nameRequest) (nothing, error) {
	return nothing{}, w.changeTree(ctx, req.Account, func(t *tree) ([]event.Event, error) {
		m := t.find(req.Name)
		if m == nil {
			return nil, fmt.Errorf("%w: %q", ErrNoMailbox, req.Name)
		}
		if req.Name == Inbox {
			return nil, fmt.Errorf("%w: INBOX cannot be deleted", ErrNotAllowed)
		}
		return []event.Event{&event.MailboxDeleted{Account: req.Account, Mailbox: m.ID, Modseq: t.modseq()}}, nil
	})
}

// RenameMailbox gives a mailbox and all below it new names. Renaming INBOX moves its messages into a new mailbox and leaves
// INBOX, and what is below it, where they are (RFC 9051, section 6.3.6).
func (s *Store) RenameMailbox(ctx context.Context, id Identity, account, from, to string) error {
	from, err := CleanName(from)
	if err != nil {
		return err
	}
	if to, err = CleanName(to); err != nil {
		return err
	}
	_, err = perform(ctx, s, opRenameMailbox, id, renameRequest{onMail{account}, from, to}, (*write).renameMailbox)
	return err
}

type renameRequest struct {
	onMail
	From string `cbor:"2,keyasint"`
	To   string `cbor:"3,keyasint"`
}

func (r renameRequest) valid(s *Store) error {
	return errors.Join(r.onMail.valid(s), validName(r.From), validName(r.To))
}

func (w *write) renameMailbox(ctx context.Context, req renameRequest) (nothing, error) {
	from, to := req.From, req.To
	return nothing{}, w.changeTree(ctx, req.Account, func(t *tree) ([]event.Event, error) {
		if t.find(to) != nil {
			return nil, fmt.Errorf("%w: %q", ErrMailboxExists, to)
		}
		if from == Inbox {
			return t.moveInbox(w.s, to)
		}
		if strings.HasPrefix(to, from+Separator) {
			return nil, fmt.Errorf("%w: %q lies within %q", ErrNotAllowed, to, from)
		}
		return t.rename(from, to)
	})
}

func (t *tree) rename(from, to string) ([]event.Event, error) {
	e := &event.MailboxRenamed{Account: t.account.Name, Modseq: t.modseq()}
	for _, m := range t.boxes {
		rest, ok := strings.CutPrefix(m.Name, from)
		if !ok || (rest != "" && !strings.HasPrefix(rest, Separator)) {
			continue
		}
		name, err := CleanName(to + rest)
		if err != nil {
			return nil, err
		}
		if other := t.find(name); other != nil && !strings.HasPrefix(other.Name+Separator, from+Separator) {
			return nil, fmt.Errorf("%w: %q", ErrMailboxExists, name)
		}
		e.Renames = append(e.Renames, event.Rename{Mailbox: m.ID, Name: name})
	}
	if len(e.Renames) == 0 {
		return nil, fmt.Errorf("%w: %q", ErrNoMailbox, from)
	}
	return []event.Event{e}, nil
}

func (t *tree) moveInbox(s *Store, to string) ([]event.Event, error) {
	inbox := t.find(Inbox)
	if inbox == nil {
		return nil, fmt.Errorf("%w: INBOX", ErrNoMailbox)
	}
	if len(t.boxes) >= s.opts.MaxMailboxes {
		return nil, fmt.Errorf("%w: %d mailboxes", ErrLimit, len(t.boxes))
	}
	created, err := t.create(to, nil)
	if err != nil || inbox.Messages == 0 {
		return []event.Event{created}, err
	}
	var uids event.UIDSet
	err = state.ScanPages(s.shardOf(t.account.Name).Replica.Reader(), inbox.ID, func(_ uint32, p state.Page) (bool, error) {
		for _, l := range p {
			uids = uids.Add(l.UID)
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	moved := &event.MessagesMoved{
		Account: t.account.Name, Source: inbox.ID, SourceUIDs: uids, Dest: created.Mailbox, FirstUID: 1,
		Modseq: t.modseq(), SaveDate: t.now.Unix(),
	}
	return []event.Event{created, moved}, nil
}

// Subscribe adds a name to the account's subscriptions or removes it. The mailbox need not exist.
func (s *Store) Subscribe(ctx context.Context, id Identity, account, name string, subscribed bool) error {
	name, err := CleanName(name)
	if err != nil {
		return err
	}
	req := subscribeRequest{nameRequest{onMail{account}, name}, subscribed}
	_, err = perform(ctx, s, opSubscribe, id, req, (*write).subscribe)
	return err
}

type subscribeRequest struct {
	nameRequest
	Subscribed bool `cbor:"3,keyasint"`
}

func (w *write) subscribe(ctx context.Context, req subscribeRequest) (nothing, error) {
	return nothing{}, w.changeTree(ctx, req.Account, func(t *tree) ([]event.Event, error) {
		names, err := state.Subscriptions(w.reader(), req.Account)
		if err != nil || slices.Contains(names, req.Name) == req.Subscribed {
			return nil, err
		}
		if req.Subscribed && len(names) >= 2*w.s.opts.MaxMailboxes {
			return nil, fmt.Errorf("%w: %d subscriptions", ErrLimit, len(names))
		}
		e := &event.SubscriptionSet{Account: req.Account, Name: req.Name, Subscribed: req.Subscribed, Modseq: t.modseq()}
		return []event.Event{e}, nil
	})
}

// SetSpecialUse replaces the special uses of a mailbox.
func (s *Store) SetSpecialUse(ctx context.Context, id Identity, account, name string, uses []string) error {
	name, err := CleanName(name)
	if err != nil {
		return err
	}
	_, err = perform(ctx, s, opSetSpecialUse, id, useRequest{nameRequest{onMail{account}, name}, uses}, (*write).setSpecialUse)
	return err
}

type useRequest struct {
	nameRequest
	SpecialUse []string `cbor:"3,keyasint,omitempty"`
}

func (w *write) setSpecialUse(ctx context.Context, req useRequest) (nothing, error) {
	return nothing{}, w.changeTree(ctx, req.Account, func(t *tree) ([]event.Event, error) {
		m := t.find(req.Name)
		if m == nil {
			return nil, fmt.Errorf("%w: %q", ErrNoMailbox, req.Name)
		}
		for _, u := range req.SpecialUse {
			if !slices.Contains(specialUses, u) {
				return nil, fmt.Errorf("%w: unknown use %s", ErrSpecialUse, u)
			}
			for _, o := range t.boxes {
				if o.ID != m.ID && slices.Contains(o.SpecialUse, u) {
					return nil, fmt.Errorf("%w: %s is %q", ErrSpecialUse, u, o.Name)
				}
			}
		}
		e := &event.SpecialUseSet{Account: req.Account, Mailbox: m.ID, SpecialUse: req.SpecialUse, Modseq: t.modseq()}
		return []event.Event{e}, nil
	})
}

// Mailboxes lists an account's mailboxes with their summaries, in order of their names.
func (s *Store) Mailboxes(_ context.Context, id Identity, account string) ([]*state.Mailbox, error) {
	if err := id.may(account); err != nil {
		return nil, err
	}
	return state.Mailboxes(s.shardOf(account).Replica.Reader(), account)
}

// Subscriptions lists the names that an account is subscribed to, in order.
func (s *Store) Subscriptions(_ context.Context, id Identity, account string) ([]string, error) {
	if err := id.may(account); err != nil {
		return nil, err
	}
	return state.Subscriptions(s.shardOf(account).Replica.Reader(), account)
}

// Mailbox gives the summary of one mailbox, by name: ErrNoMailbox when there is none.
func (s *Store) Mailbox(_ context.Context, id Identity, account, name string) (*state.Mailbox, error) {
	if err := id.may(account); err != nil {
		return nil, err
	}
	name, err := CleanName(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %q", ErrNoMailbox, name)
	}
	m, err := state.LookupMailbox(s.shardOf(account).Replica.Reader(), account, name)
	if err == nil && m == nil {
		err = fmt.Errorf("%w: %q", ErrNoMailbox, name)
	}
	return m, err
}
