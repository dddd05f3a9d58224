package statetest

import (
	"slices"
	"strings"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Model is a shard's state as package event describes it.
type Model struct {
	Epoch     uint64
	Primary   string
	Accounts  map[string]*Account
	Mailboxes map[event.MailboxID]*Mailbox
	Bodies    map[event.GUID]*Body
	Uploads   map[event.GUID]*Body         // begun and not complete
	Graves    map[event.MailboxID]*Mailbox // deleted mailboxes that have not come back
}

// Account is an account of the model, also one that was deleted.
type Account struct {
	Name        string
	Credential  event.Credential
	Disabled    bool
	Deleted     bool
	Modseq      uint64 // the last one of anything in it
	UIDValidity uint32 // the highest one ever
	Lowest      uint32 // the lowest one ever
	Imported    uint32 // the lowest one of an import, 0 when there was none
	Created     int64
	Subscribed  map[string]bool
	Skipped     []state.Skipped
}

// Mailbox is a mailbox of the model.
type Mailbox struct {
	ID          event.MailboxID
	Account     string
	Name        string
	UIDValidity uint32
	UIDNext     uint32
	UIDFloor    uint32
	Modseq      uint64 // HIGHESTMODSEQ
	Created     uint64 // modseq of its creation
	Recent      uint32
	SpecialUse  []string
	Keywords    []string   // in the order in which they were first used, in the spelling of then
	Messages    []*Message // by UID
	Tombstones  map[uint64][]uint32
}

// Message is a live message of the model.
type Message struct {
	UID          uint32
	Modseq       uint64
	Flags        map[string]bool // by their first spelling
	GUID         event.GUID
	InternalDate int64
	SaveDate     int64
}

// Body is a body of the model.
type Body struct {
	Size      uint64
	Encoding  event.Encoding
	Length    uint64 // of the whole encoded body
	Stored    []byte // what came so far
	Structure []byte
}

// NewModel makes an empty shard.
func NewModel() *Model {
	return &Model{
		Accounts: map[string]*Account{}, Mailboxes: map[event.MailboxID]*Mailbox{},
		Bodies: map[event.GUID]*Body{}, Uploads: map[event.GUID]*Body{}, Graves: map[event.MailboxID]*Mailbox{},
	}
}

// Apply makes of the model what an event that fits says. An event that does not fit leaves a nonsensical model or panics.
func (m *Model) Apply(entry event.Entry) {
	switch e := entry.Event.(type) {
	case *event.EpochStarted:
		m.Epoch, m.Primary = e.Epoch, e.Node
	case *event.Checkpoint:
	case *event.AccountCreated:
		a := m.Accounts[e.Account]
		if a == nil {
			a = &Account{Name: e.Account}
			m.Accounts[e.Account] = a
		}
		a.Deleted, a.Disabled, a.Credential, a.Created, a.Subscribed = false, false, e.Credential, entry.Meta.Time, map[string]bool{}
	case *event.CredentialSet:
		m.Accounts[e.Account].Credential = e.Credential
	case *event.AccountDisabled:
		m.Accounts[e.Account].Disabled = e.Disabled
	case *event.AccountDeleted:
		a := m.Accounts[e.Account]
		a.Deleted, a.Disabled, a.Credential, a.Subscribed = true, false, event.Credential{}, nil
		for id, b := range m.Mailboxes {
			if b.Account == e.Account {
				m.bury(id)
			}
		}
	case *event.BodiesDropped:
		for _, guid := range e.GUIDs {
			delete(m.Bodies, guid)
			delete(m.Uploads, guid)
		}
	case *event.BodyChunk:
		m.chunk(e)
	default:
		m.applyToMailbox(entry.Event)
	}
}

func (m *Model) applyToMailbox(ev event.Event) {
	switch e := ev.(type) {
	case *event.MailboxCreated:
		a := m.at(e.Account, e.Modseq)
		if e.Imported {
			a.Imported = e.UIDValidity
		} else {
			a.UIDValidity = max(a.UIDValidity, e.UIDValidity)
		}
		if a.Lowest == 0 || e.UIDValidity < a.Lowest {
			a.Lowest = e.UIDValidity
		}
		delete(m.Graves, e.Mailbox)
		m.Mailboxes[e.Mailbox] = &Mailbox{
			ID: e.Mailbox, Account: e.Account, Name: e.Name, UIDValidity: e.UIDValidity, UIDNext: max(e.UIDNext, 1), Modseq: e.Modseq, Created: e.Modseq,
			SpecialUse: e.SpecialUse, Tombstones: map[uint64][]uint32{},
		}
		for uid := uint32(1); uid < e.UIDNext; uid++ {
			b := m.Mailboxes[e.Mailbox]
			b.Tombstones[e.Modseq], b.Recent = append(b.Tombstones[e.Modseq], uid), uid
		}
	case *event.NumbersSkipped:
		m.skip(e)
	case *event.MailboxRenamed:
		m.at(e.Account, e.Modseq)
		for _, r := range e.Renames {
			b := m.Mailboxes[r.Mailbox]
			b.Name, b.Modseq = r.Name, e.Modseq
		}
	case *event.MailboxDeleted:
		m.at(e.Account, e.Modseq)
		m.bury(e.Mailbox)
	case *event.SubscriptionSet:
		a := m.at(e.Account, e.Modseq)
		delete(a.Subscribed, e.Name)
		if e.Subscribed {
			a.Subscribed[e.Name] = true
		}
	case *event.SpecialUseSet:
		m.box(e.Account, e.Mailbox, e.Modseq).SpecialUse = e.SpecialUse
	case *event.RecentTaken:
		m.Mailboxes[e.Mailbox].Recent = e.UID
	default:
		m.applyToMessages(ev)
	}
}

func (m *Model) applyToMessages(ev event.Event) {
	switch e := ev.(type) {
	case *event.MessagesAppended:
		b := m.box(e.Account, e.Mailbox, e.Modseq)
		for _, n := range e.Messages {
			b.add(&Message{UID: n.UID, GUID: n.GUID, InternalDate: n.InternalDate, SaveDate: n.SaveDate, Flags: b.flags(n.Flags)})
		}
		b.UIDNext = max(b.UIDNext, e.UIDNext)
	case *event.MessagesCopied:
		m.copy(e.Source, e.SourceUIDs, m.box(e.Account, e.Dest, e.Modseq), e.FirstUID, e.SaveDate)
	case *event.MessagesMoved:
		source := m.box(e.Account, e.Source, e.Modseq)
		m.copy(e.Source, e.SourceUIDs, m.box(e.Account, e.Dest, e.Modseq), e.FirstUID, e.SaveDate)
		source.expunge(e.SourceUIDs)
	case *event.FlagsChanged:
		b := m.box(e.Account, e.Mailbox, e.Modseq)
		for _, c := range e.Changes {
			add, remove := b.flags(c.Add), b.flags(c.Remove)
			for _, n := range b.Messages {
				if !has(c.UIDs, n.UID) {
					continue
				}
				n.Modseq = e.Modseq
				for f := range remove {
					delete(n.Flags, f)
				}
				for f := range add {
					n.Flags[f] = true
				}
			}
		}
	case *event.MessagesExpunged:
		m.box(e.Account, e.Mailbox, e.Modseq).expunge(e.UIDs)
	}
}

func (m *Model) chunk(e *event.BodyChunk) {
	if m.Bodies[e.GUID] != nil {
		return
	}
	if e.Offset == 0 {
		m.Uploads[e.GUID] = &Body{Size: e.Size, Encoding: e.Encoding, Length: e.Stored}
	}
	up := m.Uploads[e.GUID]
	up.Stored = append(up.Stored, e.Data...)
	if uint64(len(up.Stored)) == up.Length {
		up.Structure = e.Structure
		m.Bodies[e.GUID] = up
		delete(m.Uploads, e.GUID)
	}
}

func (m *Model) bury(id event.MailboxID) {
	m.Graves[id] = m.Mailboxes[id]
	delete(m.Mailboxes, id)
}

func (m *Model) skip(e *event.NumbersSkipped) {
	a := m.Accounts[e.Account]
	a.Skipped = append(a.Skipped, state.Skipped{After: a.Modseq, UpTo: e.Modseq, Epoch: e.Epoch})
	if n := len(a.Skipped); n > 16 {
		a.Skipped = append([]state.Skipped{{After: a.Skipped[0].After, UpTo: a.Skipped[1].UpTo, Epoch: a.Skipped[1].Epoch}}, a.Skipped[2:]...)
	}
	a.Modseq, a.UIDValidity = e.Modseq, e.UIDValidity
	for _, list := range []map[event.MailboxID]*Mailbox{m.Mailboxes, m.Graves} {
		for _, b := range list {
			if b.Account == e.Account && e.UIDs > 0 {
				b.UIDFloor = max(b.UIDNext, b.UIDFloor) + e.UIDs
			}
		}
	}
}

// FirstUID is the lowest UID that can be given next.
func (b *Mailbox) FirstUID() uint32 { return max(b.UIDNext, b.UIDFloor) }

func (m *Model) at(account string, modseq uint64) *Account {
	a := m.Accounts[account]
	a.Modseq = modseq
	return a
}

func (m *Model) box(account string, id event.MailboxID, modseq uint64) *Mailbox {
	m.at(account, modseq)
	b := m.Mailboxes[id]
	b.Modseq = modseq
	return b
}

func (m *Model) copy(source event.MailboxID, uids event.UIDSet, dest *Mailbox, first uint32, saved int64) {
	next := first
	for _, n := range slices.Clone(m.Mailboxes[source].Messages) {
		if !has(uids, n.UID) {
			continue
		}
		var names []string
		for _, f := range m.Mailboxes[source].ordered(n.Flags) {
			names = append(names, f)
		}
		dest.add(&Message{UID: next, GUID: n.GUID, InternalDate: n.InternalDate, SaveDate: saved, Flags: dest.flags(names)})
		next++
	}
}

func (b *Mailbox) add(n *Message) {
	n.Modseq = b.Modseq
	b.Messages = append(b.Messages, n)
	b.UIDNext, b.UIDFloor = n.UID+1, 0
}

func (b *Mailbox) expunge(uids event.UIDSet) {
	var kept []*Message
	for _, n := range b.Messages {
		if has(uids, n.UID) {
			b.Tombstones[b.Modseq] = append(b.Tombstones[b.Modseq], n.UID)
		} else {
			kept = append(kept, n)
		}
	}
	b.Messages = kept
}

var systemFlags = []string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`}

// flags gives names in their first spelling, and makes keywords known that are new.
func (b *Mailbox) flags(names []string) map[string]bool {
	set := map[string]bool{}
	for _, n := range names {
		known := append(slices.Clone(systemFlags), b.Keywords...)
		k := slices.IndexFunc(known, func(f string) bool { return strings.EqualFold(f, n) })
		if k < 0 {
			b.Keywords = append(b.Keywords, n)
			set[n] = true
		} else {
			set[known[k]] = true
		}
	}
	return set
}

// ordered lists flags as IMAP shows them: system flags first, then keywords as the mailbox came to know them.
func (b *Mailbox) ordered(flags map[string]bool) []string {
	var list []string
	for _, f := range append(slices.Clone(systemFlags), b.Keywords...) {
		if flags[f] {
			list = append(list, f)
		}
	}
	return list
}

func has(set event.UIDSet, uid uint32) bool {
	for _, r := range set {
		if r.First <= uid && uid <= r.Last {
			return true
		}
	}
	return false
}
