package imapd

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
)

// conn is what a session reads from and writes to, TLS inside: it counts, and records if it is told to.
type conn struct {
	net.Conn
	hooks         *Hooks
	read, written *atomic.Int64
	trace         Recorder // nil: not recorded
}

func newConn(c net.Conn, hooks *Hooks) *conn {
	return &conn{Conn: c, hooks: hooks, read: new(atomic.Int64), written: new(atomic.Int64)}
}

// over gives the connection that goes on, with the same counters, on another stream.
func (c *conn) over(inner net.Conn) *conn {
	next := *c
	next.Conn = inner
	return &next
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.read.Add(int64(n))
		c.hooks.Read(n)
		if c.trace != nil {
			c.trace.Client(p[:n])
		}
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.written.Add(int64(n))
		c.hooks.Written(n)
		if c.trace != nil {
			c.trace.Server(p[:n])
		}
	}
	return n, err
}

func (c *conn) stopTrace() {
	if c.trace != nil {
		_ = c.trace.Close() // the record is a help for people; nothing depends on its end
		c.trace = nil
	}
}

// isGone says that an error means that the client has gone, or that the connection was closed here: not worth a word.
func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}
