package mailstore

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Inbox is the mailbox that every account has; its name is the only one compared without regard to case (RFC 9051, section 5.1).
const Inbox = "INBOX"

// Separator separates the levels of mailbox names.
const Separator = "/"

// Bounds of mailbox names, in bytes of UTF-8 and in levels.
const (
	MaxNameBytes  = 1000
	MaxLevelBytes = 255
	maxLevels     = 32
)

// CleanName brings a mailbox name into the form in which it is stored: NFC, without a trailing separator, with INBOX (alone or
// as the first level) in capitals. ErrName says what is wrong with a name that cannot be.
func CleanName(name string) (string, error) {
	if !utf8.ValidString(name) {
		return "", fmt.Errorf("%w: not UTF-8", ErrName)
	}
	name = strings.TrimSuffix(norm.NFC.String(name), Separator)
	first, rest, more := strings.Cut(name, Separator)
	if strings.EqualFold(first, Inbox) {
		first = Inbox
	}
	if name = first; more {
		name += Separator + rest
	}
	if len(name) > MaxNameBytes {
		return "", fmt.Errorf("%w: longer than %d bytes", ErrName, MaxNameBytes)
	}
	levels := strings.Split(name, Separator)
	if len(levels) > maxLevels {
		return "", fmt.Errorf("%w: more than %d levels", ErrName, maxLevels)
	}
	for _, level := range levels {
		switch {
		case level == "":
			return "", fmt.Errorf("%w: empty level", ErrName)
		case len(level) > MaxLevelBytes:
			return "", fmt.Errorf("%w: level longer than %d bytes", ErrName, MaxLevelBytes)
		case strings.ContainsAny(level, "*%"):
			return "", fmt.Errorf("%w: * and %% are wildcards", ErrName)
		case strings.ContainsFunc(level, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }):
			return "", fmt.Errorf("%w: control character", ErrName) // RFC 5198, section 2
		}
	}
	return name, nil
}
