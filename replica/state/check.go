package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"angarium/eventlog/event"
)

// Violation is one thing that Check found wrong.
type Violation struct {
	Kind    string          `json:"kind"` // a short constant word, as "counter" or "body"
	Account string          `json:"account,omitempty"`
	Mailbox event.MailboxID `json:"-"`
	Name    string          `json:"mailbox,omitempty"` // the mailbox's name
	UID     uint32          `json:"uid,omitempty"`
	Detail  string          `json:"detail"`
}

// String is the violation on one line.
func (v Violation) String() string {
	s := v.Kind
	if v.Account != "" {
		s += " account=" + v.Account
	}
	if v.Name != "" {
		s += fmt.Sprintf(" mailbox=%q", v.Name)
	}
	if v.UID != 0 {
		s += fmt.Sprintf(" uid=%d", v.UID)
	}
	return s + ": " + v.Detail
}

// CheckSummary counts what Check looked at.
type CheckSummary struct {
	Accounts  uint64 `json:"accounts"`
	Mailboxes uint64 `json:"mailboxes"`
	Messages  uint64 `json:"messages"`
	Bodies    uint64 `json:"bodies"`
	Bytes     uint64 `json:"bytes"` // of bodies that were read
}

// CheckOptions says what to check beside the rows.
type CheckOptions struct {
	// Body verifies one body: that it is there and is what its GUID says. Nil checks the rows only.
	Body func(guid event.GUID, b *Body) error
	// Tick, if not nil, is called now and then with what was looked at so far; its error ends the check.
	Tick func(CheckSummary) error
}

// Check looks at every invariant of the state and calls report for each violation, as it goes. The error is for a check that
// could not be carried out; a state full of violations gives none.
func Check(r Reader, opts CheckOptions, report func(Violation)) (CheckSummary, error) {
	c := newChecker(r, opts, report)
	for _, step := range []func() error{c.accounts, c.mailboxes, c.orphans, c.names, c.subscriptions, c.bodies, c.sums} {
		if err := step(); err != nil {
			return c.sum, fmt.Errorf("check: %w", err)
		}
	}
	return c.sum, nil
}

type checker struct {
	r          Reader
	opts       CheckOptions
	report     func(Violation)
	sum        CheckSummary
	digest     uint64
	claimed    []accountCount
	perAccount map[string]uint32
	known      map[event.MailboxID]struct{}
}

func newChecker(r Reader, opts CheckOptions, report func(Violation)) *checker {
	return &checker{r: r, opts: opts, report: report, perAccount: map[string]uint32{}, known: map[event.MailboxID]struct{}{}}
}

// accountCount is how many mailboxes the row of an account says it has.
type accountCount struct {
	account   string
	mailboxes uint32
}

func (c *checker) tick() error {
	if c.opts.Tick == nil {
		return nil
	}
	return c.opts.Tick(c.sum)
}

func (c *checker) accounts() error {
	return c.r.Scan([]byte{tableAccount}, []byte{tableAccount + 1}, func(k, v []byte) (bool, error) {
		c.digest ^= digestRow(k, v)
		a, err := decodeRow[Account](k, v)
		if err != nil {
			c.report(Violation{Kind: "row", Detail: err.Error()})
			return true, nil
		}
		if !a.Deleted {
			c.sum.Accounts++
		}
		c.claimed = append(c.claimed, accountCount{a.Name, a.Mailboxes})
		if string(k[1:]) != a.Name {
			c.report(Violation{Kind: "name", Account: a.Name, Detail: fmt.Sprintf("stored under %q", k[1:])})
		}
		return true, c.tick()
	})
}

