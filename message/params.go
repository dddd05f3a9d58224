package message

import (
	"bytes"
	"strconv"
	"strings"
)

// param is a parameter of Content-Type or Content-Disposition. Names are in lower case.
type param struct {
	name  string
	value []byte
}

// skipCFWS returns the position of what follows white space and comments in b
// from pos on (RFC 5322, section 3.2.2).
func skipCFWS(b []byte, pos int) int {
	for pos < len(b) {
		switch {
		case isSpace(b[pos]):
			pos++
		case b[pos] == '(':
			pos = commentEnd(b, pos)
		default:
			return pos
		}
	}
	return pos
}

// commentEnd returns the position after the comment that opens at pos, or the
// end of b.
func commentEnd(b []byte, pos int) int {
	depth := 0
	for ; pos < len(b); pos++ {
		switch b[pos] {
		case '\\':
			pos++
		case '(':
			depth++
		case ')':
			depth--
			if depth == 0 {
				return pos + 1
			}
		}
	}
	return len(b)
}

// appendQuoted appends to dst what the quoted string that opens at pos stands
// for, and returns the position after it. A missing closing quote is forgiven.
func appendQuoted(dst, b []byte, pos int) ([]byte, int) {
	for pos++; pos < len(b); pos++ {
		c := b[pos]
		switch {
		case c == '"':
			return dst, pos + 1
		case c == '\\' && pos+1 < len(b):
			pos++
			dst = append(dst, b[pos])
		case c == '\r' || c == '\n':
		default:
			dst = append(dst, c)
		}
	}
	return dst, len(b)
}

func isTokenChar(c byte) bool {
	return c > ' ' && c < 0x7F && !strings.ContainsRune(`()<>@,;:\"/[]?=`, rune(c))
}

// token returns the token of b at pos (RFC 2045, section 5.1), in lower case,
// and the position after it.
func token(b []byte, pos int) (string, int) {
	start := pos
	for pos < len(b) && isTokenChar(b[pos]) {
		pos++
	}
	return strings.ToLower(string(b[start:pos])), pos
}

// parseMediaType reads the value of a Content-Type. ok is false if it has no
// type and subtype.
func parseMediaType(value []byte) (typ, sub string, params []param, ok bool) {
	value = cut(value, maxStructuredBytes)
	typ, pos := token(value, skipCFWS(value, 0))
	pos = skipCFWS(value, pos)
	if typ == "" || pos >= len(value) || value[pos] != '/' {
		return "", "", nil, false
	}
	sub, pos = token(value, skipCFWS(value, pos+1))
	if sub == "" || len(typ) > maxTypeBytes || len(sub) > maxTypeBytes {
		return "", "", nil, false
	}
	return typ, sub, parseParams(value, pos), true
}

// parseDisposition reads the value of a Content-Disposition (RFC 2183).
func parseDisposition(value []byte) (disposition string, params []param, ok bool) {
	value = cut(value, maxStructuredBytes)
	disposition, pos := token(value, skipCFWS(value, 0))
	if disposition == "" || len(disposition) > maxTypeBytes {
		return "", nil, false
	}
	return disposition, parseParams(value, pos), true
}

// parseParams reads "; name=value" from pos on. What is not of that form is
// skipped up to the next semicolon.
func parseParams(b []byte, pos int) []param {
	var params []param
	for len(params) < maxParams {
		semi := bytes.IndexByte(b[pos:], ';')
		if semi < 0 {
			break
		}
		name, p := token(b, skipCFWS(b, pos+semi+1))
		p = skipCFWS(b, p)
		if name == "" || len(name) > maxTypeBytes || p >= len(b) || b[p] != '=' {
			pos = p
			continue
		}
		var value []byte
		value, pos = paramValue(b, skipCFWS(b, p+1))
		params = append(params, param{name, cut(value, maxValueBytes)})
	}
	return joinContinuations(params)
}

// paramValue reads a token or quoted string. A token may hold anything up to a
// semicolon or comment, since file names with blanks are seen without quotes.
func paramValue(b []byte, pos int) ([]byte, int) {
	if pos < len(b) && b[pos] == '"' {
		return appendQuoted(nil, b, pos)
	}
	end := pos
	for end < len(b) && b[end] != ';' && b[end] != '(' {
		end++
	}
	return unfold(b[pos:end]), end
}

// piece is what the name of a parameter says of RFC 2231 continuations.
type piece struct {
	base    string
	n       int // -1: not a piece
	encoded bool
}

// joinContinuations joins name*0, name*1 … (RFC 2231, section 3) into name, or
// into name* if a piece is percent-encoded. Pieces after a gap are dropped.
func joinContinuations(params []param) []param {
	pieces, any := make([]piece, 0, maxParams), false
	for _, p := range params {
		pc := splitContinuation(p.name)
		pieces, any = append(pieces, pc), any || pc.n >= 0
	}
	if !any {
		return params
	}
	out := params[:0:0]
	for i, p := range params {
		if pieces[i].n < 0 {
			out = append(out, p)
		} else if !joined(pieces[:i], pieces[i].base) {
			out = append(out, joinPieces(params, pieces, pieces[i].base))
		}
	}
	return out
}

// joined reports whether a piece of the parameter base is among pieces.
func joined(pieces []piece, base string) bool {
	for _, p := range pieces {
		if p.n >= 0 && p.base == base {
			return true
		}
	}
	return false
}

// splitContinuation splits "name*3*" into name, 3 and true.
func splitContinuation(name string) piece {
	base, number, found := strings.Cut(name, "*")
	if !found || base == "" {
		return piece{n: -1}
	}
	number, encoded := strings.CutSuffix(number, "*")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= maxParams {
		return piece{n: -1}
	}
	return piece{base, n, encoded}
}

func joinPieces(params []param, pieces []piece, base string) param {
	var index [maxParams]int // of the piece in params, plus one
	anyEncoded := false
	for i, p := range pieces {
		if p.n >= 0 && p.base == base && index[p.n] == 0 {
			index[p.n] = i + 1
			anyEncoded = anyEncoded || p.encoded
		}
	}
	var value []byte
	for n, i := range index {
		if i == 0 {
			break
		}
		piece := params[i-1].value
		switch {
		case !anyEncoded || pieces[i-1].encoded:
			value = append(value, piece...)
		default:
			if n == 0 {
				value = append(value, "us-ascii''"...)
			}
			value = appendPercent(value, piece)
		}
	}
	if anyEncoded {
		base += "*"
	}
	return param{base, cut(value, maxValueBytes)}
}

func appendPercent(dst, b []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range b {
		if isTokenChar(c) && c != '%' && c != '*' && c != '\'' {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '%', digits[c>>4], digits[c&15])
	}
	return dst
}

// paramNamed returns the value of the first parameter called name.
func paramNamed(params []param, name string) []byte {
	for _, p := range params {
		if p.name == name {
			return p.value
		}
	}
	return nil
}
