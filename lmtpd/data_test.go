package lmtpd_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
	"pgregory.net/rapid"

	"angarium/lmtpd"
)

// acceptAll stores messages as they come.
func acceptAll(o *lmtpd.Options) { o.BareNewline, o.NUL = lmtpd.Accept, lmtpd.Accept }

const envelope = "MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\n"

// Each of these is the end of a message for some server; here only the real one at the end is.
func TestOnlyCRLFDotCRLFEndsData(t *testing.T) {
	const smuggled = "MAIL FROM:<evil@b>\r\nRCPT TO:<bob>\r\nDATA\r\nsmuggled\r\n"
	for _, tt := range []struct{ in, stored string }{
		{"x\n.\n" + smuggled, "x\n.\n" + smuggled},
		{"x\n.\r\n" + smuggled, "x\n.\r\n" + smuggled},
		{"x\r\n.\n" + smuggled, "x\r\n\n" + smuggled}, // a dot begins a line and is taken away, the line goes on
		{"x\r\n.\r" + smuggled, "x\r\n\r" + smuggled},
		{"x\r.\r" + smuggled, "x\r.\r" + smuggled},
		{"x\r.\r\n" + smuggled, "x\r.\r\n" + smuggled},
		{"x\r\n\x00.\r\n" + smuggled, "x\r\n\x00.\r\n" + smuggled},
		{"x\r\n.\x00\r\n" + smuggled, "x\r\n\x00\r\n" + smuggled},
		{"x\r\n.\r\r\n" + smuggled, "x\r\n\r\r\n" + smuggled},
		{"x\r\n. \r\n" + smuggled, "x\r\n \r\n" + smuggled},
		{"x\r\n..\r\n" + smuggled, "x\r\n.\r\n" + smuggled},
		{"x\r\r\n", "x\r\r\n"},                                                                      // CR CR LF ends a line
		{strings.Repeat("y", 32<<10-1) + "\r\n..\r\n", strings.Repeat("y", 32<<10-1) + "\r\n.\r\n"}, // CR and LF in different buffers
		{strings.Repeat("y", 32<<10) + "\r\n", strings.Repeat("y", 32<<10) + "\r\n"},
		{strings.Repeat("y", 200_000) + "\n.\r\n", strings.Repeat("y", 200_000) + "\n.\r\n"},
		{"", ""},
	} {
		s := start(t, &fakeStore{}, acceptAll)
		c := s.hello(t)
		c.send(envelope + "DATA\r\n")
		c.expect("250", "250", "354")
		c.send(tt.in + ".\r\n")
		c.expect("250 2.0.0 <ann>")
		c.script("C: NOOP", "S: 250")
		if got := s.store.content(t); got != tt.stored || len(s.store.messages()) != 1 {
			t.Errorf("sent %.60q: %d messages, %.60q", tt.in, len(s.store.messages()), got)
		}
	}
}

