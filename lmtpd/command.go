package lmtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"
)

// command carries out a command line. An error ends the connection.
func (c *conn) command(ctx context.Context, line string) error {
	verb, arg, _ := strings.Cut(line, " ")
	arg = strings.TrimSpace(arg)
	switch strings.ToUpper(verb) {
	case "LHLO":
		return c.lhlo(arg)
	case "MAIL":
		return c.mail(arg)
	case "RCPT":
		return c.rcpt(ctx, arg)
	case "DATA":
		return c.data(ctx, arg)
	case "BDAT":
		return c.bdat(ctx, arg)
	case "RSET":
		c.endTransaction()
		c.reply(250, "2.0.0", "OK")
	case "NOOP":
		c.reply(250, "2.0.0", "OK")
	case "VRFY":
		c.reply(252, "2.5.0", "try RCPT")
	case "QUIT":
		c.reply(221, "2.0.0", c.srv.opts.Hostname+" closes the connection")
		return errQuit
	case "STARTTLS":
		return c.startTLS(ctx, arg)
	case "AUTH":
		return c.auth(ctx, arg)
	case "HELO", "EHLO":
		return c.mistake(500, "5.5.1", "this is LMTP, say LHLO") // RFC 2033, section 4.1
	default:
		return c.mistake(500, "5.5.2", "unknown command")
	}
	return nil
}

// lhlo greets (RFC 2033, section 4.1) and lists the extensions. It ends a transaction (RFC 5321, section 4.1.4).
func (c *conn) lhlo(name string) error {
	if !validHelo(name) {
		return c.mistake(501, "5.5.4", "LHLO needs a domain or an address literal")
	}
	c.endTransaction()
	c.helo = name
	opts := &c.srv.opts
	lines := []string{
		opts.Hostname, "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING",
		fmt.Sprintf("SIZE %d", opts.MaxMessage), fmt.Sprintf("LIMITS RCPTMAX=%d", opts.MaxRecipients),
	}
	if opts.binary() {
		lines = append(lines, "BINARYMIME")
	}
	if opts.TLS != nil && !c.tls {
		lines = append(lines, "STARTTLS")
	}
	if mechs := c.mechanisms(); len(mechs) > 0 {
		lines = append(lines, "AUTH "+strings.Join(mechs, " "))
	}
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		fmt.Fprintf(c.bw, "250%s%s\r\n", sep, l)
	}
	return nil
}

// validHelo checks what goes into Received: no spaces, and nothing that could end a comment or begin one. Underscores and the
// like are let through, as everywhere.
func validHelo(name string) bool {
	return name != "" && len(name) <= 255 && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>\",;@`, r)
	})
}

// startTLS switches to TLS (RFC 3207) and forgets what was said before.
func (c *conn) startTLS(ctx context.Context, arg string) error {
	switch {
	case c.srv.opts.TLS == nil:
		return c.mistake(502, "5.5.1", "STARTTLS is not offered")
	case arg != "":
		return c.mistake(501, "5.5.4", "STARTTLS has no arguments")
	case c.tls:
		return c.badSequence("TLS is active already")
	case c.br.Buffered() > 0: // sent before the handshake, by whomever
		c.reply(503, "5.5.1", "wait for the answer to STARTTLS")
		c.log.Warn("commands in clear text after STARTTLS")
		return errQuit
	}
	c.reply(220, "2.0.0", "go ahead")
	if err := c.bw.Flush(); err != nil {
		return err
	}
	secure := tls.Server(c.nc, c.srv.opts.TLS)
	if err := c.handshake(ctx, secure); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.mu.Lock()
	c.nc = secure
	c.mu.Unlock()
	c.br.Reset(connReader{c})
	c.bw.Reset(connWriter{c})
	c.tls, c.helo, c.account = true, "", ""
	c.endTransaction()
	return nil
}

func (c *conn) handshake(ctx context.Context, nc *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, min(c.srv.opts.Timeout, time.Minute))
	defer cancel()
	if err := nc.SetDeadline(time.Now().Add(c.srv.opts.Timeout)); err != nil {
		return err
	}
	err := nc.HandshakeContext(ctx)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return err
}
