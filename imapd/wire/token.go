package wire

import (
	"strings"
	"unicode/utf8"
)

func (r *Reader) syntax(msg string) error {
	return &SyntaxError{Pos: r.lineUsed(), Msg: msg}
}

func (r *Reader) limit(kind LimitKind, most int64) error {
	return &LimitError{Kind: kind, Max: most, Pos: r.lineUsed()}
}

// orSyntax returns err, or a syntax error if there is none.
func (r *Reader) orSyntax(err error, msg string) error {
	if err != nil {
		return err
	}
	return r.syntax(msg)
}

// Peek returns the next octet of the command line without consuming it, which
// may be the CR or LF that ends it. It blocks until the octet is there.
func (r *Reader) Peek() (byte, error) {
	if r.state != stateLine || r.pos == r.end {
		if err := r.fillLine(); err != nil {
			return 0, err
		}
	}
	return r.buf[r.pos], nil
}

// fillLine sees to it that an octet of the line is buffered.
func (r *Reader) fillLine() error {
	if r.err != nil {
		return r.err
	}
	if r.state != stateLine {
		return r.fail(ErrMisuse)
	}
	if r.pos < r.end {
		return nil
	}
	if r.lineUsed() >= r.limits.MaxLine {
		return r.fail(ErrLineTooLong)
	}
	return r.fill()
}

// Accept consumes the next octet if it is c, and reports whether it was. CR
// and LF cannot be consumed in this way.
func (r *Reader) Accept(c byte) (bool, error) {
	got, err := r.Peek()
	if err != nil || got != c || c == '\r' || c == '\n' {
		return false, err
	}
	r.pos++
	return true, nil
}

// Expect consumes the next octet, which must be c.
func (r *Reader) Expect(c byte) error {
	ok, err := r.Accept(c)
	if ok {
		return nil
	}
	return r.orSyntax(err, "expected "+string(rune(c)))
}

// SP consumes exactly one space.
func (r *Reader) SP() error {
	ok, err := r.Accept(' ')
	if ok {
		return nil
	}
	return r.orSyntax(err, "expected a space")
}

// AtCRLF reports whether the command line ends here.
func (r *Reader) AtCRLF() (bool, error) {
	c, err := r.Peek()
	return err == nil && (c == '\r' || c == '\n'), err
}

// CRLF consumes the end of the command, which is CRLF or a bare LF, and
// finishes the command.
func (r *Reader) CRLF() error {
	if err := r.lineEnd(); err != nil {
		return err
	}
	r.endCommand()
	return nil
}

// lineEnd consumes the end of a line.
func (r *Reader) lineEnd() error {
	c, err := r.Peek()
	if err != nil {
		return err
	}
	if c == '\r' {
		r.pos++
		if c, err = r.Peek(); err != nil {
			return err
		}
	}
	if c != '\n' {
		return r.syntax("expected the end of the line")
	}
	r.pos++
	if r.lineUsed() > r.limits.MaxLine {
		return r.fail(ErrLineTooLong)
	}
	return nil
}

// run consumes the longest run of octets of the set, at least one, and returns
// it. what names it in the syntax error.
func (r *Reader) run(set *charSet, what string) (string, error) {
	if _, err := r.Peek(); err != nil {
		return "", err
	}
	r.scratch = r.scratch[:0]
	for {
		i := r.pos
		for i < r.end && set.has(r.buf[i]) {
			i++
		}
		part := r.buf[r.pos:i]
		r.pos = i
		if i < r.end {
			if len(r.scratch) == 0 {
				if len(part) == 0 {
					return "", r.syntax("expected " + what)
				}
				return string(part), nil
			}
			return string(append(r.scratch, part...)), nil
		}
		r.scratch = append(r.scratch, part...)
		if err := r.fillLine(); err != nil {
			return "", err
		}
	}
}

// Tag parses the tag of a command, of at most MaxTag octets.
func (r *Reader) Tag() (string, error) {
	tag, err := r.run(&tagChars, "a tag")
	if err == nil && len(tag) > MaxTag {
		return "", r.syntax("tag too long")
	}
	return tag, err
}

// Atom parses an atom.
func (r *Reader) Atom() (string, error) { return r.run(&atomChars, "an atom") }

// Keyword parses an atom and returns it in upper case: the name of a command,
// of a search key, of a data item.
func (r *Reader) Keyword() (string, error) {
	s, err := r.Atom()
	return upperASCII(s), err
}

// AString parses an astring: an atom that may hold "]", or a string.
func (r *Reader) AString() (string, error) {
	c, err := r.Peek()
	if err != nil {
		return "", err
	}
	if c == '"' || c == '{' {
		return r.String()
	}
	return r.run(&astringChars, "a string or an atom")
}

