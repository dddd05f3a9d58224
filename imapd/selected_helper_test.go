package imapd

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

// says sends a command and compares all responses, the tagged one last and without its tag. One may end in "..." for any rest.
func (c *rawClient) says(command string, want ...string) {
	c.t.Helper()
	untagged, status := c.cmd(command)
	got := append(untagged, status)
	ok := len(got) == len(want)
	for i := 0; ok && i < len(got); i++ {
		ok = fitsLine(got[i], want[i])
	}
	if !ok {
		c.t.Fatalf("%s\ngot:\n\t%s\nwant:\n\t%s", command, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// fill appends n plain messages, numbered from 1, to a mailbox of ann.
func (ts *testServer) fill(t testing.TB, mailbox string, n int, flags ...string) {
	t.Helper()
	const batch = 500
	ctx := context.Background()
	for first := 1; first <= n; first += batch {
		var list []mailstore.NewMessage
		for i := first; i <= min(n, first+batch-1); i++ {
			b, err := ts.env.Store.Prepare([]byte(testMessage(i)))
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, mailstore.NewMessage{Body: b, Flags: flags, InternalDate: testDate(i)})
		}
		if _, err := ts.env.Store.Append(ctx, storetest.User("ann"), "ann", mailbox, list); err != nil {
			t.Fatal(err)
		}
	}
}

// testDate is the date of the i-th test message: one a day.
func testDate(i int) time.Time { return time.Date(2026, 1, i, 12, 0, 0, 0, time.UTC) }

func testMessage(i int) string {
	return fmt.Sprintf("From: Ann <ann%d@example.com>\r\nTo: Bob <bob@example.com>\r\nSubject: message %d\r\nDate: %s\r\n"+
		"Message-ID: <%d@example.com>\r\nX-Other: other %d\r\n\r\nbody %d\r\n",
		i, i, testDate(i).Format("Mon, 02 Jan 2006 15:04:05 -0700"), i, i, i)
}

// selectedClient logs in as ann and selects INBOX.
func (ts *testServer) selectedClient(t testing.TB, enable ...string) *rawClient {
	t.Helper()
	c := ts.login(t, "ann")
	if len(enable) > 0 {
		c.ok("ENABLE " + strings.Join(enable, " "))
	}
	c.ok("SELECT INBOX")
	return c
}

// modseq asks for HIGHESTMODSEQ of a mailbox.
func (ts *testServer) modseq(t testing.TB, mailbox string) uint64 {
	t.Helper()
	m, err := ts.env.Store.Mailbox(context.Background(), storetest.User("ann"), "ann", mailbox)
	if err != nil {
		t.Fatal(err)
	}
	return m.HighestModseq
}
