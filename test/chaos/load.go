package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-smtp"
)

const (
	inbox  = "INBOX"
	shared = "Shared"
	// minLoad is the shortest time that clients work.
	minLoad = 200 * time.Millisecond
	// stopGrace is how long clients have to end their commands before their connections are closed.
	stopGrace = 5 * time.Second
	// retryPause is how long a client waits after a failure.
	retryPause = 30 * time.Millisecond
	// lineLength is how long the lines of messages are.
	lineLength = 72
)

// load is the clients at work in one part of a round.
type load struct {
	l       *ledger
	opts    options
	grace   time.Duration          // stopGrace, or what takes its place
	strict  bool                   // nothing may fail
	addOnly bool                   // flags are only set, never cleared
	views   []atomic.Pointer[view] // of the clients of each node
	ctx     context.Context        // ends when the clients are to stop
	stop    context.CancelFunc
	cut     context.Context // ends when connections are to be closed under their commands
	cutNow  context.CancelFunc
	clients sync.WaitGroup

	mu   sync.Mutex
	acks []time.Time   // of acknowledged writes
	slow time.Duration // the longest that one of them took
	last []time.Time   // when the last of them was sent, by the node of the client
}

// client is what all clients have.
type client struct {
	*load
	rng  *rand.Rand
	name string
	at   int // the node, by its index
	addr string
}

// startLoad starts the clients of a site. nodes gives, for the clients of each node, the node that they connect to; nil is for none.
func startLoad(l *ledger, opts options, rng *rand.Rand, strict, addOnly bool, nodes []*node) *load {
	ld := &load{l: l, opts: opts, grace: stopGrace, strict: strict, addOnly: addOnly, views: make([]atomic.Pointer[view], len(nodes)), last: make([]time.Time, len(nodes))}
	ld.ctx, ld.stop = context.WithCancel(context.Background())
	ld.cut, ld.cutNow = context.WithCancel(context.Background())
	for i, n := range nodes {
		ld.setBranch(i, mainBranch)
		seed := [2]uint64{rng.Uint64(), rng.Uint64()}
		if n == nil {
			continue
		}
		for j, account := range l.accounts {
			id := 1 + i*len(l.accounts) + j
			w := &worker{client: client{ld, rand.New(rand.NewPCG(seed[0], uint64(id))), fmt.Sprintf("w%d", id), i, n.imap}, id: id, account: account}
			ld.clients.Go(w.run)
		}
		d := &deliverer{client: client{ld, rand.New(rand.NewPCG(seed[1], uint64(i))), fmt.Sprintf("d%d", i+1), i, n.lmtp}, imap: n.imap}
		ld.clients.Go(d.run)
	}
	return ld
}

// end lets the clients end their commands, and closes the connections of those that do not.
func (ld *load) end() {
	ld.stop()
	late := time.AfterFunc(ld.grace, func() {
		if ld.strict {
			ld.l.mu.Lock()
			ld.l.violation("a client's command was not answered within %v", ld.grace)
			ld.l.mu.Unlock()
		}
		ld.cutNow()
	})
	ld.clients.Wait()
	late.Stop()
	ld.cutNow()
}

// view says which history clients are told of; each that is set is another one.
type view struct{ branch branch }

// setBranch says which history the clients of a node are told of from now on. A command that is under way tells of none.
func (ld *load) setBranch(at int, br branch) { ld.views[at].Store(&view{br}) }

func (c *client) view() *view { return c.views[c.at].Load() }

// since gives the history that a command was told of that was sent under a view.
func (c *client) since(v *view) branch {
	if c.view() != v {
		return noBranch
	}
	return v.branch
}

// rest pauses a client; false when it is to stop.
func (c *client) rest(d time.Duration) bool {
	select {
	case <-c.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// acked counts a write that was acknowledged.
func (c *client) acked(sent, now time.Time) {
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	c.acks = append(c.acks, now)
	c.slow = max(c.slow, now.Sub(sent))
	if sent.After(c.last[c.at]) {
		c.last[c.at] = sent
	}
}

// lastSent says when the last write was sent that a node acknowledged to its clients.
func (ld *load) lastSent(at int) time.Time {
	ld.mu.Lock()
	defer ld.mu.Unlock()
	return ld.last[at]
}

// gap gives the longest time between two acknowledgements that ended after a moment, and the longest that any write took.
func (ld *load) gap(from time.Time) (gap, slow time.Duration) {
	ld.mu.Lock()
	defer ld.mu.Unlock()
	for i := 1; i < len(ld.acks); i++ {
		if ld.acks[i].After(from) {
			gap = max(gap, ld.acks[i].Sub(ld.acks[i-1]))
		}
	}
	return gap, ld.slow
}

// failed counts a command that failed. It is a violation where nothing may.
func (c *client) failed(what string, err error) {
	var no *imap.Error
	var code *smtp.SMTPError
	var codes smtp.LMTPDataError
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if errors.As(err, &no) || errors.As(err, &code) || errors.As(err, &codes) {
		c.l.counts.refused++
	} else {
		c.l.counts.broken++
	}
	if c.strict && c.cut.Err() == nil {
		c.l.violation("%s at %s: %s: %v", c.name, time.Now().Format(timeFormat), what, err)
	}
}

// compose makes a message and gives its text, too.
func compose(rng *rand.Rand, key string) (message, text []byte) {
	size := 100 + rng.IntN(3000)
	if rng.IntN(100) == 0 {
		size = 200 << 10 // stored in the log apart from its delivery
	}
	raw := make([]byte, size/2)
	for i := range raw {
		raw[i] = byte(rng.Uint32())
	}
	var b strings.Builder
	for digits := hex.EncodeToString(raw); len(digits) > 0; {
		n := min(lineLength, len(digits))
		b.WriteString(digits[:n] + "\r\n")
		digits = digits[n:]
	}
	text = []byte(b.String())
	head := "From: chaos@chaos.test\r\nTo: somebody@chaos.test\r\nSubject: " + key + "\r\nDate: Mon, 02 Jan 2006 15:04:05 +0000\r\nMessage-ID: " + key + "\r\n\r\n"
	return append([]byte(head), text...), text
}

// flagNames are the flags that the clients use.
func flagNames() []string {
	return []string{`\Seen`, `\Answered`, `\Flagged`, `\Draft`, `\Deleted`, "kw1", "kw2", "kw3", "kw4"}
}

// pickFlag chooses a flag that is not for expunging.
func pickFlag(rng *rand.Rand) string {
	names := flagNames()
	if i := rng.IntN(len(names)); names[i] != `\Deleted` {
		return names[i]
	}
	return names[0]
}