func TestPoliciesForNewlinesAndNUL(t *testing.T) {
	for _, tt := range []struct {
		newline, nul lmtpd.Policy
		in, stored   string // stored is empty for a message that is refused
	}{
		{lmtpd.Default, lmtpd.Default, "a: b\n\nc\n.\nd\r\n", "a: b\r\n\r\nc\r\n.\r\nd\r\n"},
		{lmtpd.Default, lmtpd.Default, "a\rb\r\r\nc\r\r\r\n\n\r", "ab\r\nc\r\n\r\n"},
		{lmtpd.Default, lmtpd.Default, "a\nReturn-Path: x\nb\n", "a\r\nb\r\n"},
		{lmtpd.Default, lmtpd.Default, "a\x00b\r\n", ""},
		{lmtpd.Normalize, lmtpd.Strip, "a\x00\r\x00\nb\x00\n", "a\r\nb\r\n"},
		{lmtpd.Reject, lmtpd.Default, "a\nb\r\n", ""},
		{lmtpd.Reject, lmtpd.Default, "a\rb\r\n", ""},
		{lmtpd.Reject, lmtpd.Default, "a\r\r\n", ""},
		{lmtpd.Reject, lmtpd.Default, "a\r\nb\r\n", "a\r\nb\r\n"},
		{lmtpd.Accept, lmtpd.Accept, "a\nb\rc\x00\r\n", "a\nb\rc\x00\r\n"},
	} {
		s := start(t, &fakeStore{}, func(o *lmtpd.Options) { o.BareNewline, o.NUL = tt.newline, tt.nul })
		c := s.hello(t)
		c.send(envelope + fmt.Sprintf("BDAT %d LAST\r\n%s", len(tt.in), tt.in))
		c.expect("250", "250")
		if tt.stored == "" {
			c.expect("554 5.6.0 <ann>")
			if n := len(s.store.messages()); n != 0 {
				t.Errorf("%q: refused, but %d delivered", tt.in, n)
			}
			continue
		}
		c.expect("250 2.0.0 <ann>")
		if got := s.store.content(t); got != tt.stored {
			t.Errorf("%q with %d, %d: stored %q, want %q", tt.in, tt.newline, tt.nul, got, tt.stored)
		}
	}
}

func TestSizeLimit(t *testing.T) {
	const limit = 100_000
	for _, tt := range []struct {
		size int
		want string
	}{{limit, "250 2.0.0"}, {limit + 1, "552 5.3.4"}, {10 * limit, "552 5.3.4"}} {
		s := start(t, &fakeStore{}, func(o *lmtpd.Options) { o.MaxMessage = limit })
		c := s.hello(t)
		body := strings.Repeat("x", tt.size-2) + "\r\n"
		c.send(envelope + "DATA\r\n")
		c.expect("250", "250", "354")
		c.send(body + ".\r\nNOOP\r\n")
		c.expect(tt.want, "250 2.0.0 OK")
		c.send(envelope + fmt.Sprintf("BDAT 10\r\n%sBDAT %d\r\n%sBDAT 0 LAST\r\nNOOP\r\n", body[:10], tt.size-10, body[10:]))
		c.expect("250", "250", "250 2.0.0 10 octets", tt.want[:4], tt.want, "250 2.0.0 OK")
		c.send(envelope + fmt.Sprintf("BDAT %d LAST\r\n%sNOOP\r\n", tt.size, body))
		c.expect("250", "250", tt.want, "250 2.0.0 OK")
		if n := len(s.store.messages()); (n == 3) != (tt.size <= limit) || n != 0 && n != 3 {
			t.Errorf("%d octets: %d messages", tt.size, n)
		}
	}
}

// A newline that becomes two octets counts.
func TestSizeLimitAfterNormalizing(t *testing.T) {
	s := start(t, &fakeStore{}, func(o *lmtpd.Options) { o.MaxMessage = 10 })
	c := s.hello(t)
	c.send(envelope + "BDAT 9 LAST\r\n1\n2\n3\n45\n" + envelope + "BDAT 6 LAST\r\n1\n2\n3\n")
	c.expect("250", "250", "552 5.3.4", "250", "250", "250 2.0.0 <ann>")
}

func TestMessagesInSumAreBounded(t *testing.T) {
	s := start(t, &fakeStore{}, func(o *lmtpd.Options) { o.MaxMessage, o.MaxBuffered = 1<<20, 1<<20 })
	first, second := s.hello(t), s.hello(t)
	first.send(envelope + fmt.Sprintf("BDAT %d\r\n%s", 1<<20, strings.Repeat("x", 1<<20)))
	first.expect("250", "250", "250 2.0.0")
	big := strings.Repeat("x\r\n", 100_000)
	second.send(envelope + "DATA\r\n")
	second.expect("250", "250", "354")
	second.send(big + ".\r\n")
	second.expect("452 4.3.1 <ann>")
	first.script("C: RSET", "S: 250")
	second.send(envelope + "DATA\r\n")
	second.expect("250", "250", "354")
	second.send(big + ".\r\n")
	second.expect("250 2.0.0 <ann>")
	if got := s.store.content(t); got != big {
		t.Errorf("%d octets stored", len(got))
	}
}

