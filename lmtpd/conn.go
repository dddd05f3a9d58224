package lmtpd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Sizes of the buffers of a connection, in octets. A line of a message is copied out of the read buffer as a whole.
const (
	readBuffer  = 32 << 10
	writeBuffer = 4 << 10
)

var (
	errQuit     = errors.New("session ended")
	errDraining = errors.New("server shuts down")
	errLongLine = errors.New("line too long")
)

// conn is one connection. Its goroutine owns all of it but the fields below mu.
type conn struct {
	srv    *Server
	id     string
	remote netip.Addr // invalid for unix sockets
	local  bool       // unix socket or loopback
	log    *slog.Logger
	br     *bufio.Reader
	bw     *bufio.Writer
	tls    bool

	helo    string // what the client calls itself; empty before LHLO
	account string // that has logged in
	errors  int
	logins  int // failed ones
	count   int // transactions so far
	tx      *transaction

	mu       sync.Mutex
	nc       net.Conn
	draining bool
	idle     bool // waits for a command outside a transaction
}

func newConn(s *Server, nc net.Conn, remote netip.Addr) *conn {
	id := newSession()
	c := &conn{
		srv: s, id: id, remote: remote, local: !remote.IsValid() || remote.IsLoopback(), nc: nc,
		log: s.opts.Logger.With("session", id, "client", clientName(remote)),
	}
	_, c.tls = nc.(*tls.Conn)
	c.br = bufio.NewReaderSize(connReader{c}, readBuffer)
	c.bw = bufio.NewWriterSize(connWriter{c}, writeBuffer)
	return c
}

func clientName(remote netip.Addr) string {
	if !remote.IsValid() {
		return "unix"
	}
	return remote.String()
}

// connReader sends the answers that are waiting before it waits for the client: so a pipeline of commands is answered at once.
type connReader struct{ c *conn }

func (r connReader) Read(p []byte) (int, error) {
	if err := r.c.bw.Flush(); err != nil {
		return 0, err
	}
	nc, err := r.c.beginRead()
	if err != nil {
		return 0, err
	}
	return nc.Read(p)
}

// beginRead sets the deadline of a read, unless the connection shall end here.
func (c *conn) beginRead() (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining && c.idle {
		return nil, errDraining
	}
	return c.nc, c.nc.SetReadDeadline(time.Now().Add(c.srv.opts.Timeout))
}

type connWriter struct{ c *conn }

func (w connWriter) Write(p []byte) (int, error) {
	w.c.mu.Lock()
	nc := w.c.nc
	w.c.mu.Unlock()
	if err := nc.SetWriteDeadline(time.Now().Add(w.c.srv.opts.WriteTimeout)); err != nil {
		return 0, err
	}
	return nc.Write(p)
}

// drain asks the connection to end after the transaction it is in.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if c.idle {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // fails only for a closed connection
	}
}

func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.nc.Close() // every answer has been flushed, or could not be
}

// setIdle says whether the connection may be ended while it waits, and reports whether it shall be.
func (c *conn) setIdle(idle bool) (draining bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = idle
	return c.draining
}

// serve runs a connection to its end.
func (c *conn) serve(ctx context.Context) {
	defer c.endTransaction()
	if nc, ok := c.nc.(*tls.Conn); ok {
		if err := c.handshake(ctx, nc); err != nil {
			c.log.Info("TLS handshake failed", "err", err)
			return
		}
	}
	c.reply(220, "", c.srv.opts.Hostname+" LMTP Angarium")
	for {
		err := c.next(ctx)
		if err == nil {
			continue
		}
		c.farewell(err)
		return
	}
}

// next reads a command and carries it out.
func (c *conn) next(ctx context.Context) error {
	if c.setIdle(c.tx == nil) && c.tx == nil {
		return errDraining
	}
	line, err := c.readLine()
	draining := c.setIdle(false)
	switch {
	case errors.Is(err, errLongLine):
		return c.mistake(500, "5.5.2", "line too long")
	case err != nil && draining && c.tx == nil:
		return errDraining // the read was interrupted
	case err != nil:
		return err
	}
	return c.command(ctx, line)
}

// farewell tells the client why the connection ends, if it may still listen.
func (c *conn) farewell(err error) {
	var timeout net.Error
	switch {
	case errors.Is(err, errDraining):
		c.reply(421, "4.3.2", c.srv.opts.Hostname+" is shutting down")
	case errors.As(err, &timeout) && timeout.Timeout():
		c.reply(421, "4.4.2", "timeout")
		c.log.Info("client timed out")
	case !errors.Is(err, errQuit) && !isClosed(err):
		c.log.Info("connection lost", "err", err)
	}
	_ = c.bw.Flush() // the connection ends either way
}

// readLine reads a command line, without its end. Of one that is too long everything is read and nothing kept.
func (c *conn) readLine() (string, error) {
	line, err := c.br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = c.br.ReadSlice('\n')
		}
		if err == nil {
			err = errLongLine
		}
	}
	if err != nil {
		return "", err
	}
	if len(line) > maxLine {
		return "", errLongLine
	}
	return strings.TrimSuffix(string(line[:len(line)-1]), "\r"), nil
}

// reply writes an answer of one line; an error of the connection shows at the next read.
func (c *conn) reply(code int, enhanced, text string) {
	if enhanced != "" {
		enhanced += " "
	}
	fmt.Fprintf(c.bw, "%d %s%s\r\n", code, enhanced, text)
}

// mistake answers a command that the client should not have sent. Too many end the session.
func (c *conn) mistake(code int, enhanced, text string) error {
	c.reply(code, enhanced, text)
	if c.errors++; c.errors >= maxErrors {
		c.reply(421, "4.7.0", "too many errors")
		c.log.Warn("too many errors")
		return errQuit
	}
	return nil
}

// badSequence answers a command that does not fit here.
func (c *conn) badSequence(text string) error { return c.mistake(503, "5.5.1", text) }
