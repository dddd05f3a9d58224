package message

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold returns the form of s in which texts are compared: NFKC (which makes half and
// full width the same, and ligatures letters), Unicode case folding, and each run of
// white space (blanks, tabs, line ends) as one blank. Diacritics count. It is close to
// i;unicode-casemap (RFC 5051), which RFC 9051 leaves to the server.
func Fold(s string) string {
	f := folder{caser: cases.Fold()}
	return string(f.append(nil, []byte(s)))
}

// folder is Fold for a text in pieces.
type folder struct {
	caser cases.Caser
	space bool // the last byte written was a blank
	norm  []byte
}

// append appends the folded form of text to dst.
func (f *folder) append(dst, text []byte) []byte {
	if !ascii(text) {
		f.norm = norm.NFKC.Append(f.norm[:0], text...)
		folded := f.caser.Bytes(cherokeeCapitals(f.norm))
		f.norm = norm.NFKC.Append(f.norm[:0], folded...)
		text = f.norm
	}
	for _, c := range text {
		switch {
		case isSpace(c):
			if !f.space {
				dst = append(dst, ' ')
			}
			f.space = true
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		f.space = false
		dst = append(dst, c)
	}
	return dst
}

// cherokeeCapitals replaces the small letters of Cherokee, which cases.Fold exchanges
// with the capitals instead of making both the same.
func cherokeeCapitals(b []byte) []byte {
	if !bytes.Contains(b, []byte{0xE1, 0x8F}) && bytes.IndexByte(b, 0xEA) < 0 {
		return b // neither U+13F8… nor U+AB70…
	}
	return bytes.Map(func(r rune) rune {
		switch {
		case r >= 0xAB70 && r <= 0xABBF:
			return r - 0xAB70 + 0x13A0
		case r >= 0x13F8 && r <= 0x13FD:
			return r - 8
		}
		return r
	}, b)
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Matcher looks for a string in many messages, in the form that Fold gives both. It
// keeps buffers, so a goroutine needs one of its own.
type Matcher struct {
	needle []byte
	folder folder
	buf    []byte // the end of what was fed, folded: where the needle may have begun
}

// NewMatcher returns a Matcher for needle. An empty one matches everything.
func NewMatcher(needle string) *Matcher {
	return &Matcher{needle: []byte(Fold(needle)), folder: folder{caser: cases.Fold()}}
}

// Match reports whether the needle is in text, which is UTF-8.
func (m *Matcher) Match(text []byte) bool {
	m.reset()
	return m.feed(text)
}

// MatchHeader reports whether the needle is in the decoded value of a field of header that
// is called name: SEARCH HEADER. The empty needle asks whether there is such a field.
func (m *Matcher) MatchHeader(header []byte, name string) bool {
	for _, value := range DecodedHeader(header, name) {
		if m.Match([]byte(value)) {
			return true
		}
	}
	return false
}

// MatchBody reports whether the needle is in a part that WalkText yields: SEARCH BODY.
func (m *Matcher) MatchBody(raw []byte, s *Structure) bool {
	if len(m.needle) == 0 {
		return true
	}
	last := -1
	return !WalkText(raw, s, func(part int, text []byte) bool {
		if part != last {
			m.reset()
			last = part
		}
		return !m.feed(text)
	})
}

// MatchText reports whether the needle is in the header or the body: SEARCH TEXT.
func (m *Matcher) MatchText(raw []byte, s *Structure) bool {
	return m.Match(decodedHeaderText(s.Parts[0].Header().Of(raw))) || m.MatchBody(raw, s)
}

func (m *Matcher) reset() {
	m.buf, m.folder.space = m.buf[:0], false
}

// feed reports whether the needle is in the text fed since reset. It holds no more
// than a piece of it.
func (m *Matcher) feed(text []byte) bool {
	for {
		piece := text
		if len(piece) > textChunkBytes {
			piece = text[:max(pieceEnd(text[:textChunkBytes]), 1)]
		}
		m.buf = m.folder.append(m.buf, piece)
		if bytes.Contains(m.buf, m.needle) {
			return true
		}
		keep := min(len(m.buf), max(len(m.needle)-1, 0))
		m.buf = append(m.buf[:0], m.buf[len(m.buf)-keep:]...)
		text = text[len(piece):]
		if len(text) == 0 {
			return false
		}
	}
}
