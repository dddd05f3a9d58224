package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// chunkReader returns its chunks one read at a time.
type chunkReader struct{ chunks [][]byte }

func (c *chunkReader) Read(p []byte) (int, error) {
	for len(c.chunks) > 0 && len(c.chunks[0]) == 0 {
		c.chunks = c.chunks[1:]
	}
	if len(c.chunks) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.chunks[0])
	c.chunks[0] = c.chunks[0][n:]
	return n, nil
}

func newTestReader(input string, opts Options) (*Reader, *bytes.Buffer) {
	out := new(bytes.Buffer)
	return NewReader(strings.NewReader(input), NewEncoder(out, EncoderOptions{}), opts), out
}

// commandReader stands at the first octet of a command.
func commandReader(t *testing.T, input string, opts Options) *Reader {
	t.Helper()
	r, _ := newTestReader(input, opts)
	if err := r.BeginCommand(); err != nil {
		t.Fatal(err)
	}
	return r
}

// serve carries out commands of a small grammar until the connection ends, and
// returns a line for each command and the error that ended it.
func serve(r *Reader, enc *Encoder) ([]string, error) {
	var log []string
	for {
		tag, text, err := serveOne(r)
		if err != nil && !Recoverable(err) {
			return log, err
		}
		if err != nil {
			text = "BAD " + err.Error()
		}
		log = append(log, tag+" "+text)
		if err := r.DiscardCommand(); err != nil {
			return log, err
		}
		if r.InCommand() {
			return log, errors.New("in a command after DiscardCommand")
		}
		enc.Status("*", "OK", "", "answered")
	}
}

func serveOne(r *Reader) (tag, text string, err error) {
	if err = r.BeginCommand(); err != nil {
		return "", "", err
	}
	if tag, err = r.Tag(); err != nil {
		return "", "", err
	}
	if err = r.SP(); err != nil {
		return tag, "", err
	}
	name, err := r.Keyword()
	if err != nil {
		return tag, "", err
	}
	args, err := serveArgs(r, name)
	if err != nil {
		return tag, "", err
	}
	return tag, name + args, r.CRLF()
}

// serveArgs parses the arguments of a command into a line of text.
func serveArgs(r *Reader, name string) (string, error) {
	var out strings.Builder
	arg := func(parse func() (any, error)) func() error {
		return func() error {
			if err := r.SP(); err != nil {
				return err
			}
			v, err := parse()
			fmt.Fprintf(&out, " %v", v)
			return err
		}
	}
	steps := map[string][]func() error{
		"LOGIN":  {arg(anyOf(r.AString)), arg(anyOf(r.AString))},
		"SELECT": {arg(anyOf(r.Mailbox))},
		"LIST":   {arg(anyOf(r.Reference)), arg(anyOf(r.ListMailbox))},
		"FETCH":  {arg(anyOf(r.NumSet)), arg(func() (any, error) { return nil, r.List(func() error { _, err := r.Atom(); return err }) })},
		"STORE":  {arg(anyOf(r.NumSet)), arg(anyOf(r.StoreFlags))},
		"SEARCH": {arg(func() (any, error) { return parseNested(r) })},
		"META":   {arg(func() (any, error) { v, ok, err := r.NBinaryString(); return fmt.Sprintf("%q %v", v, ok), err })},
		"ON":     {arg(anyOf(r.Date)), arg(anyOf(r.DateTime))},
		"AUTH":   {arg(anyOf(r.InitialResponse))},
		"SIZE":   {arg(anyOf(r.NzNumber)), arg(anyOf(r.NzNumber64))},
		"APPEND": {arg(anyOf(r.Mailbox)), arg(func() (any, error) { return readStreamed(r, 1000) })},
		"DROP":   {arg(func() (any, error) { return refuseStreamed(r) })},
	}
	for _, step := range steps[name] {
		if err := step(); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

func anyOf[T any](parse func() (T, error)) func() (any, error) {
	return func() (any, error) { return parse() }
}

// parseNested parses atoms in nested parentheses without recursion.
func parseNested(r *Reader) (int, error) {
	open := 0
	for {
		c, err := r.Peek()
		if err != nil {
			return 0, err
		}
		switch c {
		case '(':
			if err := r.OpenParen(); err != nil {
				return 0, err
			}
			open++
		case ')':
			if err := r.CloseParen(); err != nil {
				return 0, err
			}
			open--
		default:
			if _, err := r.AString(); err != nil {
				return 0, err
			}
		}
		if open == 0 {
			return 0, nil
		}
	}
}

func readStreamed(r *Reader, most int64) (string, error) {
	l, err := r.Literal(most)
	if err != nil {
		return "", err
	}
	if l.Size%3 == 1 {
		if err := l.Accept(); err != nil {
			return "", err
		}
		// The rest is left to DiscardCommand.
		_, err := io.ReadFull(l, make([]byte, l.Size/2))
		if err == nil {
			err = &NameError{Msg: "changed its mind"}
		}
		return "", err
	}
	p, err := io.ReadAll(l)
	return fmt.Sprintf("%q", p), err
}

func refuseStreamed(r *Reader) (string, error) {
	if _, err := r.Literal(1000); err != nil {
		return "", err
	}
	return "", &NameError{Msg: "refused"}
}
