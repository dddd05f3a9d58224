package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	password = "crash-password"
	minLoad  = 50 * time.Millisecond
	// lineLength is how long the lines of messages are.
	lineLength = 72
)

// load is the clients that work on a server.
type load struct {
	m       *model
	s       *server
	killed  atomic.Bool // from then on connections may break
	clients sync.WaitGroup
}

// startLoad starts all clients.
func startLoad(m *model, s *server, opts options, rng *rand.Rand) *load {
	l := &load{m: m, s: s}
	id := 0
	for _, a := range m.accounts {
		for range opts.Workers {
			id++
			w := &worker{id: id, m: m, a: a, rng: fork(rng), name: fmt.Sprintf("w%d", id)}
			l.run(w.name, func() error { return w.session(s.imap) })
		}
	}
	for i := range opts.Deliverers {
		d := &deliverer{m: m, rng: fork(rng), name: fmt.Sprintf("d%d", i+1)}
		l.run(d.name, func() error { return d.session(s.lmtp) })
	}
	return l
}

func fork(rng *rand.Rand) *rand.Rand { return rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64())) }

// run runs a client. It may end only because the server was killed.
func (l *load) run(name string, client func() error) {
	l.clients.Go(func() {
		err := client()
		if !l.killed.Load() || errors.Is(err, errRefused) {
			l.m.mu.Lock()
			defer l.m.mu.Unlock()
			l.m.violation("client "+name, nil, "while the server ran", fmt.Sprint(err))
		}
	})
}

// kill kills the server and waits for the clients to notice.
func (l *load) kill() {
	l.killed.Store(true)
	l.s.kill()
	l.clients.Wait()
}

func (w *worker) session(addr string) (err error) {
	if w.conn, err = dialIMAP(addr, w.a.name, password); err != nil {
		return err
	}
	defer w.conn.close()
	return w.work()
}

// deliverer is an LMTP client.
type deliverer struct {
	m    *model
	rng  *rand.Rand
	name string
}

func (d *deliverer) session(addr string) error {
	c, err := dialLMTP(addr)
	if err != nil {
		return err
	}
	defer c.close()
	for {
		if err := d.deliver(c); err != nil {
			return err
		}
	}
}

// maxRecipients is how many recipients a message has at most.
const maxRecipients = 5

// deliver delivers a message to some accounts. It is one append to the log: all of them get it, or none.
func (d *deliverer) deliver(c *lmtpConn) error {
	d.m.mu.Lock()
	key := d.m.newKey(d.name)
	to := d.rng.Perm(len(d.m.accounts))
	to = to[:1+d.rng.IntN(min(maxRecipients, len(to)))]
	o := &op{what: fmt.Sprintf("delivery to %d", len(to))}
	var names []string
	for _, i := range to {
		a := d.m.accounts[i]
		inbox := a.boxes["INBOX"]
		inbox.keys[key] = true
		names = append(names, a.name)
		o.changes = append(o.changes, &addition{box: inbox, key: key})
	}
	text := d.m.compose(d.rng, key)
	o.note("sent by %s", d.name)
	d.m.mu.Unlock()
	err := c.deliver(names, text, func(int) { o.acked = true })
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if err != nil && !errors.Is(err, errRefused) {
		d.m.pending = append(d.m.pending, o)
	}
	if err == nil {
		o.note("acknowledged")
		o.apply()
	}
	return err
}

// compose makes a message, and records the hash of its text. Few are large: one in 30 is stored in the log apart from
// its delivery, and one in 200 in several pieces.
func (m *model) compose(rng *rand.Rand, key string) []byte {
	size := 100 + rng.IntN(4000)
	switch n := rng.IntN(200); {
	case n == 0:
		size = 3 << 20
	case n < 7:
		size = 200<<10 + rng.IntN(300<<10)
	}
	raw := make([]byte, size/2)
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rng.Uint32())
	}
	_, _ = rand.NewChaCha8(seed).Read(raw) // never fails
	digits := hex.EncodeToString(raw)
	var text strings.Builder
	for len(digits) > 0 {
		n := min(lineLength, len(digits))
		text.WriteString(digits[:n] + "\r\n")
		digits = digits[n:]
	}
	m.bodies[key] = sha256.Sum256([]byte(text.String()))
	return []byte("From: crash@crash.test\r\nTo: somebody@crash.test\r\nSubject: " + key + "\r\nDate: Mon, 02 Jan 2006 15:04:05 +0000\r\n" +
		"Message-ID: " + key + "\r\n\r\n" + text.String())
}
