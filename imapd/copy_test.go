package imapd

import (
	"context"
	"fmt"
	"testing"

	"angarium/mailstore/storetest"
)

func (ts *testServer) validity(t testing.TB, mailbox string) uint32 {
	t.Helper()
	m, err := ts.env.Store.Mailbox(context.Background(), storetest.User("ann"), "ann", mailbox)
	if err != nil {
		t.Fatal(err)
	}
	return m.UIDValidity
}

func TestCopy(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 4, "Work")
	v := ts.validity(t, "Sent")
	c := ts.selectedClient(t)
	c.says("COPY 2:3 Sent", fmt.Sprintf("OK [COPYUID %d 2:3 1:2] ...", v))
	c.says("UID COPY 1,4,9 Sent", fmt.Sprintf("OK [COPYUID %d 1,4 3:4] ...", v))
	c.says("UID COPY 9 Sent", "OK COPY completed; there was nothing to copy")
	c.says("COPY 1 INBOX", "* 5 EXISTS", "* 5 RECENT", fmt.Sprintf("OK [COPYUID %d 1 5] ...", ts.validity(t, "INBOX")))
	c.refused("COPY 1 nowhere", "NO [TRYCREATE]")
	for _, bad := range []string{"COPY", "COPY 1", "COPY 9 Sent", "COPY 1 Sent Sent", "UID COPY 0 Sent", "UID NOPE 1", "UID"} {
		c.refused(bad, "BAD")
	}
	c.ok("EXAMINE INBOX")
	c.ok("COPY 1 Sent")
	c.ok("EXAMINE Sent")
	c.says("FETCH 5 (UID FLAGS)", `* 5 FETCH (UID 5 FLAGS (Work \Recent))`, "OK ...")
}
