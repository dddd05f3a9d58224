package main

import (
	"cmp"
	"slices"
	"time"
)

// strictness is what a check holds the nodes to.
type strictness int

const (
	// atEnd is at the end of a round: nothing is open any more.
	atEnd strictness = iota
	// promotedSafe is after a forced promotion, where all that was acknowledged is to be there.
	promotedSafe
	// promotedLossy is after one where it may be missing until the old primary is back.
	promotedLossy
)

// loss is what a new primary lacks of what was acknowledged.
type loss struct {
	until    time.Time // it is looked for among what was acknowledged before
	messages int
	since    time.Time // when the first of them was acknowledged
}

func sortByUID(list []interval) {
	slices.SortFunc(list, func(a, b interval) int { return cmp.Compare(a.uid, b.uid) })
}

// check compares what IMAP shows with the ledger, of what was acknowledged until some time, and takes over into the ledger what was open.
func (l *ledger) check(w world, how strictness, until time.Time) loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost := loss{until: until}
	for at, b := range l.boxes {
		s := w[at]
		if s == nil {
			b.violation("mailbox", "is not there")
			continue
		}
		b.check(s, how, &lost)
	}
	return lost
}

func (b *box) check(s *seenBox, how strictness, lost *loss) {
	b.told(s.validity)
	h := &b.known[mainBranch]
	if how == promotedLossy {
		b.forget(s)
	} else {
		b.forward(s, how)
	}
	h.next, h.modseq = s.next, s.modseq
	for _, m := range b.messages {
		switch list := s.byKey[m.key]; len(list) {
		case 0:
			m.absent(how, lost)
		case 1:
			m.present(list[0], how)
		default:
			b.violation(m.key, "is there %d times: UIDs %d, %d", len(list), list[0].uid, list[1].uid)
		}
	}
	for key, list := range s.byKey {
		if b.messages[key] == nil {
			b.violation(key, "nobody sent it: UID %d", list[0].uid)
		}
	}
	b.ordered(mainBranch)
	if how == atEnd {
		for _, m := range b.messages {
			m.fresh = false
		}
	}
}

// forward checks that nothing went back.
func (b *box) forward(s *seenBox, how strictness) {
	h := &b.known[mainBranch]
	if s.next < h.next {
		b.violation("mailbox", "UIDNEXT went back from %d to %d", h.next, s.next)
	}
	if s.modseq < h.modseq {
		b.violation("mailbox", "HIGHESTMODSEQ went back from %d to %d", h.modseq, s.modseq)
	}
	for uid, key := range h.keys {
		if uid < s.next {
			continue
		}
		if m := b.messages[key]; how == promotedSafe && m.fate == maybe { // seen on the primary before the replica had it
			delete(h.keys, uid)
			m.uid[mainBranch] = 0
			b.l.counts.seenLost++
			continue
		}
		b.violation(key, "had UID %d, and UIDNEXT is %d", uid, s.next)
	}
}

// forget drops what was told of the end of the history that is lost.
func (b *box) forget(s *seenBox) {
	h := &b.known[mainBranch]
	for uid, key := range h.keys {
		if uid >= s.next {
			delete(h.keys, uid)
			b.messages[key].uid[mainBranch] = 0
		}
	}
	h.order = slices.DeleteFunc(h.order, func(o interval) bool { return o.uid >= s.next })
	for _, m := range b.messages {
		if m.fate == gone && m.fresh { // the expunge may be lost
			m.inDoubt()
		}
	}
}

func (m *message) absent(how strictness, lost *loss) {
	switch {
	case m.fate == maybe && how == atEnd:
		m.fate = gone
	case m.fate == must && m.acked.After(lost.until): // clients were at work while the node was looked at
	case m.fate == must && how == promotedLossy:
		lost.messages++
		if lost.since.IsZero() || m.acked.Before(lost.since) {
			lost.since = m.acked
		}
		if uid := m.uid[mainBranch]; uid != 0 {
			m.box.violation(m.key, "is lost, although the new primary has the UIDs up to its UID %d", uid)
		}
	case m.fate == must:
		m.box.violation(m.key, "was acknowledged at %s and is lost", m.acked.Format(timeFormat))
	}
}

const timeFormat = "15:04:05.000"

func (m *message) present(s *seenMessage, how strictness) {
	switch m.fate {
	case gone:
		m.box.violation(m.key, "is there with UID %d, and was expunged, or not there when the round ended in which it was sent", s.uid)
	case maybe:
		if how == atEnd {
			m.fate = must
		}
	}
	m.identified(mainBranch, s.uid)
	if s.text != nil {
		if *s.text != m.text {
			m.box.violation(m.key, "has other octets than were sent")
		}
		m.checked = true
	}
	if how != promotedLossy {
		m.checkFlags(s, how)
	}
}

func (m *message) checkFlags(s *seenMessage, how strictness) {
	for _, f := range flagNames() {
		is := slices.Contains(s.flags, f)
		switch known := m.flags[f]; {
		case known == must && !is:
			m.box.violation(m.key, "has lost the flag %s (UID %d)", f, s.uid)
		case known == gone && is:
			m.box.violation(m.key, "has the flag %s, which nobody set, or which was cleared (UID %d)", f, s.uid)
		case known == maybe && how == atEnd && is:
			m.flags[f] = must
		case known == maybe && how == atEnd:
			delete(m.flags, f)
		}
	}
}
