package imapd

import (
	"fmt"
	"testing"
)

func TestMove(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 6)
	v := ts.validity(t, "Sent")
	c, q := ts.selectedClient(t), ts.selectedClient(t, "QRESYNC")
	c.says("MOVE 2:3 Sent", fmt.Sprintf("* OK [COPYUID %d 2:3 1:2] ...", v), "* 3 EXPUNGE", "* 2 EXPUNGE", "OK MOVE completed")
	q.says("UID MOVE 4,9 Sent", "* VANISHED 2:3", fmt.Sprintf("* OK [COPYUID %d 4 3] ...", v), "* VANISHED 4",
		fmt.Sprintf("OK [HIGHESTMODSEQ %d] ...", ts.modseq(t, "INBOX")+1))
	q.says("UID MOVE 4 Sent", "OK MOVE completed; there was nothing to move")
	c.says("UID MOVE 1 INBOX", "* 2 EXPUNGE", fmt.Sprintf("* OK [COPYUID %d 1 7] ...", ts.validity(t, "INBOX")), "* 1 EXPUNGE", "* 3 EXISTS", "* 3 RECENT", "OK ...")
	c.refused("MOVE 1 nowhere", "NO [TRYCREATE]")
	c.refused("MOVE 4 Sent", "BAD")
}
