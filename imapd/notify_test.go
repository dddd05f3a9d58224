package imapd

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

const counters = "(MESSAGES %d UIDNEXT %d UIDVALIDITY %d UNSEEN %d)"

// counted is the STATUS response that tells of a mailbox of ann.
func (ts *testServer) counted(t testing.TB, mailbox string, modseq bool) string {
	t.Helper()
	m, err := ts.env.Store.Mailbox(context.Background(), storetest.User("ann"), "ann", mailbox)
	if err != nil {
		t.Fatal(err)
	}
	s := fmt.Sprintf("* STATUS %s "+counters, mailbox, m.Messages, m.UIDNext, m.UIDValidity, m.Unseen)
	if modseq {
		s = strings.TrimSuffix(s, ")") + fmt.Sprintf(" HIGHESTMODSEQ %d)", m.HighestModseq)
	}
	return s
}

// silent wants nothing to be told. What is told between commands has been told when the second command after it is answered.
func (c *rawClient) silent() {
	c.t.Helper()
	for range 2 {
		if told := c.ok("NOOP"); len(told) > 0 {
			c.t.Fatalf("told %q", told)
		}
	}
}

func TestNotifyArguments(t *testing.T) {
	c := newTestServer(t).login(t, "ann")
	for _, bad := range []string{
		"", " ", " SET", " SET ", " SET STATUS", " NOPE", " NONE x", " SET NONE", " SET ()", " SET (selected)", " SET (selected ())", " SET (nope NONE)",
		" SET STATUS STATUS (personal NONE)", " SET (personal NONE)(personal NONE)", " SET (personal NONE) ",
		" SET (personal (MessageNew))", " SET (personal (MessageExpunge))", " SET (personal (FlagChange))", " SET (selected (MessageExpunge FlagChange))",
		" SET (personal (AnnotationChange))", " SET (selected (MessageNew MessageExpunge MailboxName))", " SET (selected-delayed (SubscriptionChange))",
		" SET (selected (ServerMetadataChange))", " SET (selected NONE) (selected-delayed NONE)", " SET (selected NONE) (selected NONE)",
		" SET (personal (MessageNew (UID) MessageExpunge))", " SET (selected (MessageNew () MessageExpunge))", " SET (selected (MessageNew (NOPE) MessageExpunge))",
		" SET (selected (MessageNew (ALL) MessageExpunge))", " SET (selected (MessageExpunge (UID) MessageNew))", " SET (selected (MessageNew (UID) (UID) MessageExpunge))",
		" SET (subtree (MailboxName))", " SET (subtree () (MailboxName))", " SET (mailboxes a)", " SET (mailboxes NONE)", " SET (inboxes INBOX NONE)",
	} {
		c.refused("NOTIFY"+bad, "BAD")
	}
	for _, unsupported := range []string{
		"(personal (MailboxMetadataChange))", "(personal (ServerMetadataChange MailboxName))", "(selected (MessageNew MessageExpunge AnnotationChange))", "(mailboxes INBOX (vendor.x))",
	} {
		c.refused("NOTIFY SET "+unsupported, "NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)] ")
	}
	c.refused("NOTIFY SET"+strings.Repeat(" (personal NONE)", maxNotifyGroups+1), "NO [NOTIFICATIONOVERFLOW]")
	c.refused("NOTIFY SET (mailboxes (x"+strings.Repeat(" x", maxNotifyNames)+") NONE)", "NO [NOTIFICATIONOVERFLOW]")
	c.refused("NOTIFY SET (mailboxes a//b (MailboxName))", "NO [CANNOT]")
	for _, fine := range []string{
		"NONE", "SET (selected NONE)", "set status (SELECTED-delayed (messagenew (uid body.peek[header.fields (from to)]) messageexpunge flagchange)) (INBOXES (MailboxName))",
		"SET (mailboxes (INBOX " + literal("a b") + ") (SubscriptionChange)) (subtree x NONE) (subscribed (MessageNew MessageExpunge))", "SET (personal NONE)", "NONE",
	} {
		c.ok("NOTIFY " + fine)
	}
	before := newTestServer(t).dial(t)
	before.refused("NOTIFY NONE", "BAD")
}