func (c *checker) mailboxes() error {
	var rows []*Mailbox
	err := c.r.Scan([]byte{tableMailbox}, []byte{tableMailbox + 1}, func(k, v []byte) (bool, error) {
		c.digest ^= digestRow(k, v)
		m, err := decodeRow[Mailbox](k, v)
		if err != nil {
			c.report(Violation{Kind: "row", Detail: err.Error()})
			return true, nil
		}
		rows = append(rows, m)
		c.known[m.ID] = struct{}{}
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, m := range rows {
		c.sum.Mailboxes++
		if err := c.mailbox(m); err != nil {
			return err
		}
	}
	return nil
}

// orphans looks for messages and tombstones of mailboxes that are not there, one key of each mailbox.
func (c *checker) orphans() error {
	for _, table := range []byte{tablePage, tableMessage, tableTombstone} {
		for next := []byte{table}; next != nil; {
			lo := next
			next = nil
			err := c.r.Scan(lo, []byte{table + 1}, func(k, _ []byte) (bool, error) {
				var id event.MailboxID
				copy(id[:], k[1:])
				if _, ok := c.known[id]; !ok {
					c.report(Violation{Kind: "orphan", Mailbox: id, Detail: fmt.Sprintf("row %q of mailbox %s, which is not there", k, id)})
				}
				next = after(prefixOf(table, id))
				return false, nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) names() error {
	n := uint64(0)
	var found []struct {
		key string
		id  event.MailboxID
	}
	err := c.r.Scan([]byte{tableName}, []byte{tableName + 1}, func(k, v []byte) (bool, error) {
		n++
		var id event.MailboxID
		copy(id[:], v)
		found = append(found, struct {
			key string
			id  event.MailboxID
		}{string(k), id})
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, f := range found {
		m, err := GetMailbox(c.r, f.id)
		if err != nil && !errors.Is(err, ErrCorrupt) { // a damaged row was reported, and names nothing
			return err
		}
		if m == nil || string(keyNamed(tableName, m.Account, m.Name)) != f.key {
			c.report(Violation{Kind: "name", Detail: fmt.Sprintf("name %q leads to mailbox %s, which has another or is not there", f.key[1:], f.id)})
		}
	}
	if n != c.sum.Mailboxes {
		c.report(Violation{Kind: "name", Detail: fmt.Sprintf("%d names for %d mailboxes", n, c.sum.Mailboxes)})
	}
	return nil
}

func (c *checker) subscriptions() error {
	return c.r.Scan([]byte{tableSubscription}, []byte{tableSubscription + 1}, func(k, v []byte) (bool, error) {
		c.digest ^= digestRow(k, v)
		return true, nil
	})
}

func (c *checker) bodies() error {
	if c.opts.Body == nil {
		return nil
	}
	return c.r.Scan([]byte{tableBody}, []byte{tableBody + 1}, func(k, v []byte) (bool, error) {
		b, err := decodeRow[Body](k, v)
		if err != nil {
			c.report(Violation{Kind: "row", Detail: err.Error()})
			return true, nil
		}
		var guid event.GUID
		copy(guid[:], k[1:])
		if err := c.opts.Body(guid, b); err != nil {
			c.report(Violation{Kind: "body", Detail: fmt.Sprintf("body %s: %v", guid, err)})
		}
		c.sum.Bodies++
		c.sum.Bytes += b.Size
		return true, c.tick()
	})
}

func (c *checker) sums() error {
	t, err := GetTotals(c.r)
	if errors.Is(err, ErrCorrupt) {
		c.report(Violation{Kind: "row", Detail: err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	if t.Mailboxes != c.sum.Mailboxes || t.Messages != c.sum.Messages {
		c.report(Violation{Kind: "counter", Detail: fmt.Sprintf("totals say %d mailboxes and %d messages, found %d and %d",
			t.Mailboxes, t.Messages, c.sum.Mailboxes, c.sum.Messages)})
	}
	if t.Digest != c.digest {
		c.report(Violation{Kind: "digest", Detail: fmt.Sprintf("digest of the state is %016x, recomputed %016x", t.Digest, c.digest)})
	}
	for _, a := range c.claimed {
		if n := c.perAccount[a.account]; a.mailboxes != n {
			c.report(Violation{Kind: "counter", Account: a.account, Detail: fmt.Sprintf("%d mailboxes, found %d", a.mailboxes, n)})
		}
	}
	return nil
}

// uidOfKey is the number at the end of a key of a mailbox's table.
func uidOfKey(key []byte) uint32 { return binary.BigEndian.Uint32(key[len(key)-4:]) }