// String parses a quoted string or a literal, which is buffered within the
// limits. A literal may hold any octet but NUL.
func (r *Reader) String() (string, error) {
	c, err := r.Peek()
	if err != nil {
		return "", err
	}
	switch c {
	case '"':
		return r.Quoted()
	case '{':
		return r.bufferedLiteral(false)
	}
	return "", r.syntax("expected a string")
}

// BinaryString parses a string or a literal8, which may hold NUL (RFC 3516).
func (r *Reader) BinaryString() (string, error) {
	c, err := r.Peek()
	if err != nil {
		return "", err
	}
	if c == '~' {
		return r.bufferedLiteral(true)
	}
	return r.String()
}

// NString parses a string or NIL; ok is false for NIL.
func (r *Reader) NString() (s string, ok bool, err error) {
	return r.orNIL(r.String)
}

// NBinaryString parses a string, a literal8 or NIL; ok is false for NIL.
func (r *Reader) NBinaryString() (s string, ok bool, err error) {
	return r.orNIL(r.BinaryString)
}

func (r *Reader) orNIL(parse func() (string, error)) (string, bool, error) {
	c, err := r.Peek()
	if err != nil {
		return "", false, err
	}
	if c != 'N' && c != 'n' {
		s, err := parse()
		return s, err == nil, err
	}
	word, err := r.Keyword()
	if err != nil {
		return "", false, err
	}
	if word != "NIL" {
		return "", false, r.syntax("expected a string or NIL")
	}
	return "", false, nil
}

// Quoted parses a quoted string. Octets above 127 must be UTF-8 and need
// SetUTF8.
func (r *Reader) Quoted() (string, error) {
	if err := r.Expect('"'); err != nil {
		return "", err
	}
	r.inQuote = true
	r.scratch = r.scratch[:0]
	plain := true
	for {
		c, err := r.Peek()
		if err != nil {
			return "", err
		}
		switch {
		case quotedChars.has(c):
			i := r.pos + 1
			for i < r.end && quotedChars.has(r.buf[i]) {
				i++
			}
			r.scratch = append(r.scratch, r.buf[r.pos:i]...)
			r.pos = i
		case c == '"':
			r.pos++
			r.inQuote = false
			if !plain && !utf8.Valid(r.scratch) {
				return "", r.syntax("invalid UTF-8 in a quoted string")
			}
			return string(r.scratch), nil
		case c == '\\':
			if err := r.escape(); err != nil {
				return "", err
			}
		case c >= utf8.RuneSelf && r.utf8:
			plain = false
			r.scratch = append(r.scratch, c)
			r.pos++
		case c == '\r' || c == '\n':
			return "", r.syntax("unterminated quoted string")
		default:
			return "", r.syntax("forbidden octet in a quoted string")
		}
	}
}

// escape parses a backslash and the quoted-special behind it.
func (r *Reader) escape() error {
	r.pos++
	c, err := r.Peek()
	if err != nil {
		return err
	}
	if c != '"' && c != '\\' {
		return r.syntax("forbidden escape in a quoted string")
	}
	r.scratch = append(r.scratch, c)
	r.pos++
	return nil
}

// OpenParen consumes "(" and counts the depth, which is limited, so that
// nested lists cannot exhaust the stack of a parser that recurses.
func (r *Reader) OpenParen() error {
	if err := r.Expect('('); err != nil {
		return err
	}
	r.depth++
	if r.depth > r.limits.MaxDepth {
		return r.limit(LimitDepth, int64(r.limits.MaxDepth))
	}
	return nil
}

// CloseParen consumes the ")" of the innermost OpenParen.
func (r *Reader) CloseParen() error {
	if r.depth == 0 {
		return r.syntax("unexpected )")
	}
	if err := r.Expect(')'); err != nil {
		return err
	}
	r.depth--
	return nil
}

// List parses a parenthesised list, which may be empty, of items separated by
// single spaces, and calls item at the start of each.
func (r *Reader) List(item func() error) error {
	if err := r.OpenParen(); err != nil {
		return err
	}
	if c, err := r.Peek(); err != nil {
		return err
	} else if c == ')' {
		return r.CloseParen()
	}
	for n := 1; ; n++ {
		if n > r.limits.MaxListItems {
			return r.limit(LimitListItems, int64(r.limits.MaxListItems))
		}
		if err := item(); err != nil {
			return err
		}
		c, err := r.Peek()
		if err != nil {
			return err
		}
		if c == ')' {
			return r.CloseParen()
		}
		if err := r.SP(); err != nil {
			return err
		}
	}
}

// upperASCII is strings.ToUpper without allocation for the usual case.
func upperASCII(s string) string {
	for i := range len(s) {
		if s[i] >= 'a' && s[i] <= 'z' {
			return strings.ToUpper(s)
		}
	}
	return s
}
