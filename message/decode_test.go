package message

import (
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
)

func TestParseDate(t *testing.T) {
	tests := map[string]string{ // RFC 3339; "" if it can't be read
		"Mon, 7 Feb 1994 21:52:25 -0800 (PST)":        "1994-02-07T21:52:25-08:00",
		"7 Feb 94 21:52 PST":                          "1994-02-07T21:52:00-08:00",
		"Thu, 01 Jan 1970 00:00:00 GMT":               "1970-01-01T00:00:00Z",
		"1 jan 2020 10:00:00 +0530":                   "2020-01-01T10:00:00+05:30",
		"Fri,3 May 2024 1:02:03 +0200":                "2024-05-03T01:02:03+02:00",
		"Wed Nov 24 11:14:33 2021":                    "2021-11-24T11:14:33Z",
		"1-Mar-2021 00:00:00 +0000":                   "2021-03-01T00:00:00Z",
		"Sat, 31 Dec 2016 23:59:60 +0000":             "2017-01-01T00:00:00Z",
		"Tue, 5 (day) Mar 49 (short year) 8:00 +0000": "2049-03-05T08:00:00Z",
		"Tue, 5 Mar 105 08:00 +0000":                  "2005-03-05T08:00:00Z",
		"31 Feb 2020 00:00:00 +0000":                  "",
		"1 Jan 2020 25:00:00 +0000":                   "",
		"yesterday":                                   "",
		"":                                            "",
	}
	for in, want := range tests {
		got := ""
		if d := ParseDate([]byte(in)); d.Valid {
			got = d.Time().Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestDecodeWords(t *testing.T) {
	tests := map[string]string{
		"plain":                                   "plain",
		"=?utf-8?q?caf=C3=A9_au_lait?=":           "café au lait",
		"=?UTF-8?B?Y2Fmw6k=?= x":                  "café x",
		"a =?utf-8?q?b?= =?utf-8?q?c?= d":         "a bc d",
		"=?utf-8?q?=C3?=  =?utf-8?q?=A9?=":        "é", // split within a character
		"=?iso-8859-1?q?=E9?= =?utf-8?q?=C3=A9?=": "éé",
		"=?iso-8859-1*fr?Q?=E9?=":                 "é",
		"=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=":      "日本",
		"=?x-nonsense?q?abc?=":                    "abc",
		"=?utf-8?x?abc?=":                         "=?utf-8?x?abc?=",
		"=?utf-8?q?unended":                       "=?utf-8?q?unended",
		"=?=?utf-8?q?x?=":                         "=?x",
		"caf\xe9":                                 "café",
		"=?utf-8?q?=ff?=":                         "ÿ",
	}
	for in, want := range tests {
		if got := DecodeWords([]byte(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestWalkTextConvertsCharsets(t *testing.T) {
	tests := []struct {
		charset string
		enc     encoding.Encoding
		text    string
	}{
		{"ISO-2022-JP", japanese.ISO2022JP, "日本語の本文"},
		{"Shift_JIS", japanese.ShiftJIS, "日本語ｶﾅ"},
		{"euc-jp", japanese.EUCJP, "日本語"},
		{"GB18030", simplifiedchinese.GB18030, "简体中文€"},
		{"hz-gb-2312", simplifiedchinese.HZGB2312, "中文"},
		{"koi8-r", charmap.KOI8R, "Привет"},
		{"windows-1251", charmap.Windows1251, "Привет"},
		{"cp1252", charmap.Windows1252, "“naïve” €"},
		{"iso-8859-15", charmap.ISO8859_15, "5 €"},
		{"", charmap.Windows1252, "naïve"},
		{"utf-8", encoding.Nop, "naïve Grüße"},
		{"", encoding.Nop, "naïve"},
		{"x-unknown-charset", encoding.Nop, "naïve"},
	}
	for _, tt := range tests {
		encoded, err := tt.enc.NewEncoder().String(tt.text + "\r\n")
		if err != nil {
			t.Fatal(err)
		}
		// Long enough to be read in several pieces.
		body := strings.Repeat(encoded, 10_000)
		for _, cte := range []string{"8bit", "base64"} {
			sent := body
			if cte == "base64" {
				sent = base64.StdEncoding.EncodeToString([]byte(body))
			}
			raw := []byte("Content-Type: text/plain; charset=" + tt.charset + "\r\nContent-Transfer-Encoding: " + cte + "\r\n\r\n" + sent)
			var got strings.Builder
			WalkText(raw, Parse(raw), func(_ int, text []byte) bool { got.Write(text); return true })
			if want := strings.Repeat(tt.text+"\r\n", 10_000); got.String() != want {
				t.Errorf("%s in %s: got %d bytes %.80q, want %d", tt.charset, cte, got.Len(), got.String(), len(want))
			}
		}
	}
}

func TestNewDecoder(t *testing.T) {
	tests := []struct{ encoding, in, want string }{
		{"7bit", "a\r\n", "a\r\n"},
		{"base64", "aGVs\r\nbG8=\r\n", "hello"},
		{"base64", "aGVsbG8", "hello"},
		{"base64", "aG!Vs bG8=aGVsbG8=", "hellohello"},
		{"base64", "", ""},
		{"quoted-printable", "a=20b=\r\nc =3d=3D \t\r\nd", "a bc ==\r\nd"},
		{"quoted-printable", "broken =xy= end=", "broken =xy= end"},
		{"quoted-printable", "soft= \t\nbreak", "softbreak"},
	}
	for _, tt := range tests {
		r, err := NewDecoder(tt.encoding, []byte(tt.in))
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(r, []byte(tt.want)); err != nil {
			t.Errorf("%s %q: %v", tt.encoding, tt.in, err)
		}
		r, _ = NewDecoder(tt.encoding, []byte(tt.in))
		got, err := io.ReadAll(iotest.OneByteReader(r))
		if string(got) != tt.want || err != nil {
			t.Errorf("%s %q: got %q, %v, want %q", tt.encoding, tt.in, got, err, tt.want)
		}
		if size, err := DecodedSize(tt.encoding, []byte(tt.in)); size != int64(len(tt.want)) || err != nil {
			t.Errorf("%s %q: size %d, %v", tt.encoding, tt.in, size, err)
		}
	}
	if _, err := NewDecoder("x-uuencode", nil); !errors.Is(err, ErrUnknownEncoding) {
		t.Errorf("x-uuencode: %v", err)
	}
	if _, err := DecodedSize("x-uuencode", nil); !errors.Is(err, ErrUnknownEncoding) {
		t.Errorf("size of x-uuencode: %v", err)
	}
}

func TestMatcherLooksWhereSearchDoes(t *testing.T) {
	messages := corpus(t)
	tests := []struct {
		name, needle string
		body, text   bool
	}{
		{"iso-2022-jp", "本文", true, true},
		{"iso-2022-jp", "日本 <JP@", false, true},
		{"alternative", "GRÜSSE", true, true},
		{"alternative", "preamble", false, false},
		{"rfc822", "second LINE", true, true},
		{"rfc822", "text second", true, true}, // over a line end
		{"rfc822", "subject: innermost", true, true},
		{"rfc822", "blurdybloop", false, true},
		{"nested", "%PDF", false, false},
		{"folded", "subject: a folded subject of", false, true},
		{"folded", "jürgen müller", false, true},
		{"plain", "", true, true},
	}
	for _, tt := range tests {
		raw := messages[tt.name]
		s, m := Parse(raw), NewMatcher(tt.needle)
		if got := m.MatchBody(raw, s); got != tt.body {
			t.Errorf("%s: %q in body: %v", tt.name, tt.needle, got)
		}
		if got := m.MatchText(raw, s); got != tt.text {
			t.Errorf("%s: %q in text: %v", tt.name, tt.needle, got)
		}
	}
	header := []byte("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nX-Empty:\r\n\r\n")
	if !NewMatcher("grüss").MatchHeader(header, "SUBJECT") || !NewMatcher("").MatchHeader(header, "x-empty") ||
		NewMatcher("").MatchHeader(header, "From") {
		t.Error("MatchHeader")
	}
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"Straße":        "strasse",
		"ＦＵＬＬ ｶﾞ":       "full ガ",
		"a \t\r\n b":    "a b",
		"ΣΊΣΥΦΟΣ":       "σίσυφοσ",
		"ﬁn":            "fin",
		"E\u0301tude":   "étude",
		"plain ASCII 1": "plain ascii 1",
		"\uAB70\u13F8":  Fold("\u13A0\u13F0"), // Cherokee
	} {
		if got := Fold(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestBaseSubject(t *testing.T) {
	tests := []struct {
		in, want string
		reply    bool
	}{
		{"Hello", "Hello", false},
		{"Re: Hello", "Hello", true},
		{"RE : [list] Fwd: Hello (fwd) (FWD)", "Hello", true},
		{"[list] Hello", "Hello", false},
		{"[only]", "[only]", false},
		{"Re[2]: Hello", "Hello", true},
		{"[Fwd: Re: Hello]", "Hello", true},
		{"  a \t b ", "a b", false},
		{"=?utf-8?q?Re:_caf=C3=A9?=", "café", true},
		{"Re:", "", true},
		{"Reply", "Reply", false},
		{"[a [b] Re: x", "[a [b] Re: x", false},
	}
	for _, tt := range tests {
		if got, reply := BaseSubject([]byte(tt.in)); got != tt.want || reply != tt.reply {
			t.Errorf("%q: got %q %v, want %q %v", tt.in, got, reply, tt.want, tt.reply)
		}
	}
}

func TestMessageIDs(t *testing.T) {
	got := MessageIDs([]byte(" <a@b>\r\n\t<c@\r\n d> junk <> <e <f@g> <open"))
	if want := []string{"<a@b>", "<c@d>", "<f@g>"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGUID(t *testing.T) {
	g := Sum([]byte("abc"))
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if g.String() != want || g.IsZero() {
		t.Errorf("got %s", g)
	}
	if back, err := ParseGUID(strings.ToUpper(want)); err != nil || back != g {
		t.Errorf("parsed %v, %v", back, err)
	}
	for _, bad := range []string{"", want[1:], "zz" + want[2:]} {
		if _, err := ParseGUID(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
