package mailstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// NewMessage is a message to append.
type NewMessage struct {
	Body         *Body     `cbor:"1,keyasint"`
	Flags        []string  `cbor:"2,keyasint,omitempty"` // system flags and keywords
	InternalDate time.Time `cbor:"3,keyasint"`           // in whole seconds; zero: now
}

// Appended says which UIDs appended messages got: First and those after it, in order (RFC 4315).
type Appended struct {
	Mailbox     event.MailboxID `cbor:"1,keyasint"`
	UIDValidity uint32          `cbor:"2,keyasint"`
	First       uint32          `cbor:"3,keyasint"`
	Count       int             `cbor:"4,keyasint"`
}

// Append puts messages into a mailbox: all or none (RFC 3502).
func (s *Store) Append(ctx context.Context, id Identity, account, mailbox string, msgs []NewMessage) (Appended, error) {
	return perform(ctx, s, opAppend, id, appendRequest{onMail{account}, mailbox, msgs}, (*write).appendMessages)
}

type appendRequest struct {
	onMail
	Mailbox  string       `cbor:"2,keyasint"`
	Messages []NewMessage `cbor:"3,keyasint"`
}

// slim sends ahead what is too much for one request.
func (r appendRequest) slim(ctx context.Context, s *Store, id Identity) error {
	size := 0
	for _, m := range r.Messages {
		if size += m.Body.weight(); size <= requestBytes {
			continue
		}
		if err := s.Stash(ctx, id, r.Account, m.Body); err != nil {
			return err
		}
		size -= m.Body.weight()
	}
	return nil
}

func (r appendRequest) valid(s *Store) error {
	if len(r.Messages) == 0 {
		return fmt.Errorf("%w: no messages", errRequest)
	}
	for _, m := range r.Messages {
		if err := m.Body.verify(s); err != nil {
			return err
		}
	}
	return r.onMail.valid(s)
}

func (w *write) appendMessages(ctx context.Context, req appendRequest) (Appended, error) {
	if err := w.lock(ctx, req.Account); err != nil {
		return Appended{}, err
	}
	e, m, err := w.decideAppend(req.Account, req.Mailbox, req.Messages)
	var events []event.Event
	if err == nil {
		events, err = w.bodies(ctx, bodiesOf(req.Messages))
	}
	if err != nil {
		w.end()
		return Appended{}, err
	}
	if err := w.commit(ctx, append(events, e)...); err != nil {
		return Appended{}, err
	}
	return Appended{Mailbox: m.ID, UIDValidity: m.UIDValidity, First: e.Messages[0].UID, Count: len(req.Messages)}, nil
}

func bodiesOf(msgs []NewMessage) []*Body {
	list := make([]*Body, len(msgs))
	for i := range msgs {
		list[i] = msgs[i].Body
	}
	return list
}

func (w *write) decideAppend(account, mailbox string, msgs []NewMessage) (*event.MessagesAppended, *state.Mailbox, error) {
	a, m, err := w.openMailbox(account, mailbox)
	if err != nil {
		return nil, nil, err
	}
	if uint64(m.FirstUID())+uint64(len(msgs)) > lastUID {
		return nil, nil, fmt.Errorf("%w: mailbox %q has no UIDs left", ErrLimit, m.Name)
	}
	e := &event.MessagesAppended{Account: account, Mailbox: m.ID, Modseq: a.Modseq + 1}
	keywords := newKeywords(m)
	for i, n := range msgs {
		flags, err := keywords.clean(n.Flags)
		if err != nil {
			return nil, nil, err
		}
		date := n.InternalDate
		if date.IsZero() {
			date = w.now
		}
		e.Messages = append(e.Messages, event.Message{
			UID: m.FirstUID() + uint32(i), GUID: n.Body.GUID, InternalDate: date.Unix(), SaveDate: w.now.Unix(), Flags: flags,
		})
	}
	return e, m, nil
}

// openMailbox reads an account and one of its mailboxes.
func (w *write) openMailbox(account, name string) (*state.Account, *state.Mailbox, error) {
	a, err := state.GetAccount(w.reader(), account)
	if err != nil {
		return nil, nil, err
	}
	if a == nil || a.Deleted {
		return nil, nil, fmt.Errorf("%w: %s", ErrNoAccount, account)
	}
	clean, err := CleanName(name)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %q", ErrNoMailbox, name)
	}
	m, err := state.LookupMailbox(w.reader(), account, clean)
	if err == nil && m == nil {
		err = fmt.Errorf("%w: %q", ErrNoMailbox, clean)
	}
	return a, m, err
}

// keywords is a mailbox's table of keywords while a write decides what is added to it.
type keywords struct{ names []string }

func newKeywords(m *state.Mailbox) *keywords {
	return &keywords{m.Keywords[:len(m.Keywords):len(m.Keywords)]}
}

// MaxKeywordBytes bounds the length of a keyword.
const MaxKeywordBytes = 100

// clean gives flags in the spelling the mailbox knows, without doubles. \Recent is left out: no client can set it.
func (k *keywords) clean(flags []string) ([]string, error) {
	var set state.Flags
	for _, f := range flags {
		if strings.EqualFold(f, `\Recent`) {
			continue
		}
		bit, ok := state.FlagBit(k.names, f)
		if !ok {
			switch {
			case strings.HasPrefix(f, `\`):
				return nil, fmt.Errorf("%w: unknown system flag %s", ErrNotAllowed, f)
			case len(f) > MaxKeywordBytes:
				return nil, fmt.Errorf("%w: keyword longer than %d bytes", ErrLimit, MaxKeywordBytes)
			case len(k.names) >= state.MaxKeywords:
				return nil, fmt.Errorf("%w: the mailbox has %d keywords", ErrLimit, len(k.names))
			}
			k.names = append(k.names, f)
			bit, _ = state.FlagBit(k.names, f)
		}
		set = set.With(bit)
	}
	return set.Names(k.names), nil
}
