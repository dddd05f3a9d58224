package main

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// value is a piece of an IMAP response: a list, or text (an atom, a quoted string or a literal).
type value struct {
	text   string
	list   []value
	isList bool
}

// maxDepth bounds how deep lists lie in lists.
const maxDepth = 32

var errSyntax = errors.New("not an IMAP response")

// parseLine parses an untagged response.
func parseLine(raw []byte) (line, error) {
	rest, ok := bytes.CutPrefix(raw, []byte("* "))
	if !ok {
		return line{}, errSyntax
	}
	word, _, _ := strings.Cut(string(rest[:min(len(rest), 10)]), " ")
	switch strings.ToUpper(word) {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		return line{status: string(rest)}, nil
	}
	p := &parser{b: rest}
	values, err := p.values(0)
	if err == nil && p.i != len(p.b) {
		err = errSyntax
	}
	return line{values: values}, err
}

type parser struct {
	b []byte
	i int
}

// values parses up to the end or up to a closing parenthesis, which it leaves.
func (p *parser) values(depth int) ([]value, error) {
	if depth > maxDepth {
		return nil, errSyntax
	}
	var list []value
	for p.i < len(p.b) && p.b[p.i] != ')' {
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		for p.i < len(p.b) && p.b[p.i] == ' ' {
			p.i++
		}
	}
	return list, nil
}

func (p *parser) value(depth int) (value, error) {
	switch p.b[p.i] {
	case '(':
		p.i++
		list, err := p.values(depth + 1)
		if err != nil {
			return value{}, err
		}
		if p.i == len(p.b) {
			return value{}, errSyntax
		}
		p.i++
		return value{list: list, isList: true}, nil
	case '"':
		return p.quoted()
	case '{':
		return p.literal()
	}
	return p.atom()
}

func (p *parser) quoted() (value, error) {
	var b strings.Builder
	for p.i++; p.i < len(p.b); p.i++ {
		switch c := p.b[p.i]; c {
		case '"':
			p.i++
			return value{text: b.String()}, nil
		case '\\':
			if p.i++; p.i == len(p.b) {
				return value{}, errSyntax
			}
			b.WriteByte(p.b[p.i])
		default:
			b.WriteByte(c)
		}
	}
	return value{}, errSyntax
}

func (p *parser) literal() (value, error) {
	end := bytes.Index(p.b[p.i:], []byte("}\r\n"))
	if end < 0 {
		return value{}, errSyntax
	}
	n, err := strconv.Atoi(string(p.b[p.i+1 : p.i+end]))
	start := p.i + end + 3
	if err != nil || n < 0 || n > len(p.b)-start {
		return value{}, errSyntax
	}
	p.i = start + n
	return value{text: string(p.b[start:p.i])}, nil
}

// atom parses an atom; what stands in brackets belongs to it whole: BODY[HEADER.FIELDS (SUBJECT)].
func (p *parser) atom() (value, error) {
	start, brackets := p.i, 0
	for ; p.i < len(p.b); p.i++ {
		switch p.b[p.i] {
		case '[':
			brackets++
		case ']':
			brackets--
		case ' ', '(', ')':
			if brackets == 0 {
				return value{text: string(p.b[start:p.i])}, nil
			}
		}
	}
	return value{text: string(p.b[start:])}, nil
}

// fetched gives the items of a FETCH response by their names in upper case; nil if the response is another one.
func (l line) fetched() map[string]value {
	if len(l.values) != 3 || !strings.EqualFold(l.values[1].text, "FETCH") || len(l.values[2].list)%2 != 0 {
		return nil
	}
	items := map[string]value{}
	list := l.values[2].list
	for i := 0; i < len(list); i += 2 {
		items[strings.ToUpper(list[i].text)] = list[i+1]
	}
	return items
}

// number gives the number that a value is, or the one number in a list: MODSEQ (17).
func (v value) number() uint64 {
	if v.isList && len(v.list) == 1 {
		v = v.list[0]
	}
	n, err := strconv.ParseUint(v.text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
