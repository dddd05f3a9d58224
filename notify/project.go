package notify

import (
	"slices"
	"strings"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/replica/state"
)

// The flags that have events of their own (RFC 5423, section 4.2).
const (
	flagSeen    = `\Seen`
	flagDeleted = `\Deleted`
)

// inbox is the name of the mailbox that every account has.
const inbox = "INBOX"

// timestampForm is RFC 3339 with milliseconds, as Cyrus writes it.
const timestampForm = "2006-01-02T15:04:05.000Z07:00"

// view is the state that a projection describes mailboxes and messages with. What it does not know is marked in the event, and changes neither
// which events there are nor their order.
type view interface {
	// after gives a mailbox as it is after the event of this modseq, before as it was before that.
	after(id event.MailboxID, modseq uint64) box
	before(id event.MailboxID, modseq uint64) box
	// message gives the structure of a message in a mailbox, body the size and structure of a body; nil when it is not there.
	message(id event.MailboxID, uid uint32) []byte
	body(guid event.GUID) (size uint64, structure []byte)
	// passed tells the view of an event that has been projected.
	passed(ev event.Event)
}

// box is what is known of a mailbox.
type box struct {
	row     *state.Mailbox // nil: nothing
	named   bool           // the name is that of the moment asked for
	counted bool           // so are the counters
}

// projector makes events of envelopes: the same ones, in the same order, whenever it is asked. Which they are is read from the envelope alone.
type projector struct {
	shard int
	host  string // in URLs
}

// projection is one envelope at work.
type projection struct {
	*projector
	position eventlog.Position
	view     view
	meta     event.Meta
	events   []*Event
}

// project gives the events of an envelope. They are sealed.
func (p *projector) project(env *eventlog.Envelope, v view) []*Event {
	w := &projection{projector: p, position: env.Position, view: v}
	for _, entry := range env.Entries {
		w.meta = entry.Meta
		w.entry(entry.Event)
		v.passed(entry.Event)
	}
	for _, e := range w.events {
		e.seal()
	}
	return w.events
}

// entry makes the events of one entry. It is false for a kind that nobody has decided about.
func (w *projection) entry(ev event.Event) (decided bool) {
	switch e := ev.(type) {
	case *event.MessagesAppended:
		w.appended(e)
	case *event.MessagesCopied:
		w.transferred(MessageCopy, e.Account, e.Source, e.Dest, e.SourceUIDs, e.FirstUID, e.Modseq)
	case *event.MessagesMoved:
		w.transferred(MessageMove, e.Account, e.Source, e.Dest, e.SourceUIDs, e.FirstUID, e.Modseq)
	case *event.FlagsChanged:
		w.flagsChanged(e)
	case *event.MessagesExpunged:
		w.expunged(e)
	case *event.MailboxCreated:
		w.created(e)
	case *event.MailboxRenamed:
		w.renamed(e)
	case *event.MailboxDeleted:
		n := w.ofMailbox(MailboxDelete, e.Account, e.Mailbox, w.view.before(e.Mailbox, e.Modseq), e.Modseq)
		n.MailboxID = n.URI
	case *event.SubscriptionSet:
		w.subscribed(e)
	case *event.AccountDeleted:
		w.add(AccountDelete, e.Account).URI = serverURL(w.host, e.Account)
	case *event.EpochStarted, *event.Checkpoint, *event.BodiesDropped, *event.AccountCreated, *event.CredentialSet, *event.AccountDisabled,
		*event.NumbersSkipped,
		*event.SpecialUseSet, *event.RecentTaken, *event.BodyChunk: // nothing that these events speak of
	default:
		return false
	}
	return true
}

