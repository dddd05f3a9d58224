package state

import (
	"fmt"

	"angarium/eventlog/event"
)

// ScanBodiesFrom yields the bodies whose GUIDs come behind one, in order; the zero GUID begins at the first.
func ScanBodiesFrom(r Reader, behind event.GUID, fn func(event.GUID, *Body) (bool, error)) error {
	lo := []byte{tableBody}
	if behind != (event.GUID{}) {
		lo = append(keyBody(tableBody, behind), 0)
	}
	return r.Scan(lo, []byte{tableBody + 1}, func(k, v []byte) (bool, error) {
		var guid event.GUID
		copy(guid[:], k[1:])
		b, err := decodeRow[Body](k, v)
		if err != nil {
			return false, err
		}
		return fn(guid, b)
	})
}

// CheckMailboxes is the part of Check that looks at mailboxes, for some of them: those whose ids come behind one, in order, until at least
// messages were looked at; the zero id begins at the first. It gives the last one, and whether there are no more.
func CheckMailboxes(r Reader, behind event.MailboxID, messages uint64, report func(Violation)) (last event.MailboxID, sum CheckSummary, done bool, err error) {
	lo := []byte{tableMailbox}
	if behind != (event.MailboxID{}) {
		lo = append(prefixOf(tableMailbox, behind), 0)
	}
	c := newChecker(r, CheckOptions{}, report)
	last, done = behind, true
	err = r.Scan(lo, []byte{tableMailbox + 1}, func(k, v []byte) (bool, error) {
		if c.sum.Mailboxes > 0 && c.sum.Messages+c.sum.Mailboxes >= messages {
			done = false
			return false, nil
		}
		copy(last[:], k[1:])
		c.sum.Mailboxes++
		m, err := decodeRow[Mailbox](k, v)
		if err != nil {
			report(Violation{Kind: "row", Detail: err.Error()})
			return true, nil
		}
		return true, c.mailbox(m)
	})
	if err != nil {
		err = fmt.Errorf("check mailboxes: %w", err)
	}
	return last, c.sum, done, err
}

// CheckTables is the part of Check that looks at accounts, names, subscriptions and sums, and at mailboxes only by their own rows.
func CheckTables(r Reader, report func(Violation)) (CheckSummary, error) {
	c := newChecker(r, CheckOptions{}, report)
	for _, step := range []func() error{c.accounts, c.mailboxRows, c.orphans, c.names, c.subscriptions, c.sums} {
		if err := step(); err != nil {
			return c.sum, fmt.Errorf("check: %w", err)
		}
	}
	return c.sum, nil
}

// mailboxRows takes the mailboxes' own rows at their word.
func (c *checker) mailboxRows() error {
	return c.r.Scan([]byte{tableMailbox}, []byte{tableMailbox + 1}, func(k, v []byte) (bool, error) {
		c.digest ^= digestRow(k, v)
		m, err := decodeRow[Mailbox](k, v)
		if err != nil {
			c.report(Violation{Kind: "row", Detail: err.Error()})
			return true, nil
		}
		c.known[m.ID] = struct{}{}
		c.perAccount[m.Account]++
		c.sum.Mailboxes++
		c.sum.Messages += uint64(m.Messages)
		return true, nil
	})
}
