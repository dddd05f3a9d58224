package imapd

import (
	"context"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/google/go-cmp/cmp"

	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

func TestCreate(t *testing.T) {
	ts := newTestServer(t)
	c := ts.login(t, "ann")
	_, status := c.cmd("CREATE a/b/")
	m, err := ts.env.Store.Mailbox(context.Background(), storetest.User("ann"), "ann", "a/b")
	if err != nil {
		t.Fatal(err)
	}
	if want := "OK [MAILBOXID (" + m.ID.String() + ")] Mailbox created"; status != want {
		t.Errorf("%s, want %s", status, want)
	}
	c.refused("CREATE a/b", "NO [ALREADYEXISTS]")
	c.refused("CREATE inbox", "NO [ALREADYEXISTS]")
	c.refused("CREATE a//b", "NO [CANNOT]")
	c.refused("CREATE \"\"", "NO [CANNOT]")
	c.refused("CREATE \"a*\"", "NO [CANNOT]")
	c.refused("CREATE \"x&\"", "NO [CANNOT]")
	c.refused("CREATE", "BAD")
	c.refused("CREATE x y", "BAD")
}

func TestCreateWithSpecialUse(t *testing.T) {
	c := newTestServer(t).login(t, "ann")
	c.ok(`CREATE Bin (USE (\trash))`)
	c.refused(`CREATE Bin2 (USE (\Trash))`, "NO [USEATTR]")
	c.refused(`CREATE Bin3 (USE (\Nonsense))`, "NO [USEATTR]")
	c.refused(`CREATE Bin4 (NONSENSE)`, "BAD")
	c.refused(`CREATE Bin4 (USE (\Junk) USE (\All))`, "BAD")
	if diff := cmp.Diff([]string{`* LIST (\HasNoChildren \Trash) "/" Bin`}, c.ok(`LIST "" Bin*`)); diff != "" {
		t.Error(diff)
	}
}

func TestDeleteKeepsWhatIsBelow(t *testing.T) {
	c := newTestServer(t).login(t, "ann")
	c.ok("CREATE a")
	c.ok("CREATE a/b")
	c.ok("DELETE a")
	c.refused("DELETE a", "NO [NONEXISTENT]")
	c.refused("DELETE INBOX", "NO [CANNOT]")
	if diff := cmp.Diff([]string{`* LIST (\Noselect \HasChildren) "/" a`}, c.ok(`LIST "" a%`)); diff != "" {
		t.Error(diff)
	}
}

func TestDeletingTheSelectedMailboxLeavesIt(t *testing.T) {
	ts := newTestServer(t)
	c, other := ts.login(t, "ann"), ts.login(t, "ann")
	c.ok("CREATE x")
	c.ok("SELECT x")
	other.ok("SELECT x")
	c.ok("DELETE x")
	c.refused("CHECK", "BAD")
	c.ok("NOOP")
	other.send("a NOOP")
	other.expect("* BYE ...")
	other.expectEOF()
}

func TestRename(t *testing.T) {
	c := newTestServer(t).login(t, "ann")
	c.ok("CREATE a/b")
	c.ok("RENAME a z")
	c.refused("RENAME a y", "NO [NONEXISTENT]")
	c.refused("RENAME z/b Sent", "NO [ALREADYEXISTS]")
	c.refused("RENAME z z/z", "NO [CANNOT]")
	c.ok("APPEND INBOX " + literal("Subject: a\r\n\r\n"))
	c.ok("RENAME INBOX old")
	if diff := cmp.Diff([]string{
		`* LIST (\HasNoChildren) "/" INBOX`, `* LIST (\HasNoChildren \Sent) "/" Sent`, `* LIST (\HasNoChildren) "/" old`,
		`* LIST (\HasNoChildren) "/" z/b`,
	}, c.ok(`LIST "" *`)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"* STATUS old (MESSAGES 1)"}, c.ok("STATUS old (MESSAGES)")); diff != "" {
		t.Error(diff)
	}
	c.ok("ENABLE IMAP4rev2")
	if diff := cmp.Diff([]string{`* LIST () "/" new ("OLDNAME" (old))`}, c.ok("RENAME old new")); diff != "" {
		t.Error(diff)
	}
}

func TestNamesAreUTF7OrUTF8(t *testing.T) {
	c := newTestServer(t).login(t, "ann")
	c.ok(`CREATE "Entw&APw-rfe"`)
	c.ok("CREATE &BB8EQAQ4BDIENQRC-")
	if diff := cmp.Diff([]string{`* LIST (\HasNoChildren) "/" Entw&APw-rfe`}, c.ok(`LIST "" Entw*`)); diff != "" {
		t.Error(diff)
	}
	c.refused(`CREATE "Entwürfe"`, "BAD")
	c.ok("ENABLE IMAP4rev2")
	if diff := cmp.Diff([]string{`* LIST (\HasNoChildren) "/" "Entwürfe"`}, c.ok(`LIST "" Entw*`)); diff != "" {
		t.Error(diff)
	}
	c.refused(`CREATE "Entwürfe"`, "NO [ALREADYEXISTS]")
	decomposed := "E\u0301te\u0301" // becomes composed
	if diff := cmp.Diff([]string{`* LIST () "/" "Été" ("OLDNAME" ("` + decomposed + `"))`}, c.ok(`CREATE "`+decomposed+`"`)); diff != "" {
		t.Error(diff)
	}
	c.ok(`CREATE "a&b"`)
}

