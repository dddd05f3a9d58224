package message

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"
)

// charsetEncoding returns the encoding that a charset's name stands for; nil
// if it is UTF-8 or US-ASCII, not given, or unknown. Text is then taken for
// UTF-8, or for windows-1252 if it isn't that.
func charsetEncoding(charset string) encoding.Encoding {
	name := strings.ToLower(strings.TrimSpace(charset))
	switch name {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "unknown-8bit", "x-unknown":
		return nil
	case "iso-2022-jp-1", "iso-2022-jp-2", "iso-2022-jp-3", "iso-2022-jp-ms", "cp50220", "cp50221", "cp50222":
		return japanese.ISO2022JP
	case "cp932", "windows-932":
		return japanese.ShiftJIS
	case "eucjp", "eucjp-ms", "cp51932":
		return japanese.EUCJP
	case "hz-gb-2312", "hz":
		// The index for browsers replaces HZ, against cross-site scripting.
		return simplifiedchinese.HZGB2312
	}
	if e, err := htmlindex.Get(strings.Replace(name, "cp125", "windows-125", 1)); err == nil && e != encoding.Replacement {
		if canonical, err := htmlindex.Name(e); err == nil && canonical == "utf-8" {
			return nil
		}
		return e
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil {
		return e // nil if the index knows the name alone
	}
	return nil
}

// toUTF8 converts text, as a whole, to UTF-8. What isn't valid becomes U+FFFD.
func toUTF8(charset string, text []byte) []byte {
	e := charsetEncoding(charset)
	if e == nil {
		if utf8.Valid(text) {
			return text
		}
		e = charmap.Windows1252
	}
	out, err := e.NewDecoder().Bytes(text)
	if err != nil {
		return bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	return out
}

// charsetReader is toUTF8 for a stream. Whether text without a known charset is UTF-8
// is decided by probe, how the text begins; it is then returned as it is.
func charsetReader(charset string, r io.Reader, probe []byte) io.Reader {
	e := charsetEncoding(charset)
	if e == nil {
		if utf8.Valid(probe[:runeEnd(probe)]) {
			return r
		}
		e = charmap.Windows1252
	}
	return transform.NewReader(r, e.NewDecoder())
}

// runeEnd returns the length of b without an incomplete UTF-8 sequence at its end.
func runeEnd(b []byte) int {
	for back := 1; back <= utf8.UTFMax && back <= len(b); back++ {
		if start := len(b) - back; utf8.RuneStart(b[start]) {
			if !utf8.FullRune(b[start:]) {
				return start
			}
			break
		}
	}
	return len(b)
}
