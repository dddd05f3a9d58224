package event

import "bytes"

var (
	sampleMeta  = Meta{Time: 1709208000000001, Actor: "anna", Service: "imap", Session: "7f3c", Client: "192.0.2.7"}
	inbox       = MailboxID{0x01, 0x02, 0x03, 15: 0x10}
	archive     = MailboxID{0xfe, 15: 0x0f}
	guid        = GUID{0xab, 0xcd, 31: 0xef}
	credential1 = Credential{
		Iterations: 4096, Salt: []byte("salt"), StoredKey: bytes.Repeat([]byte{1}, 32), ServerKey: bytes.Repeat([]byte{2}, 32),
	}
)

// samples has one entry of every kind at least, named as its file in testdata/golden. A sample that was shipped stays as it is.
func samples() map[string]Entry {
	events := map[string]Event{
		"EpochStarted":              &EpochStarted{Epoch: 7, Node: "node-1"},
		"Checkpoint":                &Checkpoint{Mailboxes: 3, Messages: 70000, Digest: 0xfedcba9876543210},
		"BodiesDropped":             &BodiesDropped{GUIDs: []GUID{guid, {0xac}}},
		"AccountCreated":            &AccountCreated{Account: "anna", Credential: credential1},
		"CredentialSet":             &CredentialSet{Account: "anna", Credential: credential1},
		"AccountDisabled":           &AccountDisabled{Account: "anna", Disabled: true},
		"AccountDeleted":            &AccountDeleted{Account: "anna"},
		"MailboxCreated":            &MailboxCreated{Account: "anna", Mailbox: inbox, Name: "INBOX", UIDValidity: 1709208000, Modseq: 1},
		"MailboxCreated-sent":       &MailboxCreated{Account: "anna", Mailbox: archive, Name: "Entwürfe", UIDValidity: 1709208001, Modseq: 2, SpecialUse: []string{`\Drafts`}},
		"MailboxCreated-again":      &MailboxCreated{Account: "anna", Mailbox: archive, Name: "Old", UIDValidity: 1709208001, Modseq: 20, UIDNext: 40},
		"NumbersSkipped":            &NumbersSkipped{Account: "anna", Modseq: 1 << 33, UIDValidity: 1709300000, UIDs: 1 << 22, Epoch: 8},
		"MailboxRenamed":            &MailboxRenamed{Account: "anna", Modseq: 9, Renames: []Rename{{archive, "Old"}, {inbox, "Old/In"}}},
		"MailboxDeleted":            &MailboxDeleted{Account: "anna", Mailbox: archive, Modseq: 10},
		"SubscriptionSet":           &SubscriptionSet{Account: "anna", Name: "Lists/ietf", Subscribed: true, Modseq: 11},
		"SpecialUseSet":             &SpecialUseSet{Account: "anna", Mailbox: archive, SpecialUse: []string{`\Archive`, `\All`}, Modseq: 12},
		"SpecialUseSet-none":        &SpecialUseSet{Account: "anna", Mailbox: archive, Modseq: 13},
		"RecentTaken":               &RecentTaken{Account: "anna", Mailbox: inbox, UID: 4294967295},
		"BodyChunk":                 &BodyChunk{GUID: guid, Size: 11, Stored: 11, Data: []byte("Subject: hi"), Structure: []byte{0xa1, 0x01, 0x02}},
		"BodyChunk-first":           &BodyChunk{GUID: guid, Size: 900, Encoding: Zstd, Stored: 300, Offset: 0, Data: bytes.Repeat([]byte{7}, 100)},
		"BodyChunk-last":            &BodyChunk{GUID: guid, Size: 900, Encoding: S2, Stored: 300, Offset: 290, Data: bytes.Repeat([]byte{9}, 10), Structure: []byte{1}},
		"BodyChunk-empty":           &BodyChunk{GUID: guid, Data: []byte{}, Structure: []byte{1}},
		"MessagesAppended":          &MessagesAppended{Account: "anna", Mailbox: inbox, Modseq: 14, Messages: []Message{{UID: 1, GUID: guid, InternalDate: 1709208000, SaveDate: 1709208001, Flags: []string{`\Seen`, "$Junk"}}}},
		"MessagesAppended-several":  &MessagesAppended{Account: "anna", Mailbox: inbox, Modseq: 15, Messages: []Message{{UID: 2, GUID: guid, InternalDate: -1}, {UID: 9, GUID: guid}}},
		"MessagesCopied":            &MessagesCopied{Account: "anna", Source: inbox, SourceUIDs: UIDsOf(1, 2, 3, 7), Dest: archive, FirstUID: 5, Modseq: 16, SaveDate: 1709208002},
		"MessagesMoved":             &MessagesMoved{Account: "anna", Source: inbox, SourceUIDs: UIDsOf(2), Dest: archive, FirstUID: 9, Modseq: 17, SaveDate: 1709208003},
		"MailboxCreated-imported":   &MailboxCreated{Account: "anna", Mailbox: archive, Name: "Old", UIDValidity: 1234567890, Modseq: 5000, Imported: true},
		"MessagesAppended-imported": &MessagesAppended{Account: "anna", Mailbox: archive, Modseq: 5001, Messages: []Message{{UID: 70, GUID: guid}}, UIDNext: 100},
		"MessagesAppended-uidnext":  &MessagesAppended{Account: "anna", Mailbox: archive, Modseq: 5002, Messages: []Message{}, UIDNext: 200},
		"FlagsChanged": &FlagsChanged{Account: "anna", Mailbox: inbox, Modseq: 18, Changes: []FlagChange{
			{UIDs: UIDSet{{1, 100000}}, Add: []string{`\Seen`}}, {UIDs: UIDsOf(200000), Add: []string{`\Flagged`}, Remove: []string{`\Seen`}},
		}},
		"MessagesExpunged": &MessagesExpunged{Account: "anna", Mailbox: inbox, Modseq: 1<<63 - 1, UIDs: UIDsOf(1, 3, 4)},
	}
	entries := map[string]Entry{}
	for name, ev := range events {
		entries[name] = Entry{Meta: sampleMeta, Event: ev}
	}
	entries["EpochStarted"] = Entry{Meta: Meta{Time: 1709208000000000, Service: "system"}, Event: events["EpochStarted"]}
	return entries
}