func TestNotifyTellsOfTheSelectedMailboxBetweenCommands(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 2, `\Seen`)
	c := ts.login(t, "ann")
	c.says("NOTIFY SET (selected (MessageNew (UID FLAGS BODY[HEADER.FIELDS (SUBJECT)] SAVEDATE) MessageExpunge FlagChange))", "OK ...")
	c.ok("SELECT INBOX")
	ts.env.Append(t, "ann", "INBOX", "Subject: three\r\n\r\nbody\r\n")
	c.expect("* 3 EXISTS", "* 3 RECENT", "* 3 FETCH (UID 3 FLAGS (\\Recent) SAVEDATE \"...")
	other := ts.selectedClient(t)
	other.ok(`STORE 1 +FLAGS (\Deleted $x)`)
	c.expect(`* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $x)`, "* OK [PERMANENTFLAGS ...", `* 1 FETCH (UID 1 FLAGS (\Seen \Deleted $x \Recent))`)
	other.ok("EXPUNGE")
	c.expect("* 1 EXPUNGE")
	c.says("FETCH 2 UID", "* 2 FETCH (UID 3)", "OK ...")
	// \Seen was not set by what NOTIFY fetched.
	c.says("FETCH 2 FLAGS", `* 2 FETCH (FLAGS (\Recent))`, "OK ...")
	c.ok("UNSELECT")
	ts.env.Append(t, "ann", "INBOX", "Subject: four\r\n\r\nbody\r\n")
	c.silent()
	c.ok("SELECT Sent")
	ts.env.Append(t, "ann", "INBOX", "Subject: five\r\n\r\nbody\r\n")
	c.silent()
	ts.env.Append(t, "ann", "Sent", "Subject: sent\r\n\r\nbody\r\n")
	c.expect("* 1 EXISTS", "* 1 RECENT", "* 1 FETCH (UID 1 FLAGS (\\Recent) SAVEDATE ...")
}

func TestNotifyLeavesOutWhatWasNotAskedFor(t *testing.T) {
	for _, settings := range []string{"NONE", "SET (selected NONE)", "SET (personal (MailboxName))"} {
		ts := newTestServer(t)
		ts.fill(t, "INBOX", 3)
		other, c := ts.selectedClient(t), ts.selectedClient(t)
		c.ok("NOTIFY " + settings)
		ts.env.Append(t, "ann", "INBOX", "Subject: new\r\n\r\n")
		other.ok(`UID STORE 2 +FLAGS (\Answered)`)
		other.ok(`UID STORE 1 +FLAGS (\Deleted)`)
		other.ok("EXPUNGE")
		c.silent()
		c.send("i IDLE")
		c.expect("+ idling")
		c.send("DONE")
		c.expect("i OK ...")
		// The client works on with what it knows.
		c.says("UID FETCH 1:* FLAGS", `* 1 FETCH (UID 1 FLAGS ())`, `* 2 FETCH (UID 2 FLAGS ())`, `* 3 FETCH (UID 3 FLAGS ())`, "OK ...")
		c.refused("FETCH 4 UID", "BAD")
		c.says("FETCH 1 RFC822.SIZE", "OK [EXPUNGEISSUED] ...")
		// What happened before new settings is told when they come.
		c.says("NOTIFY SET (selected (MessageNew MessageExpunge))",
			"* 1 EXPUNGE", "* 3 EXISTS", "* 0 RECENT", `* 1 FETCH (UID 2 FLAGS (\Answered))`, "OK ...")
		other.ok(`UID STORE 2 -FLAGS (\Answered)`)
		c.silent()
		c.says("UID STORE 3 +FLAGS (\\Flagged)", `* 2 FETCH (UID 3 FLAGS (\Flagged))`, "OK ...")
	}
}

