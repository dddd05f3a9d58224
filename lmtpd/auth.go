package lmtpd

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"angarium/internal/auth"
)

// mechanisms lists the SASL mechanisms that are offered on this connection now.
func (c *conn) mechanisms() []string {
	if c.srv.opts.Auth == nil {
		return nil
	}
	list := auth.Mechanisms()
	if c.tls || c.local {
		return list
	}
	return slices.DeleteFunc(list, auth.SendsPassword)
}

// auth logs a client in (RFC 4954).
func (c *conn) auth(ctx context.Context, arg string) error {
	mech, initial, hasInitial := strings.Cut(arg, " ")
	switch {
	case c.srv.opts.Auth == nil:
		return c.mistake(502, "5.5.1", "AUTH is not offered")
	case c.helo == "":
		return c.badSequence("say LHLO first")
	case c.tx != nil:
		return c.badSequence("not within a transaction")
	case c.account != "":
		return c.badSequence("logged in already")
	case !slices.Contains(c.mechanisms(), strings.ToUpper(mech)):
		return c.mistake(504, "5.5.4", "mechanism not offered")
	}
	ctx, cancel := context.WithTimeout(ctx, c.srv.opts.Timeout)
	defer cancel()
	exchange, err := c.srv.opts.Auth.SASLServer(ctx, c.remote, mech)
	if err != nil {
		return c.loginFailed(err)
	}
	var response []byte
	if hasInitial {
		if response, err = decodeResponse(strings.TrimSpace(initial)); err != nil {
			return c.mistake(501, "5.5.2", "malformed base64")
		}
	}
	for {
		challenge, done, err := exchange.Next(response)
		if err != nil {
			return c.loginFailed(err)
		}
		if done {
			break
		}
		c.reply(334, "", base64.StdEncoding.EncodeToString(challenge))
		line, err := c.readLine()
		switch {
		case errors.Is(err, errLongLine):
			return c.mistake(500, "5.5.6", "line too long")
		case err != nil:
			return err
		case line == "*":
			return c.mistake(501, "5.7.0", "cancelled")
		}
		if response, err = decodeResponse(line); err != nil {
			return c.mistake(501, "5.5.2", "malformed base64")
		}
	}
	c.account = exchange.Identity().Account
	c.log.Info("logged in", "account", c.account, "mechanism", strings.ToUpper(mech))
	c.reply(235, "2.7.0", "logged in")
	return nil
}

// decodeResponse decodes a response; "=" is an empty initial one.
func decodeResponse(s string) ([]byte, error) {
	if s == "=" || s == "" {
		return []byte{}, nil
	}
	return base64.StdEncoding.DecodeString(s)
}

// loginFailed answers a failed login (RFC 4954, section 6).
func (c *conn) loginFailed(err error) error {
	c.log.Warn("login failed", "err", err)
	var throttled *auth.ThrottledError
	switch {
	case errors.Is(err, auth.ErrMalformed):
		return c.mistake(501, "5.5.2", "malformed response")
	case errors.Is(err, auth.ErrDisabled):
		c.reply(525, "5.7.13", "account is disabled")
	case errors.Is(err, auth.ErrCredentials), errors.Is(err, auth.ErrNotAuthorized):
		c.reply(535, "5.7.8", "authentication failed")
	case errors.As(err, &throttled):
		c.reply(454, "4.7.0", "too many failed logins, try again later")
	default:
		c.reply(454, "4.7.0", "authentication is not available now")
	}
	if c.logins++; c.logins >= maxLogins {
		c.reply(421, "4.7.0", "too many failed logins")
		return errQuit
	}
	return nil
}
