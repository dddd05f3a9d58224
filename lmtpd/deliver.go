package lmtpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"angarium/mailstore"
)

// answer is what a client is told of a message.
type answer struct {
	code     int
	enhanced string // RFC 3463
	text     string
}

var (
	tooLarge    = answer{552, "5.3.4", "message too large"}
	noMemory    = answer{452, "4.3.1", "too many messages at once, try again later"}
	unavailable = answer{451, "4.3.0", "try again later"}
)

// refusal is the answer for a message that was not kept.
func (m *receipt) refusal() answer {
	if m.over {
		return tooLarge
	}
	return noMemory
}

// deliver hands the message to the store, answers for each recipient in their order (RFC 2033, section 4.2), and ends the
// transaction.
func (c *conn) deliver(ctx context.Context) {
	defer c.endTransaction()
	tx, m := c.tx, c.tx.msg
	octets := max(len(m.buf)-m.head, 0)
	start := time.Now()
	answers := c.store(ctx, tx)
	took := time.Since(start)
	codes := make([]int, len(tx.to))
	accepted := 0
	for i, a := range answers {
		codes[i] = a.code
		if a.code == 250 {
			accepted++
		}
		c.reply(a.code, a.enhanced, tx.to[i].address+" "+a.text)
	}
	c.log.LogAttrs(ctx, slog.LevelInfo, "message", slog.String("transaction", tx.id), slog.String("from", tx.from.String()),
		slog.Int("recipients", len(answers)), slog.Int("accepted", accepted), slog.Int("octets", octets), slog.Duration("store", took))
	if hook := c.srv.opts.Hooks.Delivered; hook != nil {
		hook(Delivery{Octets: octets, Codes: codes, Receive: start.Sub(m.start), Store: took})
	}
}

// store delivers and gives the answer for each recipient.
func (c *conn) store(ctx context.Context, tx *transaction) []answer {
	answers := make([]answer, len(tx.to))
	all := func(a answer) []answer {
		for i := range answers {
			answers[i] = a
		}
		return answers
	}
	m := tx.msg
	if m.lost() {
		return all(m.refusal())
	}
	if a, ok := c.clean(tx, m); !ok {
		return all(a)
	}
	body, err := c.prepare(m.whole())
	if err != nil {
		return all(c.answerFor(err, tx))
	}
	ctx, cancel := context.WithTimeout(ctx, c.srv.opts.DeliverTimeout)
	defer cancel()
	to := make([]mailstore.Recipient, len(tx.to))
	for i, r := range tx.to {
		to[i] = r.Recipient
	}
	results := c.srv.opts.Store.Deliver(ctx, c.identity(), body, to)
	if len(results) != len(to) {
		c.log.Error("the store did not answer for every recipient", "transaction", tx.id, "recipients", len(to), "results", len(results))
		return all(unavailable)
	}
	for i, r := range results {
		answers[i] = c.answerFor(r.Err, tx)
	}
	return answers
}

// prepare survives a panic: a message that breaks the parser stays with the transfer agent, and the server lives on.
func (c *conn) prepare(raw []byte) (b *mailstore.Body, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.log.Error("panic while a message was parsed", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			b, err = nil, fmt.Errorf("prepare the message: %v", r)
		}
	}()
	return c.srv.opts.Store.Prepare(raw)
}

// identity is on whose behalf mail is delivered: the server's own, which may deliver to everybody.
func (c *conn) identity() mailstore.Identity {
	return mailstore.Identity{Account: c.account, Service: "lmtp", Session: c.id, Client: clientName(c.remote), Admin: true}
}

// answerFor gives the answer for a result of the store.
func (c *conn) answerFor(err error, tx *transaction) answer {
	switch {
	case err == nil:
		return answer{250, "2.0.0", "OK " + tx.id}
	case errors.Is(err, mailstore.ErrNoAccount):
		return answer{550, "5.1.1", "unknown user"}
	case errors.Is(err, mailstore.ErrTooLarge):
		return tooLarge
	case errors.Is(err, mailstore.ErrLimit):
		return answer{452, "4.2.2", "mailbox is full"}
	}
	c.log.Error("delivery failed", "transaction", tx.id, "err", err)
	return unavailable
}

// clean applies the policies to a message; when it returns false, the answer says why it is refused.
func (c *conn) clean(tx *transaction, m *receipt) (answer, bool) {
	opts := &c.srv.opts
	if opts.NUL != Accept && hasNUL(m.message()) {
		if opts.NUL == Reject {
			return answer{554, "5.6.0", "message has NUL octets"}, false
		}
		m.buf = stripNUL(m.buf, m.head)
	}
	if opts.BareNewline != Accept {
		stray, extra := strayNewlines(m.message())
		switch {
		case !stray:
		case opts.BareNewline == Reject:
			return answer{554, "5.6.0", "message has lines that do not end with CRLF"}, false
		case int64(len(m.message())+extra) > opts.MaxMessage:
			return tooLarge, false
		case !m.charge(int64(cap(m.buf) + len(m.buf) + extra)):
			return noMemory, false
		default:
			m.buf = normalizeNewlines(m.buf, m.head, extra)
		}
	}
	m.buf = removeReturnPath(m.buf, m.head)
	return answer{}, true
}
