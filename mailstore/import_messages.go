package mailstore

import (
	"context"
	"fmt"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// ImportedMessage is a message that keeps the UID it had in another store.
type ImportedMessage struct {
	NewMessage
	UID uint32
}

// Import is what is added to a mailbox whose numbers are those of another store.
type Import struct {
	Mailbox     string
	UIDValidity uint32            // the mailbox has to have it
	Messages    []ImportedMessage // by ascending UID, none below the mailbox's UIDNEXT; may be none
	UIDNext     uint32            // the other store's: the mailbox's is not below it afterwards; 0 is not known
	Modseq      uint64            // its HIGHESTMODSEQ: the mailbox's is above it afterwards; 0 is not known
	Recent      bool              // the messages are new to their owner (RFC 3501, section 2.3.2)
}

// ImportMessages adds messages to a mailbox under the UIDs they had in another store: all, or none with ErrNumbers when the UIDs do not fit.
// Without messages it only raises UIDNEXT and HIGHESTMODSEQ to what the other store has given.
func (s *Store) ImportMessages(ctx context.Context, id Identity, account string, im Import) error {
	req := importRequest{
		appendRequest: appendRequest{onMail{account}, im.Mailbox, make([]NewMessage, len(im.Messages))},
		UIDs:          make([]uint32, len(im.Messages)), UIDValidity: im.UIDValidity, UIDNext: im.UIDNext, Modseq: im.Modseq, Recent: im.Recent,
	}
	for i, m := range im.Messages {
		req.Messages[i], req.UIDs[i] = m.NewMessage, m.UID
	}
	_, err := perform(ctx, s, opImportMessages, id, req, (*write).importMessages)
	return err
}

type importRequest struct {
	appendRequest
	UIDs        []uint32 `cbor:"4,keyasint"`
	UIDValidity uint32   `cbor:"5,keyasint"`
	UIDNext     uint32   `cbor:"6,keyasint,omitempty"`
	Modseq      uint64   `cbor:"7,keyasint,omitempty"`
	Recent      bool     `cbor:"8,keyasint,omitempty"`
}

// permitted is for administrators only: numbers that are not the store's own can confuse clients.
func (r importRequest) permitted(id Identity) error { return id.mayAdminister() }

func (r importRequest) valid(s *Store) error {
	if len(r.UIDs) != len(r.Messages) {
		return fmt.Errorf("%w: %d UIDs for %d messages", errRequest, len(r.UIDs), len(r.Messages))
	}
	if len(r.Messages) == 0 {
		return r.onMail.valid(s)
	}
	return r.appendRequest.valid(s)
}

func (w *write) importMessages(ctx context.Context, req importRequest) (nothing, error) {
	if err := w.lock(ctx, req.Account); err != nil {
		return nothing{}, err
	}
	events, err := w.decideImport(req)
	if err == nil && len(req.Messages) > 0 {
		var bodies []event.Event
		bodies, err = w.bodies(ctx, bodiesOf(req.Messages))
		events = append(bodies, events...)
	}
	if err != nil || len(events) == 0 {
		w.end()
		return nothing{}, err
	}
	return nothing{}, w.commit(ctx, events...)
}

func (w *write) decideImport(req importRequest) ([]event.Event, error) {
	a, m, err := w.openMailbox(req.Account, req.Mailbox)
	if err != nil {
		return nil, err
	}
	if m.UIDValidity != req.UIDValidity {
		return nil, fmt.Errorf("%w: mailbox %q has UIDVALIDITY %d, not %d", ErrNumbers, m.Name, m.UIDValidity, req.UIDValidity)
	}
	e := &event.MessagesAppended{Account: req.Account, Mailbox: m.ID, Modseq: a.Modseq + 1}
	if req.Modseq < maxImportedModseq {
		e.Modseq = max(e.Modseq, req.Modseq+1)
	}
	if len(req.Messages) > 0 {
		if e, _, err = w.decideAppend(req.Account, req.Mailbox, req.Messages); err != nil {
			return nil, err
		}
		if req.Modseq < maxImportedModseq {
			e.Modseq = max(e.Modseq, req.Modseq+1)
		}
	}
	next := m.UIDNext
	for i, uid := range req.UIDs {
		if uid < next || uid > lastUID-1 {
			return nil, fmt.Errorf("%w: UID %d in mailbox %q, whose UIDNEXT is %d", ErrNumbers, uid, m.Name, next)
		}
		e.Messages[i].UID, next = uid, uid+1
	}
	if req.UIDNext > next {
		e.UIDNext = min(req.UIDNext, lastUID)
	}
	if len(e.Messages) == 0 {
		if e.UIDNext == 0 && (req.Modseq >= maxImportedModseq || m.HighestModseq > req.Modseq) {
			return nil, nil
		}
		e.UIDNext = max(e.UIDNext, m.UIDNext)
	}
	return append([]event.Event{e}, w.seen(req, e, m)...), nil
}

// seen gives the event that keeps imported messages from being \Recent: not where others, which are, stand before them.
func (w *write) seen(req importRequest, e *event.MessagesAppended, m *state.Mailbox) []event.Event {
	taken := max(m.RecentUID, w.sh.recentTaken(m.ID))
	if req.Recent || len(e.Messages) == 0 || (m.Messages > 0 && taken+1 < m.UIDNext) {
		return nil
	}
	return []event.Event{&event.RecentTaken{Account: req.Account, Mailbox: m.ID, UID: e.Messages[len(e.Messages)-1].UID}}
}
