package state_test

import (
	"errors"
	"slices"
	"testing"

	"angarium/eventlog/event"
	"angarium/replica/state"
	"angarium/replica/state/statetest"
)

// rows is a good state that a test damages.
type rows struct {
	*state.Memory
	t  *testing.T
	id event.MailboxID
}

func (r rows) put(key []byte, row any) {
	v, err := state.EncodeRow(row)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Rows[string(key)] = v
}

func (r rows) mailbox(change func(*state.Mailbox)) {
	m, err := state.GetMailbox(r, r.id)
	if err != nil || m == nil {
		r.t.Fatal(m, err)
	}
	change(m)
	r.put(state.KeyMailbox(r.id), m)
}

func (r rows) account(change func(*state.Account)) {
	a, err := state.GetAccount(r, "ann")
	if err != nil || a == nil {
		r.t.Fatal(a, err)
	}
	change(a)
	r.put(state.KeyAccount("ann"), a)
}

func (r rows) totals(change func(*state.Totals)) {
	t, err := state.GetTotals(r)
	if err != nil {
		r.t.Fatal(err)
	}
	change(t)
	r.put(state.KeyTotals(), t)
}

func (r rows) live(change func(*state.Live)) {
	p, err := state.GetPage(r, r.id, 0)
	if err != nil || len(p) == 0 {
		r.t.Fatal(p, err)
	}
	change(&p[0])
	r.Rows[string(state.KeyPage(r.id, 0))] = state.EncodePage(p)
}

func (r rows) message(change func(*state.Message)) {
	m, ok, err := state.GetMessage(r, r.id, 1)
	if err != nil || !ok {
		r.t.Fatal(ok, err)
	}
	change(&m)
	r.Rows[string(state.KeyMessage(r.id, 1))] = state.EncodeMessage(&m)
}

