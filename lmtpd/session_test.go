package lmtpd_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"angarium/lmtpd"
	"angarium/mailstore"
)

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string // after LHLO
	}{
		{"delivery", []string{
			"C: MAIL FROM:<bob@example.com>", "S: 250 2.1.0 ", "C: RCPT TO:<ann@example.org>", "S: 250 2.1.5 <ann@example.org> ",
			"C: DATA", "S: 354 ", "C: Subject: x\r\n\r\nbody\r\n.", "S: 250 2.0.0 <ann@example.org> OK ", "C: QUIT", "S: 221 2.0.0 ",
		}},
		{"null sender and recipient without domain", []string{
			"C: mail from: <> BODY=8bitmime SMTPUTF8", "S: 250 2.1.0", "C: rcpt to: <Ann>", "S: 250 2.1.5 <Ann>", "C: RCPT TO:<postmaster>", "S: 550 5.1.1",
		}},
		{"HELO and EHLO", []string{"C: HELO x", "S: 500 5.5.1", "C: EHLO x", "S: 500 5.5.1"}},
		{"LHLO without name", []string{"C: LHLO", "S: 501 5.5.4", "C: LHLO a(b)", "S: 501 5.5.4"}},
		{"unknown and empty commands", []string{"C: FOO", "S: 500 5.5.2", "C: ", "S: 500 5.5.2", "C: \x00\xff", "S: 500 5.5.2"}},
		{"small commands", []string{"C: NOOP x", "S: 250 2.0.0", "C: RSET", "S: 250 2.0.0", "C: VRFY ann", "S: 252 2.5.0"}},
		{"STARTTLS and AUTH not offered", []string{"C: STARTTLS", "S: 502 5.5.1", "C: AUTH PLAIN AA==", "S: 502 5.5.1"}},
		{"RCPT and DATA before MAIL", []string{"C: RCPT TO:<ann>", "S: 503 5.5.1", "C: DATA", "S: 503 5.5.1"}},
		{"second MAIL keeps the first", []string{"C: MAIL FROM:<a@b>", "S: 250", "C: MAIL FROM:<c@d>", "S: 503 5.5.1", "C: RCPT TO:<ann>", "S: 250"}},
		{"RSET and LHLO end a transaction", []string{
			"C: MAIL FROM:<a@b>", "S: 250", "C: RSET", "S: 250", "C: MAIL FROM:<a@b>", "S: 250", "C: LHLO x", "S: 250", "C: RCPT TO:<ann>", "S: 503",
		}},
		{"malformed MAIL", []string{
			"C: MAIL", "S: 501 5.5.4", "C: MAIL TO:<a@b>", "S: 501 5.5.4", "C: MAIL FROM:a@b", "S: 501 5.1.7", "C: MAIL FROM:<a@b> X=Y", "S: 555 5.5.4",
			"C: MAIL FROM:<a@b> BODY=x", "S: 501 5.5.4", "C: MAIL FROM:<a@b> SIZE=x", "S: 501 5.5.4", "C: MAIL FROM:<a@b> BODY=BINARYMIME", "S: 555 5.5.4",
			"C: MAIL FROM:<a@b> SMTPUTF8=1", "S: 501 5.5.4", "C: MAIL FROM:<a@b> AUTH=<>", "S: 555 5.5.4", "C: MAIL FROM:<a\rb@c>", "S: 501 5.1.7",
		}},
		{"SIZE over the limit", []string{
			"C: MAIL FROM:<a@b> SIZE=1001", "S: 552 5.3.4", "C: MAIL FROM:<a@b> SIZE=99999999999999999999", "S: 552 5.3.4", "C: MAIL FROM:<a@b> SIZE=1000", "S: 250",
		}},
		{"recipients", []string{
			"C: MAIL FROM:<a@b>", "S: 250", "C: RCPT TO:<zoe>", "S: 550 5.1.1 <zoe> ", "C: RCPT TO:<gone>", "S: 451 4.3.0 <gone> ", "C: RCPT TO:<a/b>", "S: 550 5.1.1",
			"C: RCPT TO:<\"a b\"@example.org>", "S: 550 5.1.1 <\"a b\"@example.org>", "C: RCPT TO:<>", "S: 501 5.1.3", "C: RCPT FROM:<ann>", "S: 501 5.5.4",
			"C: RCPT TO:<ann> NOTIFY=NEVER", "S: 555 5.5.4", "C: DATA", "S: 503 5.5.1",
		}},
		{"too many recipients", []string{
			"C: MAIL FROM:<a@b>", "S: 250", "C: RCPT TO:<ann>", "S: 250", "C: RCPT TO:<bob>", "S: 250", "C: RCPT TO:<cid>", "S: 250",
			"C: RCPT TO:<dan>", "S: 452 4.5.3", "C: DATA", "S: 354", "C: .", "S: 250 2.0.0 <ann>", "S: 250 2.0.0 <bob>", "S: 250 2.0.0 <cid>",
		}},
		{"DATA with an argument", []string{"C: MAIL FROM:<a@b>", "S: 250", "C: RCPT TO:<ann>", "S: 250", "C: DATA x", "S: 501 5.5.4"}},
		{"results of the store", []string{
			"C: MAIL FROM:<a@b>", "S: 250", "C: RCPT TO:<full>", "S: 250", "C: RCPT TO:<broken>", "S: 250", "C: RCPT TO:<ann>", "S: 250", "C: DATA", "S: 354", "C: .",
			"S: 452 4.2.2 <full>", "S: 451 4.3.0 <broken>", "S: 250 2.0.0 <ann>",
			"C: MAIL FROM:<a@b>", "S: 250", "C: RCPT TO:<deleted>", "S: 250", "C: RCPT TO:<away>", "S: 250", "C: RCPT TO:<large>", "S: 250", "C: DATA", "S: 354", "C: .",
			"S: 550 5.1.1 <deleted>", "S: 451 4.3.0 <away>", "S: 552 5.3.4 <large>",
		}},
		{"BDAT", []string{
			"C: BDAT 3\r\nabc", "S: 503 5.5.1", "S: 500 5.5.2", // the empty line behind the chunk
			"C: MAIL FROM:<a@b>", "S: 250", "C: RCPT TO:<ann>", "S: 250", "C: RCPT TO:<bob>", "S: 250", "C: BDAT 5\r\nabc", "S: 250 2.0.0", "C: DATA", "S: 503",
			"C: RCPT TO:<cid>", "S: 503", "C: MAIL FROM:<a@b>", "S: 503", "C: BDAT 0 last", "S: 250 2.0.0 <ann>", "S: 250 2.0.0 <bob>",
		}},
		{"BDAT over the limit", []string{
			"C: MAIL FROM:<a@b>", "S: 250", "C: RCPT TO:<ann>", "S: 250", "C: RCPT TO:<bob>", "S: 250", "C: BDAT 1002\r\n" + strings.Repeat("x", 1000), "S: 552 5.3.4",
			"C: BDAT 2 LAST\r\n", "S: 552 5.3.4 <ann>", "S: 552 5.3.4 <bob>", "C: NOOP", "S: 250",
		}},
		{"malformed BDAT", []string{"C: BDAT x", "S: 501 5.5.4"}},
		{"negative BDAT", []string{"C: BDAT -1 LAST", "S: 501 5.5.4"}},
		{"BDAT with a wrong word", []string{"C: BDAT 1 FIRST", "S: 501 5.5.4"}},
		{"long line", []string{"C: NOOP " + strings.Repeat("x", 100_000), "S: 500 5.5.2", "C: NOOP " + strings.Repeat("x", 20_000), "S: 500 5.5.2", "C: NOOP", "S: 250"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := &fakeStore{
				results: map[string]error{
					"full@example.org": mailstore.ErrLimit, "broken@example.org": errors.New("disk"), "deleted@example.org": mailstore.ErrNoAccount,
					"away@example.org": fmt.Errorf("wrapped: %w", mailstore.ErrUnavailable), "large@example.org": mailstore.ErrTooLarge,
				},
				lookups: map[string]error{"gone@example.org": mailstore.ErrUnavailable},
			}
			s := start(t, store, func(o *lmtpd.Options) { o.MaxMessage, o.MaxRecipients = 1000, 3 })
			s.hello(t).script(tt.lines...)
		})
	}
}

