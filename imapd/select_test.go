package imapd

import (
	"context"
	"fmt"
	"testing"

	"angarium/mailstore/storetest"
)

func (ts *testServer) inbox(t testing.TB) (uidValidity uint32, id string) {
	t.Helper()
	m, err := ts.env.Store.Mailbox(context.Background(), storetest.User("ann"), "ann", "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	return m.UIDValidity, m.ID.String()
}

func TestSelectTellsAboutTheMailbox(t *testing.T) {
	ts := newTestServer(t)
	ts.env.Append(t, "ann", "INBOX", testMessage(1), `\Seen`)
	ts.env.Append(t, "ann", "INBOX", testMessage(2), "Work")
	uv, id := ts.inbox(t)
	common := func(permanent string, recent bool) []string {
		list := []string{`* FLAGS (\Answered \Flagged \Deleted \Seen \Draft Work)`, "* OK [PERMANENTFLAGS (" + permanent + ")] ...", "* 2 EXISTS"}
		if recent {
			list = append(list, "* 2 RECENT", "* OK [UNSEEN 2] ...")
		}
		return append(list, fmt.Sprintf("* OK [UIDVALIDITY %d] ...", uv), "* OK [UIDNEXT 3] ...",
			fmt.Sprintf("* OK [HIGHESTMODSEQ %d] ...", ts.modseq(t, "INBOX")), "* OK [MAILBOXID ("+id+")] ...")
	}
	all := `\Answered \Flagged \Deleted \Seen \Draft Work \*`

	rev1 := ts.login(t, "ann")
	rev1.says("EXAMINE inbox", append(common("", true), "OK [READ-ONLY] ...")...)
	rev1.says("SELECT INBOX", append(append([]string{"* OK [CLOSED] ..."}, common(all, true)...), "OK [READ-WRITE] ...")...)
	rev1.says("UNSELECT", "OK ...")

	rev2 := ts.login(t, "ann")
	rev2.ok("ENABLE IMAP4rev2")
	rev2.says("SELECT inbox", append(common(all, false), `* LIST () "/" INBOX ("OLDNAME" (inbox))`, "OK [READ-WRITE] ...")...)
	rev2.says("SELECT nowhere", "* OK [CLOSED] ...", "NO [NONEXISTENT] ...")
	rev2.refused("FETCH 1 FLAGS", "BAD")
}

func TestRecentIsToldOnce(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 2)
	a := ts.selectedClient(t)
	a.says("FETCH 1:* FLAGS", `* 1 FETCH (FLAGS (\Recent))`, `* 2 FETCH (FLAGS (\Recent))`, "OK ...")
	b := ts.selectedClient(t)
	b.says("SEARCH RECENT", "* SEARCH", "OK ...")
	ts.fill(t, "INBOX", 1)
	b.says("NOOP", "* 3 EXISTS", "* 1 RECENT", "OK ...")
	a.says("NOOP", "* 3 EXISTS", "* 2 RECENT", "OK ...")
	a.says("SEARCH NEW", "* SEARCH 1 2", "OK ...")
	a.ok("CLOSE")
	b.ok("LOGOUT")
	a.says("STATUS INBOX (RECENT)", "* STATUS INBOX (RECENT 0)", "OK ...")
}

func TestSelectParameters(t *testing.T) {
	ts := newTestServer(t)
	c := ts.login(t, "ann")
	c.refused("SELECT INBOX (QRESYNC (1 2))", "BAD")
	c.ok("ENABLE QRESYNC")
	for _, bad := range []string{
		"SELECT", "SELECT INBOX (", "SELECT INBOX (FOO)", "SELECT INBOX (QRESYNC)", "SELECT INBOX (QRESYNC (1))", "SELECT INBOX (QRESYNC (0 1))",
		"SELECT INBOX (QRESYNC (1 2 1:*))", "SELECT INBOX (QRESYNC (1 2 3 4))", "SELECT INBOX (QRESYNC (1 2 (1)))",
		"SELECT INBOX (QRESYNC (1 2) QRESYNC (1 2))", "SELECT INBOX (QRESYNC (1 2 (1 1) (1 1)))",
	} {
		c.refused(bad, "BAD")
	}
	c.ok("SELECT INBOX (CONDSTORE QRESYNC (1 2 3:4,9 (1 1)))")
	c.ok("SELECT INBOX (QRESYNC (1 2 (1,2 1,5)))")
}

