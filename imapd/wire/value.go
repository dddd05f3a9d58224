package wire

import (
	"encoding/base64"
	"math"
	"time"
)

// digits parses a number of at most most.
func (r *Reader) digits(most uint64) (uint64, error) {
	s, err := r.run(&digitChars, "a number")
	if err != nil {
		return 0, err
	}
	n := uint64(0)
	for i := range len(s) {
		d := uint64(s[i] - '0')
		if n > (most-d)/10 {
			return 0, r.syntax("number too large")
		}
		n = n*10 + d
	}
	return n, nil
}

// Number parses a number of 32 bits.
func (r *Reader) Number() (uint32, error) {
	n, err := r.digits(math.MaxUint32)
	return uint32(n), err
}

// NzNumber parses a number of 32 bits other than zero.
func (r *Reader) NzNumber() (uint32, error) {
	n, err := r.Number()
	if err == nil && n == 0 {
		return 0, r.syntax("expected a number above zero")
	}
	return n, err
}

// Number64 parses a number of 63 bits: a size (RFC 9051) or a mod-sequence
// (RFC 7162).
func (r *Reader) Number64() (uint64, error) { return r.digits(math.MaxInt64) }

// NzNumber64 parses a number of 63 bits other than zero.
func (r *Reader) NzNumber64() (uint64, error) {
	n, err := r.Number64()
	if err == nil && n == 0 {
		return 0, r.syntax("expected a number above zero")
	}
	return n, err
}

// NumSet parses a sequence set or UID set with "*" and "$".
func (r *Reader) NumSet() (NumSet, error) {
	s, err := r.run(&numSetChars, "a number set")
	if err != nil {
		return NumSet{}, err
	}
	set, err := ParseNumSet(s, r.limits.MaxListItems)
	switch {
	case err == errTooManyRanges:
		return NumSet{}, r.limit(LimitListItems, int64(r.limits.MaxListItems))
	case err != nil:
		return NumSet{}, r.syntax("invalid number set")
	}
	return set, nil
}

// Flag parses a flag: a keyword, or a system flag with its backslash. The
// client's spelling is kept.
func (r *Reader) Flag() (string, error) {
	system, err := r.Accept('\\')
	if err != nil {
		return "", err
	}
	name, err := r.run(&atomChars, "a flag")
	if err == nil && system {
		name = `\` + name
	}
	return name, err
}

// FlagList parses a parenthesised list of flags, which may be empty.
func (r *Reader) FlagList() ([]string, error) {
	var flags []string
	err := r.List(func() error {
		f, err := r.Flag()
		flags = append(flags, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	return flags, nil
}

// StoreFlags parses the flags of STORE: a list, or one or more flags separated
// by spaces.
func (r *Reader) StoreFlags() ([]string, error) {
	c, err := r.Peek()
	if err != nil {
		return nil, err
	}
	if c == '(' {
		return r.FlagList()
	}
	var flags []string
	for {
		f, err := r.Flag()
		if err != nil {
			return nil, err
		}
		if flags = append(flags, f); len(flags) > r.limits.MaxListItems {
			return nil, r.limit(LimitListItems, int64(r.limits.MaxListItems))
		}
		if more, err := r.Accept(' '); err != nil || !more {
			return flags, err
		}
	}
}

// Date parses a date of SEARCH, such as 1-Feb-1994 with or without quotes, as
// midnight UTC.
func (r *Reader) Date() (time.Time, error) {
	quoted, err := r.Accept('"')
	if err != nil {
		return time.Time{}, err
	}
	r.inQuote = quoted
	s, err := r.run(&dateChars, "a date")
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse("2-Jan-2006", s)
	if err != nil {
		return time.Time{}, r.syntax("invalid date")
	}
	if quoted {
		if err := r.Expect('"'); err != nil {
			return time.Time{}, err
		}
		r.inQuote = false
	}
	return t, nil
}

// DateTime parses the quoted date-time of APPEND, such as
// "17-Jul-1996 02:44:25 -0700", and keeps its zone as a fixed one.
func (r *Reader) DateTime() (time.Time, error) {
	s, err := r.Quoted()
	if err != nil {
		return time.Time{}, err
	}
	t, err := ParseDateTime(s)
	if err != nil {
		return time.Time{}, r.syntax("invalid date-time")
	}
	return t, nil
}

// ParseDateTime parses a date-time without its quotes (RFC 9051 section 9).
func ParseDateTime(s string) (time.Time, error) {
	const layout = "_2-Jan-2006 15:04:05 -0700"
	t, err := time.Parse(layout, s)
	if err == nil && len(s) != len(layout) {
		err = &time.ParseError{Layout: layout, Value: s, Message: ": wrong length"}
	}
	if err != nil {
		return time.Time{}, err
	}
	_, offset := t.Zone()
	return t.In(time.FixedZone("", offset)), nil
}

// InitialResponse parses the initial response of AUTHENTICATE in base64; "="
// means an empty one (RFC 4959).
func (r *Reader) InitialResponse() ([]byte, error) {
	s, err := r.run(&base64Chars, "base64")
	if err != nil {
		return nil, err
	}
	if s == "=" {
		return []byte{}, nil
	}
	data, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, r.syntax("invalid base64")
	}
	return data, nil
}

// ReadLine reads one line between commands, without its line end, of at most
// maxLen octets and without NUL: what a client sends after a continuation request of
// AUTHENTICATE, or DONE. A longer line is ErrLineTooLong, after which the
// connection must be closed. A NUL gives a *SyntaxError after the line was
// consumed.
func (r *Reader) ReadLine(maxLen int) (string, error) {
	if r.err != nil {
		return "", r.err
	}
	if r.state != stateIdle {
		return "", r.fail(ErrMisuse)
	}
	r.startLine()
	var line []byte
	hasNUL := false
	for {
		if r.pos == r.end {
			if err := r.fill(); err != nil {
				return "", err
			}
		}
		c := r.buf[r.pos]
		r.pos++
		if c == '\n' {
			break
		}
		hasNUL = hasNUL || c == 0
		if line = append(line, c); len(line) > maxLen+1 {
			return "", r.fail(ErrLineTooLong)
		}
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) > maxLen {
		return "", r.fail(ErrLineTooLong)
	}
	if r.pos == r.end {
		r.releaseBuffer()
	}
	if hasNUL {
		return "", r.syntax("NUL in a line")
	}
	return string(line), nil
}
