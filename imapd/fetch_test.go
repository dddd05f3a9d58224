package imapd

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/google/go-cmp/cmp"
)

// multipartMessage has a text, an attachment in base64, an embedded message and a part of unknown encoding.
const multipartMessage = "From: a@example.com\r\nSubject: parts\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n" +
	"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n" +
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nTo: b@example.com\r\n\r\ninner text\r\n" +
	"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-unknown\r\n\r\nodd\r\n" +
	"--b--\r\n"

func TestFetchSections(t *testing.T) {
	ts := newTestServer(t)
	ts.env.Append(t, "ann", "INBOX", multipartMessage, `\Seen`)
	c := ts.login(t, "ann")
	c.ok("EXAMINE INBOX")
	lit := func(s string) string { return fmt.Sprintf("{%d}\r\n%s", len(s), s) }
	header := multipartMessage[:strings.Index(multipartMessage, "--b")]
	for _, tc := range []struct{ item, want string }{
		{"BODY[]", "BODY[] " + lit(multipartMessage)},
		{"body.peek[]<0.10>", "BODY[]<0> " + lit(multipartMessage[:10])},
		{"BODY[]<5.4294967296>", "BODY[]<5> " + lit(multipartMessage[5:])},
		{"BODY[]<9999.1>", "BODY[]<9999> " + lit("")},
		{"BODY[HEADER]", "BODY[HEADER] " + lit(header)},
		{"BODY[TEXT]", "BODY[TEXT] " + lit(multipartMessage[len(header):])},
		{"RFC822", "RFC822 " + lit(multipartMessage)},
		{"RFC822.HEADER", "RFC822.HEADER " + lit(header)},
		{"RFC822.TEXT", "RFC822.TEXT " + lit(multipartMessage[len(header):])},
		{"RFC822.SIZE", fmt.Sprintf("RFC822.SIZE %d", len(multipartMessage))},
		{"BODY[HEADER.FIELDS (Subject From)]", "BODY[HEADER.FIELDS (Subject From)] " + lit("From: a@example.com\r\nSubject: parts\r\n\r\n")},
		{"BODY[HEADER.FIELDS (x-none \"a b\")]", "BODY[HEADER.FIELDS (x-none \"a b\")] " + lit("\r\n")},
		{"BODY[HEADER.FIELDS.NOT (from mime-version content-type)]", "BODY[HEADER.FIELDS.NOT (from mime-version content-type)] " + lit("Subject: parts\r\n\r\n")},
		{"BODY[1]", "BODY[1] " + lit("hello")},
		{"BODY[1.MIME]", "BODY[1.MIME] " + lit("Content-Type: text/plain\r\n\r\n")},
		{"BODY[2]", "BODY[2] " + lit("AAECAw==")},
		{"BODY[3]", "BODY[3] " + lit("Subject: inner\r\nTo: b@example.com\r\n\r\ninner text")},
		{"BODY[3.HEADER.FIELDS (to)]", "BODY[3.HEADER.FIELDS (to)] " + lit("To: b@example.com\r\n\r\n")},
		{"BODY[3.TEXT]", "BODY[3.TEXT] " + lit("inner text")},
		{"BODY[3.1]<6.4>", "BODY[3.1]<6> " + lit("text")},
		{"BODY[9]", "BODY[9] NIL"},
		{"BINARY[1]", "BINARY[1] " + lit("hello")},
		{"BINARY.PEEK[2]", "BINARY[2] ~" + lit("\x00\x01\x02\x03")},
		{"BINARY[2]<1.2>", "BINARY[2]<1> " + lit("\x01\x02")},
		{"BINARY[2]<9.2>", "BINARY[2]<9> " + lit("")},
		{"BINARY.SIZE[2]", "BINARY.SIZE[2] 4"},
		{"BINARY.SIZE[]", fmt.Sprintf("BINARY.SIZE[] %d", len(multipartMessage))},
		{"BINARY[9]", "BINARY[9] NIL"},
		{"THREADID", "THREADID NIL"},
	} {
		c.says("FETCH 1 "+tc.item, "* 1 FETCH ("+tc.want+")", "OK ...")
	}
	c.says("FETCH 1 (UID BINARY[4] BINARY.SIZE[4])", "* 1 FETCH (UID 1)", "NO [UNKNOWN-CTE] ...")
	c.says("FETCH 1 BINARY[4]", "NO [UNKNOWN-CTE] ...")
	c.says("UID FETCH 1 EMAILID", "* 1 FETCH (UID 1 EMAILID (M...", "OK ...")
}

