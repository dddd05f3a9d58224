package message

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// hostile are messages that try to make Parse deep, slow or large, and whether
// something of each is cut off.
func hostile() map[string]struct {
	raw       string
	truncated bool
} {
	type m = struct {
		raw       string
		truncated bool
	}
	manyParts := func(header string, n int) string {
		return "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n"+header+"\r\n\r\n", n)
	}
	var multiparts strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&multiparts, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	var params strings.Builder
	for i := range 100 {
		fmt.Fprintf(&params, "; p%d*0*=%s", i, strings.Repeat("x", 2000))
	}
	longType := "Content-Type: x" + strings.Repeat("y", 120) + "/z" + strings.Repeat("z", 120) + "\r\nContent-Transfer-Encoding: " + strings.Repeat("e", 100) + "\r\n"
	addresses := "To: " + strings.Repeat("Someone <someone@example.com>, ", 50_000) + "\r\n"
	return map[string]m{
		"1000 messages deep":         {strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 1000), true},
		"1000 multiparts deep":       {multiparts.String(), true},
		"100k parts":                 {manyParts("", 100_000), true},
		"parts of long types":        {manyParts(longType, 9_000), true},
		"parts with parameters":      {manyParts("Content-Type: text/x"+params.String()+"\r\n", 50), true},
		"parts with envelopes":       {manyParts("Content-Type: message/rfc822\r\n\r\n"+addresses, 3), true},
		"many addresses":             {addresses + "\r\n", true},
		"open group":                 {"To: g: " + addresses[4:] + "\r\n", true},
		"quotes only":                {"Subject: " + strings.Repeat(`"`, 1<<20) + "\r\n\r\n", false},
		"nested comments":            {"From: " + strings.Repeat("(", 1<<20) + "\r\nDate: " + strings.Repeat("(", 1<<20) + "\r\n\r\n", true},
		"blanks in quoted-printable": {"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + strings.Repeat(" ", 8<<20) + "x", false},
		"source routes without end":  {strings.Repeat("To: "+strings.Repeat("<@,", 80_000)+"\r\n", 10) + "\r\n", false},
		"words without end":          {strings.Repeat("Subject: "+strings.Repeat("=?a?q?", 40_000)+"\r\n", 10) + "\r\n", false},
		"one long line":              {strings.Repeat("x", 4<<20), false},
		"boundary lines": {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" +
			strings.Repeat("--\r\n", 1<<20), false},
	}
}

func TestHostileMessagesStayWithinTheBounds(t *testing.T) {
	for name, m := range hostile() {
		t.Run(name, func(t *testing.T) {
			raw := []byte(m.raw)
			s := Parse(raw)
			checkStructure(t, raw, s)
			if s.Truncated != m.truncated {
				t.Errorf("truncated is %v", s.Truncated)
			}
			NewMatcher("needle").MatchText(raw, s)
			if _, err := DecodedSize(s.Parts[0].Encoding, s.Parts[0].Body().Of(raw)); err != nil {
				t.Error(err)
			}
			DecodedHeader(s.Parts[0].Header().Of(raw), "From")
		})
	}
}

func TestUnmarshalTellsVersionFromDamage(t *testing.T) {
	blob := Parse([]byte("Subject: x\r\n\r\ny\r\n")).Marshal()
	newer := bytes.Clone(blob)
	newer[0]++
	if _, err := Unmarshal(newer); !errors.Is(err, ErrVersion) {
		t.Errorf("newer version: %v", err)
	}
	if _, err := Blob(newer).Envelope(); !errors.Is(err, ErrVersion) {
		t.Errorf("envelope of newer version: %v", err)
	}
	for n := range blob {
		if _, err := Unmarshal(blob[:n]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("first %d bytes: %v", n, err)
		}
	}
	if _, err := Unmarshal(append(bytes.Clone(blob), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("one more byte: %v", err)
	}
}

func TestCachedFieldsLeaveOutWhatHasNoRoom(t *testing.T) {
	raw := []byte("From: a@example.com\r\nReferences: " + strings.Repeat("<x@y>\r\n ", 2000) + "\r\nSubject: s\r\n\r\n")
	s := Parse(raw)
	if _, ok := s.CachedHeaderFields([]string{"From", "References"}); ok {
		t.Error("References should not be cached")
	}
	if _, ok := s.CachedHeaderFields([]string{"From", "X-Unknown"}); ok {
		t.Error("X-Unknown should not be cached")
	}
	got, ok := s.CachedHeaderFields([]string{"subject", "FROM", "Cc"})
	if want := "From: a@example.com\r\nSubject: s\r\n\r\n"; !ok || string(got) != want {
		t.Errorf("got %q %v, want %q", got, ok, want)
	}
}

func TestOrdinaryBlobIsSmall(t *testing.T) {
	for name, raw := range corpus(t) {
		if n := len(Parse(raw).Marshal()); n > 1800 {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
	if n := len(Parse(typicalMessage(100)).Marshal()); n < 300 || n > 1000 {
		t.Errorf("typical message: %d bytes", n)
	}
}
