package imapd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

// searchServer has five messages: testMessage 1 to 3, a multipart one, and one in another charset without a date.
func searchServer(t *testing.T) *testServer {
	ts := newTestServer(t, func(o *Options) { o.Now = func() time.Time { return testDate(4) } })
	ts.fill(t, "INBOX", 3, `\Seen`)
	ts.env.Append(t, "ann", "INBOX", multipartMessage, `\Flagged`, "Work")
	ts.env.Append(t, "ann", "INBOX", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nBcc: hidden@example.com\r\nCc: <carl@example.com>\r\n"+
		"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nM=FCnchen "+strings.Repeat("x", 1000)+"\r\n",
		`\Answered`, `\Draft`, `\Deleted`)
	return ts
}

func TestSearchKeys(t *testing.T) {
	ts := searchServer(t)
	c := ts.selectedClient(t)
	for _, tc := range []struct{ keys, want string }{
		{"ALL", "1 2 3 4 5"}, {"SEEN", "1 2 3"}, {"UNSEEN", "4 5"}, {"FLAGGED", "4"}, {"UNFLAGGED", "1 2 3 5"}, {"ANSWERED", "5"}, {"UNANSWERED", "1 2 3 4"},
		{"DELETED", "5"}, {"UNDELETED", "1 2 3 4"}, {"DRAFT", "5"}, {"UNDRAFT", "1 2 3 4"}, {"RECENT", "1 2 3 4 5"}, {"OLD", ""}, {"NEW", "4 5"},
		{"KEYWORD work", "4"}, {"UNKEYWORD Work", "1 2 3 5"}, {"KEYWORD none", ""}, {"UNKEYWORD none", "1 2 3 4 5"},
		{"2:3", "2 3"}, {"*", "5"}, {"5,1", "1 5"}, {"UID 4:*", "4 5"}, {"UID 9:*", "5"}, {"UID 77", ""},
		{"BEFORE 2-Jan-2026", "1"}, {"ON 2-Jan-2026", "2"}, {"SINCE 2-Jan-2026 BEFORE 4-Jan-2026", "2 3"}, {`ON "2-Jan-2026"`, "2"},
		{"SENTON 3-Jan-2026", "3"}, {"SENTBEFORE 3-Jan-2026", "1 2"}, {"SENTSINCE 3-Jan-2026 SENTBEFORE 9-Jan-2026", "3"},
		{"YOUNGER 90000 1:3", "3"}, {"OLDER 90000 1:3", "1 2"}, {"YOUNGER 4294967295 OLDER 1 1:3", "1 2 3"}, {"SAVEDBEFORE 1-Jan-2026", ""}, {"SAVEDATESUPPORTED", "1 2 3 4 5"},
		{"LARGER 1000", "5"}, {fmt.Sprintf("SMALLER %d", len(testMessage(1))), ""}, {fmt.Sprintf("SMALLER %d", len(testMessage(1))+1), "1 2 3"},
		{"FROM ann2", "2"}, {"FROM ANN", "1 2 3"}, {"TO bob", "1 2 3"}, {"CC carl", "5"}, {"BCC hidden", "5"}, {`SUBJECT "message 3"`, "3"}, {`SUBJECT ""`, "1 2 3 4 5"},
		{"SUBJECT " + literal("grüsse"), "5"}, {"CHARSET utf-8 SUBJECT " + literal("GRÜSSE"), "5"}, {"CHARSET US-ASCII SUBJECT parts", "4"},
		{"HEADER x-other 2", "2"}, {`HEADER X-OTHER ""`, "1 2 3"}, {"HEADER Message-ID 3@", "3"}, {"HEADER x-none x", ""},
		{"BODY inner", "4"}, {"BODY message", ""}, {`BODY "body 2"`, "2"}, {"TEXT message", "1 2 3"}, {"BODY " + literal("MÜNCHEN"), "5"}, {"TEXT ann1", "1"},
		{"NOT SEEN", "4 5"}, {"NOT NOT SEEN", "1 2 3"}, {"OR FROM ann1 FLAGGED", "1 4"}, {"OR (SEEN 2) (NOT SEEN FLAGGED)", "2 4"}, {"(((2)))", "2"},
		{"NOT (FROM ann BODY body)", "4 5"}, {"OR BODY inner OR SUBJECT \"message 1\" DRAFT", "1 4 5"}, {"SEEN NOT BODY 2", "1 3"}, {"1:4 NOT HEADER x-other 1", "2 3 4"},
		{"THREADID x", ""}, {"EMAILID Mx", ""},
	} {
		want := strings.TrimSpace("* SEARCH " + tc.want)
		c.says("SEARCH "+tc.keys, want, "OK ...")
	}
	id := strings.TrimSuffix(strings.TrimPrefix(c.ok("FETCH 3 EMAILID")[0], "* 3 FETCH (EMAILID ("), "))")
	c.says("UID SEARCH EMAILID "+id, "* SEARCH 3", "OK ...")
	for _, bad := range []string{
		"SEARCH", "SEARCH ", "SEARCH NOPE", "SEARCH NOT", "SEARCH OR SEEN", "SEARCH ()", "SEARCH (SEEN", "SEARCH SEEN)", "SEARCH 6", "SEARCH 1:6", "SEARCH 0", "SEARCH ON 2026",
		"SEARCH RETURN (NOPE) ALL", "SEARCH RETURN ALL", "SEARCH CHARSET UTF-8", "SEARCH LARGER x", "SEARCH HEADER x", "SEARCH OLDER 0", "SEARCH SEEN  SEEN",
		`SEARCH MODSEQ "/flags/x" nope 1`, "SEARCH " + strings.Repeat("NOT ", 60) + "SEEN", "SEARCH " + strings.Repeat("(", 60) + "SEEN" + strings.Repeat(")", 60),
		"SEARCH SEEN" + strings.Repeat(" SEEN", maxSearchKeys),
	} {
		c.refused(bad, "BAD")
		c.ok("NOOP")
	}
	c.refused("SEARCH CHARSET KOI8-R SUBJECT x", "NO [BADCHARSET (US-ASCII UTF-8)]")
}

