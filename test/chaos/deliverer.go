package main

import (
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-smtp"
)

// deliverer is an LMTP client. At times it looks by IMAP, at the same node, for what it delivered.
type deliverer struct {
	client
	imap string
	look map[string]*imapclient.Client // by account
}

// maxRecipients is how many recipients a message has at most.
const maxRecipients = 3

func (d *deliverer) run() {
	d.look = map[string]*imapclient.Client{}
	defer func() {
		for _, c := range d.look {
			_ = closeQuietly(c)
		}
	}()
	for d.ctx.Err() == nil {
		if err := d.session(); err != nil {
			d.failed("deliver", err)
			if !d.rest(retryPause) {
				return
			}
		}
	}
}

func (d *deliverer) session() error {
	conn, err := net.DialTimeout("tcp", d.addr, dialTimeout)
	if err != nil {
		return err
	}
	stop := closeAfter(d.load, conn)
	defer stop()
	c := smtp.NewClientLMTP(conn)
	defer c.Close()
	if err := c.Hello("chaos.test"); err != nil {
		return err
	}
	for d.ctx.Err() == nil {
		if err := d.deliver(c); err != nil {
			return err
		}
		if !d.rest(time.Duration(d.rng.Int64N(int64(d.opts.Pause)))) {
			return nil
		}
	}
	return nil
}

// deliver delivers a message to some accounts.
func (d *deliverer) deliver(c *smtp.Client) error {
	to := d.rng.Perm(len(d.l.accounts))
	to = to[:1+d.rng.IntN(min(maxRecipients, len(to)))]
	d.l.mu.Lock()
	key := d.l.newKey(d.name)
	raw, text := compose(d.rng, key)
	messages := map[string]*message{}
	for _, i := range to {
		account := d.l.accounts[i]
		messages[account] = d.l.boxes[place{account, inbox}].add(key, text, 0)
	}
	d.l.mu.Unlock()
	v := d.view()
	sent := time.Now()
	answers, err := d.send(c, messages, raw)
	now := time.Now()
	d.l.mu.Lock()
	for account, a := range answers {
		if m := messages[account]; m != nil && a {
			m.acknowledged(now)
			d.l.counts.deliveries++
			d.acked(sent, now)
		}
	}
	d.l.mu.Unlock()
	if err != nil {
		return err
	}
	if d.rng.IntN(4) == 0 {
		d.readBack(v, messages[d.l.accounts[to[0]]])
	}
	return nil
}

// send gives the accounts for which the message was taken.
func (d *deliverer) send(c *smtp.Client, to map[string]*message, raw []byte) (map[string]bool, error) {
	if err := c.Mail("chaos@chaos.test", nil); err != nil {
		return nil, err
	}
	for account := range to {
		if err := c.Rcpt(account, nil); err != nil {
			return nil, err
		}
	}
	w, err := c.Data()
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(raw); err != nil {
		return nil, err
	}
	answers, err := w.CloseWithLMTPResponse()
	taken := map[string]bool{}
	for account := range answers {
		taken[account] = true
	}
	return taken, err
}

// readBack looks for a message that was delivered under a view.
func (d *deliverer) readBack(v *view, m *message) {
	if d.since(v) == noBranch {
		return
	}
	c, err := d.lookAt(m.box.account)
	if err != nil {
		d.failed("log in to look for a delivery", err)
		return
	}
	var found []*imapclient.FetchMessageBuffer
	err = within(c, commandTimeout, func() error {
		data, err := c.Select(inbox, &imap.SelectOptions{ReadOnly: true}).Wait()
		if err != nil || data.NumMessages == 0 {
			return err
		}
		from := uint32(1)
		if data.NumMessages > lookBack {
			from = data.NumMessages - lookBack
		}
		found, err = c.Fetch(imap.SeqSet{{Start: from, Stop: 0}}, fetchKeys()).Collect()
		return err
	})
	if err != nil {
		delete(d.look, m.box.account)
		_ = closeQuietly(c)
		d.failed("look for a delivery", err)
		return
	}
	d.l.mu.Lock()
	defer d.l.mu.Unlock()
	switch {
	case d.since(v) == noBranch || m.fate != must: // it was expunged meanwhile
	case !slices.ContainsFunc(found, func(f *imapclient.FetchMessageBuffer) bool { return keyOf(f) == m.key }):
		m.box.violation(m.key, "was acknowledged to %s, which did not see it by IMAP at the same node", d.name)
	default:
		d.l.counts.readBack++
	}
}

// lookBack is among how many of the newest messages a delivery is looked for.
const lookBack = 200

func (d *deliverer) lookAt(account string) (*imapclient.Client, error) {
	if c := d.look[account]; c != nil {
		return c, nil
	}
	c, err := dialIMAP(d.imap, account)
	if err != nil {
		return nil, fmt.Errorf("as %s: %w", account, err)
	}
	d.look[account] = c
	return c, nil
}

// closeAfter closes a connection when the clients had long enough to end. The function it gives ends that.
func closeAfter(ld *load, c interface{ Close() error }) (stop func()) {
	done := make(chan struct{})
	go func() {
		select {
		case <-ld.cut.Done():
			_ = closeQuietly(c)
		case <-done:
		}
	}()
	return func() { close(done) }
}