func TestCommandsBeforeLHLO(t *testing.T) {
	c := start(t, &fakeStore{}, nil).dial(t)
	c.script("S: 220 mx.example.org LMTP", "C: MAIL FROM:<a@b>", "S: 503 5.5.1", "C: NOOP", "S: 250")
}

func TestExtensions(t *testing.T) {
	for _, tt := range []struct {
		change func(*lmtpd.Options)
		want   []string
	}{
		{nil, []string{"mx.example.org", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "SIZE 52428800", "LIMITS RCPTMAX=1000"}},
		{func(o *lmtpd.Options) { o.NUL, o.BareNewline, o.MaxMessage = lmtpd.Accept, lmtpd.Accept, 7 },
			[]string{"mx.example.org", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "SIZE 7", "LIMITS RCPTMAX=1000", "BINARYMIME"}},
	} {
		c := start(t, &fakeStore{}, tt.change).dial(t)
		c.expect("220 ")
		c.send("LHLO x\r\n")
		var got []string
		for more := true; more; {
			line, err := c.r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			more = line[3] == '-'
			got = append(got, strings.TrimSpace(line[4:]))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestPipelinedTransactionsInOneWrite(t *testing.T) {
	s := start(t, &fakeStore{}, nil)
	c := s.dial(t)
	var b strings.Builder
	b.WriteString("LHLO x\r\n")
	for i := range 5 {
		fmt.Fprintf(&b, "MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nRCPT TO:<zoe>\r\nRCPT TO:<bob>\r\nDATA\r\nmessage %d\r\n.\r\n", i)
	}
	b.WriteString("QUIT\r\n")
	c.send(b.String())
	c.expect("220 ", "250 ")
	for range 5 {
		c.expect("250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.1.5", "354 ", "250 2.0.0 <ann>", "250 2.0.0 <bob>")
	}
	c.expect("221 ")
	c.expectEnd()
	if got := s.store.content(t); got != "message 4\r\n" || len(s.store.messages()) != 5 {
		t.Errorf("%d messages, last %q", len(s.store.messages()), got)
	}
}

func TestTooManyErrorsEndTheSession(t *testing.T) {
	c := start(t, &fakeStore{}, nil).hello(t)
	for range 20 {
		c.script("C: FOO", "S: 500")
	}
	c.expect("421 4.7.0")
	c.expectEnd()
}

func TestRefusedRecipientsAreNoErrors(t *testing.T) {
	c := start(t, &fakeStore{}, nil).hello(t)
	c.script("C: MAIL FROM:<>", "S: 250")
	for range 100 {
		c.script("C: RCPT TO:<zoe>", "S: 550")
	}
	c.script("C: RCPT TO:<ann>", "S: 250")
}

func TestFieldsOnTop(t *testing.T) {
	s := start(t, &fakeStore{}, nil)
	c := s.hello(t)
	c.script("C: MAIL FROM:<\"b b\"@example.com> SMTPUTF8", "S: 250", "C: RCPT TO:<ann+Lists/Go@example.org>", "S: 250", "C: RCPT TO:<bob>", "S: 250", "C: DATA", "S: 354",
		"C: Received: old\r\nreturn-PATH :<evil@example.com>\r\n\tfolded\r\nSubject: x\r\nReturn-Path: <twice>\r\n\r\nReturn-Path: in the body\r\n.", "S: 250")
	line, err := c.answer()
	_, id, ok := strings.Cut(line, " OK ")
	if err != nil || !ok {
		t.Fatalf("%q, %v", line, err)
	}
	want := "Return-Path: <\"b b\"@example.com>\r\nReceived: from client.example ([127.0.0.1])\r\n\tby mx.example.org (Angarium) with UTF8LMTP\r\n\tid " + id +
		"; Fri, 2 Jan 2026 03:04:05 +0000\r\nReceived: old\r\nSubject: x\r\n\r\nReturn-Path: in the body\r\n"
	if diff := cmp.Diff([]string{want}, s.store.messages()); diff != "" {
		t.Error(diff)
	}
	to := [][]mailstore.Recipient{{{Account: "ann@example.org", Mailbox: "Lists/Go"}, {Account: "bob@example.org"}}}
	if diff := cmp.Diff(to, s.store.deliveries); diff != "" {
		t.Error(diff)
	}
	session, _, _ := strings.Cut(id, ".")
	who := []mailstore.Identity{{Service: "lmtp", Session: session, Client: "127.0.0.1", Admin: true}}
	if diff := cmp.Diff(who, s.store.identities); diff != "" {
		t.Error(diff)
	}
}

func TestHooks(t *testing.T) {
	var got []lmtpd.Delivery
	var codes []int
	s := start(t, &fakeStore{results: map[string]error{"bob@example.org": mailstore.ErrLimit}}, func(o *lmtpd.Options) {
		o.Hooks.Delivered = func(d lmtpd.Delivery) { got = append(got, d) }
		o.Hooks.Recipient = func(code int) { codes = append(codes, code) }
	})
	c := s.hello(t)
	c.script("C: MAIL FROM:<>", "S: 250", "C: RCPT TO:<ann>", "S: 250", "C: RCPT TO:<zoe>", "S: 550", "C: RCPT TO:<bob>", "S: 250", "C: DATA", "S: 354", "C: 12345\r\n.", "S: 250", "S: 452",
		"C: QUIT", "S: 221")
	c.expectEnd()
	if len(got) != 1 || got[0].Octets != 7 || got[0].Store < 0 || got[0].Receive <= 0 {
		t.Fatalf("%+v", got)
	}
	if diff := cmp.Diff([][]int{{250, 452}, {250, 550, 250}}, [][]int{got[0].Codes, codes}); diff != "" {
		t.Error(diff)
	}
}

func TestPanicInPrepareIsTemporary(t *testing.T) {
	s := start(t, &fakeStore{panics: true}, nil)
	c := s.hello(t)
	c.script("C: MAIL FROM:<>", "S: 250", "C: RCPT TO:<ann>", "S: 250", "C: DATA", "S: 354", "C: .", "S: 451 4.3.0 <ann>", "C: NOOP", "S: 250")
}

func TestPrepareErrors(t *testing.T) {
	for err, want := range map[error]string{mailstore.ErrTooLarge: "552 5.3.4", errors.New("x"): "451 4.3.0"} {
		c := start(t, &fakeStore{prepareErr: err}, nil).hello(t)
		c.script("C: MAIL FROM:<>", "S: 250", "C: RCPT TO:<ann>", "S: 250", "C: DATA", "S: 354", "C: .", "S: "+want)
	}
}

func TestBareLFEndsACommand(t *testing.T) {
	c := start(t, &fakeStore{}, nil).dial(t)
	c.send("LHLO x\nNOOP\n")
	c.expect("220", "250", "250 2.0.0")
}
