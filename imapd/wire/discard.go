package wire

import "math"

// DiscardCommand moves behind the end of the current command, and does nothing
// if the input stands there already. It must be called after each command,
// also after a failed one, whatever was parsed of it.
//
// It skips what the client has sent or will send of the command without being
// asked: the rest of a literal that was accepted, refused non-synchronising
// literals (up to Limits.MaxDiscard octets), and the rest of the line. It ends
// at the announcement of a synchronising literal that was not accepted,
// because the client does not send that. An error means that the connection
// must be closed: ErrUnskippable, ErrAmbiguous, ErrLineTooLong, or an error of
// the connection.
func (r *Reader) DiscardCommand() error {
	if r.err != nil {
		return r.err
	}
	budget := r.limits.MaxDiscard
	if r.state == stateLiteral {
		if err := r.dropLiteral(&budget); err != nil {
			return err
		}
	}
	for r.state == stateLine {
		size, more, err := r.skipLine()
		if err != nil {
			return err
		}
		if !more {
			r.endCommand()
			return nil
		}
		if size > budget {
			return r.fail(ErrUnskippable)
		}
		budget -= size
		if err := r.skipOctets(size); err != nil {
			return err
		}
	}
	return nil
}

// dropLiteral leaves the literal that is open.
func (r *Reader) dropLiteral(budget *int64) error {
	l := r.lit
	if !l.accepted {
		if !l.NonSync {
			r.endCommand()
			return nil
		}
		if l.left > *budget {
			return r.fail(ErrUnskippable)
		}
		*budget -= l.left
	}
	left := l.left
	l.left = 0
	r.closeLiteral()
	return r.skipOctets(left)
}

// skipOctets throws away n octets of a literal.
func (r *Reader) skipOctets(n int64) error {
	for n > 0 {
		if r.pos == r.end {
			r.extendDeadline()
			if err := r.fill(); err != nil {
				return err
			}
		}
		k := int(min(n, int64(r.end-r.pos)))
		r.consumeLiteral(k)
		n -= int64(k)
	}
	r.segStart = r.pos
	return nil
}

// skipLine skips the rest of the line. It reports whether the line ends with
// the announcement of a non-synchronising literal, and its size.
func (r *Reader) skipLine() (size int64, more bool, err error) {
	escaped := false
	for {
		if r.pos == r.end {
			if err := r.fillLine(); err != nil {
				return 0, false, err
			}
		}
		c := r.buf[r.pos]
		if c == '\n' {
			break
		}
		switch {
		case escaped:
			escaped = false
		case c == '"':
			r.inQuote = !r.inQuote
		case c == '\\' && r.inQuote:
			escaped = true
		}
		r.pos++
	}
	start := max(r.segStart, 0)
	tail := r.buf[start:r.pos]
	size, kind := trailingLiteral(tail, start == r.segStart)
	if kind == tailAmbiguous || kind == tailNonSync && r.inQuote {
		return 0, false, r.fail(ErrAmbiguous)
	}
	r.pos++
	r.inQuote = false
	if r.lineUsed() > r.limits.MaxLine {
		return 0, false, r.fail(ErrLineTooLong)
	}
	return size, kind == tailNonSync, nil
}

// lineTail is what the end of a line announces.
type lineTail uint8

const (
	tailNone      lineTail = iota // nothing, or a synchronising literal
	tailNonSync                   // a non-synchronising literal
	tailAmbiguous                 // perhaps a non-synchronising literal
)

// trailingLiteral looks for {N+} or ~{N+} at the end of a line without its LF.
// whole says that tail holds the line from its start. An announcement stands
// at the start of the line or behind SP or "(" in every command, so one that
// stands elsewhere is ambiguous.
func trailingLiteral(tail []byte, whole bool) (int64, lineTail) {
	if n := len(tail); n > 0 && tail[n-1] == '\r' {
		tail = tail[:n-1]
	}
	end := len(tail) - 2
	if end < 0 || tail[end] != '+' || tail[end+1] != '}' {
		return 0, tailNone
	}
	i := end
	for i > 0 && digitChars.has(tail[i-1]) {
		i--
	}
	if i == 0 && !whole {
		return 0, tailAmbiguous
	}
	if i == end || i == 0 || tail[i-1] != '{' {
		return 0, tailNone
	}
	size := int64(0)
	for _, c := range tail[i:end] {
		size = addDigit(size, c)
	}
	i--
	if i > 0 && tail[i-1] == '~' {
		i--
	}
	switch {
	case i == 0 && whole, i > 0 && (tail[i-1] == ' ' || tail[i-1] == '('):
		return size, tailNonSync
	}
	return 0, tailAmbiguous
}

// addDigit appends a decimal digit to n and saturates at the largest int64.
func addDigit(n int64, c byte) int64 {
	d := int64(c - '0')
	if n > (math.MaxInt64-d)/10 {
		return math.MaxInt64
	}
	return n*10 + d
}
