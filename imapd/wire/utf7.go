package wire

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// errUTF7 means that a text is not canonical modified UTF-7.
var errUTF7 = errors.New("wire: invalid modified UTF-7")

// utf7Base64 is base64 with "," instead of "/" (RFC 3501 section 5.1.3).
var utf7Base64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").
	WithPadding(base64.NoPadding).Strict()

func utf7Direct(c byte) bool { return c >= ' ' && c < 0x7f && c != '&' }

// EncodeUTF7 returns a mailbox name in modified UTF-7 (RFC 3501 section
// 5.1.3). Octets that are not UTF-8 become U+FFFD.
func EncodeUTF7(name string) string {
	plain := 0
	for plain < len(name) && utf7Direct(name[plain]) {
		plain++
	}
	if plain == len(name) {
		return name
	}
	b := append(make([]byte, 0, 2*len(name)), name[:plain]...)
	for i := plain; i < len(name); {
		if c := name[i]; utf7Direct(c) {
			b = append(b, c)
			i++
			continue
		} else if c == '&' {
			b = append(b, "&-"...)
			i++
			continue
		}
		var units []byte
		for i < len(name) && !utf7Direct(name[i]) && name[i] != '&' {
			r, size := utf8.DecodeRuneInString(name[i:])
			i += size
			for _, u := range utf16.AppendRune(nil, r) {
				units = append(units, byte(u>>8), byte(u))
			}
		}
		b = append(utf7Base64.AppendEncode(append(b, '&'), units), '-')
	}
	return string(b)
}

// DecodeUTF7 returns the UTF-8 of a mailbox name in modified UTF-7. It accepts
// only what EncodeUTF7 returns, so that a mailbox has one name: no octet above
// 126 or below 32, no unpaired surrogate, no encoded printable ASCII, no two
// encoded parts side by side, no stray bits at the end.
func DecodeUTF7(s string) (string, error) {
	var b []byte
	for i := 0; i < len(s); {
		if c := s[i]; c != '&' {
			if !utf7Direct(c) {
				return "", errUTF7
			}
			b = append(b, c)
			i++
			continue
		}
		n := strings.IndexByte(s[i:], '-')
		if n < 0 {
			return "", errUTF7
		}
		part := s[i+1 : i+n]
		i += n + 1
		if part == "" {
			b = append(b, '&')
			continue
		}
		units, err := utf7Base64.DecodeString(part)
		if err != nil || strings.ContainsAny(part, "\r\n") {
			return "", errUTF7
		}
		if b, err = appendUTF16(b, units); err != nil {
			return "", err
		}
		if i+1 < len(s) && s[i] == '&' && s[i+1] != '-' {
			return "", errUTF7
		}
	}
	return string(b), nil
}

// appendUTF16 appends the UTF-8 of big-endian UTF-16 without printable ASCII.
func appendUTF16(b, units []byte) ([]byte, error) {
	if len(units)%2 != 0 {
		return nil, errUTF7
	}
	for i := 0; i < len(units); i += 2 {
		r := rune(units[i])<<8 | rune(units[i+1])
		if utf16.IsSurrogate(r) {
			if i += 2; i >= len(units) {
				return nil, errUTF7
			}
			// An unpaired half decodes to U+FFFD, which fits in one unit.
			r = utf16.DecodeRune(r, rune(units[i])<<8|rune(units[i+1]))
			if r == utf8.RuneError {
				return nil, errUTF7
			}
		}
		if r >= ' ' && r < 0x7f {
			return nil, errUTF7
		}
		b = utf8.AppendRune(b, r)
	}
	return b, nil
}
