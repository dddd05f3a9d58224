package message

import (
	"errors"
	"fmt"
	"io"
)

// ErrUnknownEncoding says that a Content-Transfer-Encoding isn't known: BINARY
// answers NO [UNKNOWN-CTE] (RFC 3516, section 4.3).
var ErrUnknownEncoding = errors.New("unknown Content-Transfer-Encoding")

// NewDecoder returns a reader of body with its transfer encoding undone: what BINARY
// returns (RFC 3516). It never fails on the data: characters outside of the base64
// alphabet are ignored (RFC 2045, section 6.8), and quoted-printable that isn't is
// passed on. The error is ErrUnknownEncoding.
func NewDecoder(encoding string, body []byte) (io.Reader, error) {
	switch encoding {
	case "7bit", "8bit", "binary", "":
		return &identityReader{rest: body}, nil
	case "base64":
		return &base64Reader{rest: body}, nil
	case "quoted-printable":
		return &qpReader{rest: body}, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownEncoding, encoding)
}

// DecodedSize returns how many bytes NewDecoder's reader yields: BINARY.SIZE. It
// costs as much as decoding, unless the encoding is an identity.
func DecodedSize(encoding string, body []byte) (int64, error) {
	if identity(encoding) || encoding == "" {
		return int64(len(body)), nil
	}
	r, err := NewDecoder(encoding, body)
	if err != nil {
		return 0, err
	}
	var size int64
	var buf [4096]byte
	for {
		n, err := r.Read(buf[:])
		size += int64(n)
		if err != nil { // io.EOF, the only one there is
			return size, nil
		}
	}
}

type identityReader struct{ rest []byte }

func (r *identityReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// base64Reader decodes as it is read. Padding ends a quantum, not the data: bodies
// that were encoded piece by piece are seen.
type base64Reader struct {
	rest []byte
	acc  uint32 // bits not yet returned, the lowest ones
	bits uint
}

func (r *base64Reader) Read(p []byte) (n int, err error) {
	for n < len(p) && len(r.rest) > 0 {
		c := r.rest[0]
		r.rest = r.rest[1:]
		v := base64Value(c)
		if v < 0 {
			if c == '=' {
				r.acc, r.bits = 0, 0
			}
			continue
		}
		r.acc, r.bits = r.acc<<6|uint32(v), r.bits+6
		if r.bits >= 8 {
			r.bits -= 8
			p[n] = byte(r.acc >> r.bits)
			n++
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func base64Value(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

// qpReader decodes quoted-printable (RFC 2045, section 6.7) as it is read.
type qpReader struct {
	rest []byte
	keep int // so many bytes of rest are blanks that are not at the end of a line
}

func (r *qpReader) Read(p []byte) (n int, err error) {
	for n < len(p) && len(r.rest) > 0 {
		switch c := r.rest[0]; {
		case r.keep > 0:
			copied := copy(p[n:], r.rest[:r.keep])
			n, r.keep, r.rest = n+copied, r.keep-copied, r.rest[copied:]
			continue
		case c == '=':
			if r.softBreak() {
				continue
			}
			if v, ok := hexByte(r.rest[1:]); ok {
				p[n], r.rest = v, r.rest[3:]
			} else {
				p[n], r.rest = c, r.rest[1:]
			}
		case isBlank(c):
			end := 1
			for end < len(r.rest) && isBlank(r.rest[end]) {
				end++
			}
			if end == len(r.rest) || blankLine(r.rest[end:]) {
				r.rest = r.rest[end:] // white space at the end of a line was added on the way
			} else {
				r.keep = end
			}
			continue
		default:
			p[n], r.rest = c, r.rest[1:]
		}
		n++
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// softBreak passes "=", white space and a line end, if rest begins so.
func (r *qpReader) softBreak() bool {
	end := 1
	for end < len(r.rest) && isBlank(r.rest[end]) {
		end++
	}
	switch {
	case end == len(r.rest):
		r.rest = nil
	case blankLine(r.rest[end:]):
		r.rest = r.rest[lineEnd(r.rest, end):]
	default:
		return false
	}
	return true
}

func hexByte(b []byte) (byte, bool) {
	if len(b) < 2 {
		return 0, false
	}
	hi, lo := hexValue(b[0]), hexValue(b[1])
	return byte(hi<<4 | lo), hi >= 0 && lo >= 0
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
