package imapd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// clientPatience is how long a raw client waits for a line before the test fails.
const clientPatience = 10 * time.Second

// rawClient is a client that says exactly what the test says.
type rawClient struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	tags int
}

// dial connects and reads the greeting.
func (ts *testServer) dial(t testing.TB) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	c := newRawClient(t, conn)
	c.expect("* OK [CAPABILITY ...")
	return c
}

func newRawClient(t testing.TB, conn net.Conn) *rawClient {
	t.Cleanup(func() { _ = conn.Close() }) // the test may have closed it
	return &rawClient{t: t, conn: conn, r: bufio.NewReader(conn)}
}

// send sends a line.
func (c *rawClient) send(line string) {
	c.t.Helper()
	c.sendRaw(line + "\r\n")
}

// sendRaw sends octets.
func (c *rawClient) sendRaw(s string) {
	c.t.Helper()
	_ = c.conn.SetWriteDeadline(time.Now().Add(clientPatience))
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatalf("send %.80q: %v", s, err)
	}
}

// readLine reads a response with the literals in it, without the CRLF at its end.
func (c *rawClient) readLine() (string, error) {
	var line strings.Builder
	for {
		_ = c.conn.SetReadDeadline(time.Now().Add(clientPatience))
		part, err := c.r.ReadString('\n')
		if err != nil {
			return line.String() + part, err
		}
		part, ok := strings.CutSuffix(part, "\r\n")
		if !ok {
			return line.String() + part, errors.New("a line without CRLF")
		}
		line.WriteString(part)
		size, ok := literalSize(part)
		if !ok {
			return line.String(), nil
		}
		line.WriteString("\r\n")
		if _, err := io.CopyN(&line, c.r, size); err != nil {
			return line.String(), err
		}
	}
}

func literalSize(line string) (int64, bool) {
	open := strings.LastIndexByte(line, '{')
	if open < 0 || !strings.HasSuffix(line, "}") {
		return 0, false
	}
	n, err := strconv.ParseInt(line[open+1:len(line)-1], 10, 64)
	return n, err == nil
}

// line reads a response; the test fails if there is none.
func (c *rawClient) line() string {
	c.t.Helper()
	l, err := c.readLine()
	if err != nil {
		c.t.Fatalf("read a response: %v after %q", err, l)
	}
	return l
}

// expect reads responses and compares them; what is wanted may end in "..." for any rest.
func (c *rawClient) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.line(); !fitsLine(got, w) {
			c.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

func fitsLine(got, want string) bool {
	if prefix, ok := strings.CutSuffix(want, "..."); ok {
		return strings.HasPrefix(got, prefix)
	}
	return got == want
}

// expectEOF wants the server to close the connection, without a word.
func (c *rawClient) expectEOF() {
	c.t.Helper()
	l, err := c.readLine()
	if l != "" || err == nil {
		c.t.Fatalf("got %q, want the end of the connection", l)
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		c.t.Fatal("the connection was not closed")
	}
}

// cmd sends a command and returns the untagged responses, and the tagged one without its tag.
func (c *rawClient) cmd(command string) (untagged []string, status string) {
	c.t.Helper()
	c.tags++
	tag := fmt.Sprintf("t%d", c.tags)
	c.send(tag + " " + command)
	return c.collect(tag)
}

// collect reads until the tagged response.
func (c *rawClient) collect(tag string) (untagged []string, status string) {
	c.t.Helper()
	for {
		l := c.line()
		if rest, ok := strings.CutPrefix(l, tag+" "); ok {
			return untagged, rest
		}
		untagged = append(untagged, l)
	}
}

// ok sends a command that must succeed, and returns the untagged responses.
func (c *rawClient) ok(command string) []string {
	c.t.Helper()
	untagged, status := c.cmd(command)
	if !strings.HasPrefix(status, "OK ") {
		c.t.Fatalf("%.200s: %s", command, status)
	}
	return untagged
}

// refused sends a command and wants a status that begins in a certain way, such as "NO [NONEXISTENT]".
func (c *rawClient) refused(command, want string) {
	c.t.Helper()
	if _, status := c.cmd(command); !strings.HasPrefix(status, want) {
		c.t.Fatalf("%.200s: %s; want %s", command, status, want)
	}
}

// literal writes s as a non-synchronising literal.
func literal(s string) string { return fmt.Sprintf("{%d+}\r\n%s", len(s), s) }
