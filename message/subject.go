package message

import "strings"

// maxSubjectBytes is how much of a subject BaseSubject looks at.
const maxSubjectBytes = 1 << 10

// BaseSubject returns what SORT and THREAD compare of a Subject's value (RFC 5256, section
// 2.1), still in its own case, and whether it was that of a reply or a
// forwarded message.
func BaseSubject(value []byte) (base string, reply bool) {
	decoded := DecodeWords(unfold(cut(value, maxSubjectBytes)))
	s := strings.Join(strings.FieldsFunc(decoded, func(r rune) bool { return r < 0x80 && isSpace(byte(r)) }), " ")
	for {
		s = trimTrailers(s, &reply)
		s = trimLeaders(s, &reply)
		inner, ok := cutPrefixFold(s, "[fwd:")
		if !ok || !strings.HasSuffix(inner, "]") {
			return s, reply
		}
		s, reply = strings.TrimSuffix(inner, "]"), true
	}
}

func trimTrailers(s string, reply *bool) string {
	for {
		s = strings.TrimRight(s, " ")
		n := len(s) - len("(fwd)")
		if n < 0 || !strings.EqualFold(s[n:], "(fwd)") {
			return s
		}
		s, *reply = s[:n], true
	}
}

// trimLeaders removes "Re:", "Fwd:" and "[…]" from the start, unless a "[…]" is all
// that is left.
func trimLeaders(s string, reply *bool) string {
	for {
		s = strings.TrimLeft(s, " ")
		if rest, ok := cutLeader(s); ok {
			s, *reply = rest, true
			continue
		}
		rest, ok := cutBlob(s)
		if !ok || rest == "" {
			return s
		}
		s = rest
	}
}

// cutLeader removes *subj-blob subj-refwd.
func cutLeader(s string) (string, bool) {
	for {
		rest, ok := cutBlob(s)
		if !ok {
			break
		}
		s = rest
	}
	rest, ok := cutPrefixFold(s, "re")
	if !ok {
		if rest, ok = cutPrefixFold(s, "fwd"); !ok {
			if rest, ok = cutPrefixFold(s, "fw"); !ok {
				return s, false
			}
		}
	}
	rest = strings.TrimLeft(rest, " ")
	rest, _ = cutBlob(rest)
	return strings.CutPrefix(rest, ":")
}

// cutBlob removes "[…]" and the blanks after it.
func cutBlob(s string) (string, bool) {
	if !strings.HasPrefix(s, "[") {
		return s, false
	}
	end := strings.IndexAny(s[1:], "[]")
	if end < 0 || s[1+end] == '[' {
		return s, false
	}
	return strings.TrimLeft(s[end+2:], " "), true
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
