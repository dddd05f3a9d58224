package wire

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestUTF7(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "INBOX": "INBOX", "a&b": "a&-b", "&": "&-", "&&": "&-&-", "Entwürfe": "Entw&APw-rfe",
		"~peter/mail/台北/日本語": "~peter/mail/&U,BTFw-/&ZeVnLIqe-", "😀": "&2D3eAA-", "é&é": "&AOk-&-&AOk-", "\t": "&AAk-", "\x7f": "&AH8-",
	} {
		if got := EncodeUTF7(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
		if got, err := DecodeUTF7(want); got != name || err != nil {
			t.Errorf("%q: %q, %v", want, got, err)
		}
	}
	if got := EncodeUTF7("a\xff"); got != "a&,,0-" {
		t.Errorf("invalid UTF-8: %q", got)
	}
	for name, in := range map[string]string{
		"8 bits": "\xc3\xa9", "control": "a\t", "open": "a&AOk", "lone ampersand": "a&b", "half unit": "&AA-",
		"odd octets": "&AOkA-", "printable": "&AGE-", "ampersand encoded": "&ACY-", "side by side": "&AOk-&AOk-",
		"lone high surrogate": "&2D0-", "lone low surrogate": "&3gA-", "swapped surrogates": "&3gDYPQ-",
		"stray bits": "&AOl-", "slash": "&U/BT-", "padding": "&AOk=-", "line end": "&AO\r\nk-", "tilde": "&AH4-",
	} {
		if got, err := DecodeUTF7(in); err == nil {
			t.Errorf("%s: %q gives %q", name, in, got)
		}
	}
}

func FuzzUTF7(f *testing.F) {
	for _, s := range []string{"INBOX", "&AOk-", "&2D3eAA-", "é&é", "a&-", "&AOk-&AOk-", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, err := DecodeUTF7(s); err == nil {
			if !utf8.ValidString(name) || EncodeUTF7(name) != s {
				t.Fatalf("%q gives %q, which is %q", s, name, EncodeUTF7(name))
			}
		}
		want := strings.ToValidUTF8(s, "\uFFFD")
		if !utf8.ValidString(s) {
			return
		}
		if back, err := DecodeUTF7(EncodeUTF7(s)); err != nil || back != want {
			t.Fatalf("%q encodes to %q, which gives %q, %v", s, EncodeUTF7(s), back, err)
		}
	})
}

func TestNormalizeMailbox(t *testing.T) {
	for in, want := range map[string]string{
		"inbox": "INBOX", "InBox/sub": "INBOX/sub", "inbox2": "inbox2", "a/inbox": "a/inbox", "a/": "a", "inbox/": "INBOX",
		"u\u0308": "ü", "a b": "a b", "ı": "ı", "ınbox": "ınbox", "a.b": "a.b",
		strings.Repeat("x", 255) + "/y": strings.Repeat("x", 255) + "/y",
	} {
		if got, err := NormalizeMailbox(in, '/'); got != want || err != nil {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{
		"", "/", "a//b", "/a", "a//", "a\x00", "a\r\nb", "a\u0085", "a\u2028", "\xff", "\x7f",
		strings.Repeat("x", 256), strings.Repeat("x/", 501), strings.Repeat("x", 100_000),
	} {
		var name *NameError
		if got, err := NormalizeMailbox(in, '/'); !errors.As(err, &name) {
			t.Errorf("%.20q: %q, %v", in, got, err)
		}
	}
	if got, err := NormalizeMailbox("inbox.a", '.'); got != "INBOX.a" || err != nil {
		t.Errorf("other separator: %q, %v", got, err)
	}
}
