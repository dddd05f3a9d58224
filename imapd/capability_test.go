package imapd

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDocumentationListsTheCapabilities(t *testing.T) {
	doc, err := os.ReadFile("../docs/imap.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(doc), "| Capability | RFC | Told |\n|---|---|---|\n")
	if !ok {
		t.Fatal("no table of capabilities")
	}
	var got, want []string
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		if len(cells) < 4 {
			break
		}
		got = append(got, strings.TrimSpace(cells[1])+" "+strings.TrimSpace(cells[2]))
	}
	for _, c := range capabilityTable() {
		want = append(want, c.name+" "+c.rfc)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCapabilities(t *testing.T) {
	serverTLS, _ := testTLS(t)
	ts := newTestServer(t, func(o *Options) { o.TLS = serverTLS })
	c := ts.dial(t)
	const always = "LITERAL+ ID ENABLE IDLE NAMESPACE UNSELECT UIDPLUS MULTIAPPEND APPENDLIMIT=4194304 BINARY MOVE CHILDREN LIST-EXTENDED " +
		"LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE OBJECTID ESEARCH SEARCHRES CONDSTORE QRESYNC WITHIN SAVEDATE NOTIFY"
	c.send("a CAPABILITY")
	c.expect("* CAPABILITY IMAP4rev1 IMAP4rev2 STARTTLS AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN SASL-IR "+always, "a OK ...")
	c.send(`b LOGIN ann "secret word"`)
	c.expect("b OK [CAPABILITY IMAP4rev1 IMAP4rev2 " + always + "] Logged in")
}
