package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	// ioTimeout is how long a client waits for its server. A server that takes longer hangs, which is a failure.
	ioTimeout = 60 * time.Second
	// maxResponse bounds one response line with its literals.
	maxResponse = 64 << 20
)

// imapConn is a connection of an IMAP client. It sends one command at a time.
type imapConn struct {
	c        net.Conn
	r        *bufio.Reader
	tag      int
	selected string // the mailbox, if any
}

// literal is an argument that is sent as a literal.
type literal []byte

// response is what a command led to.
type response struct {
	status   string // OK, NO or BAD
	code     string // the response code without brackets, if any
	text     string
	untagged []line
}

// line is an untagged response.
type line struct {
	values []value // of data
	status string  // of OK, NO, BAD, BYE and PREAUTH: the line as it came
}

func (r *response) err() error {
	if r.status == "OK" {
		return nil
	}
	return fmt.Errorf("%w: %s [%s] %s", errRefused, r.status, r.code, r.text)
}

// errRefused says that the server answered NO, BAD or a code other than 2xx: it lives, but refuses what ought to work.
var errRefused = errors.New("refused")

func dialIMAP(addr, user, password string) (*imapConn, error) {
	c, err := net.DialTimeout("tcp", addr, ioTimeout)
	if err != nil {
		return nil, err
	}
	conn := &imapConn{c: c, r: bufio.NewReaderSize(c, 64<<10)}
	if err := conn.hello(user, password); err != nil {
		_ = c.Close()
		return nil, err
	}
	return conn, nil
}

func (c *imapConn) hello(user, password string) error {
	if err := c.c.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	raw, err := c.readLine()
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(raw, []byte("* OK")) {
		return fmt.Errorf("%w: greeting %q", errRefused, raw)
	}
	return c.must("LOGIN", quote(user), quote(password))
}

func (c *imapConn) close() { _ = c.c.Close() }

// must sends a command that has to be answered OK.
func (c *imapConn) must(parts ...any) error {
	r, err := c.cmd(parts...)
	if err != nil {
		return err
	}
	return r.err()
}

// cmd sends a command, its parts with spaces between them, and reads up to the tagged response.
func (c *imapConn) cmd(parts ...any) (*response, error) {
	c.tag++
	tag := "c" + strconv.Itoa(c.tag)
	var b bytes.Buffer
	b.WriteString(tag)
	for _, p := range parts {
		b.WriteByte(' ')
		if lit, ok := p.(literal); ok {
			fmt.Fprintf(&b, "{%d+}\r\n", len(lit))
			b.Write(lit)
			continue
		}
		fmt.Fprint(&b, p)
	}
	b.WriteString("\r\n")
	if err := c.c.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return nil, err
	}
	if _, err := c.c.Write(b.Bytes()); err != nil {
		return nil, err
	}
	res := new(response)
	for {
		raw, err := c.readLine()
		if err != nil {
			return nil, err
		}
		if rest, ok := bytes.CutPrefix(raw, []byte(tag+" ")); ok {
			res.status, res.code, res.text = splitStatus(string(rest))
			return res, nil
		}
		l, err := parseLine(raw)
		if err != nil {
			return nil, fmt.Errorf("response %.200q: %w", raw, err)
		}
		res.untagged = append(res.untagged, l)
	}
}

// readLine reads a line and the literals that belong to it, without the last CRLF.
func (c *imapConn) readLine() ([]byte, error) {
	var all []byte
	for {
		part, err := c.r.ReadBytes('\n')
		all = append(all, part...)
		if err != nil {
			return nil, err
		}
		n, ok := endsWithLiteral(all)
		if !ok {
			return bytes.TrimSuffix(all, []byte("\r\n")), nil
		}
		if n > maxResponse-len(all) {
			return nil, fmt.Errorf("response of %d bytes", len(all)+n)
		}
		start := len(all)
		all = append(all, make([]byte, n)...)
		if _, err := io.ReadFull(c.r, all[start:]); err != nil {
			return nil, err
		}
	}
}

// endsWithLiteral says whether a literal follows what was read so far, and of how many octets.
func endsWithLiteral(b []byte) (int, bool) {
	b, ok := bytes.CutSuffix(b, []byte("}\r\n"))
	i := bytes.LastIndexByte(b, '{')
	if !ok || i < 0 {
		return 0, false
	}
	n, err := strconv.Atoi(string(b[i+1:]))
	return n, err == nil && n >= 0
}

// splitStatus splits "OK [CODE] text".
func splitStatus(s string) (status, code, text string) {
	status, text, _ = strings.Cut(s, " ")
	if rest, ok := strings.CutPrefix(text, "["); ok {
		code, text, _ = strings.Cut(rest, "]")
		text = strings.TrimPrefix(text, " ")
	}
	return strings.ToUpper(status), code, text
}

// selectBox selects a mailbox unless it is selected already.
func (c *imapConn) selectBox(name string) error {
	if c.selected == name {
		return nil
	}
	c.selected = ""
	if err := c.must("SELECT", quote(name), "(CONDSTORE)"); err != nil {
		return fmt.Errorf("select %s: %w", name, err)
	}
	c.selected = name
	return nil
}

// unselect leaves the selected mailbox, if any.
func (c *imapConn) unselect() error {
	if c.selected == "" {
		return nil
	}
	c.selected = ""
	return c.must("UNSELECT")
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
