package wire

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of mailbox names, in octets of UTF-8.
const (
	MaxMailboxName  = 1000
	MaxMailboxLevel = 255
)

// NormalizeMailbox returns the name under which the server keeps a mailbox:
// UTF-8 in normalisation form C, INBOX (also as the first level) in upper
// case, without the one separator a client may put at the end (RFC 9051
// section 6.3.4). It returns a *NameError if the name is empty, is too long, has an
// empty level, or holds invalid UTF-8, a control character or a line
// separator.
func NormalizeMailbox(name string, sep byte) (string, error) {
	name, err := cleanName(name)
	if err != nil {
		return "", err
	}
	name = strings.TrimSuffix(name, string(rune(sep)))
	first, rest, nested := strings.Cut(name, string(rune(sep)))
	if strings.EqualFold(first, "INBOX") && len(first) == len("INBOX") {
		name = "INBOX"
		if nested {
			name += string(rune(sep)) + rest
		}
	}
	if len(name) > MaxMailboxName {
		return "", &NameError{Msg: "is too long"}
	}
	for level := range strings.SplitSeq(name, string(rune(sep))) {
		if level == "" {
			return "", &NameError{Msg: "is empty or has an empty level"}
		}
		if len(level) > MaxMailboxLevel {
			return "", &NameError{Msg: "has a level that is too long"}
		}
	}
	return name, nil
}

// cleanName checks the characters of a name or pattern and normalises it.
func cleanName(name string) (string, error) {
	if len(name) > 4*MaxMailboxName {
		return "", &NameError{Msg: "is too long"}
	}
	if !utf8.ValidString(name) {
		return "", &NameError{Msg: "is not UTF-8"}
	}
	for _, c := range name {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029' {
			return "", &NameError{Msg: "holds a control character"}
		}
	}
	return norm.NFC.String(name), nil
}

// Mailbox parses a mailbox name and returns it as NormalizeMailbox does. The
// name is modified UTF-7, or UTF-8 after SetUTF8.
func (r *Reader) Mailbox() (string, error) {
	s, err := r.AString()
	if err != nil {
		return "", err
	}
	if s, err = r.decodeName(s); err != nil {
		return "", err
	}
	return NormalizeMailbox(s, r.sep)
}

// Reference parses the reference name of LIST and LSUB, which may be empty. It
// is decoded and in normalisation form C.
func (r *Reader) Reference() (string, error) {
	s, err := r.AString()
	if err != nil {
		return "", err
	}
	return r.cleanPattern(s)
}

// ListMailbox parses a list-mailbox: a mailbox name that may hold the
// wildcards "%" and "*", and may be empty. It is decoded and in normalisation
// form C.
func (r *Reader) ListMailbox() (string, error) {
	c, err := r.Peek()
	if err != nil {
		return "", err
	}
	var s string
	if c == '"' || c == '{' {
		s, err = r.String()
	} else {
		s, err = r.run(&listChars, "a mailbox pattern")
	}
	if err != nil {
		return "", err
	}
	return r.cleanPattern(s)
}

func (r *Reader) cleanPattern(s string) (string, error) {
	s, err := r.decodeName(s)
	if err != nil {
		return "", err
	}
	if s, err = cleanName(s); err != nil {
		return "", err
	}
	if len(s) > MaxMailboxName {
		return "", &NameError{Msg: "is too long"}
	}
	return s, nil
}

func (r *Reader) decodeName(s string) (string, error) {
	if r.utf8 {
		return s, nil
	}
	s, err := DecodeUTF7(s)
	if err != nil {
		return "", &NameError{Msg: "is not valid modified UTF-7"}
	}
	return s, nil
}
