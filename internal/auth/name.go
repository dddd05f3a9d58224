package auth

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxNameLen bounds an account name, in bytes of UTF-8: a local part of 64, "@" and a domain of 255 (RFC 5321, 4.5.3.1).
const MaxNameLen = 320

// ErrBadName is wrapped by every error of CanonicalName.
var ErrBadName = errors.New("malformed account name")

// forbidden are the characters that an account name may not have beside controls, format characters and white space: the
// specials of RFC 5322, which would need quoting in an address, the separators of paths and mailbox names, and the wildcards of IMAP LIST.
const forbidden = `/\*%"<>()[],:;`

// CanonicalName returns the one spelling under which an account is known.
//
// Names are case-insensitive: the result is in lower case and in Unicode normalization form C. A name is "user" or
// "user@domain". "user" becomes "user@" + defaultDomain unless defaultDomain is empty; "user@domain" stays as it is. So with
// a default domain every account name has a domain, and without one "user" and "user@domain" are different accounts.
// Internationalized domains are compared as they are written, without conversion to or from their "xn--" form.
//
// Refused with an error that wraps ErrBadName are: the empty name; more than MaxNameLen bytes; invalid UTF-8; more than one
// "@"; an empty local part; a local part that begins with a dot; a domain with an empty label; control, format, private-use,
// unassigned and white-space characters; any of / \ * % " < > ( ) [ ] , : ;
//
// The function is idempotent for a given defaultDomain.
func CanonicalName(name, defaultDomain string) (string, error) {
	if len(name) > MaxNameLen {
		return "", fmt.Errorf("%w: longer than %d bytes", ErrBadName, MaxNameLen)
	}
	if !utf8.ValidString(name) {
		return "", fmt.Errorf("%w: not UTF-8", ErrBadName)
	}
	name = fold(name)
	local, domain, hasDomain := strings.Cut(name, "@")
	if !hasDomain && defaultDomain != "" {
		domain, hasDomain = fold(defaultDomain), true
		name = local + "@" + domain
	}
	if len(name) > MaxNameLen {
		return "", fmt.Errorf("%w: longer than %d bytes", ErrBadName, MaxNameLen)
	}
	if err := checkLocal(local); err != nil {
		return "", err
	}
	if hasDomain {
		if err := checkDomain(domain); err != nil {
			return "", err
		}
	}
	return name, nil
}

// fold normalizes first, so that compatibility singletons such as U+212A KELVIN SIGN become letters that have a lower case.
func fold(s string) string {
	return norm.NFC.String(strings.ToLower(norm.NFC.String(s)))
}

func checkLocal(local string) error {
	if local == "" {
		return fmt.Errorf("%w: empty", ErrBadName)
	}
	if local[0] == '.' {
		return fmt.Errorf("%w: begins with a dot", ErrBadName)
	}
	return checkRunes(local)
}

func checkDomain(domain string) error {
	if strings.Contains(domain, "@") {
		return fmt.Errorf("%w: more than one @", ErrBadName)
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" {
			return fmt.Errorf("%w: the domain is empty or has an empty label", ErrBadName)
		}
	}
	return checkRunes(domain)
}

func checkRunes(s string) error {
	for _, r := range s {
		switch {
		case r == ' ' || !unicode.IsPrint(r):
			return fmt.Errorf("%w: character %U is not allowed", ErrBadName, r)
		case r == utf8.RuneError || strings.ContainsRune(forbidden, r):
			return fmt.Errorf("%w: character %q is not allowed", ErrBadName, r)
		}
	}
	return nil
}