// add begins an event of the entry at work.
func (w *projection) add(name Name, account string) *Event {
	m := &w.meta
	e := &Event{
		Event: name, Schema: Schema, Timestamp: time.UnixMicro(m.Time).UTC().Format(timestampForm),
		User:   account,
		Origin: &Origin{Shard: w.shard, Position: w.position, Index: len(w.events)},
	}
	short := func(param, text string) string {
		s, ok := clip(text, maxShortText)
		if !ok {
			e.degrade(param)
		}
		return s
	}
	e.Service, e.SessionID = short("service", m.Service), short("vnd.cmu.sessionId", m.Session)
	if m.Actor != account {
		e.Actor = short("actor", m.Actor)
	}
	e.ClientIP, e.ClientPort = splitAddress(short("clientIP", m.Client))
	w.events = append(w.events, e)
	return e
}

// ofMailbox begins an event of a mailbox.
func (w *projection) ofMailbox(name Name, account string, id event.MailboxID, b box, modseq uint64) *Event {
	e := w.add(name, account)
	e.UniqueID, e.Modseq = id.String(), modseq
	var ok bool
	if e.URI, ok = w.url(account, b, 0); !ok {
		e.degrade("uri")
		if name.Group() == GroupMailbox {
			e.degrade("mailboxID")
		}
	}
	if b.row != nil {
		e.box = &boxFacts{inbox: b.row.Name == inbox, specialUse: b.row.SpecialUse}
	}
	return e
}

// url gives the URL of a mailbox, or of a message in it; ok is false when it is not the true one.
func (w *projection) url(account string, b box, uid uint32) (url string, ok bool) {
	if b.row == nil || len(b.row.Name) > maxName {
		return serverURL(w.host, account), false
	}
	return mailboxURL(w.host, account, b.row.Name, b.row.UIDValidity, uid), b.named
}

// ofMessages begins an event of messages of a mailbox.
func (w *projection) ofMessages(name Name, account string, id event.MailboxID, b box, uids event.UIDSet, modseq uint64) *Event {
	e := w.ofMailbox(name, account, id, b, modseq)
	e.UIDSet = uids.String()
	if b.row != nil && b.row.UIDNext > 0 { // not of a mailbox of which the name alone is known
		e.Counts = &Counts{UIDNext: b.row.UIDNext, Messages: b.row.Messages, Unseen: b.row.Unseen}
	}
	if !b.counted {
		e.degrade("uidnext", "messages", "vnd.cmu.unseenMessages")
	}
	return e
}

func (w *projection) appended(e *event.MessagesAppended) {
	name := MessageAppend
	if w.meta.Service == "lmtp" {
		name = MessageNew
	}
	b := w.view.after(e.Mailbox, e.Modseq)
	for i := range e.Messages {
		m := &e.Messages[i]
		n := w.ofMessages(name, e.Account, e.Mailbox, b, event.UIDSet{{First: m.UID, Last: m.UID}}, e.Modseq)
		n.URI, _ = w.url(e.Account, b, m.UID)
		w.flagNames(n, m.Flags)
		w.describe(n, m.GUID)
	}
}

func (w *projection) transferred(name Name, account string, source, dest event.MailboxID, uids event.UIDSet, first uint32, modseq uint64) {
	from, to := w.view.after(source, modseq), w.view.after(dest, modseq)
	for _, part := range spread(uids) {
		count := uint32(part.Len())
		set := event.UIDSet{{First: first, Last: first + count - 1}}
		first += count
		n := w.ofMessages(name, account, dest, to, set, modseq)
		n.OldUIDSet, n.OldUniqueID = part.String(), source.String()
		w.oldMailbox(n, account, from)
		if name == MessageMove {
			n.oldCounts(from)
		}
		w.midset(n, dest, set)
	}
}

func (w *projection) oldMailbox(n *Event, account string, b box) {
	if b.row != nil && b.row.Account != "" {
		account = b.row.Account
	}
	url, ok := w.url(account, b, 0)
	if b.row != nil {
		n.OldMailboxID = url
	}
	if !ok {
		n.degrade("oldMailboxID")
	}
}

