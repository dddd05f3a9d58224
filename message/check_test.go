package message

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/go-cmp/cmp"
)

// failer is a test, ordinary or of rapid.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// checkStructure fails unless s keeps what the package guarantees for raw.
func checkStructure(t failer, raw []byte, s *Structure) {
	t.Helper()
	if s.Size != len(raw) || len(s.Parts) == 0 || len(s.Parts) > MaxParts {
		t.Fatalf("size %d of %d, %d parts", s.Size, len(raw), len(s.Parts))
	}
	for i := range s.Parts {
		p := &s.Parts[i]
		if p.Header().Of(raw) == nil && p.HeaderLen > 0 || p.Body().Of(raw) == nil && p.BodyLen > 0 || !p.fits(s.Parts[:i], len(raw)) {
			t.Fatalf("part %d out of range: %+v", i, *p)
		}
		if got := bytes.Count(p.Body().Of(raw), []byte("\n")); got != p.Lines {
			t.Fatalf("part %d has %d lines, not %d", i, got, p.Lines)
		}
		if path := s.Path(i); len(path) > 0 && !s.isMessage(i) {
			if found, ok := s.FindPart(path); !ok || found != i {
				t.Fatalf("part %d has path %v, where there is %d (%v)", i, path, found, ok)
			}
		}
	}
	for what, check := range map[string]error{
		"envelope":      checkWire(s.Envelope(), checkEnvelope),
		"bodystructure": checkWire(s.BodyStructure(), func(n node) error { return checkBody(n, true) }),
		"body":          checkWire(s.Body(), func(n node) error { return checkBody(n, false) }),
	} {
		if check != nil {
			t.Fatalf("%s: %v", what, check)
		}
	}
	blob := s.Marshal()
	if len(blob) > MaxBlobBytes {
		t.Fatalf("blob has %d bytes", len(blob))
	}
	back, err := Unmarshal(blob)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Marshal(), blob) {
		t.Fatal("blob changes when it is decoded and encoded")
	}
	if diff := cmp.Diff(s.Parts, back.Parts); diff != "" || back.Sent != s.Sent || back.Size != s.Size {
		t.Fatalf("decoded structure differs: %s", diff)
	}
}

// node is an element of IMAP's syntax: a list, a string, NIL or a number.
type node struct {
	list   []node
	kind   byte // '(' list, '"' string, 'N' NIL, '0' number
	string []byte
}

var errSyntax = errors.New("not IMAP syntax")

func checkWire(wire []byte, check func(node) error) error {
	n, rest, err := parseNode(wire, 0)
	if err == nil && len(rest) > 0 {
		err = errSyntax
	}
	if err == nil {
		err = check(n)
	}
	if err != nil {
		return fmt.Errorf("%w in %q", err, wire)
	}
	return nil
}

func parseNode(b []byte, depth int) (node, []byte, error) {
	switch {
	case len(b) == 0 || depth > 4*MaxDepth:
		return node{}, nil, errSyntax
	case b[0] == '(':
		return parseList(b[1:], depth)
	case b[0] == '"':
		return parseQuoted(b[1:])
	case b[0] == '{':
		end := bytes.Index(b, []byte("}\r\n"))
		if end < 0 {
			return node{}, nil, errSyntax
		}
		size, err := strconv.Atoi(string(b[1:end]))
		if err != nil || size > len(b)-end-3 || bytes.IndexByte(b[end+3:end+3+size], 0) >= 0 {
			return node{}, nil, errSyntax
		}
		return node{kind: '"', string: b[end+3 : end+3+size]}, b[end+3+size:], nil
	case bytes.HasPrefix(b, []byte("NIL")):
		return node{kind: 'N'}, b[3:], nil
	}
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	if n == 0 {
		return node{}, nil, errSyntax
	}
	return node{kind: '0'}, b[n:], nil
}

// parseList reads elements that a blank divides, except between two lists.
func parseList(b []byte, depth int) (n node, rest []byte, err error) {
	n.kind = '('
	for len(b) > 0 && b[0] != ')' {
		if len(n.list) > 0 {
			previousIsList := n.list[len(n.list)-1].kind == '('
			if b[0] == ' ' {
				b = b[1:]
			} else if !previousIsList || b[0] != '(' {
				return n, nil, errSyntax
			}
		}
		var child node
		if child, b, err = parseNode(b, depth+1); err != nil {
			return n, nil, err
		}
		n.list = append(n.list, child)
	}
	if len(b) == 0 || len(n.list) == 0 {
		return n, nil, errSyntax
	}
	return n, b[1:], nil
}