func TestSubscriptions(t *testing.T) {
	c := newTestServer(t).login(t, "ann")
	c.ok("SUBSCRIBE a/b/c")
	c.ok("SUBSCRIBE a/b/c")
	c.ok("SUBSCRIBE inbox")
	c.ok("CREATE a")
	for _, tc := range []struct {
		args string
		want []string
	}{
		{`"" *`, []string{`* LSUB () "/" INBOX`, `* LSUB () "/" Sent`, `* LSUB () "/" a/b/c`}},
		{`"" %`, []string{`* LSUB () "/" INBOX`, `* LSUB () "/" Sent`, `* LSUB (\Noselect) "/" a`}},
		{`a/ %`, []string{`* LSUB (\Noselect) "/" a/b`}},
		{`"" a/b/c`, []string{`* LSUB () "/" a/b/c`}},
		{`"" nothing`, nil},
	} {
		if diff := cmp.Diff(tc.want, c.ok("LSUB "+tc.args)); diff != "" {
			t.Errorf("%s: %s", tc.args, diff)
		}
	}
	c.ok("UNSUBSCRIBE a/b/c")
	c.ok("UNSUBSCRIBE a/b/c")
	if got := c.ok(`LSUB "" a*`); got != nil {
		t.Error(got)
	}
}

func TestStatusTellsEveryItem(t *testing.T) {
	ts := newTestServer(t)
	c := ts.login(t, "ann")
	c.ok("APPEND Sent " + literal("Subject: a\r\n\r\n"))
	c.ok(`APPEND Sent (\Seen \Deleted) ` + literal("Subject: b\r\n\r\n"))
	m, err := ts.env.Store.Mailbox(context.Background(), storetest.User("ann"), "ann", "Sent")
	if err != nil {
		t.Fatal(err)
	}
	c.send("a STATUS Sent (MESSAGES UIDNEXT UNSEEN DELETED SIZE RECENT MAILBOXID APPENDLIMIT)")
	c.expect("* STATUS Sent (MESSAGES 2 UIDNEXT 3 UNSEEN 1 DELETED 1 SIZE 28 RECENT 2 MAILBOXID ("+m.ID.String()+") APPENDLIMIT 4194304)", "a OK ...")
	c.send("a STATUS Sent (HIGHESTMODSEQ)")
	c.expect("* STATUS Sent (HIGHESTMODSEQ "+uintText(m.HighestModseq)+")", "a OK ...")
	c.send("a STATUS Sent (UIDVALIDITY UIDVALIDITY)")
	c.expect("* STATUS Sent (UIDVALIDITY "+uintText(uint64(m.UIDValidity))+")", "a OK ...")
	c.refused("STATUS Sent (NONSENSE)", "BAD")
	c.refused("STATUS Sent ()", "BAD")
	c.refused("STATUS Sent", "BAD")
	c.refused("STATUS nothing (MESSAGES)", "NO [NONEXISTENT]")
}

func TestIndependentClientManagesMailboxes(t *testing.T) {
	ts := newTestServer(t)
	c := ts.imapclient(t, "ann", nil)
	if err := c.Create("Drafts", &imap.CreateOptions{SpecialUse: []imap.MailboxAttr{imap.MailboxAttrDrafts}}).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Subscribe("Drafts").Wait(); err != nil {
		t.Fatal(err)
	}
	list, err := c.List("", "%", &imap.ListOptions{
		ReturnSubscribed: true, ReturnChildren: true, ReturnStatus: &imap.StatusOptions{NumMessages: true, UIDNext: true, NumUnseen: true},
	}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range list {
		var attrs []string
		for _, a := range d.Attrs {
			attrs = append(attrs, string(a))
		}
		got = append(got, d.Mailbox+" "+strings.Join(attrs, " "))
		if d.Status == nil || *d.Status.NumMessages != 0 || d.Status.UIDNext != 1 {
			t.Errorf("status of %s: %+v", d.Mailbox, d.Status)
		}
	}
	if diff := cmp.Diff([]string{
		`INBOX \HasNoChildren`, `Drafts \Subscribed \HasNoChildren \Drafts`, `Sent \Subscribed \HasNoChildren \Sent`,
	}, got); diff != "" {
		t.Error(diff)
	}
	if err := c.Rename("Drafts", "Concepts", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete("Concepts").Wait(); err != nil {
		t.Fatal(err)
	}
	if ns, err := c.Namespace().Wait(); err != nil || len(ns.Personal) != 1 || ns.Personal[0].Delim != '/' {
		t.Errorf("%+v, %v", ns, err)
	}
}

func TestMailboxLimitIsTold(t *testing.T) {
	ts := newTestServerOn(t, storetest.New(t, 1, mailstore.Options{MaxMailboxes: 2}))
	c := ts.login(t, "ann")
	c.ok("CREATE one")
	c.refused("CREATE two", "NO [LIMIT]")
}
