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
