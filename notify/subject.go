package notify

import (
	"fmt"
	"strings"
)

// The subjects under which events are published on NATS: prefix, account token, event token.
const (
	SubjectPrefix        = "mail.notify"
	SessionSubjectPrefix = "mail.session"
)

const hexDigits = "0123456789ABCDEF"

// AccountToken writes an account name as one token of a NATS subject, as AccountOf reads it. Letters, digits and "-", "_", "@", "+" stand for
// themselves, every other byte is "=" and two capital hex digits: "anna.b@example.org" is "anna=2Eb@example=2Eorg". So ".", "*", ">" and
// white space never appear, and different names have different tokens.
func AccountToken(account string) string {
	var b strings.Builder
	for i := range len(account) {
		c := account[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('=')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_@+", c) >= 0
}

// AccountOf reads an account name from its token.
func AccountOf(token string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		c := token[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		if c != '=' || i+2 >= len(token) {
			return "", fmt.Errorf("%q is no account token", token)
		}
		hi, lo := strings.IndexByte(hexDigits, token[i+1]), strings.IndexByte(hexDigits, token[i+2])
		if hi < 0 || lo < 0 || plain(byte(hi<<4|lo)) { // one name, one token
			return "", fmt.Errorf("%q is no account token", token)
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	if b.Len() == 0 {
		return "", fmt.Errorf("%q is no account token", token)
	}
	return b.String(), nil
}

// Subject is the NATS subject of an event: mail.notify.TOKEN.Event, or mail.session.TOKEN.Event for Login and Logout.
func (e *Event) Subject() string {
	prefix := SubjectPrefix
	if e.Origin == nil {
		prefix = SessionSubjectPrefix
	}
	return prefix + "." + AccountToken(e.User) + "." + e.Event.Token()
}