func TestAbortedMessageIsNotDelivered(t *testing.T) {
	for name, sent := range map[string]string{
		"DATA":            "DATA\r\nSubject: half\r\n\r\nbody\r\n",
		"DATA, dot":       "DATA\r\nSubject: half\r\n\r\nbody\r\n.",
		"DATA, dot CR":    "DATA\r\nSubject: half\r\n\r\nbody\r\n.\r",
		"BDAT LAST":       "BDAT 1000 LAST\r\nSubject: half\r\n\r\n",
		"BDAT":            "BDAT 8\r\nSubject:",
		"BDAT, next half": "BDAT 8\r\nSubject:BDAT 8 LAST\r\n half",
		"BDAT too large":  "BDAT 99999999999 LAST\r\nx",
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			s := start(t, &fakeStore{}, func(o *lmtpd.Options) { o.Hooks.Disconnected = func() { close(ended) } })
			c := s.hello(t)
			c.send(envelope + sent)
			if err := c.nc.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			<-ended
			if n := len(s.store.messages()); n != 0 {
				t.Errorf("%d messages", n)
			}
		})
	}
}

// What the independent client stuffs and sends comes out as it was, but for the fields on top.
func TestDataRoundTrip(t *testing.T) {
	s := start(t, &fakeStore{}, nil)
	nc, err := net.Dial("tcp", s.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	lmtp := smtp.NewClientLMTP(nc)
	defer lmtp.Close()
	line := rapid.OneOf(rapid.StringMatching(`[.]{0,3}[ -~]{0,20}`), rapid.Just("."), rapid.Just(""), rapid.Just("BDAT 3"))
	rapid.Check(t, func(rt *rapid.T) {
		body := ""
		for _, l := range rapid.SliceOfN(line, 1, 30).Draw(rt, "lines") {
			body += l + "\r\n"
		}
		if err := lmtp.SendMail("a@b.example", []string{"ann@example.org"}, strings.NewReader(body)); err != nil {
			rt.Fatal(err)
		}
		if got := s.store.content(t); got != body {
			rt.Fatalf("stored %q, want %q", got, body)
		}
	})
}

// Octets of any kind, cut anywhere into chunks and dot-stuffed, come out as they were.
func TestOctetsRoundTrip(t *testing.T) {
	s := start(t, &fakeStore{}, acceptAll)
	c := s.hello(t)
	piece := rapid.SampledFrom([]string{"\r\n", "\r", "\n", ".", "\x00", "x", "\xff", "\r\n.\r\n", "\r\n..", strings.Repeat("z", 5000)})
	rapid.Check(t, func(rt *rapid.T) {
		pieces := rapid.SliceOfN(piece, 0, 20).Draw(rt, "pieces")
		body := strings.Join(pieces, "")
		c.send(envelope)
		for _, p := range pieces {
			c.send(fmt.Sprintf("BDAT %d\r\n%s", len(p), p))
		}
		c.send("BDAT 0 LAST\r\n")
		c.expect("250", "250")
		for range pieces {
			c.expect("250")
		}
		c.expect("250 2.0.0 <ann>")
		if got := s.store.content(t); got != body {
			rt.Fatalf("BDAT: stored %q, want %q", got, body)
		}
		body += "\r\n"
		c.send(envelope + "DATA\r\n")
		c.expect("250", "250", "354")
		c.send(strings.TrimPrefix(strings.ReplaceAll("\r\n"+body, "\r\n.", "\r\n.."), "\r\n") + ".\r\n")
		c.expect("250 2.0.0 <ann>")
		if got := s.store.content(t); got != body {
			rt.Fatalf("DATA: stored %q, want %q", got, body)
		}
	})
}
