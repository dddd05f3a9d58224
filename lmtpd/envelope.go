package lmtpd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"angarium/lmtpd/address"
	"angarium/mailstore"
)

// transaction is one message with its envelope, from MAIL to the last answer.
type transaction struct {
	id     string // SESSION.N
	from   address.Mailbox
	size   int64 // that MAIL declared; 0 if it did not
	utf8   bool  // SMTPUTF8
	binary bool  // BODY=BINARYMIME
	to     []recipient
	msg    *receipt // nil before the first BDAT
}

type recipient struct {
	address string // as the client wrote it, for the answer
	mailstore.Recipient
}

// endTransaction forgets the transaction, if there is one.
func (c *conn) endTransaction() {
	if c.tx != nil && c.tx.msg != nil {
		c.tx.msg.release()
	}
	c.tx = nil
}

// mail begins a transaction.
func (c *conn) mail(arg string) error {
	switch {
	case c.helo == "":
		return c.badSequence("say LHLO first")
	case c.srv.opts.AuthRequired && c.account == "":
		return c.mistake(530, "5.7.0", "log in first")
	case c.tx != nil:
		return c.badSequence("a transaction has begun already")
	}
	path, ok := cutPrefixFold(arg, "FROM:")
	if !ok {
		return c.mistake(501, "5.5.4", "want MAIL FROM:<address>")
	}
	from, params, err := address.ReversePath(strings.TrimLeft(path, " "))
	if err != nil {
		return c.mistake(501, "5.1.7", err.Error())
	}
	tx := &transaction{from: from}
	for _, p := range strings.Fields(params) {
		if code, enhanced, text := c.mailParameter(tx, p); code != 0 {
			return c.mistake(code, enhanced, text)
		}
	}
	c.count++
	tx.id = fmt.Sprintf("%s.%d", c.id, c.count)
	c.tx = tx
	c.reply(250, "2.1.0", "OK")
	return nil
}

// mailParameter takes a parameter of MAIL; a code says what is wrong with it.
func (c *conn) mailParameter(tx *transaction, p string) (code int, enhanced, text string) {
	key, value, _ := strings.Cut(p, "=")
	switch strings.ToUpper(key) {
	case "SIZE": // RFC 1870
		size, err := strconv.ParseUint(value, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 501, "5.5.4", "malformed SIZE"
		}
		if size > uint64(c.srv.opts.MaxMessage) {
			return 552, "5.3.4", "message too large"
		}
		tx.size = int64(size)
	case "BODY":
		switch strings.ToUpper(value) {
		case "7BIT", "8BITMIME": // RFC 6152
		case "BINARYMIME": // RFC 3030
			if !c.srv.opts.binary() {
				return 555, "5.5.4", "BINARYMIME is not offered"
			}
			tx.binary = true
		default:
			return 501, "5.5.4", "unknown BODY"
		}
	case "SMTPUTF8": // RFC 6531
		if value != "" {
			return 501, "5.5.4", "SMTPUTF8 has no value"
		}
		tx.utf8 = true
	case "AUTH": // RFC 4954, section 5: it may always be ignored
		if c.srv.opts.Auth == nil {
			return 555, "5.5.4", "AUTH is not offered"
		}
	default:
		return 555, "5.5.4", "unknown parameter"
	}
	return 0, "", ""
}

// rcpt adds a recipient to the transaction.
func (c *conn) rcpt(ctx context.Context, arg string) error {
	code, enhanced, text := c.addRecipient(ctx, arg)
	if hook := c.srv.opts.Hooks.Recipient; hook != nil {
		hook(code)
	}
	switch code {
	case 501, 503, 555:
		return c.mistake(code, enhanced, text)
	}
	c.reply(code, enhanced, text)
	return nil
}

func (c *conn) addRecipient(ctx context.Context, arg string) (code int, enhanced, text string) {
	if c.tx == nil || c.tx.msg != nil {
		return 503, "5.5.1", "not here"
	}
	path, ok := cutPrefixFold(arg, "TO:")
	if !ok {
		return 501, "5.5.4", "want RCPT TO:<address>"
	}
	mbox, params, err := address.ForwardPath(strings.TrimLeft(path, " "))
	if err != nil {
		return 501, "5.1.3", err.Error()
	}
	name := "<" + mbox.String() + ">"
	switch {
	case strings.TrimSpace(params) != "":
		return 555, "5.5.4", "unknown parameter"
	case len(c.tx.to) >= c.srv.opts.MaxRecipients:
		return 452, "4.5.3", "too many recipients"
	}
	to, err := c.srv.resolver.Resolve(mbox)
	if err != nil {
		return 550, "5.1.1", name + " unknown user"
	}
	ctx, cancel := context.WithTimeout(ctx, c.srv.opts.DeliverTimeout)
	defer cancel()
	switch err := c.srv.opts.Store.Recipient(ctx, to.Account); {
	case errors.Is(err, mailstore.ErrNoAccount):
		return 550, "5.1.1", name + " unknown user"
	case err != nil:
		c.log.Error("cannot look up a recipient", "account", to.Account, "err", err)
		return 451, "4.3.0", name + " try again later"
	}
	c.tx.to = append(c.tx.to, recipient{address: name, Recipient: to})
	return 250, "2.1.5", name + " OK"
}

// cutPrefixFold is strings.CutPrefix without regard to case, for ASCII prefixes.
func cutPrefixFold(s, prefix string) (after string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
