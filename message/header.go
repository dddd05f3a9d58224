package message

import (
	"bytes"
	"strings"
)

var crlf = []byte("\r\n")

// field is one header field, or a line that is none.
type field struct {
	name  []byte // without the colon and white space before it; nil if the line has no colon
	value []byte // after the colon, still folded, with its line end
	raw   []byte // name, colon, value: verbatim with all its line ends
}

// is reports whether f is called name, in any case.
func (f field) is(name string) bool {
	return len(f.name) == len(name) && strings.EqualFold(string(f.name), name)
}

// headerReader goes through the fields of a header block.
type headerReader struct {
	rest []byte
}

// next returns the next field; ok is false at the empty line or the end.
func (h *headerReader) next() (f field, ok bool) {
	if len(h.rest) == 0 || blankLine(h.rest) {
		return field{}, false
	}
	end := lineEnd(h.rest, 0)
	colon := bytes.IndexByte(h.rest[:end], ':')
	for end < len(h.rest) && isBlank(h.rest[end]) {
		end = lineEnd(h.rest, end)
	}
	f.raw = h.rest[:end:end]
	h.rest = h.rest[end:]
	if colon > 0 {
		f.name = bytes.TrimRight(f.raw[:colon], " \t")
		f.value = f.raw[colon+1:]
	}
	return f, true
}

// lineEnd returns the position after the line of b that begins at pos.
func lineEnd(b []byte, pos int) int {
	if i := bytes.IndexByte(b[pos:], '\n'); i >= 0 {
		return pos + i + 1
	}
	return len(b)
}

// blankLine reports whether b begins with an empty line.
func blankLine(b []byte) bool {
	return len(b) > 0 && (b[0] == '\n' || b[0] == '\r' && len(b) > 1 && b[1] == '\n')
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// isSpace reports whether c is white space or part of a line end, as in a
// folded value.
func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// unfold removes line ends and surrounding white space from a field's value.
// The result shares memory with value if nothing was folded; it is never nil.
func unfold(value []byte) []byte {
	v := bytes.Trim(value, " \t\r\n")
	if bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\r') < 0 {
		if v == nil {
			return []byte{}
		}
		return v
	}
	out := make([]byte, 0, len(v))
	for _, c := range v {
		if c != '\r' && c != '\n' {
			out = append(out, c)
		}
	}
	return out
}

// cut returns b, or as much of it as max bytes hold without splitting a UTF-8
// sequence.
func cut(b []byte, max int) []byte {
	if len(b) <= max {
		return b
	}
	if max <= 0 {
		return b[:0]
	}
	end := max
	for back := 0; back < 3 && end > 0 && b[end]&0xC0 == 0x80; back++ {
		end--
	}
	return b[:end]
}

// HeaderFields returns the fields of header that are called one of names (in
// any case), verbatim and in order, and an empty line: BODY[HEADER.FIELDS (…)]
// of RFC 9051, section 6.4.5.1.
func HeaderFields(header []byte, names []string) []byte {
	return filterFields(header, names, true)
}

// HeaderFieldsNot returns the lines of header that HeaderFields would not, and
// an empty line.
func HeaderFieldsNot(header []byte, names []string) []byte {
	return filterFields(header, names, false)
}

func filterFields(header []byte, names []string, keep bool) []byte {
	var out []byte
	h := headerReader{rest: header}
	for f, ok := h.next(); ok; f, ok = h.next() {
		if nameIn(f, names) == keep {
			out = appendField(out, f.raw)
		}
	}
	return append(out, crlf...)
}

func nameIn(f field, names []string) bool {
	for _, n := range names {
		if f.is(n) {
			return true
		}
	}
	return false
}

// appendField appends a field and the line end that the last one of a header may
// lack.
func appendField(dst, raw []byte) []byte {
	dst = append(dst, raw...)
	if len(raw) == 0 || raw[len(raw)-1] != '\n' {
		dst = append(dst, crlf...)
	}
	return dst
}
