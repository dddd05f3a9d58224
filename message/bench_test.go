package message

import (
	"strings"
	"testing"
)

// typicalMessage is one with trace fields, two forms of text, and an attachment of
// so many lines of base64.
func typicalMessage(lines int) []byte {
	return []byte(strings.Repeat("Received: from mx.example.com (mx.example.com [192.0.2.1])\r\n\tby mail.example.org with ESMTPS id 123\r\n\tfor <user@example.org>; Mon, 7 Feb 2022 21:52:25 +0000\r\n", 4) +
		"From: \"Some Body\" <some.body@example.com>\r\nTo: user@example.org\r\nSubject: minutes of the meeting\r\n" +
		"Date: Mon, 7 Feb 2022 21:52:25 +0000\r\nMessage-ID: <20220207215225.12345@mx.example.com>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/mixed; boundary=\"=_outer\"\r\n\r\n" +
		"--=_outer\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat("Some text for the reader.\r\n", 20) +
		"--=_outer\r\nContent-Type: application/pdf; name=minutes.pdf\r\nContent-Disposition: attachment; filename=minutes.pdf\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", lines) + "--=_outer--\r\n")
}

func BenchmarkParse(b *testing.B) {
	for name, raw := range map[string][]byte{"small": typicalMessage(10), "1MB": typicalMessage(13_000)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				Parse(raw)
			}
		})
	}
}

func BenchmarkBlob(b *testing.B) {
	blob := Parse(typicalMessage(10)).Marshal()
	b.Run("Envelope", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := blob.Envelope(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("CachedHeaderFields", func(b *testing.B) {
		names := []string{"From", "To", "Subject", "Date", "Message-ID"}
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := blob.CachedHeaderFields(names); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Unmarshal(blob); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkMatcher(b *testing.B) {
	raw := []byte("Content-Type: text/plain\r\n\r\n" + strings.Repeat("Some text for the reader.\r\n", 2000))
	s, m := Parse(raw), NewMatcher("needle")
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		m.MatchBody(raw, s)
	}
}
