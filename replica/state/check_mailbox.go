package state

import (
	"errors"
	"fmt"

	"angarium/eventlog/event"
)

// mailbox checks one mailbox: its row, its live messages, their records and its tombstones.
func (c *checker) mailbox(m *Mailbox) error {
	c.perAccount[m.Account]++
	b := &boxCheck{checker: c, row: m, live: map[uint32]Live{}}
	for _, step := range []func() error{b.account, b.pages, b.tombstones, b.records} {
		if err := step(); errors.Is(err, ErrCorrupt) {
			b.violation("row", 0, "%v", err)
		} else if err != nil {
			return err
		}
	}
	b.compare()
	return c.tick()
}

type boxCheck struct {
	*checker
	row  *Mailbox
	live map[uint32]Live
	sum  Mailbox // recounted
}

func (b *boxCheck) violation(kind string, uid uint32, format string, args ...any) {
	b.report(Violation{Kind: kind, Account: b.row.Account, Mailbox: b.row.ID, Name: b.row.Name, UID: uid, Detail: fmt.Sprintf(format, args...)})
}

func (b *boxCheck) account() error {
	a, err := GetAccount(b.r, b.row.Account)
	if err != nil {
		return err
	}
	switch {
	case a == nil || a.Deleted:
		b.violation("account", 0, "its account does not exist")
	case b.row.HighestModseq > a.Modseq:
		b.violation("modseq", 0, "HIGHESTMODSEQ %d above the account's %d", b.row.HighestModseq, a.Modseq)
	case b.row.UIDValidity > a.UIDValidity:
		b.violation("uidvalidity", 0, "UIDVALIDITY %d above the account's %d", b.row.UIDValidity, a.UIDValidity)
	}
	named, err := LookupMailbox(b.r, b.row.Account, b.row.Name)
	if err == nil && (named == nil || named.ID != b.row.ID) {
		b.violation("name", 0, "its name does not lead to it")
	}
	if b.row.UIDFloor > 0 && b.row.UIDFloor <= b.row.UIDNext {
		b.violation("uidnext", 0, "UIDNEXT %d, and UIDs up to %d left out", b.row.UIDNext, b.row.UIDFloor)
	}
	if b.row.UIDNext == 0 || b.row.RecentUID >= b.row.UIDNext {
		b.violation("uidnext", 0, "UIDNEXT %d, recent up to %d", b.row.UIDNext, b.row.RecentUID)
	}
	return err
}

func (b *boxCheck) pages() error {
	return ScanPages(b.r, b.row.ID, func(n uint32, p Page) (bool, error) {
		if len(p) == 0 {
			b.violation("page", 0, "page %d is empty", n)
		}
		for _, l := range p {
			b.live[l.UID] = l
			if l.UID >= b.row.UIDNext {
				b.violation("uidnext", l.UID, "UIDNEXT is %d", b.row.UIDNext)
			}
			if l.Modseq == 0 || l.Modseq > b.row.HighestModseq {
				b.violation("modseq", l.UID, "modseq %d, HIGHESTMODSEQ is %d", l.Modseq, b.row.HighestModseq)
			}
			if l.Flags.top() >= systemFlags+len(b.row.Keywords) {
				b.violation("flags", l.UID, "flag bit %d has no keyword", l.Flags.top())
			}
			b.sum.Messages++
			if !l.Flags.Has(Seen) {
				b.sum.Unseen++
			}
			if l.Flags.Has(Deleted) {
				b.sum.Deleted++
			}
			b.sum.Digest ^= digestLive(l)
		}
		return true, nil
	})
}

func (b *boxCheck) records() error {
	prefix := prefixOf(tableMessage, b.row.ID)
	var found []Message
	err := b.r.Scan(prefix, after(prefix), func(k, v []byte) (bool, error) {
		uid := uidOfKey(k)
		m, err := decodeMessage(uid, v)
		if err != nil {
			b.violation("record", uid, "%v", err)
			return true, nil
		}
		m.Structure = nil
		found = append(found, m)
		return true, nil
	})
	if err != nil {
		return err
	}
	for i := range found {
		m := &found[i]
		if _, ok := b.live[m.UID]; !ok {
			b.violation("record", m.UID, "a record without a live message")
		}
		delete(b.live, m.UID)
		b.sum.Size += m.Size
		b.sum.Digest ^= digestFixed(m)
		body, err := GetBody(b.r, m.GUID)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return err
		}
		if body == nil || body.Size != m.Size {
			b.violation("body", m.UID, "body %s is not known, or has another size", m.GUID)
		}
	}
	for uid := range b.live {
		b.violation("record", uid, "a live message without a record")
	}
	return nil
}

func (b *boxCheck) tombstones() error {
	return ScanTombstones(b.r, b.row.ID, 0, func(modseq uint64, uids event.UIDSet) (bool, error) {
		if modseq > b.row.HighestModseq || uids.Validate() != nil || uids[len(uids)-1].Last >= b.row.UIDNext {
			b.violation("tombstone", 0, "tombstone of %s at modseq %d beyond UIDNEXT or HIGHESTMODSEQ", uids, modseq)
			return true, nil
		}
		for uid := range uids.All() {
			if _, ok := b.live[uid]; ok {
				b.violation("tombstone", uid, "expunged at modseq %d and still there", modseq)
			}
		}
		return true, nil
	})
}

func (b *boxCheck) compare() {
	r, s := b.row, &b.sum
	b.checker.sum.Messages += uint64(s.Messages)
	if r.Messages != s.Messages || r.Unseen != s.Unseen || r.Deleted != s.Deleted || r.Size != s.Size {
		b.violation("counter", 0, "messages %d, unseen %d, deleted %d, size %d; recounted %d, %d, %d, %d",
			r.Messages, r.Unseen, r.Deleted, r.Size, s.Messages, s.Unseen, s.Deleted, s.Size)
	}
	if r.Digest != s.Digest {
		b.violation("digest", 0, "digest %016x, recomputed %016x", r.Digest, s.Digest)
	}
}
