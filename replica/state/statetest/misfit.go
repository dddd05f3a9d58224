package statetest

import (
	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Misfit is an event of right shape that does not fit the state.
type Misfit struct {
	Why   string
	Event event.Event
}

// Misfits gives events that do not fit the state of the history at this point: every way of not fitting for which there is
// an account, a mailbox or a message.
func (h *History) Misfits() []Misfit {
	list := []Misfit{
		{"epoch that is not the next", &event.EpochStarted{Epoch: h.Model.Epoch + 2, Node: "x"}},
		{"epoch that was", &event.EpochStarted{Epoch: max(h.Model.Epoch, 1), Node: "x"}},
		{"account that never was", &event.CredentialSet{Account: "nobody", Credential: h.credential()}},
		{"account that never was", &event.AccountDisabled{Account: "nobody"}},
		{"account that never was", &event.AccountDeleted{Account: "nobody"}},
		{"account that never was", &event.SubscriptionSet{Account: "nobody", Name: "a", Modseq: 1}},
		{"account that never was", &event.MailboxCreated{Account: "nobody", Mailbox: event.MailboxID{1}, Name: "a", UIDValidity: 1, Modseq: 1}},
		{"body that was never there", &event.BodiesDropped{GUIDs: []event.GUID{{1}}}},
		{"chunk of an upload that never began", &event.BodyChunk{GUID: event.GUID{1}, Size: 9, Stored: 9, Offset: 4, Data: []byte("12345"), Structure: []byte{1}}},
	}
	list = append(list, h.checkpointMisfits()...)
	for _, a := range h.Model.Accounts {
		list = append(list, h.accountMisfits(a)...)
	}
	for guid, up := range h.Model.Uploads {
		list = append(list, uploadMisfits(guid, up)...)
	}
	for _, b := range h.Model.Mailboxes {
		list = append(list, h.nameMisfits(b)...)
		list = append(list, h.messageMisfits(b)...)
		if len(b.Messages) > 0 {
			list = append(list, h.uidMisfits(b)...)
		}
	}
	return list
}

func (h *History) checkpointMisfits() []Misfit {
	right := *h.checkpoint().(*event.Checkpoint)
	mailboxes, messages, digest := right, right, right
	mailboxes.Mailboxes++
	messages.Messages++
	digest.Digest ^= 1
	return []Misfit{
		{"checkpoint with more mailboxes", &mailboxes}, {"checkpoint with more messages", &messages}, {"checkpoint with another digest", &digest},
	}
}

func (h *History) accountMisfits(a *Account) []Misfit {
	fresh := event.MailboxID{0xff, 1}
	if a.Deleted {
		return []Misfit{
			{"deleted account", &event.AccountDeleted{Account: a.Name}},
			{"deleted account", &event.CredentialSet{Account: a.Name, Credential: h.credential()}},
			{"deleted account", &event.MailboxCreated{Account: a.Name, Mailbox: fresh, Name: "new", UIDValidity: a.UIDValidity + 1, Modseq: a.Modseq + 1}},
			{"deleted account", &event.SubscriptionSet{Account: a.Name, Name: "a", Modseq: a.Modseq + 1}},
		}
	}
	list := []Misfit{
		{"account that is there", &event.AccountCreated{Account: a.Name, Credential: h.credential()}},
		{"mailbox that is not there", &event.MailboxDeleted{Account: a.Name, Mailbox: fresh, Modseq: a.Modseq + 1}},
		{"mailbox that is not there", &event.SpecialUseSet{Account: a.Name, Mailbox: fresh, Modseq: a.Modseq + 1}},
		{"mailbox that is not there", &event.RecentTaken{Account: a.Name, Mailbox: fresh, UID: 1}},
		{"mailbox that is not there", &event.MessagesExpunged{Account: a.Name, Mailbox: fresh, Modseq: a.Modseq + 1, UIDs: event.UIDsOf(1)}},
		{"mailbox that is not there", &event.MailboxRenamed{Account: a.Name, Modseq: a.Modseq + 1, Renames: []event.Rename{{Mailbox: fresh, Name: "new"}}}},
	}
	if a.Lowest > 0 {
		list = append(list, Misfit{"imported UIDVALIDITY among those that were", &event.MailboxCreated{
			Account: a.Name, Mailbox: fresh, Name: "new", UIDValidity: a.UIDValidity, Modseq: a.Modseq + 1, Imported: true,
		}})
	}
	if a.UIDValidity > 0 {
		list = append(list, Misfit{"UIDVALIDITY that was", &event.NumbersSkipped{
			Account: a.Name, Modseq: a.Modseq + 1, UIDValidity: a.UIDValidity - 1, Epoch: max(h.Model.Epoch, 1),
		}})
		list = append(list, Misfit{"UIDVALIDITY that was", &event.MailboxCreated{
			Account: a.Name, Mailbox: fresh, Name: "new", UIDValidity: a.UIDValidity, Modseq: a.Modseq + 1,
		}})
	}
	for id, b := range h.Model.Graves {
		again := func(validity, next uint32) *event.MailboxCreated {
			return &event.MailboxCreated{Account: a.Name, Mailbox: id, Name: "new", UIDValidity: validity, Modseq: a.Modseq + 1, UIDNext: next}
		}
		if b.Account == a.Name {
			list = append(list, Misfit{"UIDVALIDITY of another mailbox", again(b.UIDValidity+1, b.FirstUID())})
		}
		if b.Account == a.Name && b.FirstUID() > 1 {
			list = append(list, Misfit{"UIDNEXT that was", again(b.UIDValidity, b.FirstUID()-1)})
		}
	}
	if a.Modseq > 0 {
		list = append(list,
			Misfit{"modseq that was", &event.NumbersSkipped{Account: a.Name, Modseq: a.Modseq, UIDValidity: a.UIDValidity, Epoch: max(h.Model.Epoch, 1)}},
			Misfit{"modseq that was", &event.SubscriptionSet{Account: a.Name, Name: "a", Modseq: a.Modseq}},
			Misfit{"modseq that was", &event.MailboxCreated{Account: a.Name, Mailbox: fresh, Name: "new", UIDValidity: a.UIDValidity + 1, Modseq: a.Modseq}},
		)
	}
	return list
}

func uploadMisfits(guid event.GUID, up *Body) []Misfit {
	next := func() *event.BodyChunk {
		return &event.BodyChunk{
			GUID: guid, Size: up.Size, Encoding: up.Encoding, Stored: up.Length, Offset: uint64(len(up.Stored)),
			Data: make([]byte, up.Length-uint64(len(up.Stored))), Structure: []byte{1},
		}
	}
	list := []Misfit{}
	add := func(why string, change func(*event.BodyChunk)) {
		c := next()
		change(c)
		list = append(list, Misfit{why, c})
	}
	add("chunk that leaves a gap", func(c *event.BodyChunk) {
		c.Stored++
		c.Size++
		c.Offset++
	})
	if len(up.Stored) > 1 {
		add("chunk that overlaps", func(c *event.BodyChunk) {
			c.Offset--
			c.Data = append(c.Data, 0)
		})
	}
	add("chunk of a body of another length", func(c *event.BodyChunk) {
		c.Stored++
		c.Data = append(c.Data, 0)
		if c.Encoding == event.Raw {
			c.Size++
		}
	})
	if up.Encoding != event.Raw {
		add("chunk of a body of another size", func(c *event.BodyChunk) { c.Size++ })
		add("chunk in another encoding", func(c *event.BodyChunk) { c.Encoding = event.Zstd + event.S2 - c.Encoding })
	}
	return list
}

func (h *History) nameMisfits(b *Mailbox) []Misfit {
	a := h.accountOf(b)
	list := []Misfit{
		{"name that is taken", &event.MailboxCreated{Account: a.Name, Mailbox: event.MailboxID{0xff, 2}, Name: b.Name, UIDValidity: a.UIDValidity + 1, Modseq: a.Modseq + 1}},
		{"mailbox id that is taken", &event.MailboxCreated{Account: a.Name, Mailbox: b.ID, Name: "new", UIDValidity: a.UIDValidity + 1, Modseq: a.Modseq + 1}},
		{"modseq that was", &event.MailboxDeleted{Account: a.Name, Mailbox: b.ID, Modseq: a.Modseq}},
		{"modseq that was", &event.SpecialUseSet{Account: a.Name, Mailbox: b.ID, Modseq: a.Modseq}},
		{"modseq that was", &event.MailboxRenamed{Account: a.Name, Modseq: a.Modseq, Renames: []event.Rename{{Mailbox: b.ID, Name: "new"}}}},
		{"mailbox renamed twice", &event.MailboxRenamed{Account: a.Name, Modseq: a.Modseq + 1, Renames: []event.Rename{{Mailbox: b.ID, Name: "x"}, {Mailbox: b.ID, Name: "y"}}}},
	}
	for _, o := range h.Model.Mailboxes {
		if o == b {
			continue
		}
		at := h.accountOf(o).Modseq + 1
		if o.Account != b.Account {
			list = append(list,
				Misfit{"mailbox of another account", &event.MailboxDeleted{Account: o.Account, Mailbox: b.ID, Modseq: at}},
				Misfit{"mailbox of another account", &event.MessagesMoved{Account: o.Account, Source: b.ID, SourceUIDs: event.UIDsOf(1), Dest: o.ID, FirstUID: o.UIDNext, Modseq: at}},
			)
			continue
		}
		list = append(list,
			Misfit{"rename to a name that is taken", &event.MailboxRenamed{Account: a.Name, Modseq: a.Modseq + 1, Renames: []event.Rename{{Mailbox: b.ID, Name: o.Name}}}},
			Misfit{"rename of two to one name", &event.MailboxRenamed{Account: a.Name, Modseq: a.Modseq + 1, Renames: []event.Rename{{Mailbox: b.ID, Name: "x"}, {Mailbox: o.ID, Name: "x"}}}},
		)
	}
	return list
}

func (h *History) messageMisfits(b *Mailbox) []Misfit {
	a := h.accountOf(b)
	at := a.Modseq + 1
	list := []Misfit{
		{"body that is not known", &event.MessagesAppended{Account: a.Name, Mailbox: b.ID, Modseq: at, Messages: []event.Message{{UID: b.UIDNext, GUID: event.GUID{2}}}}},
		{"message that is not there", &event.MessagesExpunged{Account: a.Name, Mailbox: b.ID, Modseq: at, UIDs: event.UIDsOf(b.UIDNext)}},
		{"message that is not there", &event.MessagesCopied{Account: a.Name, Source: b.ID, SourceUIDs: event.UIDsOf(b.UIDNext + 5), Dest: b.ID, FirstUID: b.UIDNext, Modseq: at}},
		{"message that is not there", &event.FlagsChanged{Account: a.Name, Mailbox: b.ID, Modseq: at, Changes: []event.FlagChange{{UIDs: event.UIDsOf(b.UIDNext), Add: []string{`\Seen`}}}}},
		{"mailbox that is not there", &event.MessagesCopied{Account: a.Name, Source: event.MailboxID{0xff, 3}, SourceUIDs: event.UIDsOf(1), Dest: b.ID, FirstUID: b.UIDNext, Modseq: at}},
		{"move within a mailbox", &event.MessagesMoved{Account: a.Name, Source: b.ID, SourceUIDs: event.UIDsOf(1), Dest: b.ID, FirstUID: b.UIDNext, Modseq: at}},
		{"recent beyond UIDNEXT", &event.RecentTaken{Account: a.Name, Mailbox: b.ID, UID: b.UIDNext}},
	}
	if b.Recent > 1 {
		list = append(list, Misfit{"recent that goes back", &event.RecentTaken{Account: a.Name, Mailbox: b.ID, UID: b.Recent - 1}})
	}
	for guid := range h.Model.Bodies {
		one := func(m event.Message) []event.Message { m.GUID = guid; return []event.Message{m} }
		list = append(list,
			Misfit{"UID that has no successor", &event.MessagesAppended{Account: a.Name, Mailbox: b.ID, Modseq: at, Messages: one(event.Message{UID: 1<<32 - 1})}},
			Misfit{"modseq that was", &event.MessagesAppended{Account: a.Name, Mailbox: b.ID, Modseq: a.Modseq, Messages: one(event.Message{UID: b.UIDNext})}},
			Misfit{"unknown system flag", &event.MessagesAppended{Account: a.Name, Mailbox: b.ID, Modseq: at, Messages: one(event.Message{UID: b.UIDNext, Flags: []string{`\Unheard`}})}},
			Misfit{"too many keywords", &event.MessagesAppended{Account: a.Name, Mailbox: b.ID, Modseq: at, Messages: one(event.Message{UID: b.UIDNext, Flags: manyKeywords()})}},
		)
		if b.FirstUID() > b.UIDNext {
			list = append(list, Misfit{"UID that is left out", &event.MessagesAppended{Account: a.Name, Mailbox: b.ID, Modseq: at, Messages: one(event.Message{UID: b.FirstUID() - 1})}})
		}
		if b.UIDNext > 1 {
			list = append(list, Misfit{"UIDNEXT that was", &event.MessagesAppended{Account: a.Name, Mailbox: b.ID, Modseq: at, UIDNext: b.UIDNext - 1}})
			list = append(list, Misfit{"UID that was", &event.MessagesAppended{Account: a.Name, Mailbox: b.ID, Modseq: at, Messages: one(event.Message{UID: b.UIDNext - 1})}})
		}
		break
	}
	return list
}

func manyKeywords() []string {
	var names []string
	for i := range state.MaxKeywords + 1 {
		names = append(names, string(rune('a'+i/26))+string(rune('a'+i%26))+"-extra")
	}
	return names
}

// uidMisfits are those of a mailbox with messages.
func (h *History) uidMisfits(b *Mailbox) []Misfit {
	a := h.accountOf(b)
	at, uid := a.Modseq+1, b.Messages[0].UID
	last := b.Messages[len(b.Messages)-1].UID
	return []Misfit{
		{"modseq that was", &event.MessagesExpunged{Account: a.Name, Mailbox: b.ID, Modseq: a.Modseq, UIDs: event.UIDsOf(uid)}},
		{"modseq that was", &event.FlagsChanged{Account: a.Name, Mailbox: b.ID, Modseq: a.Modseq, Changes: []event.FlagChange{{UIDs: event.UIDsOf(uid), Add: []string{"new"}}}}},
		{"modseq that was", &event.MessagesCopied{Account: a.Name, Source: b.ID, SourceUIDs: event.UIDsOf(uid), Dest: b.ID, FirstUID: b.UIDNext, Modseq: a.Modseq}},
		{"copies to UIDs that were", &event.MessagesCopied{Account: a.Name, Source: b.ID, SourceUIDs: event.UIDsOf(uid), Dest: b.ID, FirstUID: uid, Modseq: at}},
		{"message beside one that is not there", &event.MessagesExpunged{Account: a.Name, Mailbox: b.ID, Modseq: at, UIDs: event.UIDsOf(last, b.UIDNext+9)}},
		{"copies of the copies", &event.MessagesCopied{Account: a.Name, Source: b.ID, SourceUIDs: event.UIDsOf(last, b.UIDNext), Dest: b.ID, FirstUID: b.UIDNext, Modseq: at}},
		{"message changed twice", &event.FlagsChanged{Account: a.Name, Mailbox: b.ID, Modseq: at, Changes: []event.FlagChange{
			{UIDs: event.UIDsOf(uid), Add: []string{"one"}}, {UIDs: event.UIDsOf(uid), Add: []string{"two"}},
		}}},
	}
}
