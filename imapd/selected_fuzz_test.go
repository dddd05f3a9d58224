package imapd

import (
	"log/slog"
	"testing"
)

// fuzzSelected runs one command in a selected mailbox. Whatever it is, it gets one answer, and the server logs no error.
func fuzzSelected(f *testing.F, prefix string, seeds ...string) {
	log := &errorLog{}
	ts := newTestServer(f, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))
		o.Limits.SessionsPerAccount = 1 << 20
	})
	ts.env.Append(f, "ann", "INBOX", multipartMessage, `\Seen`, "Work")
	ts.fill(f, "INBOX", 3)
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, args string) {
		input := "a EXAMINE INBOX\r\nb " + prefix + args + "\r\nc NOOP\r\n"
		checkSession(t, input, runScript(t, ts.Server, input, "ann"))
		if said := log.take(); said != "" {
			t.Fatalf("%q: %s", input, said)
		}
	})
}

func FuzzFetchItems(f *testing.F) {
	fuzzSelected(f, "UID FETCH 1:* ",
		"FLAGS", "ALL", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE MODSEQ EMAILID THREADID SAVEDATE)",
		"(BODY[] RFC822 RFC822.HEADER RFC822.TEXT BODY.PEEK[HEADER.FIELDS.NOT (\"x y\" from)]<1.5>)",
		"(BODY[1.2.MIME] BODY[3.HEADER] BODY[3.1.TEXT] BINARY[2]<1.2> BINARY.PEEK[4] BINARY.SIZE[2])",
		"FLAGS (CHANGEDSINCE 12)", "FLAGS (CHANGEDSINCE 1 VANISHED)", "BODY[99999999999.1]", "(BODY[1]<9223372036854775807.9223372036854775807>)",
	)
}

func FuzzSearchKeys(f *testing.F) {
	fuzzSelected(f, "SEARCH ",
		"ALL", "RETURN (MIN MAX ALL COUNT SAVE) CHARSET UTF-8 OR SEEN NOT (FROM x KEYWORD y)", "1:2,4 UID 2:* $",
		"BEFORE 1-Jan-2026 SENTSINCE \"2-Feb-2020\" SAVEDON 3-Mar-2021 OLDER 1 YOUNGER 4294967295", "LARGER 1 SMALLER 9223372036854775807",
		"HEADER x-other \"\" BODY inner TEXT a SUBJECT \"\" MODSEQ \"/flags/x\" all 3 EMAILID Mx THREADID y", "((((NOT NOT OR 1 2))))", "CHARSET x ALL", "*",
	)
}

func FuzzStoreAndSets(f *testing.F) {
	fuzzSelected(f, "",
		`UID STORE 1 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\Seen x)`, "COPY 1:4 Sent", "UID COPY $,4294967295:* Sent", "MOVE 1 x", "UID EXPUNGE *:1", "EXPUNGE", "CLOSE",
		"SELECT inbox (QRESYNC (1 2 3:4 (1:9 1:9)) CONDSTORE)", "UNSELECT",
	)
}