func TestFetchRefusesWhatIsNoItem(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 1)
	c := ts.selectedClient(t)
	for _, bad := range []string{
		"FETCH", "FETCH 1", "FETCH 1 ", "FETCH x FLAGS", "FETCH 0 FLAGS", "FETCH 2 FLAGS", "FETCH 1:2 FLAGS", "FETCH 2:* FLAGS", "FETCH 1 (FLAGS",
		"FETCH 1 (FLAGS ALL)", "FETCH 1 NOPE", "FETCH 1 BODY[", "FETCH 1 BODY[0]", "FETCH 1 BODY[1.]", "FETCH 1 BODY[.1]", "FETCH 1 BODY[MIME]",
		"FETCH 1 BODY[HEADER.FIELDS]", "FETCH 1 BODY[HEADER.FIELDS ()]", "FETCH 1 BODY[]<1>", "FETCH 1 BODY[]<1.0>", "FETCH 1 BODY[]<1.2", "FETCH 1 BINARY[TEXT]",
		"FETCH 1 BINARY[1.MIME]", "FETCH 1 BODY.SIZE[1]", "FETCH 1 BINARY.SIZE[1]<1.2>", "FETCH 1 BODY[99999999999]",
		"FETCH 1 BODY[" + strings.Repeat("1.", 70) + "1]", "FETCH 1 (" + strings.Repeat("BODY[] ", 100) + "BODY[])",
		"FETCH 1 FLAGS (CHANGEDSINCE)", "FETCH 1 FLAGS (NOPE 1)", "FETCH 1 FLAGS CHANGEDSINCE 1",
	} {
		c.refused(bad, "BAD")
		c.ok("NOOP") // the connection is in step
	}
}

func TestFetchMacrosAndStructure(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 1)
	c := ts.selectedClient(t)
	env := `ENVELOPE ("Thu, 01 Jan 2026 12:00:00 +0000" "message 1" (("Ann" NIL "ann1" "example.com")) (("Ann" NIL "ann1" "example.com")) ` +
		`(("Ann" NIL "ann1" "example.com")) (("Bob" NIL "bob" "example.com")) NIL NIL NIL "<1@example.com>")`
	fast := fmt.Sprintf(`* 1 FETCH (FLAGS (\Recent) INTERNALDATE "01-Jan-2026 12:00:00 +0000" RFC822.SIZE %d`, len(testMessage(1)))
	body := `BODY ("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 8 1)`
	c.says("FETCH 1 FAST", fast+")", "OK ...")
	c.says("FETCH 1 ALL", fast+" "+env+")", "OK ...")
	if got := c.ok("FETCH 1 FULL"); !strings.HasPrefix(got[0], fast+" "+env+" BODY (\"") {
		t.Errorf("%s, want something like %s", got[0], body)
	}
	c.says("FETCH * BODYSTRUCTURE", `* 1 FETCH (BODYSTRUCTURE ("...`, "OK ...")
}

func TestFetchSetsSeenForAllAtOnce(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 3)
	other := ts.selectedClient(t, "CONDSTORE")
	c := ts.selectedClient(t)
	before := ts.modseq(t, "INBOX")
	c.says("FETCH 1:2 BODY.PEEK[1]<0.1>", "* 1 FETCH (BODY[1]<0> {1}\r\nb)", "* 2 FETCH (BODY[1]<0> {1}\r\nb)", "OK ...")
	c.says("FETCH 1:2 BODY[1]<0.1>", "* 1 FETCH (FLAGS (\\Seen) BODY[1]<0> {1}\r\nb)", "* 2 FETCH (FLAGS (\\Seen) BODY[1]<0> {1}\r\nb)", "OK ...")
	c.says("NOOP", "OK ...")
	if m := ts.modseq(t, "INBOX"); m != before+1 {
		t.Errorf("modseq went from %d to %d", before, m)
	}
	seen := func(n int) string { return fmt.Sprintf(`* %d FETCH (FLAGS (\Seen \Recent) MODSEQ (%d))`, n, before+1) }
	other.says("NOOP", seen(1), seen(2), "OK ...")
	c.says("FETCH 1:2 BODY[1]<0.1>", "* 1 FETCH (BODY[1]<0> {1}\r\nb)", "* 2 FETCH (BODY[1]<0> {1}\r\nb)", "OK ...")
	c.ok("EXAMINE INBOX")
	c.says("FETCH 3 BODY[1]<0.1>", "* 3 FETCH (BODY[1]<0> {1}\r\nb)", "OK ...")
}

func TestFetchChangedSince(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 3)
	m := ts.modseq(t, "INBOX")
	c := ts.selectedClient(t)
	c.ok(`STORE 2 +FLAGS.SILENT (\Flagged)`)
	c.says(fmt.Sprintf("FETCH 1:* (UID) (CHANGEDSINCE %d)", m), fmt.Sprintf("* 2 FETCH (UID 2 MODSEQ (%d))", m+1), "OK ...")
	c.says(`STORE 1 +FLAGS (\Draft)`, fmt.Sprintf(`* 1 FETCH (FLAGS (\Draft \Recent) MODSEQ (%d))`, m+2), "OK ...")
}