func TestNotifyTellsWhatTheClientsOwnCommandsDo(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 4)
	c := ts.selectedClient(t)
	c.ok("NOTIFY NONE")
	c.says(`STORE 2 +FLAGS (\Deleted)`, `* 2 FETCH (FLAGS (\Deleted \Recent))`, "OK ...")
	c.says("EXPUNGE", "* 2 EXPUNGE", "OK ...")
	c.says("MOVE 1 Sent", "* OK [COPYUID ...", "* 1 EXPUNGE", "OK ...")
	c.says("UID FETCH 1:* UID", "* 1 FETCH (UID 3)", "* 2 FETCH (UID 4)", "OK ...")

	c.ok("NOTIFY SET (selected (MessageNew (UID) MessageExpunge))")
	c.says("APPEND INBOX "+literal("Subject: own\r\n\r\n"), "* 3 EXISTS", "* 3 RECENT", "OK ...")
	c.says("COPY 1 INBOX", "* 4 EXISTS", "* 4 RECENT", "OK ...")
	ts.env.Append(t, "ann", "INBOX", "Subject: other\r\n\r\n")
	c.expect("* 5 EXISTS", "* 5 RECENT", "* 5 FETCH (UID 7)")
	c.ok("NOTIFY SET (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))")
	c.ok("CREATE mine")
	c.ok("COPY 1 mine")
	c.ok("SUBSCRIBE mine")
	c.ok("RENAME mine own")
	c.ok("DELETE own")
	c.silent()
}

func TestNotifySelectedDelayedKeepsMessageNumbers(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 3)
	c := ts.selectedClient(t)
	c.ok("NOTIFY SET (selected-delayed (MessageNew MessageExpunge))")
	other := ts.selectedClient(t)
	other.ok(`STORE 1 +FLAGS (\Deleted)`)
	other.ok("EXPUNGE")
	ts.env.Append(t, "ann", "INBOX", "Subject: new\r\n\r\n")
	c.expect("* 4 EXISTS", "* 4 RECENT")
	c.says("FETCH 2 UID", "* 2 FETCH (UID 2)", "OK ...")
	c.says("NOOP", "* 1 EXPUNGE", "OK ...")
	other.ok(`STORE 1 +FLAGS (\Deleted)`)
	other.ok("EXPUNGE")
	for range 2 { // which no EXPUNGE may come during, nor between
		c.says("SEARCH UID 999", "* SEARCH", "OK ...")
	}
	c.send("i IDLE")
	c.expect("+ idling", "* 1 EXPUNGE")
	other.ok(`STORE 1 +FLAGS (\Deleted)`)
	other.ok("EXPUNGE")
	c.expect("* 1 EXPUNGE")
	c.send("DONE")
	c.expect("i OK ...")
}

func TestNotifyWithQresync(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 2)
	c := ts.selectedClient(t, "QRESYNC")
	c.ok("NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge))")
	other := ts.selectedClient(t)
	other.ok(`STORE 1 +FLAGS (\Deleted)`)
	c.expect(fmt.Sprintf(`* 1 FETCH (UID 1 FLAGS (\Deleted \Recent) MODSEQ (%d))`, ts.modseq(t, "INBOX")))
	other.ok("EXPUNGE")
	c.expect("* VANISHED 1")
	ts.env.Append(t, "ann", "Sent", "Subject: new\r\n\r\n")
	c.expect(ts.counted(t, "Sent", true))
	ts.env.Append(t, "ann", "INBOX", "Subject: new\r\n\r\n")
	c.expect("* 2 EXISTS", "* 2 RECENT", fmt.Sprintf(`* 2 FETCH (FLAGS (\Recent) MODSEQ (%d))`, ts.modseq(t, "INBOX")))
}

