package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/eventlog/event"
	mime "angarium/message"
	"angarium/replica/state"
)

// description is what an event says, for people.
type description struct {
	boxes    []event.MailboxID
	mailbox  string
	messages int
	detail   string
}

// describe tells what an event did, and keeps names, which holds the mailboxes' names before it, up to date.
func describe(e Event, names map[event.MailboxID]string) description {
	switch ev := e.Entry.Event.(type) {
	case *event.MailboxCreated:
		names[ev.Mailbox] = ev.Name
		return description{boxes: []event.MailboxID{ev.Mailbox}, mailbox: ev.Name, detail: strings.Join(ev.SpecialUse, " ")}
	case *event.MailboxRenamed:
		d := description{mailbox: names[ev.Renames[0].Mailbox]}
		var parts []string
		for _, r := range ev.Renames {
			d.boxes = append(d.boxes, r.Mailbox)
			parts = append(parts, fmt.Sprintf("%q to %q", names[r.Mailbox], r.Name))
			names[r.Mailbox] = r.Name
		}
		d.detail = strings.Join(parts, ", ")
		return d
	case *event.MailboxDeleted:
		return description{boxes: []event.MailboxID{ev.Mailbox}, mailbox: names[ev.Mailbox]}
	case *event.SpecialUseSet:
		return description{boxes: []event.MailboxID{ev.Mailbox}, mailbox: names[ev.Mailbox], detail: strings.Join(ev.SpecialUse, " ")}
	case *event.RecentTaken:
		return description{boxes: []event.MailboxID{ev.Mailbox}, mailbox: names[ev.Mailbox], detail: fmt.Sprintf("up to UID %d", ev.UID)}
	case *event.SubscriptionSet:
		return description{mailbox: ev.Name, detail: map[bool]string{true: "subscribed", false: "unsubscribed"}[ev.Subscribed]}
	case *event.AccountDisabled:
		return description{detail: map[bool]string{true: "disabled", false: "enabled"}[ev.Disabled]}
	}
	return describeMessages(e.Entry.Event, names)
}

func describeMessages(ev event.Event, names map[event.MailboxID]string) description {
	transfer := func(source, dest event.MailboxID, uids event.UIDSet, first uint32) description {
		return description{
			boxes: []event.MailboxID{source, dest}, mailbox: names[source], messages: uids.Len(),
			detail: fmt.Sprintf("UID %s to %q as %d and on", short(uids), names[dest], first),
		}
	}
	switch e := ev.(type) {
	case *event.MessagesAppended:
		d := description{boxes: []event.MailboxID{e.Mailbox}, mailbox: names[e.Mailbox], messages: len(e.Messages)}
		if len(e.Messages) == 0 {
			d.detail = fmt.Sprintf("UIDNEXT %d", e.UIDNext)
			return d
		}
		d.detail = fmt.Sprintf("UID %d", e.Messages[0].UID)
		if n := len(e.Messages); n > 1 {
			d.detail += fmt.Sprintf(" to %d", e.Messages[n-1].UID)
		}
		return d
	case *event.MessagesCopied:
		return transfer(e.Source, e.Dest, e.SourceUIDs, e.FirstUID)
	case *event.MessagesMoved:
		return transfer(e.Source, e.Dest, e.SourceUIDs, e.FirstUID)
	case *event.FlagsChanged:
		d := description{boxes: []event.MailboxID{e.Mailbox}, mailbox: names[e.Mailbox]}
		var parts []string
		for i, c := range e.Changes {
			d.messages += c.UIDs.Len()
			if i < maxDetails {
				parts = append(parts, strings.TrimSpace(fmt.Sprintf("UID %s %s", short(c.UIDs), changes(c))))
			}
		}
		d.detail = strings.Join(parts, "; ")
		return d
	case *event.MessagesExpunged:
		return description{
			boxes: []event.MailboxID{e.Mailbox}, mailbox: names[e.Mailbox], messages: e.UIDs.Len(), detail: "UID " + short(e.UIDs),
		}
	}
	return description{}
}