func TestSearchResults(t *testing.T) {
	ts := searchServer(t)
	c := ts.selectedClient(t)
	c.says("SEARCH RETURN () SEEN", `* ESEARCH (TAG "t3") ALL 1:3`, "OK ...")
	c.says("UID SEARCH RETURN (MIN MAX COUNT ALL) OR SEEN 5", `* ESEARCH (TAG "t4") UID MIN 1 MAX 5 ALL 1:3,5 COUNT 4`, "OK ...")
	c.says("SEARCH RETURN (MIN COUNT) KEYWORD none", `* ESEARCH (TAG "t5") COUNT 0`, "OK ...")
	c.says("SEARCH RETURN (MIN) KEYWORD none", `* ESEARCH (TAG "t6")`, "OK ...")
	m := ts.modseq(t, "INBOX")
	c.says(fmt.Sprintf("SEARCH MODSEQ %d", m), fmt.Sprintf("* SEARCH 5 (MODSEQ %d)", m), "OK ...")
	c.says(fmt.Sprintf(`SEARCH MODSEQ "/flags/\\Draft" all %d`, m+1), "* SEARCH", "OK ...")
	c.says("SEARCH RETURN (MIN) MODSEQ 1", fmt.Sprintf(`* ESEARCH (TAG "t9") MIN 1 MODSEQ %d`, m-2), "OK ...")
	c.says("SEARCH RETURN (MAX MIN) MODSEQ 1", fmt.Sprintf(`* ESEARCH (TAG "t10") MIN 1 MAX 5 MODSEQ %d`, m), "OK ...")

	rev2 := ts.selectedClient(t, "IMAP4rev2")
	rev2.says("SEARCH SEEN", `* ESEARCH (TAG "t4") ALL 1:3`, "OK ...")
	rev2.says("UID SEARCH KEYWORD none", `* ESEARCH (TAG "t5") UID`, "OK ...")
	rev2.says(`SEARCH SUBJECT "grüsse"`, `* ESEARCH (TAG "t6") ALL 5`, "OK ...")
	rev2.says("SEARCH RECENT", `* ESEARCH (TAG "t7")`, "OK ...")

	empty := ts.login(t, "ann")
	empty.ok("SELECT Sent")
	empty.says("SEARCH 1:*", "* SEARCH", "OK ...")
	empty.says("UID FETCH 1:* FLAGS", "OK ...")
	empty.refused("FETCH 1:* FLAGS", "BAD")
}

func TestSavedSearchResult(t *testing.T) {
	ts := searchServer(t)
	c := ts.selectedClient(t)
	c.says("FETCH $ UID", "OK ...")
	c.says("SEARCH RETURN (SAVE) SEEN", "OK ...")
	c.says("FETCH $ UID", "* 1 FETCH (UID 1)", "* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)", "OK ...")
	c.says("SEARCH $ FROM ann2", "* SEARCH 2", "OK ...")
	c.says("UID SEARCH UID $,5 NOT FROM ann2", "* SEARCH 1 3 5", "OK ...")
	c.says("SEARCH RETURN (SAVE MIN MAX) ALL", `* ESEARCH (TAG "t8") MIN 1 MAX 5`, "OK ...")
	c.says("UID FETCH $ UID", "* 1 FETCH (UID 1)", "* 5 FETCH (UID 5)", "OK ...")
	c.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
	c.says("UID EXPUNGE 1", "* 1 EXPUNGE", "OK ...")
	c.says("FETCH $ UID", "* 4 FETCH (UID 5)", "OK ...")
	c.says("SEARCH RETURN (SAVE COUNT) SUBJECT message", `* ESEARCH (TAG "t13") COUNT 2`, "OK ...")
	c.refused("SEARCH RETURN (SAVE) NOPE", "BAD")
	c.says("COPY $ Sent", fmt.Sprintf("OK [COPYUID %d 2:3 1:2] ...", ts.validity(t, "Sent")))
	c.refused("SEARCH RETURN (SAVE) CHARSET KOI8-R ALL", "NO [BADCHARSET")
	c.says("FETCH $ UID", "OK ...")
	c.ok("SEARCH RETURN (SAVE) ALL")
	c.ok("SELECT INBOX")
	c.says("FETCH $ UID", "OK ...")
}

func TestSearchWithIndependentClient(t *testing.T) {
	ts := searchServer(t)
	c := ts.imapclient(t, "ann", nil)
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	res, err := c.UIDSearch(&imap.SearchCriteria{
		Since: testDate(2), Flag: []imap.Flag{imap.FlagSeen}, Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "message"}},
	}, &imap.SearchOptions{ReturnAll: true, ReturnCount: true}).Wait()
	if err != nil || res.All.String() != "2:3" || res.Count != 2 {
		t.Fatalf("%+v, %v", res, err)
	}
}