func TestFetchOfMessagesThatWereExpunged(t *testing.T) {
	ts := newTestServer(t)
	ts.fill(t, "INBOX", 3, `\Deleted`)
	c, other := ts.selectedClient(t), ts.selectedClient(t)
	other.ok("UID EXPUNGE 2")
	c.says("FETCH 1:3 FLAGS", `* 1 FETCH (FLAGS (\Deleted \Recent))`, `* 2 FETCH (FLAGS (\Deleted \Recent))`, `* 3 FETCH (FLAGS (\Deleted \Recent))`, "OK FETCH completed")
	c.says("FETCH 1:3 (UID BODY.PEEK[1])", "* 1 FETCH (UID 1 BODY[1] {8}\r\nbody 1\r\n)", "* 2 FETCH (UID 2)", "* 3 FETCH (UID 3 BODY[1] {8}\r\nbody 3\r\n)", "OK [EXPUNGEISSUED] ...")
	c.says("SEARCH ALL", "* SEARCH 1 2 3", "OK ...")
	c.says("SEARCH BODY body", "* SEARCH 1 3", "OK ...")
	c.says("STORE 2:3 +FLAGS (Work)", "* FLAGS ...", "* OK [PERMANENTFLAGS ...", `* 3 FETCH (FLAGS (\Deleted Work \Recent))`, "NO [EXPUNGEISSUED] ...")
	c.says("COPY 1:3 Sent", "* 2 EXPUNGE", "NO [EXPUNGEISSUED] ...")
	c.says("UID FETCH 1:* UID", "* 1 FETCH (UID 1)", "* 2 FETCH (UID 3)", "OK ...")
}

func TestRepeatedPartialFetchReadsTheBodyOnce(t *testing.T) {
	ts := newTestServer(t)
	raw := "Subject: big\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 40_000)
	ts.env.Append(t, "ann", "INBOX", raw)
	c := ts.selectedClient(t)
	var got bytes.Buffer
	const step = 100_000
	for off := 0; off < len(raw); off += step {
		l := c.ok(fmt.Sprintf("UID FETCH 1 BODY.PEEK[]<%d.%d>", off, step))[0]
		_, data, _ := strings.Cut(l, "}\r\n")
		got.WriteString(strings.TrimSuffix(data, ")"))
	}
	if got.String() != raw {
		t.Errorf("%d bytes, want %d", got.Len(), len(raw))
	}
}

func TestFetchInChunks(t *testing.T) {
	ts := newTestServer(t)
	const n = 3*maxRows + 7
	ts.fill(t, "INBOX", n)
	c := ts.selectedClient(t)
	c.ok(`UID STORE 5:20,300,302 +FLAGS.SILENT (\Deleted)`)
	c.ok("EXPUNGE")
	var want []string
	for uid := 1; uid <= n; uid++ {
		if uid >= 5 && uid <= 20 || uid == 300 || uid == 302 {
			continue
		}
		want = append(want, fmt.Sprintf("* %d FETCH (UID %d RFC822.SIZE %d BODY[HEADER.FIELDS (SUBJECT)] {%d}\r\nSubject: message %d\r\n\r\n)",
			len(want)+1, uid, len(testMessage(uid)), len(fmt.Sprintf("Subject: message %d\r\n\r\n", uid)), uid))
	}
	got := c.ok("UID FETCH 1:* (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = c.ok("UID FETCH 1,100,200,303:305,600 (RFC822.SIZE)")
	if len(got) != 7 {
		t.Errorf("sparse set: %q", got)
	}
}

func TestFetchWithIndependentClient(t *testing.T) {
	ts := newTestServer(t)
	ts.env.Append(t, "ann", "INBOX", multipartMessage)
	ts.fill(t, "INBOX", 2)
	c := ts.imapclient(t, "ann", nil)
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	all := imap.UIDSet{}
	all.AddRange(1, 0)
	section := &imap.FetchItemBodySection{Peek: true}
	msgs, err := c.Fetch(all, &imap.FetchOptions{
		UID: true, Flags: true, Envelope: true, InternalDate: true, RFC822Size: true, BodyStructure: &imap.FetchItemBodyStructure{Extended: true},
		BodySection: []*imap.FetchItemBodySection{section}, BinarySectionSize: []*imap.FetchItemBinarySectionSize{{Part: []int{1}}},
	}).Collect()
	if err != nil || len(msgs) != 3 {
		t.Fatalf("%d messages, %v", len(msgs), err)
	}
	for i, raw := range []string{multipartMessage, testMessage(1), testMessage(2)} {
		m := msgs[i]
		if m.RFC822Size != int64(len(raw)) || string(m.FindBodySection(section)) != raw || m.UID != imap.UID(i+1) || m.BodyStructure == nil {
			t.Errorf("message %d: %+v", i+1, m)
		}
	}
	if e := msgs[1].Envelope; e.Subject != "message 1" || e.From[0].Addr() != "ann1@example.com" || !e.Date.Equal(testDate(1)) {
		t.Errorf("%+v", msgs[1].Envelope)
	}
}
