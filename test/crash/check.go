package main

import "slices"

// check compares what IMAP shows with the model, and takes over into the model what could not be known before: what became of
// the commands that were under way, and the UIDs of messages that were delivered.
func (m *model) check(w world) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.pending {
		o.resolve(w)
	}
	m.pending = nil
	for _, a := range m.accounts {
		a.check(w[a.name])
	}
}

func (a *account) check(seen map[string]*seenBox) {
	for name := range seen {
		if a.boxes[name] == nil {
			a.violation(name, "is a mailbox, and should not be there")
		}
	}
	for name, b := range a.boxes {
		if s := seen[name]; s != nil {
			b.check(s)
		} else {
			a.violation(name, "the mailbox is lost, with %d messages", len(b.live))
		}
	}
}

func (b *box) check(s *seenBox) {
	a := b.account
	b.validity(s.UIDValidity)
	if b.id == "" {
		b.id = s.ID
	}
	if s.ID == "" || s.ID != b.id {
		a.violation(b.name, "MAILBOXID %q became %q", b.id, s.ID)
	}
	if s.UIDNext < b.uidnext {
		a.violation(b.name, "UIDNEXT went back from %d to %d", b.uidnext, s.UIDNext)
	}
	if s.Highest < b.highest {
		a.violation(b.name, "HIGHESTMODSEQ went back from %d to %d", b.highest, s.Highest)
	}
	expected := map[uint32]bool{}
	for _, m := range b.live {
		if got := b.find(m, s); got != nil {
			expected[got.uid] = true
			m.check(got)
		}
	}
	for uid, got := range s.messages {
		if !expected[uid] {
			a.violation(got.key, "is in %s with UID %d, and should not be", b.name, uid)
		}
		if uid >= s.UIDNext {
			a.violation(got.key, "has UID %d in %s, whose UIDNEXT is %d", uid, b.name, s.UIDNext)
		}
		if got.modseq > s.Highest {
			a.violation(got.key, "has modseq %d in %s, whose HIGHESTMODSEQ is %d", got.modseq, b.name, s.Highest)
		}
	}
	for uid, key := range b.ledger {
		if uid >= s.UIDNext {
			a.violation(key, "had UID %d in %s, whose UIDNEXT is %d now", uid, b.name, s.UIDNext)
		}
	}
	b.uidnext, b.highest = s.UIDNext, s.Highest
}

// find finds a message of the model among what IMAP shows: by its UID, or by its Message-ID if the UID is not known yet.
func (b *box) find(m *message, s *seenBox) *seenMessage {
	a := b.account
	uids := s.byKey[m.key]
	if len(uids) > 1 {
		a.violation(m.key, "is in %s %d times: UIDs %v", b.name, len(uids), uids)
		return nil
	}
	if len(uids) == 0 {
		a.violation(m.key, "was acknowledged with UID %d in %s (0: not told), and is lost", m.uid, b.name)
		return nil
	}
	got := s.messages[uids[0]]
	if m.uid == 0 {
		m.uid = got.uid
		b.assigned(m.uid, m.key)
	}
	if got.uid != m.uid {
		a.violation(m.key, "has UID %d in %s, and was told to have %d", got.uid, b.name, m.uid)
	}
	b.identify(got.uid, got.key)
	return got
}

func (m *message) check(got *seenMessage) {
	a := m.box.account
	if !slices.Equal(m.flags, got.flags) {
		a.violation(m.key, "has flags %v in %s, and should have %v", got.flags, m.box.name, m.flags)
	}
	if m.modseq == 0 {
		m.modseq = got.modseq
	}
	if got.modseq == 0 || m.modseq != got.modseq {
		a.violation(m.key, "has modseq %d in %s, and should have %d", got.modseq, m.box.name, m.modseq)
	}
	if m.emailID == "" {
		m.emailID = got.emailID
	}
	if got.emailID == "" || m.emailID != got.emailID {
		a.violation(m.key, "has EMAILID %q in %s, and had %q", got.emailID, m.box.name, m.emailID)
	}
	if got.text == nil {
		return
	}
	if *got.text != a.m.bodies[m.key] {
		a.violation(m.key, "has other octets in %s than were sent", m.box.name)
	}
	m.checked = true
}