func TestNotifyTellsOfOtherMailboxes(t *testing.T) {
	ts := newTestServer(t)
	ctx := context.Background()
	other := ts.login(t, "ann")
	for _, name := range []string{"lists", "lists/a", "lists/a/b", "listsx", "one", "two"} {
		other.ok("CREATE " + name)
	}
	c := ts.selectedClient(t)
	c.says("NOTIFY SET STATUS (subtree lists (MessageNew MessageExpunge)) (mailboxes (one INBOX) (MessageNew MessageExpunge FlagChange)) (subscribed (MessageNew MessageExpunge)) (two NONE)", "BAD ...")
	c.says("NOTIFY SET STATUS (subtree lists (MessageNew MessageExpunge)) (mailboxes (one INBOX) (MessageNew MessageExpunge FlagChange)) (subscribed (MessageNew MessageExpunge))",
		ts.counted(t, "Sent", false), ts.counted(t, "lists", false), ts.counted(t, "lists/a", false), ts.counted(t, "lists/a/b", false), ts.counted(t, "one", true), "OK ...")
	for _, name := range []string{"listsx", "two", "INBOX", "lists/a/b"} {
		ts.env.Append(t, "ann", name, "Subject: new\r\n\r\n")
	}
	c.expect(ts.counted(t, "lists/a/b", false))
	other.ok("SELECT lists/a/b")
	other.ok(`STORE 1 +FLAGS (\Deleted)`)
	c.silent()
	other.ok("EXPUNGE")
	c.expect(ts.counted(t, "lists/a/b", false))
	ts.env.Append(t, "ann", "one", "Subject: new\r\n\r\n")
	c.expect(ts.counted(t, "one", true))
	other.ok("SELECT one")
	other.ok(`STORE 1 +FLAGS (\Seen)`)
	c.expect(ts.counted(t, "one", true))
	other.ok("SUBSCRIBE two")
	ts.env.Append(t, "ann", "two", "Subject: new\r\n\r\n")
	c.expect(ts.counted(t, "two", false))
	// A mailbox that is not selected any more is one of the others.
	c.ok("SELECT Sent")
	ts.env.Append(t, "ann", "INBOX", "Subject: new\r\n\r\n")
	c.expect(ts.counted(t, "INBOX", true))
	// Another account is none of it.
	ts.account(t, "bob")
	ts.env.Append(t, "bob", "INBOX", "Subject: new\r\n\r\n")
	c.silent()
	// A new mailbox is told as it comes into being.
	if _, err := ts.env.Store.CreateMailbox(ctx, storetest.User("ann"), "ann", mailstore.NewMailbox{Name: "lists/new"}); err != nil {
		t.Fatal(err)
	}
	c.expect(ts.counted(t, "lists/new", false))
}

func TestNotifyTellsOfNames(t *testing.T) {
	ts := newTestServer(t)
	c := ts.login(t, "ann")
	other := ts.login(t, "ann")
	c.ok("NOTIFY SET (personal (MailboxName SubscriptionChange))")
	other.ok("CREATE a/b")
	c.expect(`* LIST (\HasNoChildren) "/" a/b`, `* LIST (\NonExistent \HasChildren) "/" a`)
	other.ok("CREATE a")
	c.expect(`* LIST (\HasChildren) "/" a`)
	other.ok("CREATE junk (USE (\\Junk))")
	c.expect(`* LIST (\HasNoChildren \Junk) "/" junk`)
	other.ok("SUBSCRIBE a")
	c.expect(`* LIST (\Subscribed \HasChildren) "/" a`)
	other.ok("RENAME a new")
	c.expect(`* LIST (\HasChildren) "/" new ("OLDNAME" (a))`)
	other.ok("UNSUBSCRIBE a")
	c.expect(`* LIST (\NonExistent \HasNoChildren) "/" a`)
	other.ok("DELETE new/b")
	c.expect(`* LIST (\NonExistent \HasNoChildren) "/" new/b`, `* LIST (\HasNoChildren) "/" new`)
	other.ok(`SUBSCRIBE "n&AOQ-me"`)
	c.expect(`* LIST (\NonExistent \Subscribed \HasNoChildren) "/" n&AOQ-me`)
	c.ok("ENABLE IMAP4rev2")
	other.ok(`UNSUBSCRIBE "n&AOQ-me"`)
	c.expect(`* LIST (\NonExistent \HasNoChildren) "/" "näme"`)

	// Several changes while a command is in progress are one.
	c.send("i NOTIFY SET (mailboxes (x y) (MailboxName)) (subtree sub/one (MailboxName))")
	c.expect("i OK ...")
	other.ok("CREATE x")
	c.expect(`* LIST (\HasNoChildren) "/" x`)
	other.ok("RENAME x z")
	c.expect(`* LIST (\HasNoChildren) "/" z ("OLDNAME" (x))`)
	other.ok("CREATE unseen")
	c.silent() // or the two changes are one, by which y is made
	other.ok("RENAME unseen y")
	c.expect(`* LIST (\HasNoChildren) "/" y ("OLDNAME" (unseen))`)
	other.ok("CREATE sub/one/two")
	c.expect(`* LIST (\HasNoChildren) "/" sub/one/two`, `* LIST (\NonExistent \HasChildren) "/" sub/one`)
	other.ok("RENAME sub moved") // the superior is of no interest, what is below it is
	c.expect(`* LIST (\HasNoChildren) "/" moved/one/two ("OLDNAME" (sub/one/two))`)
	c.silent()
	// A new INBOX takes the place of one that is renamed, and nothing is said of it.
	c.ok("NOTIFY SET (mailboxes nothing-of-that-name (MailboxName)) (personal (MailboxName))")
	ts.env.Append(t, "ann", "INBOX", "Subject: new\r\n\r\n")
	other.ok("RENAME INBOX saved")
	c.expect(`* LIST (\HasNoChildren) "/" saved`)
	c.silent()
}

