package imapd

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"angarium/mailstore/storetest"
)

func TestAppendWithFlagsAndDate(t *testing.T) {
	ts := newTestServer(t)
	c := ts.imapclient(t, "ann", nil)
	when := time.Date(2020, 2, 29, 12, 0, 0, 0, time.FixedZone("", 3600))
	body := "Subject: a\r\n\r\nbody\r\n"
	cmd := c.Append("Sent", int64(len(body)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen, "$Work"}, Time: when})
	if _, err := io.WriteString(cmd, body); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := cmd.Wait()
	if err != nil || data.UID != 1 {
		t.Fatalf("%+v, %v", data, err)
	}
	box, err := ts.env.Store.Open(context.Background(), storetest.User("ann"), "ann", "Sent", true)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	m, ok, err := box.Message(1)
	if err != nil || !ok || m.InternalDate != when.Unix() {
		t.Fatalf("%+v, %v, %v", m, ok, err)
	}
	raw, err := box.Body(m.GUID)
	if err != nil || string(raw) != body {
		t.Fatalf("%q, %v", raw, err)
	}
	live, _ := box.Snapshot().List.Get(1)
	if got := fmt.Sprint(live.Flags.Names(box.Snapshot().Mailbox.Keywords)); got != `[\Seen $Work]` {
		t.Error(got)
	}
}

func TestAppendFailsBeforeTheMessageIsAskedFor(t *testing.T) {
	c := newTestServer(t).login(t, "ann")
	for _, tc := range []struct{ args, want string }{
		{"nothing {10}", "NO [TRYCREATE]"},
		{"INBOX {4194305}", "NO [TOOBIG]"},
		{"INBOX {0}", "NO "},
		{`INBOX (\Seen {10}`, "BAD"},
		{`INBOX "no date" {10}`, "BAD"},
		{`INBOX`, "BAD"},
		{`INBOX ""`, "BAD"},
		{`a//b {10}`, "NO [CANNOT]"},
	} {
		c.refused("APPEND "+tc.args, tc.want)
	}
	c.ok("NOOP")
}

func TestAppendRefusals(t *testing.T) {
	c := newTestServer(t).login(t, "ann")
	for _, tc := range []struct{ args, want string }{
		{"nothing " + literal("a1 LOGOUT\r\n"), "NO [TRYCREATE]"},
		{"INBOX {4194305+}\r\n" + strings.Repeat("x", 4194305), "NO [TOOBIG]"},
		{"INBOX " + literal("a\x00b"), "NO The message has NUL octets"},
		{"INBOX ~" + literal("a\x00b"), "NO [UNKNOWN-CTE]"},
		{"INBOX " + literal(""), "NO "},
		{`INBOX (\Nonsense) ` + literal("x"), "NO [CANNOT]"},
		{"INBOX " + literal("x") + " x", "BAD"},
		{"INBOX " + literal("x") + literal("y"), "BAD"},
		{"INBOX " + literal("x") + " ", "BAD"},
	} {
		c.refused("APPEND "+tc.args, tc.want)
	}
	c.send("a STATUS INBOX (MESSAGES)")
	c.expect("* STATUS INBOX (MESSAGES 0)", "a OK ...")
	c.ok("APPEND INBOX ~" + literal("Subject: fine\r\n\r\n"))
}

func TestMultiAppendIsAllOrNothing(t *testing.T) {
	ts := newTestServer(t)
	c := ts.login(t, "ann")
	c.ok("SELECT INBOX")
	one, two := literal("Subject: 1\r\n\r\n"), literal("Subject: 2\r\n\r\n")
	c.refused("APPEND INBOX "+one+` (\Seen) `+two+" "+literal(""), "NO")
	c.ok("NOOP")
	untagged, status := c.cmd("APPEND INBOX (\\Seen) " + one + ` "01-Jan-2020 00:00:00 +0000" ` + two + " " + one)
	if !strings.HasPrefix(status, "OK [APPENDUID ") || !strings.HasSuffix(status, " 1:3] Message appended") || len(untagged) < 1 || untagged[len(untagged)-2] != "* 3 EXISTS" {
		t.Errorf("%q, %q", untagged, status)
	}
}

func TestLargeMultiAppendIsStashed(t *testing.T) {
	ts := newTestServer(t)
	c := ts.login(t, "ann")
	var args strings.Builder
	for i := range 5 {
		args.WriteString(" " + literal(fmt.Sprintf("Subject: %d\r\n\r\n", i)+strings.Repeat(fmt.Sprintf("%d%063d\r\n", i, i), 12_000)))
	}
	_, status := c.cmd("APPEND INBOX" + args.String())
	if !strings.HasSuffix(status, " 1:5] Message appended") {
		t.Error(status)
	}
	if left := ts.uploading.Load(); left != 0 {
		t.Errorf("%d bytes still counted as being uploaded", left)
	}
}

func TestUploadsAreBounded(t *testing.T) {
	ts := newTestServer(t, func(o *Options) { o.Limits.AppendBytes, o.Limits.MessagesAppend = 1000, 2 })
	c, d := ts.login(t, "ann"), ts.login(t, "ann")
	c.send("a APPEND INBOX {600}")
	c.expect("+ ...")
	d.refused("APPEND INBOX {600}", "NO [UNAVAILABLE]")
	c.send(strings.Repeat("x", 600))
	c.expect("a OK ...")
	d.ok("APPEND INBOX " + literal(strings.Repeat("x", 600)))
	d.refused("APPEND INBOX "+literal("x")+" "+literal("x")+" "+literal("x"), "NO [LIMIT]")
}

func TestClientGoneDuringAppend(t *testing.T) {
	ts := newTestServer(t)
	c := ts.login(t, "ann")
	c.send("a APPEND INBOX {100}")
	c.expect("+ ...")
	c.sendRaw("Subject: half")
	if err := c.conn.Close(); err != nil {
		t.Fatal(err)
	}
	d := ts.login(t, "ann")
	d.send("a STATUS INBOX (MESSAGES)")
	d.expect("* STATUS INBOX (MESSAGES 0)", "a OK ...")
}