// maxDetails bounds the flag changes of one event that are told, and maxShort the ranges of a set of UIDs.
const (
	maxDetails = 10
	maxShort   = 20
)

func short(uids event.UIDSet) string {
	if len(uids) > maxShort {
		return uids[:maxShort].String() + " …"
	}
	return uids.String()
}

func changes(c event.FlagChange) string {
	var parts []string
	for _, f := range c.Add {
		parts = append(parts, "+"+f)
	}
	for _, f := range c.Remove {
		parts = append(parts, "-"+f)
	}
	return strings.Join(parts, " ")
}

func (d description) undone(e Event) Undone {
	m := e.Entry.Meta
	return Undone{
		Position: e.Position, Time: e.Time, Kind: e.Entry.Event.Kind().String(), Mailbox: d.mailbox, Messages: d.messages,
		Actor: m.Actor, Service: m.Service, Session: m.Session, Client: m.Client, Detail: d.detail,
	}
}

// Query says whose history List tells. Zero values leave a condition out.
type Query struct {
	Account   string            // required
	Mailbox   string            // by any name it ever had
	UID       uint32            // of a message in Mailbox, and of its copies from there on
	GUID      event.GUID        // of messages
	MessageID string            // of messages, with or without its angle brackets
	From, To  eventlog.Position // [the first and the last]
}

// Happened is one line of a history.
type Happened struct {
	Undone
	Index uint64 `json:"index"` // global index of the event
}

// List tells what happened to an account, a mailbox or a message, oldest first, by whom, when and from where.
func List(ctx context.Context, h History, q Query, fn func(Happened) error) error {
	if q.Account == "" || (q.UID > 0 && q.Mailbox == "") {
		return fmt.Errorf("%w: a history is that of an account, and a UID of a mailbox", ErrOptions)
	}
	to, err := h.Last(ctx)
	if err != nil {
		return err
	}
	if q.To > 0 {
		to = min(to, q.To)
	}
	l, from, err := newLister(ctx, h, q)
	if err != nil {
		return err
	}
	if q.From > 0 && q.From < from {
		return fmt.Errorf("%w: history no longer here: it begins at position %d", ErrTooOld, from)
	}
	filter := archive.EventFilter{Account: q.Account, Chunks: q.MessageID != ""}
	return h.Events(ctx, from, to, filter, func(e Event) error {
		line, ok, err := l.event(e)
		if err != nil || !ok || e.Position < q.From {
			return err
		}
		return fn(line)
	})
}

// lister follows the names of mailboxes and where the messages go that are asked for.
type lister struct {
	q     Query
	names map[event.MailboxID]string
	boxes map[event.MailboxID]bool // mailboxes that had the name that is asked for
	guids map[event.GUID]bool
	uids  map[place]bool
}

// place is a message.
type place struct {
	box event.MailboxID
	uid uint32
}

// newLister begins where the history does; from is the first position to read.
func newLister(ctx context.Context, h History, q Query) (*lister, eventlog.Position, error) {
	l := &lister{q: q, names: map[event.MailboxID]string{}, boxes: map[event.MailboxID]bool{}, guids: map[event.GUID]bool{}, uids: map[place]bool{}}
	if q.GUID != (event.GUID{}) {
		l.guids[q.GUID] = true
	}
	if id := strings.TrimSpace(q.MessageID); id != "" && !strings.HasPrefix(id, "<") {
		l.q.MessageID = "<" + id + ">"
	}
	if whole, err := h.inLog(ctx, 1); whole || err != nil {
		return l, 1, err
	}
	first := eventlog.Position(1)
	if h.Archive != nil {
		if begin, _ := h.Archive.Extent(); begin > 1 {
			first = begin
		}
	} else if head, err := h.head(ctx); err != nil {
		return nil, 0, err
	} else {
		first = head.First
	}
	if first == 1 {
		return l, 1, nil
	}
	if h.Archive == nil {
		return l, first, nil // names from before are not known: the ids stand for them
	}
	snap, err := h.Archive.SnapshotUpTo(ctx, first-1)
	if err != nil {
		return l, first, nil
	}
	boxes, err := state.Mailboxes(snap, q.Account)
	for _, b := range boxes {
		l.name(b.ID, b.Name)
	}
	return l, first, err
}

