package imapd

import (
	"fmt"
	"testing"
)

func TestExpunge(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 3)
	ts.fill(t, "INBOX", 4, `\Deleted`)
	c, q := ts.selectedClient(t), ts.selectedClient(t, "QRESYNC", "IMAP4rev2")
	c.says("UID EXPUNGE 1:4", "* 4 EXPUNGE", "OK ...")
	c.says("UID EXPUNGE 1:3", "OK ...")
	c.says("UID EXPUNGE 4000000000", "OK ...")
	q.says("UID EXPUNGE 5", "* VANISHED 4:5", fmt.Sprintf("OK [HIGHESTMODSEQ %d] ...", ts.modseq(t, "INBOX")+1))
	q.says("EXPUNGE", "* VANISHED 6:7", fmt.Sprintf("OK [HIGHESTMODSEQ %d] ...", ts.modseq(t, "INBOX")+1))
	q.says("EXPUNGE", "OK EXPUNGE completed")
	c.says("CHECK", "* 6 EXPUNGE", "* 5 EXPUNGE", "* 4 EXPUNGE", "OK ...")
	c.refused("UID EXPUNGE", "BAD")
	c.refused("EXPUNGE 1", "BAD")
}

func TestExpungeWaitsForACommandThatAllowsIt(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 2, `\Deleted`)
	c, other := ts.selectedClient(t), ts.selectedClient(t)
	other.ok("UID EXPUNGE 1")
	c.says("FETCH 2 UID", "* 2 FETCH (UID 2)", "OK ...")
	c.says("SEARCH UID 2", "* SEARCH 2", "OK ...")
	c.says("NOOP", "* 1 EXPUNGE", "OK ...") // nothing else has happened since
	c.says("FETCH 1 UID", "* 1 FETCH (UID 2)", "OK ...")
}