// oldCounts tells how many messages are left where some were moved out.
func (e *Event) oldCounts(b box) {
	if b.row != nil && b.row.UIDNext > 0 {
		e.OldCounts = &OldCounts{OldMessages: b.row.Messages, OldUnseen: b.row.Unseen}
	}
	if !b.counted {
		e.degrade("oldMailboxMessages", "oldMailboxUnseenMessages")
	}
}

func (w *projection) expunged(e *event.MessagesExpunged) {
	name := MessageExpunge
	if w.meta.Service == "expire" || w.meta.Service == "system" { // nobody asked for it: a policy did
		name = MessageExpire
	}
	b := w.view.after(e.Mailbox, e.Modseq)
	for _, part := range spread(e.UIDs) {
		w.ofMessages(name, e.Account, e.Mailbox, b, part, e.Modseq)
	}
}

// flagsChanged orders the events of one change as Cyrus does: MessageTrash and MessageRead before FlagsSet, and FlagsClear behind them, unless
// it takes \Seen away.
func (w *projection) flagsChanged(e *event.FlagsChanged) {
	b := w.view.after(e.Mailbox, e.Modseq)
	for i := range e.Changes {
		c := &e.Changes[i]
		for _, part := range spread(c.UIDs) {
			one := func(name Name, flags []string) {
				n := w.ofMessages(name, e.Account, e.Mailbox, b, part, e.Modseq)
				w.flagNames(n, flags)
				w.midset(n, e.Mailbox, part)
			}
			rest := slices.Clone(c.Add)
			seenGoes := hasFlag(c.Remove, flagSeen)
			if seenGoes {
				one(FlagsClear, c.Remove)
			}
			for _, special := range []struct {
				flag string
				name Name
			}{{flagDeleted, MessageTrash}, {flagSeen, MessageRead}} {
				if hasFlag(rest, special.flag) {
					rest = withoutFlag(rest, special.flag)
					one(special.name, nil)
				}
			}
			if len(rest) > 0 {
				one(FlagsSet, rest)
			}
			if len(c.Remove) > 0 && !seenGoes {
				one(FlagsClear, c.Remove)
			}
		}
	}
}

func hasFlag(flags []string, flag string) bool {
	return slices.ContainsFunc(flags, func(f string) bool { return strings.EqualFold(f, flag) })
}

func withoutFlag(flags []string, flag string) []string {
	return slices.DeleteFunc(flags, func(f string) bool { return strings.EqualFold(f, flag) })
}

func (w *projection) created(e *event.MailboxCreated) {
	b := box{row: &state.Mailbox{
		ID: e.Mailbox, Account: e.Account, Name: e.Name, UIDValidity: e.UIDValidity, SpecialUse: e.SpecialUse,
	}, named: true}
	n := w.ofMailbox(MailboxCreate, e.Account, e.Mailbox, b, e.Modseq)
	n.MailboxID = n.URI
}

func (w *projection) renamed(e *event.MailboxRenamed) {
	for _, r := range e.Renames {
		old := w.view.before(r.Mailbox, e.Modseq)
		known, row := old.row, state.Mailbox{Name: r.Name}
		if known == nil {
			known = w.view.after(r.Mailbox, e.Modseq).row
		}
		if known != nil { // neither of these changes with the name
			row.UIDValidity, row.SpecialUse = known.UIDValidity, known.SpecialUse
		}
		n := w.ofMailbox(MailboxRename, e.Account, r.Mailbox, box{row: &row, named: known != nil}, e.Modseq)
		n.MailboxID = n.URI
		w.oldMailbox(n, e.Account, old)
	}
}

func (w *projection) subscribed(e *event.SubscriptionSet) {
	name := MailboxUnSubscribe
	if e.Subscribed {
		name = MailboxSubscribe
	}
	n := w.add(name, e.Account)
	n.Modseq = e.Modseq
	n.box = &boxFacts{inbox: e.Name == inbox}
	var ok bool
	if n.URI, ok = w.url(e.Account, box{row: &state.Mailbox{Name: e.Name}, named: true}, 0); !ok {
		n.degrade("uri")
	}
}