func TestQresyncTellsWhatWasMissed(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 6)
	uv, _ := ts.inbox(t)
	since := ts.modseq(t, "INBOX")
	other := ts.selectedClient(t)
	other.ok(`STORE 2,3 +FLAGS (\Deleted)`)
	other.ok("EXPUNGE")
	other.ok(`STORE 3 +FLAGS (\Flagged)`) // UID 5
	ts.fill(t, "INBOX", 1)                // UID 7
	other.ok("UNSELECT")

	c := ts.login(t, "ann")
	c.ok("ENABLE QRESYNC IMAP4rev2")
	resync := func(args string) []string {
		t.Helper()
		var got []string
		for _, l := range c.ok(fmt.Sprintf("SELECT INBOX (QRESYNC (%s))", args)) {
			if !fitsLine(l, "* OK ...") && !fitsLine(l, "* FLAGS ...") && !fitsLine(l, "* LIST ...") && !fitsLine(l, "* 5 EXISTS") {
				got = append(got, l)
			}
		}
		return got
	}
	m := ts.modseq(t, "INBOX")
	flagged := fmt.Sprintf(`* 3 FETCH (UID 5 FLAGS (\Flagged) MODSEQ (%d))`, m-1)
	appended := fmt.Sprintf(`* 5 FETCH (UID 7 FLAGS () MODSEQ (%d))`, m)
	for _, tc := range []struct {
		args string
		want []string
	}{
		{fmt.Sprintf("%d %d", uv, since), []string{"* VANISHED (EARLIER) 2:3", flagged, appended}},
		{fmt.Sprintf("%d %d 1:2,5", uv, since), []string{"* VANISHED (EARLIER) 2", flagged}},
		{fmt.Sprintf("%d %d", uv, m), nil},
		{fmt.Sprintf("%d %d", uv+1, since), nil},
	} {
		if got := resync(tc.args); fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%s: got %q, want %q", tc.args, got, tc.want)
		}
	}
	c.says(fmt.Sprintf("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)", since), "* VANISHED (EARLIER) 2:3", flagged, appended, "OK ...")
	c.refused("UID FETCH 1:* (FLAGS) (VANISHED)", "BAD")
	c.refused("FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)", "BAD")
}

func TestMatchedUID(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 4)
	c := ts.selectedClient(t)
	c.ok(`STORE 2 +FLAGS (\Deleted)`)
	c.ok("EXPUNGE") // 1 3 4 are left
	mb, err := ts.env.Store.Open(context.Background(), storetest.User("ann"), "ann", "INBOX", true)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	b := &selected{mb: mb, told: mb.Snapshot().List, snap: mb.Snapshot()}
	for _, tc := range []struct {
		seqs, uids string
		want       uint32
	}{
		{"1", "1", 1},
		{"1:4", "1:4", 1},   // the client does not know that 2 is gone
		{"1:3", "1,3:4", 4}, // it knows
		{"1:3", "1", 0},
		{"9", "9", 0},
	} {
		q := &qresyncRequest{seqs: parseUIDs(t, tc.seqs), uids: parseUIDs(t, tc.uids)}
		if got := b.matchedUID(q); got != tc.want {
			t.Errorf("%s is %s: %d, want %d", tc.seqs, tc.uids, got, tc.want)
		}
	}
	if gone := b.without(parseUIDs(t, "1:9")); gone.String() != "2,5:9" {
		t.Errorf("not there: %s", gone)
	}
}

func TestDeletedMailboxEndsOtherSessions(t *testing.T) {
	ts := newTestServer(t)
	a, b := ts.login(t, "ann"), ts.login(t, "ann")
	a.ok("CREATE x")
	a.ok("SELECT x")
	b.ok("SELECT x")
	a.ok("DELETE x")
	a.refused("FETCH 1 FLAGS", "BAD")
	b.send("1 NOOP")
	b.expect("* BYE The selected mailbox was deleted")
	b.expectEOF()
}