// damages is every way in which one row can be wrong, with the kind of violation that must be among those reported.
var damages = []struct {
	name, kind string
	do         func(rows)
}{
	{"account row unreadable", "row", func(r rows) { r.Rows[string(state.KeyAccount("ann2"))] = []byte{0xff} }},
	{"account under another name", "name", func(r rows) {
		a, _ := state.GetAccount(r, "ann")
		r.put(state.KeyAccount("eve"), a)
	}},
	{"mailbox row unreadable", "row", func(r rows) { r.Rows[string(state.KeyMailbox(event.MailboxID{7}))] = []byte{0xff} }},
	{"account gone", "account", func(r rows) { delete(r.Rows, string(state.KeyAccount("ann"))) }},
	{"account deleted", "account", func(r rows) { r.account(func(a *state.Account) { a.Deleted = true }) }},
	{"account's modseq too low", "modseq", func(r rows) { r.account(func(a *state.Account) { a.Modseq = 1 }) }},
	{"account's UIDVALIDITY too low", "uidvalidity", func(r rows) { r.account(func(a *state.Account) { a.UIDValidity = 0 }) }},
	{"account's count of mailboxes", "counter", func(r rows) { r.account(func(a *state.Account) { a.Mailboxes++ }) }},
	{"account's credential", "digest", func(r rows) { r.account(func(a *state.Account) { a.Credential.Iterations++ }) }},
	{"account disabled", "digest", func(r rows) { r.account(func(a *state.Account) { a.Disabled = true }) }},
	{"name gone", "name", func(r rows) { delete(r.Rows, string(state.KeyName("ann", "INBOX"))) }},
	{"name that leads nowhere", "name", func(r rows) { r.Rows[string(state.KeyName("ann", "x"))] = make([]byte, 16) }},
	{"second name", "name", func(r rows) { r.Rows[string(state.KeyName("ann", "x"))] = slices.Clone(r.id[:]) }},
	{"mailbox renamed", "name", func(r rows) { r.mailbox(func(m *state.Mailbox) { m.Name = "y" }) }},
	{"subscription gone", "digest", func(r rows) { delete(r.Rows, string(state.KeySubscription("ann", "INBOX"))) }},
	{"subscription too many", "digest", func(r rows) { r.Rows[string(state.KeySubscription("ann", "x"))] = []byte{1} }},
	{"UIDNEXT 0", "uidnext", func(r rows) { r.mailbox(func(m *state.Mailbox) { m.UIDNext = 0 }) }},
	{"UIDNEXT too low", "uidnext", func(r rows) { r.mailbox(func(m *state.Mailbox) { m.UIDNext = 2 }) }},
	{"recent too high", "uidnext", func(r rows) { r.mailbox(func(m *state.Mailbox) { m.RecentUID = m.UIDNext }) }},
	{"HIGHESTMODSEQ too low", "modseq", func(r rows) { r.mailbox(func(m *state.Mailbox) { m.HighestModseq = 1 }) }},
	{"message counter", "counter", func(r rows) { r.mailbox(func(m *state.Mailbox) { m.Messages-- }) }},
	{"unseen counter", "counter", func(r rows) { r.mailbox(func(m *state.Mailbox) { m.Unseen++ }) }},
	{"deleted counter", "counter", func(r rows) { r.mailbox(func(m *state.Mailbox) { m.Deleted++ }) }},
	{"size", "counter", func(r rows) { r.mailbox(func(m *state.Mailbox) { m.Size++ }) }},
	{"keyword gone", "flags", func(r rows) { r.mailbox(func(m *state.Mailbox) { m.Keywords = nil }) }},
	{"mailbox digest", "digest", func(r rows) { r.mailbox(func(m *state.Mailbox) { m.Digest ^= 1 }) }},
	{"empty page", "page", func(r rows) { r.Rows[string(state.KeyPage(r.id, 9))] = []byte{} }},
	{"page gone", "record", func(r rows) { delete(r.Rows, string(state.KeyPage(r.id, 0))) }},
	{"page of a mailbox that is not there", "orphan", func(r rows) {
		r.Rows[string(state.KeyPage(event.MailboxID{9}, 0))] = state.EncodePage(state.Page{{UID: 1, Modseq: 1}})
	}},
	{"record of a mailbox that is not there", "orphan", func(r rows) { r.Rows[string(state.KeyMessage(event.MailboxID{9}, 1))] = []byte{} }},
	{"tombstone of a mailbox that is not there", "orphan", func(r rows) { r.Rows[string(state.KeyTombstone(event.MailboxID{0}, 1))] = []byte{} }},
	{"modseq 0", "modseq", func(r rows) { r.live(func(l *state.Live) { l.Modseq = 0 }) }},
	{"modseq above HIGHESTMODSEQ", "modseq", func(r rows) { r.live(func(l *state.Live) { l.Modseq = 1 << 40 }) }},
	{"flag without keyword", "flags", func(r rows) { r.live(func(l *state.Live) { l.Flags = l.Flags.With(127) }) }},
	{"flag flipped", "digest", func(r rows) { r.live(func(l *state.Live) { l.Flags = l.Flags.With(state.Draft) }) }},
	{"seen", "counter", func(r rows) { r.live(func(l *state.Live) { l.Flags = l.Flags.With(state.Seen) }) }},
	{"record gone", "record", func(r rows) { delete(r.Rows, string(state.KeyMessage(r.id, 1))) }},
	{"record too many", "record", func(r rows) {
		r.Rows[string(state.KeyMessage(r.id, 99))] = slices.Clone(r.Rows[string(state.KeyMessage(r.id, 1))])
	}},
	{"record unreadable", "record", func(r rows) { r.Rows[string(state.KeyMessage(r.id, 1))] = []byte{1, 2} }},
	{"record of another size", "body", func(r rows) { r.message(func(m *state.Message) { m.Size++ }) }},
	{"record of another body", "body", func(r rows) { r.message(func(m *state.Message) { m.GUID[3]++ }) }},
	{"internal date", "digest", func(r rows) { r.message(func(m *state.Message) { m.InternalDate++ }) }},
	{"save date", "digest", func(r rows) { r.message(func(m *state.Message) { m.SaveDate++ }) }},
	{"body gone", "body", func(r rows) { delete(r.Rows, string(state.KeyBody(event.GUID{1}))) }},
	{"tombstone above HIGHESTMODSEQ", "tombstone", func(r rows) { r.put(state.KeyTombstone(r.id, 1<<40), event.UIDsOf(1)) }},
	{"tombstone above UIDNEXT", "tombstone", func(r rows) { r.put(state.KeyTombstone(r.id, 2), event.UIDsOf(77)) }},
	{"tombstone out of order", "tombstone", func(r rows) { r.put(state.KeyTombstone(r.id, 2), event.UIDSet{{First: 2, Last: 1}}) }},
	{"empty tombstone", "tombstone", func(r rows) { r.put(state.KeyTombstone(r.id, 2), event.UIDSet{}) }},
	{"tombstone of a live message", "tombstone", func(r rows) { r.put(state.KeyTombstone(r.id, 2), event.UIDsOf(1)) }},
	{"total of mailboxes", "counter", func(r rows) { r.totals(func(t *state.Totals) { t.Mailboxes++ }) }},
	{"total of messages", "counter", func(r rows) { r.totals(func(t *state.Totals) { t.Messages-- }) }},
	{"total digest", "digest", func(r rows) { r.totals(func(t *state.Totals) { t.Digest ^= 1 << 63 }) }},
}

