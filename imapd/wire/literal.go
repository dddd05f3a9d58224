package wire

import (
	"io"
	"strings"
)

// A Literal is the announcement of a literal whose octets are not buffered. It
// is an io.Reader of exactly Size octets. It is valid until the command ends
// or the next token is parsed.
//
// Until Accept or Read is called, the literal may be refused by calling
// Reader.DiscardCommand: a client that waits for a continuation request does
// not get one. All of it must be read before the next token can be parsed.
type Literal struct {
	// Size is the announced number of octets.
	Size int64
	// NonSync says that the client sends the octets unasked ({N+}, RFC 7888).
	NonSync bool
	// Binary says that it is a literal8 (~{N}), which may hold NUL.
	Binary bool

	r        *Reader
	left     int64
	accepted bool
}

// Literal parses the announcement of a literal or literal8 of at most maxSize
// octets, whose content the caller will read as a stream. It returns a
// *LimitError if the literal is larger. The octets are not checked for NUL.
func (r *Reader) Literal(maxSize int64) (*Literal, error) {
	l, err := r.announcement(true)
	if err != nil {
		return nil, err
	}
	if l.Size > maxSize {
		return nil, r.limit(LimitLiteralSize, maxSize)
	}
	return l, nil
}

// Accept asks the client for the octets of the literal, if it waits for that.
// The first Read does it too.
func (l *Literal) Accept() error {
	r := l.r
	if r.err != nil {
		return r.err
	}
	if l.accepted {
		return nil
	}
	if r.lit != l {
		return r.fail(ErrMisuse)
	}
	l.accepted = true
	if !l.NonSync {
		if err := r.enc.Raw("+ OK\r\n").Flush(); err != nil {
			return r.fail(err)
		}
	}
	if l.left == 0 {
		r.closeLiteral()
	}
	return nil
}

// Remaining returns the number of octets not yet read.
func (l *Literal) Remaining() int64 { return l.left }

// Read implements io.Reader. It returns io.EOF behind the last octet of the
// literal; a connection that ends earlier gives io.ErrUnexpectedEOF.
func (l *Literal) Read(p []byte) (int, error) {
	if err := l.Accept(); err != nil {
		return 0, err
	}
	if l.left == 0 {
		return 0, io.EOF
	}
	r := l.r
	if r.lit != l {
		return 0, r.fail(ErrMisuse)
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	if len(p) == 0 {
		return 0, nil
	}
	var n int
	if r.pos < r.end {
		n = copy(p, r.buf[r.pos:r.end])
		r.consumeLiteral(n)
	} else {
		r.extendDeadline()
		var err error
		// Straight into p, which ends where the literal does.
		if n, err = r.readBlocking(p); err != nil {
			return 0, err
		}
	}
	l.left -= int64(n)
	if l.left == 0 {
		r.closeLiteral()
	}
	return n, nil
}

// consumeLiteral consumes n buffered octets that do not count as part of the
// line.
func (r *Reader) consumeLiteral(n int) {
	r.pos += n
	r.lineBase -= n
}

// closeLiteral goes on with the line behind a literal.
func (r *Reader) closeLiteral() {
	r.lit = nil
	r.state = stateLine
	r.segStart = r.pos
	r.extendDeadline()
}

// announcement parses {N}, {N+} and, if binary, ~{N} and ~{N+} with the line
// end, and opens the literal. It applies the limits that hold for all
// literals.
func (r *Reader) announcement(binary bool) (*Literal, error) {
	l := &Literal{r: r}
	c, err := r.Peek()
	if err != nil {
		return nil, err
	}
	if c == '~' && binary {
		l.Binary = true
		r.pos++
	}
	if ok, err := r.Accept('{'); !ok {
		return nil, r.orSyntax(err, "expected a literal")
	}
	digits := 0
	for ; ; digits++ {
		c, err := r.Peek()
		if err != nil {
			return nil, err
		}
		if !digitChars.has(c) {
			break
		}
		l.Size = addDigit(l.Size, c)
		r.pos++
	}
	if digits == 0 {
		return nil, r.syntax("expected the size of a literal")
	}
	if l.NonSync, err = r.Accept('+'); err != nil {
		return nil, err
	}
	if err := r.Expect('}'); err != nil {
		return nil, err
	}
	if err := r.lineEnd(); err != nil {
		return nil, err
	}
	l.left = l.Size
	r.state, r.lit = stateLiteral, l
	r.litCount++
	if r.litCount > r.limits.MaxLiterals {
		return nil, r.limit(LimitLiteralCount, int64(r.limits.MaxLiterals))
	}
	if r.minus && l.NonSync && l.Size > literalMinusMax {
		return nil, r.limit(LimitNonSync, literalMinusMax)
	}
	return l, nil
}

// bufferedLiteral parses a literal and returns its octets.
func (r *Reader) bufferedLiteral(binary bool) (string, error) {
	l, err := r.announcement(binary)
	if err != nil {
		return "", err
	}
	if l.Size > r.limits.MaxLiteral {
		return "", r.limit(LimitLiteralSize, r.limits.MaxLiteral)
	}
	if r.litSum+l.Size > r.limits.MaxLiteralSum {
		return "", r.limit(LimitLiteralSum, r.limits.MaxLiteralSum)
	}
	r.litSum += l.Size
	if err := l.Accept(); err != nil {
		return "", err
	}
	// Grown as octets arrive: an announcement alone costs no memory.
	var b strings.Builder
	for l.left > 0 {
		if r.pos == r.end {
			if err := r.fill(); err != nil {
				return "", err
			}
		}
		k := int(min(l.left, int64(r.end-r.pos)))
		b.Write(r.buf[r.pos : r.pos+k])
		r.consumeLiteral(k)
		l.left -= int64(k)
		if l.left == 0 {
			r.closeLiteral()
		}
	}
	s := b.String()
	if !l.Binary && strings.IndexByte(s, 0) >= 0 {
		return "", r.syntax("NUL in a literal")
	}
	return s, nil
}
