package salvage

import (
	"angarium/eventlog/event"
)

// lasts is which event of the tail, by its place in engine.items, was the last to say something.
type lasts struct {
	credential map[string]int          // by account
	disabled   map[string]int          // by account
	subscribed map[[2]string]int       // by account and name
	renamed    map[event.MailboxID]int // by mailbox
	created    map[event.MailboxID]int // mailboxes made in the tail
	name       map[event.MailboxID]string
	needed     map[event.GUID]string // bodies that messages of the tail refer to, and an account of the shard
}

func newLasts() lasts {
	return lasts{
		credential: map[string]int{}, disabled: map[string]int{}, subscribed: map[[2]string]int{},
		renamed: map[event.MailboxID]int{}, created: map[event.MailboxID]int{},
		name: map[event.MailboxID]string{}, needed: map[event.GUID]string{},
	}
}

// read goes through the tail for the first time: it keeps the events, but for the bytes of bodies, and what each was the last to say.
func (e *engine) read(tail Tail) error {
	e.last = newLasts()
	for env, err := range tail {
		if err != nil {
			return err
		}
		for i, entry := range env.Entries {
			ev := entry.Event
			if c, ok := ev.(*event.BodyChunk); ok {
				ev = &event.BodyChunk{GUID: c.GUID, Size: c.Size, Offset: c.Offset, Stored: c.Stored}
			}
			e.last.note(len(e.items), ev)
			e.items = append(e.items, item{position: env.Position, index: env.FirstIndex + uint64(i), event: ev})
		}
	}
	return nil
}

func (l *lasts) note(n int, ev event.Event) {
	switch v := ev.(type) {
	case *event.CredentialSet:
		l.credential[v.Account] = n
	case *event.AccountDisabled:
		l.disabled[v.Account] = n
	case *event.SubscriptionSet:
		l.subscribed[[2]string{v.Account, v.Name}] = n
	case *event.MailboxCreated:
		l.created[v.Mailbox], l.name[v.Mailbox] = n, v.Name
	case *event.MailboxRenamed:
		for _, r := range v.Renames {
			l.renamed[r.Mailbox], l.name[r.Mailbox] = n, r.Name
		}
	case *event.MessagesAppended:
		for _, m := range v.Messages {
			l.needed[m.GUID] = v.Account
		}
	}
}

// superseded says whether another event spoke later, and tells so.
func (it *item) superseded(n, last int, items []item) bool {
	if n == last {
		return false
	}
	it.skip("superseded by event %d", items[last].index)
	return true
}
