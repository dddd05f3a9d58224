package lmtpd

import (
	"bufio"
	"bytes"
	"net/mail"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"angarium/internal/auth"
	"angarium/lmtpd/address"
)

func TestPasswordsAreNotAskedForInTheClear(t *testing.T) {
	srv := &Server{opts: Options{Auth: &auth.Authenticator{}}}
	for _, tt := range []struct {
		tls, local bool
		want       []string
	}{
		{false, false, []string{auth.MechScramSHA256}},
		{true, false, []string{auth.MechScramSHA256, auth.MechPlain, auth.MechLogin}},
		{false, true, []string{auth.MechScramSHA256, auth.MechPlain, auth.MechLogin}},
	} {
		c := &conn{srv: srv, tls: tt.tls, local: tt.local}
		if got := c.mechanisms(); !slices.Equal(got, tt.want) {
			t.Errorf("TLS %t, local %t: %v", tt.tls, tt.local, got)
		}
	}
}

func TestReceivedNamesClientAndProtocol(t *testing.T) {
	date := time.Date(2026, 11, 24, 12, 0, 0, 0, time.FixedZone("", 3600))
	for _, tt := range []struct {
		r    received
		want string
	}{
		{received{helo: "a", remote: netip.MustParseAddr("192.0.2.1"), by: "b", id: "S.1", date: date},
			"Return-Path: <x@y>\r\nReceived: from a ([192.0.2.1])\r\n\tby b (Angarium) with LMTP\r\n\tid S.1; Tue, 24 Nov 2026 12:00:00 +0100\r\n"},
		{received{helo: "a", remote: netip.MustParseAddr("2001:db8::1"), by: "b", id: "S.2", date: date, utf8: true, tls: true, auth: true},
			"Return-Path: <x@y>\r\nReceived: from a ([IPv6:2001:db8::1])\r\n\tby b (Angarium) with UTF8LMTPSA\r\n\tid S.2; Tue, 24 Nov 2026 12:00:00 +0100\r\n"},
	} {
		if got := string(traceFields("x@y", tt.r)); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestRefusalsAreLoggedOncePerSecond(t *testing.T) {
	var l limitedLog
	now := time.Unix(1000, 0)
	for i, tt := range []struct {
		after      time.Duration
		ok         bool
		suppressed int
	}{{0, true, 0}, {time.Millisecond, false, 0}, {time.Millisecond, false, 0}, {time.Second, true, 2}, {2 * time.Second, true, 0}} {
		now = now.Add(tt.after)
		if n, ok := l.allow(now); ok != tt.ok || n != tt.suppressed {
			t.Errorf("step %d: %d, %t", i, n, ok)
		}
	}
}

// FuzzClean checks what is stored of any message under the default policies.
func FuzzClean(f *testing.F) {
	for _, s := range []string{
		"a: b\r\n\r\nc\r\n", "a\nb\rc\r\r\nd", "Return-Path: <x>\r\n y\r\nreturn-path :z\r\nTo: x\r\n\r\nReturn-Path: body\r\n",
		"\x00\r\x00\n", "Return-Path", "Return-Path:", "Return-Path: x\n\t\n \n\nb", "\r", "\n", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		const head = "Return-Path: <>\r\n"
		buf := append([]byte(head), msg...)
		buf = stripNUL(buf, len(head))
		stray, extra := strayNewlines(buf[len(head):])
		clean := normalizeNewlines(buf, len(head), extra)
		if got := clean[len(head):]; !stray && !bytes.Equal(got, buf[len(head):]) {
			t.Fatalf("%q was clean, and became %q", msg, got)
		}
		if again, _ := strayNewlines(clean[len(head):]); again {
			t.Fatalf("%q became %q, which is not clean", msg, clean)
		}
		if len(clean) > len(buf)+extra {
			t.Fatalf("%q grew by more than %d", msg, extra)
		}
		before := bytes.Clone(clean)
		out := removeReturnPath(clean, len(head))
		if !bytes.HasPrefix(out, []byte(head)) {
			t.Fatalf("%q: the field on top is gone: %q", msg, out)
		}
		header, _, _ := strings.Cut("\r\n"+string(out[len(head):]), "\r\n\r\n")
		for l := range strings.SplitSeq(header, "\r\n") {
			if isReturnPath([]byte(l + "\r\n")) {
				t.Fatalf("%q: left in %q", msg, out)
			}
		}
		if twice := removeReturnPath(bytes.Clone(out), len(head)); !bytes.Equal(twice, out) {
			t.Fatalf("%q: removed again from %q", msg, out)
		}
		if !strings.Contains(strings.ToLower(string(before[len(head):])), "return-path") && !bytes.Equal(out, before) {
			t.Fatalf("%q: changed without reason: %q", before, out)
		}
	})
}

// FuzzTrace checks that no envelope the parsers let through breaks the header.
func FuzzTrace(f *testing.F) {
	f.Add("client.example", "ann@example.org")
	f.Add("[IPv6:::1]", `"a b"@c`)
	f.Fuzz(func(t *testing.T, helo, from string) {
		if !validHelo(helo) {
			return
		}
		mbox, _, err := address.ReversePath("<" + from + ">")
		if err != nil {
			return
		}
		raw := traceFields(mbox.String(), received{helo: helo, by: "mx", id: "S.1", date: time.Unix(0, 0)})
		if len(raw) > TraceBytes {
			t.Fatalf("%d octets", len(raw))
		}
		m, err := mail.ReadMessage(strings.NewReader(string(raw) + "\r\n"))
		if err != nil || len(m.Header) != 2 {
			t.Fatalf("%q: %v, %v", raw, m, err)
		}
	})
}

// BenchmarkReadData undoes the dot-stuffing of a message of 38 KiB that is in memory already.
func BenchmarkReadData(b *testing.B) {
	msg := []byte(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 38*1024/72) + ".\r\n")
	srv := &Server{opts: Options{MaxMessage: 50 << 20, MaxBuffered: 1 << 30}}
	in := bytes.NewReader(nil)
	br := bufio.NewReaderSize(in, readBuffer)
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		in.Reset(msg)
		m := srv.newReceipt(nil, int64(len(msg)))
		if err := m.readData(br); err != nil {
			b.Fatal(err)
		}
		m.release()
	}
}

// BenchmarkClean looks for what has to be cleaned in a message that is clean.
func BenchmarkClean(b *testing.B) {
	msg := []byte(strings.Repeat("Header: x\r\n", 20) + "\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 38*1024/72))
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		if stray, _ := strayNewlines(msg); stray || hasNUL(msg) || len(removeReturnPath(msg, 0)) != len(msg) {
			b.Fatal("not clean")
		}
	}
}
