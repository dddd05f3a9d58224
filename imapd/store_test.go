package imapd

import (
	"fmt"
	"testing"
)

func TestStore(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 3)
	c := ts.selectedClient(t)
	c.says(`STORE 1:2 +FLAGS (\Seen \Flagged)`, `* 1 FETCH (FLAGS (\Seen \Flagged \Recent))`, `* 2 FETCH (FLAGS (\Seen \Flagged \Recent))`, "OK ...")
	c.says(`STORE 1 -FLAGS \Seen`, `* 1 FETCH (FLAGS (\Flagged \Recent))`, "OK ...")
	c.says(`UID STORE 2,99 FLAGS (\Draft)`, `* 2 FETCH (UID 2 FLAGS (\Draft \Recent))`, "OK ...")
	c.says(`UID STORE 99 FLAGS (\Draft)`, "OK ...")
	c.says(`STORE 3 FLAGS.SILENT ()`, "OK ...")
	c.says(`STORE 3 +FLAGS.SILENT Work`, `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft Work)`, "* OK [PERMANENTFLAGS ...", "OK ...")
	c.says(`STORE 3 +FLAGS WORK`, `* 3 FETCH (FLAGS (Work \Recent))`, "OK ...")
	c.says("NOOP", "OK ...")
	for _, bad := range []string{
		"STORE", "STORE 1", "STORE 1 FLAGS", "STORE 1 FLAGS (", `STORE 1 FLAGS (\Recent)`, "STORE 9 FLAGS ()", "STORE 1 *FLAGS ()", "STORE 1 FLAGS.LOUD ()",
		"STORE 1 (UNCHANGEDSINCE) FLAGS ()", "STORE 1 (FOO 1) FLAGS ()", "STORE 1:* FLAGS () x",
	} {
		c.refused(bad, "BAD")
	}
	c.refused(`STORE 1 FLAGS (\Unknown)`, "NO [CANNOT]")
	c.ok("EXAMINE INBOX")
	c.refused(`STORE 1 +FLAGS (\Seen)`, "NO The mailbox was opened read-only")
	c.refused("EXPUNGE", "NO The mailbox was opened read-only")
	c.refused("MOVE 1 Sent", "NO The mailbox was opened read-only")
}

func TestSilentStoreTellsWhatOthersDid(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 2)
	a, b := ts.selectedClient(t), ts.selectedClient(t)
	a.ok(`STORE 1 +FLAGS (\Flagged)`)
	b.says(`STORE 1:2 +FLAGS.SILENT (\Seen)`, `* 1 FETCH (FLAGS (\Flagged))`, `* 1 FETCH (FLAGS (\Seen \Flagged))`, "OK ...")
	b.says("NOOP", "OK ...")
	a.says("NOOP", `* 1 FETCH (FLAGS (\Seen \Flagged \Recent))`, `* 2 FETCH (FLAGS (\Seen \Recent))`, "OK ...")
}

func TestConditionalStore(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 4)
	m := ts.modseq(t, "INBOX")
	c, other := ts.selectedClient(t, "CONDSTORE"), ts.selectedClient(t)
	other.ok(`UID STORE 2:3 +FLAGS (\Flagged)`)
	other.ok(`UID STORE 1 +FLAGS.SILENT (\Deleted)`)
	other.ok("EXPUNGE")
	// Message 1 keeps its number while STORE is under way.
	flagged := func(seq, uid int) string {
		return fmt.Sprintf(`* %d FETCH (FLAGS (\Flagged \Recent) MODSEQ (%d))`, seq, m+1)
	}
	c.says(fmt.Sprintf(`STORE 2:4 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\Seen)`, m),
		flagged(2, 2), flagged(3, 3), fmt.Sprintf("* 4 FETCH (MODSEQ (%d))", m+4), "OK [MODIFIED 2:3] ...")
	c.says("NOOP", "* 1 EXPUNGE", "OK ...")
	c.says(fmt.Sprintf(`UID STORE 2:4 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\Seen)`, m), "OK [MODIFIED 2:4] ...")
	c.says(fmt.Sprintf(`STORE 1 (UNCHANGEDSINCE %d) +FLAGS (\Seen)`, m+4), fmt.Sprintf(`* 1 FETCH (FLAGS (\Seen \Flagged \Recent) MODSEQ (%d))`, m+5), "OK STORE...")
	c.says(`STORE 1 (UNCHANGEDSINCE 0) +FLAGS (\Seen)`, "OK [MODIFIED 1] ...")
}

func TestStoreEnablesCondstore(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 1)
	m := ts.modseq(t, "INBOX")
	c := ts.selectedClient(t)
	c.ok(`STORE 1 (UNCHANGEDSINCE 0) +FLAGS (\Seen)`)
	c.says(`STORE 1 +FLAGS.SILENT (\Seen)`, fmt.Sprintf("* 1 FETCH (MODSEQ (%d))", m+1), "OK ...")
}
