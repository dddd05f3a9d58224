package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"time"
)

// lmtpConn is a connection of an LMTP client.
type lmtpConn struct {
	c net.Conn
	r *bufio.Reader
}

func dialLMTP(addr string) (*lmtpConn, error) {
	c, err := net.DialTimeout("tcp", addr, ioTimeout)
	if err != nil {
		return nil, err
	}
	conn := &lmtpConn{c: c, r: bufio.NewReader(c)}
	if err = conn.expect("220"); err == nil {
		err = conn.cmd("LHLO crash.test", "250")
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return conn, nil
}

func (c *lmtpConn) close() { _ = c.c.Close() }

func (c *lmtpConn) cmd(line, code string) error {
	if err := c.c.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	if _, err := c.c.Write([]byte(line + "\r\n")); err != nil {
		return err
	}
	return c.expect(code)
}

// expect reads a reply, which has to have a code.
func (c *lmtpConn) expect(code string) error {
	for {
		l, err := c.r.ReadString('\n')
		if err != nil {
			return err
		}
		if !strings.HasPrefix(l, code) {
			return fmt.Errorf("%w: %s", errRefused, strings.TrimSpace(l))
		}
		if len(l) < 4 || l[3] != '-' {
			return nil
		}
	}
}

// deliver sends a message and calls acked for each recipient that was acknowledged, by its index.
func (c *lmtpConn) deliver(recipients []string, message []byte, acked func(i int)) error {
	if err := c.cmd("MAIL FROM:<crash@crash.test>", "250"); err != nil {
		return err
	}
	for _, r := range recipients {
		if err := c.cmd("RCPT TO:<"+r+">", "250"); err != nil {
			return err
		}
	}
	if err := c.cmd("DATA", "354"); err != nil {
		return err
	}
	body := bytes.ReplaceAll(append([]byte("\r\n"), message...), []byte("\r\n."), []byte("\r\n.."))[2:]
	if _, err := c.c.Write(append(body, ".\r\n"...)); err != nil {
		return err
	}
	for i := range recipients {
		if err := c.expect("250"); err != nil {
			return err
		}
		acked(i)
	}
	return nil
}