func TestCheckNoticesEveryDamage(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			h := mailboxWithMessages(t, 5)
			b := onlyMailbox(h)
			err := h.Apply(event.Entry{Event: &event.SubscriptionSet{Account: "ann", Name: "INBOX", Subscribed: true, Modseq: b.Modseq + 1}})
			if err != nil {
				t.Fatal(err)
			}
			check(t, h.State)
			m := clone(h.State)
			d.do(rows{m, t, b.ID})
			var kinds []string
			if _, err := state.Check(m, state.CheckOptions{}, func(v state.Violation) { kinds = append(kinds, v.Kind) }); err != nil {
				t.Fatalf("check gave up: %v", err)
			}
			if !slices.Contains(kinds, d.kind) {
				t.Errorf("violations %q, want one of kind %q", kinds, d.kind)
			}
		})
	}
}

// What cannot be read at all is a violation like others: the check goes on.
func TestCheckNoticesUnreadableRows(t *testing.T) {
	h := mailboxWithMessages(t, 5)
	for key := range h.State.Rows {
		for _, junk := range [][]byte{{}, {0xff}, {0xa1, 0x18, 0x63, 0x01}} {
			m := clone(h.State)
			m.Rows[key] = junk
			n := 0
			body := func(event.GUID, *state.Body) error { return nil }
			_, err := state.Check(m, state.CheckOptions{Body: body}, func(state.Violation) { n++ })
			if err != nil || n == 0 {
				t.Errorf("row %s replaced by %x: %d violations, %v", statetest.Key([]byte(key)), junk, n, err)
			}
		}
	}
}

func TestCheckTellsOfDamagedBodiesAndStopsWhenTold(t *testing.T) {
	h := mailboxWithMessages(t, 1)
	bad := errors.New("no such bytes")
	var got []state.Violation
	sum, err := state.Check(h.State, state.CheckOptions{Body: func(event.GUID, *state.Body) error { return bad }},
		func(v state.Violation) { got = append(got, v) })
	if err != nil || len(got) != 1 || got[0].Kind != "body" || sum.Bodies != 1 || sum.Messages != 1 || sum.Accounts != 1 || sum.Mailboxes != 1 {
		t.Errorf("%+v, %v, %v", sum, err, got)
	}
	stop := errors.New("stop")
	_, err = state.Check(h.State, state.CheckOptions{Tick: func(state.CheckSummary) error { return stop }}, func(v state.Violation) { t.Error(v) })
	if !errors.Is(err, stop) {
		t.Error(err)
	}
}