func (l *lister) name(id event.MailboxID, name string) {
	l.names[id] = name
	if name != "" && name == l.q.Mailbox {
		l.boxes[id] = true
	}
}

// event takes the next event, and says whether it is asked for.
func (l *lister) event(e Event) (Happened, bool, error) {
	if c, ok := e.Entry.Event.(*event.BodyChunk); ok {
		return Happened{}, false, l.chunk(c)
	}
	d := describe(e, l.names)
	if d.mailbox == "" && len(d.boxes) > 0 {
		d.mailbox = d.boxes[0].String()
	}
	for _, id := range d.boxes {
		l.name(id, l.names[id])
	}
	asked := true
	if l.q.Mailbox != "" {
		_, sub := e.Entry.Event.(*event.SubscriptionSet)
		asked = slices.ContainsFunc(d.boxes, func(id event.MailboxID) bool { return l.boxes[id] }) || (sub && d.mailbox == l.q.Mailbox)
	}
	if l.q.UID > 0 || l.q.GUID != (event.GUID{}) || l.q.MessageID != "" {
		asked = l.follow(e.Entry.Event)
	}
	return Happened{Undone: d.undone(e), Index: e.Index}, asked, nil
}

// chunk notes the GUID of a body with the Message-ID that is asked for.
func (l *lister) chunk(c *event.BodyChunk) error {
	if len(c.Structure) == 0 {
		return nil
	}
	ids, err := messageIDs(c.Structure)
	if slices.Contains(ids, l.q.MessageID) {
		l.guids[c.GUID] = true
	}
	return err
}

// messageIDs reads the Message-ID from the structure of a message.
func messageIDs(structure []byte) ([]string, error) {
	block, _, err := mime.Blob(structure).CachedHeaderFields([]string{"Message-ID"})
	if err != nil {
		return nil, fmt.Errorf("read the Message-ID of a message: %w", err)
	}
	return mime.MessageIDs(block), nil
}

// follow says whether an event is about a message that is asked for, and notes where such messages go.
func (l *lister) follow(ev event.Event) bool {
	any := func(box event.MailboxID, uids event.UIDSet) bool {
		for uid := range uids.All() {
			if l.uids[place{box, uid}] {
				return true
			}
		}
		return false
	}
	switch e := ev.(type) {
	case *event.MessagesAppended:
		found := false
		for i := range e.Messages {
			m := &e.Messages[i]
			if l.guids[m.GUID] || (l.q.UID == m.UID && l.boxes[e.Mailbox]) {
				found, l.uids[place{e.Mailbox, m.UID}] = true, true
			}
		}
		return found
	case *event.MessagesCopied:
		return l.carry(e.Source, e.Dest, e.SourceUIDs, e.FirstUID)
	case *event.MessagesMoved:
		return l.carry(e.Source, e.Dest, e.SourceUIDs, e.FirstUID)
	case *event.FlagsChanged:
		return slices.ContainsFunc(e.Changes, func(c event.FlagChange) bool { return any(e.Mailbox, c.UIDs) })
	case *event.MessagesExpunged:
		return any(e.Mailbox, e.UIDs)
	case *event.MailboxDeleted:
		for p := range l.uids {
			if p.box == e.Mailbox {
				return true
			}
		}
	}
	return false
}

// carry notes the copies of messages that are asked for.
func (l *lister) carry(source, dest event.MailboxID, uids event.UIDSet, first uint32) bool {
	found := false
	to := first
	for uid := range uids.All() {
		if l.uids[place{source, uid}] || (l.q.UID == to && l.boxes[dest]) {
			found, l.uids[place{dest, to}] = true, true
		}
		to++
	}
	return found
}
