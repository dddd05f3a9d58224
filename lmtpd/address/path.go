package address

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxBytes bounds an address, in bytes of UTF-8. RFC 5321, section 4.5.3.1.3 asks for 256; a detail may name a mailbox. It
// leaves room for a Return-Path field within the line limit of 998 (RFC 5322, section 2.1.1).
const MaxBytes = 900

// ErrSyntax is wrapped by every error of the functions that read an address.
var ErrSyntax = errors.New("malformed address")

// Mailbox is an address. The zero value is the null reverse-path "<>".
type Mailbox struct {
	Local  string // without quotes and backslashes
	Domain string // empty if there is none; an address literal keeps its brackets
}

// String gives the address as RFC 5321 writes it, with the local part quoted where it must be, but without angle brackets.
func (m Mailbox) String() string {
	if m.Local == "" && m.Domain == "" {
		return ""
	}
	local := m.Local
	if !isDotString(local) {
		local = quote(local)
	}
	if m.Domain == "" {
		return local
	}
	return local + "@" + m.Domain
}

// ReversePath reads the path at the beginning of s, which may be "<>" (RFC 5321, section 4.1.2), and returns what follows it:
// nothing, or the parameters with the space before them.
func ReversePath(s string) (m Mailbox, rest string, err error) {
	if after, ok := strings.CutPrefix(s, "<>"); ok {
		return Mailbox{}, after, checkRest(after)
	}
	return ForwardPath(s)
}

// ForwardPath reads the path at the beginning of s as ReversePath does; it may not be empty. A source route is dropped (RFC
// 5321, appendix C). A domain may be missing, as in "<postmaster>".
func ForwardPath(s string) (m Mailbox, rest string, err error) {
	s, ok := strings.CutPrefix(s, "<")
	if !ok {
		return m, "", fmt.Errorf("%w: want <", ErrSyntax)
	}
	if strings.HasPrefix(s, "@") {
		route, after, ok := strings.Cut(s, ":")
		if !ok || strings.ContainsAny(route, `<>"`) {
			return m, "", fmt.Errorf("%w: source route without end", ErrSyntax)
		}
		s = after
	}
	if m.Local, s, err = localPart(s); err != nil {
		return m, "", err
	}
	if after, ok := strings.CutPrefix(s, "@"); ok {
		end := strings.IndexByte(after, '>')
		if end < 0 {
			return m, "", fmt.Errorf("%w: want >", ErrSyntax)
		}
		m.Domain, s = after[:end], after[end:]
		if err := checkDomain(m.Domain); err != nil {
			return m, "", err
		}
	}
	rest, ok = strings.CutPrefix(s, ">")
	if !ok {
		return m, "", fmt.Errorf("%w: want >", ErrSyntax)
	}
	if err := m.check(); err != nil {
		return m, "", err
	}
	return m, rest, checkRest(rest)
}

// Key reads an address as table lookups carry it: without angle brackets, and with a local part that may or may not be quoted.
func Key(s string) (Mailbox, error) {
	if m, rest, err := ForwardPath("<" + s + ">"); err == nil && rest == "" && strings.HasPrefix(s, `"`) {
		return m, nil
	}
	m := Mailbox{Local: s}
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		m = Mailbox{Local: s[:at], Domain: s[at+1:]}
		if err := checkDomain(m.Domain); err != nil {
			return Mailbox{}, err
		}
	}
	if err := m.check(); err != nil {
		return Mailbox{}, err
	}
	return m, nil
}

func (m Mailbox) check() error {
	switch {
	case m.Local == "":
		return fmt.Errorf("%w: empty local part", ErrSyntax)
	case len(m.Local)+len(m.Domain) >= MaxBytes:
		return fmt.Errorf("%w: longer than %d bytes", ErrSyntax, MaxBytes)
	case !utf8.ValidString(m.Local):
		return fmt.Errorf("%w: not UTF-8", ErrSyntax)
	case strings.ContainsFunc(m.Local, isControl):
		return fmt.Errorf("%w: control character", ErrSyntax)
	}
	return nil
}

func checkRest(rest string) error {
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return fmt.Errorf("%w: want a space after >", ErrSyntax)
	}
	return nil
}

func checkDomain(domain string) error {
	inner := domain
	if strings.HasPrefix(domain, "[") && strings.HasSuffix(domain, "]") {
		inner = domain[1 : len(domain)-1] // address literal
	}
	switch {
	case inner == "":
		return fmt.Errorf("%w: empty domain", ErrSyntax)
	case !utf8.ValidString(inner):
		return fmt.Errorf("%w: not UTF-8", ErrSyntax)
	case strings.ContainsAny(inner, "<>()[]\\,;@\" ") || strings.ContainsFunc(inner, isControl):
		return fmt.Errorf("%w: character not allowed in a domain", ErrSyntax)
	}
	return nil
}

// localPart reads a quoted string, or what stands before the next "@" or ">". Dots may stand anywhere, as they do in the
// addresses of some providers.
func localPart(s string) (local, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		return quotedString(s[1:])
	}
	end := strings.IndexAny(s, "@>")
	if end < 0 {
		return "", "", fmt.Errorf("%w: want >", ErrSyntax)
	}
	if strings.ContainsAny(s[:end], "<()[]:;\\,\" ") {
		return "", "", fmt.Errorf("%w: character not allowed without quotes", ErrSyntax)
	}
	return s[:end], s[end:], nil
}

// quotedString reads what follows an opening quote.
func quotedString(s string) (content, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				return "", "", fmt.Errorf("%w: quoted string without end", ErrSyntax)
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", fmt.Errorf("%w: quoted string without end", ErrSyntax)
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

// isDotString reports whether s needs no quotes: atoms with single dots between them (RFC 5321, section 4.1.2; RFC 6531, section 3.3).
func isDotString(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`()<>[]:;@\,"`, r)
	})
}

// isControl reports control characters, among them those of Latin 1 and the line separators of Unicode.
func isControl(r rune) bool {
	return r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u2028' || r == '\u2029'
}
