package wire

import (
	"strings"
	"time"
	"unicode/utf8"
)

// maxQuoted is the longest string, in octets, that is sent quoted; longer ones
// become literals, because clients limit their lines.
const maxQuoted = 1000

// String appends s as a quoted string if it is short and has only characters
// allowed there, else as a literal. A NUL, which no literal may hold, is
// replaced by U+FFFD in UTF-8.
func (e *Encoder) String(s string) *Encoder {
	escapes, ok := e.quotable(s)
	if !ok {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
		return e.announce("{", int64(len(s))).Raw(s)
	}
	if !escapes {
		return e.Byte('"').Raw(s).Byte('"')
	}
	e.Byte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			e.Byte('\\')
		}
		e.Byte(s[i])
	}
	return e.Byte('"')
}

// quotable reports whether s can be a quoted string, and whether it needs
// escapes.
func (e *Encoder) quotable(s string) (escapes, ok bool) {
	if len(s) > maxQuoted {
		return false, false
	}
	plain := true
	for i := range len(s) {
		switch c := s[i]; {
		case quotedChars.has(c):
		case c == '"' || c == '\\':
			escapes = true
		case c >= utf8.RuneSelf && e.utf8:
			plain = false
		default:
			return false, false
		}
	}
	return escapes, plain || utf8.ValidString(s)
}

// AString appends s as an atom if it can be one, else as String does. NIL is
// not sent as an atom.
func (e *Encoder) AString(s string) *Encoder {
	if s == "" || len(s) > maxQuoted || strings.EqualFold(s, "NIL") {
		return e.String(s)
	}
	for i := range len(s) {
		if !astringChars.has(s[i]) {
			return e.String(s)
		}
	}
	return e.Raw(s)
}

// NString appends s as String does, or NIL if ok is false.
func (e *Encoder) NString(s string, ok bool) *Encoder {
	if !ok {
		return e.NIL()
	}
	return e.String(s)
}

// Flags appends a parenthesised list of flags, which must be valid ones.
func (e *Encoder) Flags(flags []string) *Encoder {
	e.Byte('(')
	for i, f := range flags {
		if i > 0 {
			e.Byte(' ')
		}
		e.Raw(f)
	}
	return e.Byte(')')
}

// Mailbox appends a mailbox name, given in UTF-8, as an astring: in modified
// UTF-7, or in UTF-8 after SetUTF8.
func (e *Encoder) Mailbox(name string) *Encoder {
	if !e.utf8 {
		name = EncodeUTF7(name)
	}
	return e.AString(name)
}

// DateTime appends t in its zone as a quoted date-time, as for INTERNALDATE
// (RFC 9051 section 9). A year that has not four digits cannot be written; it
// becomes the start of 1970.
func (e *Encoder) DateTime(t time.Time) *Encoder {
	if y := t.Year(); y < 0 || y > 9999 {
		t = time.Unix(0, 0).UTC()
	}
	const layout = `"02-Jan-2006 15:04:05 -0700"`
	if cap(e.buf)-len(e.buf) < len(layout) {
		e.room(len(layout))
	}
	e.buf = t.AppendFormat(e.buf, layout)
	return e
}

// NumSet appends a number set, which must not be empty.
func (e *Encoder) NumSet(set NumSet) *Encoder {
	const maxRange = 24 // a comma, two numbers and a colon
	if len(set.ranges) == 0 || set.starFrom != 0 || set.saved {
		return e.Raw(set.String())
	}
	for i, r := range set.ranges {
		if cap(e.buf)-len(e.buf) < maxRange {
			e.room(maxRange)
		}
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.buf = appendRange(e.buf, r)
	}
	return e
}
