package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"angarium/internal/control"
)

func TestPlainTextCannotSteerATerminal(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"Grüße 📬 \"q\" \\":     "Grüße 📬 \"q\" \\",
		"a\x1b[31m\r\n\tb\x7f": `a\x1b[31m\r\n\tb\x7f`,
		"bad\xffutf8":          `bad\xffutf8`,
		"\u202eleft\u200bzero": `\u202eleft\u200bzero`,
		"\u009b1m":             `\u009b1m`,
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("a\x1b[0m\xff\u202e\ufffd")
	f.Fuzz(func(t *testing.T, s string) {
		got := plain(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e }) {
			t.Errorf("plain(%q) = %q", s, got)
		}
		if again := plain(got); again != got {
			t.Errorf("plain(%q) = %q", got, again)
		}
	})
}

func TestBytesText(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB", 5 << 30: "5.0 GiB", 1<<64 - 1: "16.0 EiB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"1 body": count(1, "body"), "0 bodies": count(0, "body"), "2 mailboxes": count(2, "mailbox"), "3 events": count(3, "event"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLogLineIsOneShortLine(t *testing.T) {
	long := strings.Repeat("ü", 10_000)
	event, err := json.Marshal(map[string]any{"account": "x", "name": long, "list": []string{}, "none": nil, "text": "", "zero": 0})
	if err != nil {
		t.Fatal(err)
	}
	got := logLine(control.LogEvent{Kind: "K", Account: "ann\nbob", Event: event})
	if strings.ContainsAny(got, "\n") || len(got) > 400 || !utf8.ValidString(got) || !strings.HasSuffix(got, "ü… zero=0") {
		t.Errorf("got %q", got)
	}
}