func TestNotifyTellsOfTheDeletedSelectedMailbox(t *testing.T) {
	for _, settings := range []string{"(selected (MessageNew MessageExpunge))", "(personal (MailboxName))"} {
		ts := newTestServer(t)
		c, other := ts.login(t, "ann"), ts.login(t, "ann")
		other.ok("CREATE gone")
		c.ok("SELECT gone")
		c.ok("NOTIFY SET " + settings)
		other.ok("DELETE gone")
		if strings.Contains(settings, "personal") {
			c.expect(`* LIST (\NonExistent \HasNoChildren) "/" gone`)
		}
		c.expect("* BYE The selected mailbox was deleted")
		c.expectEOF()
	}
}

// A client that does not read while more mailboxes change than the server keeps in mind is told that notifications are off.
func TestNotificationOverflow(t *testing.T) {
	ts := newTestServer(t, func(o *Options) { o.Limits.NotifyMailboxes = 3 })
	other := ts.login(t, "ann")
	other.ok("CREATE a")
	for i := range 4 {
		other.ok(fmt.Sprintf("CREATE a/%d", i))
	}
	for _, idle := range []bool{false, true} {
		c := ts.selectedClient(t)
		c.ok("NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (MessageNew MessageExpunge MailboxName))")
		if idle {
			c.send("i IDLE")
			c.expect("+ idling")
		}
		from, to := "a", "b"
		if idle {
			from, to = to, from
		}
		other.ok("RENAME " + from + " " + to) // five mailboxes at once
		c.expect("* OK [NOTIFICATIONOVERFLOW] ...")
		ts.env.Append(t, "ann", to, "Subject: x\r\n\r\n")
		ts.env.Append(t, "ann", "INBOX", "Subject: x\r\n\r\n")
		if idle {
			c.send("DONE")
			c.expect("i OK ...")
		}
		c.says("NOOP", "OK ...") // as after NOTIFY NONE
		c.ok("NOTIFY SET (personal (MessageNew MessageExpunge))")
		ts.env.Append(t, "ann", to, "Subject: x\r\n\r\n")
		c.expect(ts.counted(t, to, false))
	}
}

// Many deliver to many mailboxes at once; in the end the client knows the state of each.
func TestNotifyUnderConcurrentDelivery(t *testing.T) {
	const boxes, writers, each = 150, 4, 60
	ts := newTestServer(t)
	ctx := context.Background()
	name := func(i int) string { return fmt.Sprintf("box%03d", i%boxes) }
	for i := range boxes {
		if _, err := ts.env.Store.CreateMailbox(ctx, storetest.User("ann"), "ann", mailstore.NewMailbox{Name: name(i)}); err != nil {
			t.Fatal(err)
		}
	}
	c := ts.login(t, "ann")
	if told := c.ok("NOTIFY SET STATUS (subtree nothing NONE) (personal (MessageNew MessageExpunge))"); len(told) != boxes+2 {
		t.Fatalf("%d STATUS responses", len(told))
	}
	c.ok("SELECT INBOX")
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				b, err := ts.env.Store.Prepare([]byte("Subject: x\r\n\r\n"))
				if err == nil {
					_, err = ts.env.Store.Append(ctx, storetest.User("ann"), "ann", name(w*37+i*11), []mailstore.NewMessage{{Body: b}})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	last := map[string]string{}
	keep := func(told []string) {
		for _, l := range told {
			if f := strings.Fields(l); len(f) > 3 && f[1] == "STATUS" {
				last[f[2]] = l
			}
		}
	}
	for range 20 { // commands come in between
		keep(c.ok("CHECK"))
	}
	wg.Wait()
	keep(c.ok("NOOP"))
	told := 0
	for i := range boxes {
		want := ts.counted(t, name(i), false)
		if strings.Contains(want, "(MESSAGES 0 ") {
			continue
		}
		if told++; last[name(i)] != want {
			t.Errorf("told %q, want %q", last[name(i)], want)
		}
	}
	if told < each {
		t.Errorf("%d mailboxes have mail", told)
	}
}
