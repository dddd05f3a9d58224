package salvage

import (
	"context"
	"errors"

	"angarium/eventlog/event"
	"angarium/replica"
	"angarium/replica/state"
)

// FromReplica asks the replica of the old primary, as it was when that stopped.
func FromReplica(r *replica.Replica) Old { return oldReplica{r} }

type oldReplica struct{ r *replica.Replica }

// Body implements Old.
func (o oldReplica) Body(_ context.Context, guid event.GUID) ([]byte, error) {
	return o.r.ReadBody(guid)
}

// MailboxName implements Old.
func (o oldReplica) MailboxName(account string, id event.MailboxID) (string, bool, error) {
	m, err := state.GetMailbox(o.r.Reader(), id)
	if m == nil || err != nil || m.Account != account {
		return "", false, err
	}
	return m.Name, true, nil
}

// Message implements Old.
func (o oldReplica) Message(id event.MailboxID, uid uint32) (Message, bool, error) {
	box, err := state.GetMailbox(o.r.Reader(), id)
	if box == nil || err != nil {
		return Message{}, false, err
	}
	page, err := state.GetPage(o.r.Reader(), id, state.PageOf(uid))
	if err != nil {
		return Message{}, false, err
	}
	k, ok := page.Find(uid)
	if !ok {
		return Message{}, false, nil
	}
	m, ok, err := state.GetMessage(o.r.Reader(), id, uid)
	return Message{GUID: m.GUID, InternalDate: m.InternalDate, Flags: page[k].Flags.Names(box.Keywords)}, ok, err
}

// nothingOld knows nothing.
type nothingOld struct{}

var errNotKnown = errors.New("not in the tail, and nothing else is known of the old history")

func (nothingOld) Body(context.Context, event.GUID) ([]byte, error) { return nil, errNotKnown }

func (nothingOld) MailboxName(string, event.MailboxID) (string, bool, error) { return "", false, nil }

func (nothingOld) Message(event.MailboxID, uint32) (Message, bool, error) {
	return Message{}, false, nil
}
