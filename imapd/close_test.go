package imapd

import "testing"

func TestCloseExpungesAndUnselectDoesNot(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 1)
	ts.fill(t, "INBOX", 1, `\Deleted`)
	c := ts.selectedClient(t)
	c.says("UNSELECT", "OK ...")
	c.refused("CLOSE", "BAD")
	c.ok("EXAMINE INBOX")
	c.says("CLOSE", "OK ...")
	c.says("STATUS INBOX (MESSAGES)", "* STATUS INBOX (MESSAGES 2)", "OK ...")
	c.ok("SELECT INBOX")
	c.says("CLOSE", "OK ...")
	c.says("STATUS INBOX (MESSAGES)", "* STATUS INBOX (MESSAGES 1)", "OK ...")
}
