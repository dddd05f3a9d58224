package lmtpd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// data receives a message that ends with a dot, and delivers it. An error while the message is read ends the connection before anything is
// delivered.
func (c *conn) data(ctx context.Context, arg string) error {
	switch {
	case arg != "":
		return c.mistake(501, "5.5.4", "DATA has no arguments")
	case c.tx == nil || len(c.tx.to) == 0:
		return c.badSequence("no valid recipients") // RFC 2033, section 4.2
	case c.tx.msg != nil:
		return c.badSequence("not after BDAT") // RFC 3030, section 2
	case c.tx.binary:
		return c.badSequence("BINARYMIME needs BDAT") // RFC 3030, section 3
	}
	c.reply(354, "", "end with <CRLF>.<CRLF>")
	c.tx.msg = c.srv.newReceipt(c.trace(), c.tx.size)
	if err := c.tx.msg.readData(c.br); err != nil {
		return fmt.Errorf("receive a message: %w", err)
	}
	c.deliver(ctx)
	return nil
}

// bdat receives a chunk of a message, and delivers the message after the last one (RFC 3030, section 2). In LMTP the last
// chunk has an answer for each recipient, whatever became of those before.
func (c *conn) bdat(ctx context.Context, arg string) error {
	size, last, err := parseBDAT(arg)
	if err != nil {
		c.reply(501, "5.5.4", err.Error()) // where the chunk ends is not known
		c.log.Warn("malformed BDAT")
		return errQuit
	}
	if c.tx == nil || len(c.tx.to) == 0 {
		if err := discard(c.br, size); err != nil {
			return err
		}
		return c.badSequence("no valid recipients")
	}
	if c.tx.msg == nil {
		c.tx.msg = c.srv.newReceipt(c.trace(), max(c.tx.size, int64(min(size, trustSize))))
	}
	m := c.tx.msg
	if err := m.readChunk(c.br, size); err != nil {
		return fmt.Errorf("receive a message: %w", err)
	}
	switch {
	case last:
		c.deliver(ctx)
	case m.lost():
		a := m.refusal()
		c.reply(a.code, a.enhanced, a.text)
	default:
		c.reply(250, "2.0.0", fmt.Sprintf("%d octets", size))
	}
	return nil
}

// parseBDAT reads "size" or "size LAST".
func parseBDAT(arg string) (size uint64, last bool, err error) {
	fields := strings.Fields(arg)
	if len(fields) == 0 || len(fields) > 2 {
		return 0, false, errors.New("want BDAT size [LAST]")
	}
	if len(fields) == 2 {
		if last = strings.EqualFold(fields[1], "LAST"); !last {
			return 0, false, errors.New("want BDAT size [LAST]")
		}
	}
	if size, err = strconv.ParseUint(fields[0], 10, 63); err != nil {
		return 0, false, errors.New("malformed size")
	}
	return size, last, nil
}