func parseQuoted(b []byte) (n node, rest []byte, err error) {
	n.kind = '"'
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return n, b[i+1:], nil
		case c == '\\':
			i++
			if i == len(b) || b[i] != '\\' && b[i] != '"' {
				return n, nil, errSyntax
			}
		case c == 0 || c == '\r' || c == '\n' || c >= 0x7F:
			return n, nil, errSyntax
		}
		n.string = append(n.string, b[i])
	}
	return n, nil, errSyntax
}

// kinds checks a list element by element: each of want names the kinds allowed there.
func kinds(list []node, want ...string) error {
	if len(list) != len(want) {
		return fmt.Errorf("%w: %d elements, want %d", errSyntax, len(list), len(want))
	}
	for i, w := range want {
		if bytes.IndexByte([]byte(w), list[i].kind) < 0 {
			return fmt.Errorf("%w: element %d is %c, want %s", errSyntax, i, list[i].kind, w)
		}
	}
	return nil
}

func checkEnvelope(n node) error {
	if err := kinds(n.list, `"N`, `"N`, `(N`, `(N`, `(N`, `(N`, `(N`, `(N`, `"N`, `"N`); err != nil {
		return err
	}
	for _, list := range n.list[2:8] {
		open := false
		for _, a := range list.list {
			if err := kinds(a.list, `"N`, `"N`, `"N`, `"N`); err != nil {
				return err
			}
			if host, mailbox := a.list[3].kind, a.list[2].kind; host == 'N' {
				if open == (mailbox == '"') {
					return fmt.Errorf("%w: groups don't pair", errSyntax)
				}
				open = !open
			} else if mailbox == 'N' {
				return fmt.Errorf("%w: host without mailbox", errSyntax)
			}
		}
		if open {
			return fmt.Errorf("%w: group left open", errSyntax)
		}
	}
	return nil
}

func checkBody(n node, extended bool) error {
	if n.kind != '(' {
		return errSyntax
	}
	basic, err := checkBasicFields(n, extended)
	if err != nil || !extended {
		if err == nil && basic != len(n.list) {
			err = fmt.Errorf("%w: BODY with extension data", errSyntax)
		}
		return err
	}
	ext := n.list[basic:]
	if err := kinds(ext, []string{`"N`, `(N`}[b2i(n.list[0].kind == '(')], `(N`, `(N"`, `"N`); err != nil {
		return err
	}
	if n.list[0].kind == '(' {
		if err := checkParams(ext[0]); err != nil {
			return err
		}
	}
	if d := ext[1]; d.kind == '(' {
		if err := kinds(d.list, `"`, `(N`); err != nil {
			return err
		}
		return checkParams(d.list[1])
	}
	return nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// checkBasicFields checks what BODY and BODYSTRUCTURE share, and returns its length.
func checkBasicFields(n node, extended bool) (int, error) {
	parts := 0
	for parts < len(n.list) && n.list[parts].kind == '(' {
		if err := checkBody(n.list[parts], extended); err != nil {
			return 0, err
		}
		parts++
	}
	if parts > 0 {
		if parts == len(n.list) || n.list[parts].kind != '"' {
			return 0, fmt.Errorf("%w: multipart without subtype", errSyntax)
		}
		return parts + 1, nil
	}
	if len(n.list) < 7 {
		return 0, fmt.Errorf("%w: short body", errSyntax)
	}
	if err := kinds(n.list[:7], `"`, `"`, `(N`, `"N`, `"N`, `"`, `0`); err != nil {
		return 0, err
	}
	if err := checkParams(n.list[2]); err != nil {
		return 0, err
	}
	switch typ, sub := string(n.list[0].string), string(n.list[1].string); {
	case typ == "text":
		return 8, kinds(n.list[7:min(8, len(n.list))], `0`)
	case typ == "message" && (sub == "rfc822" || sub == "global"):
		if err := kinds(n.list[7:min(10, len(n.list))], `(`, `(`, `0`); err != nil {
			return 0, err
		}
		if err := checkEnvelope(n.list[7]); err != nil {
			return 0, err
		}
		return 10, checkBody(n.list[8], extended)
	}
	return 7, nil
}

func checkParams(n node) error {
	if len(n.list)%2 != 0 {
		return fmt.Errorf("%w: odd parameters", errSyntax)
	}
	for _, s := range n.list {
		if s.kind != '"' {
			return fmt.Errorf("%w: parameter is %c", errSyntax, s.kind)
		}
	}
	return nil
}
