package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/replica/state"
)

func simCredential() event.Credential {
	return event.Credential{Iterations: 4096, Salt: make([]byte, 16), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
}

// simFate is what the clients know of something.
type simFate int

const (
	simGone  simFate = iota // it did not come about, or its end was acknowledged
	simMaybe                // nobody knows
	simMust                 // it was acknowledged
)

// simMessage is what the client that sent a message knows of it.
type simMessage struct {
	guid    event.GUID
	account string
	fate    simFate
	flagged simFate
	moves   int // begun
}

// simTold is a UID that an append was told to have given.
type simTold struct {
	at          simPlace
	guid        event.GUID
	sent, acked time.Time
	epoch       uint64 // the highest that the node knew of before the append began
}

type simPlace struct {
	box event.MailboxID
	uid uint32
}

// simLedger is what the clients were told.
type simLedger struct {
	site *simSite

	mu       sync.Mutex
	messages []*simMessage
	told     []simTold
	forced   []uint64 // the epochs that a forced promotion began
	ever     bool     // a promotion was forced, or at least tried
	boxes    int
	acked    int
	unknown  int
	refused  int
}

func newSimLedger(s *simSite) *simLedger { return &simLedger{site: s} }

// fork notes that a promotion is about to be forced: what was acknowledged until all are one again may be taken back, but for messages.
func (l *simLedger) fork() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ever = true
	for _, m := range l.messages {
		if m.fate == simGone {
			m.fate = simMaybe
		}
	}
}

// outcome counts what became of a write, and says what is known of it.
func (l *simLedger) outcome(life *simLife, err error) simFate {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case life.dead():
		l.unknown++
		return simMaybe
	case err == nil:
		l.acked++
		return simMust
	case errors.Is(err, eventlog.ErrUnknown):
		l.unknown++
		return simMaybe
	}
	l.refused++
	return simGone
}

// simClient is a client at work.
type simClient struct {
	site    *simSite
	name    string
	rnd     *rand.Rand
	own     []*simMessage
	account string
	node    *simNode
	serial  int
}

// client works until ctx ends.
func (s *simSite) client(ctx context.Context, number int, rnd *rand.Rand) {
	c := &simClient{
		site: s, name: fmt.Sprintf("client %d", number), rnd: rnd, account: s.accounts[number%len(s.accounts)], node: s.nodes[rnd.IntN(len(s.nodes))],
	}
	for ctx.Err() == nil {
		time.Sleep(time.Duration(rnd.IntN(600)) * time.Millisecond)
		if rnd.IntN(8) == 0 {
			c.node = s.nodes[rnd.IntN(len(s.nodes))]
		}
		life, leave := c.node.enter()
		if life == nil {
			continue
		}
		limit, cancel := context.WithTimeout(life.ctx, time.Duration(1+rnd.IntN(15))*time.Second)
		c.act(limit, life)
		cancel()
		leave()
	}
}

func (c *simClient) act(ctx context.Context, l *simLife) {
	var m *simMessage
	if len(c.own) > 0 {
		m = c.own[c.rnd.IntN(len(c.own))]
	}
	switch k := c.rnd.IntN(20); {
	case m == nil || k < 5:
		c.append(ctx, l)
	case k < 9:
		c.deliver(ctx, l)
	case k < 13:
		c.flag(ctx, l, m)
	case k < 15:
		c.move(ctx, l, m)
	case k < 18:
		c.expunge(ctx, l, m)
	case k < 19:
		c.create(ctx, l)
	default:
		c.rename(ctx, l)
	}
}

// write makes a message.
func (c *simClient) write(l *simLife) (*simMessage, *mailstore.Body) {
	c.serial++
	raw := fmt.Appendf(nil, "Subject: %s, number %d\r\nMessage-ID: <%d.%d@sim>\r\n\r\nHello\r\n", c.name, c.serial, c.rnd.Uint64(), c.serial)
	b, err := l.store().Prepare(raw)
	if err != nil {
		c.site.failf("prepare: %v", err)
		return nil, nil
	}
	m := &simMessage{guid: sha256.Sum256(raw), account: c.account, fate: simMaybe}
	led := c.site.ledger
	led.mu.Lock()
	defer led.mu.Unlock()
	led.messages = append(led.messages, m)
	return m, b
}

// sent notes what became of a message.
func (c *simClient) sent(l *simLife, what string, m *simMessage, err error) simFate {
	f := c.site.ledger.outcome(l, err)
	c.site.tracef("%s: %s %.6s at %s/%d: %v", c.name, what, m.guid, l.of.name, l.of.lives, short(err))
	c.site.ledger.mu.Lock()
	m.fate = f
	c.site.ledger.mu.Unlock()
	if f == simMust {
		c.own = append(c.own, m)
	}
	return f
}

func short(err error) string {
	if err == nil {
		return "ok"
	}
	return fmt.Sprintf("%.300s", err.Error())
}

func (c *simClient) deliver(ctx context.Context, l *simLife) {
	m, b := c.write(l)
	if m == nil {
		return
	}
	res := l.store().Deliver(ctx, simAdmin, b, []mailstore.Recipient{{Account: c.account}})
	c.sent(l, "deliver", m, res[0].Err)
}

func (c *simClient) append(ctx context.Context, l *simLife) {
	m, b := c.write(l)
	if m == nil {
		return
	}
	sent, epoch := time.Now(), l.knownEpoch()
	res, err := l.store().Append(ctx, simAdmin, c.account, mailstore.Inbox, []mailstore.NewMessage{{Body: b}})
	at := simPlace{res.Mailbox, res.First}
	if err == nil && !l.dead() {
		if guid, there := c.look(l, at); !there || guid != m.guid {
			c.site.failf("%s appended %.6s at %s and was told UID %d, which it does not see there: %v %.6s", c.name, m.guid, l.of.name, at.uid, there, guid)
		}
	}
	if c.sent(l, fmt.Sprintf("append (UID %d, epoch %d)", at.uid, epoch), m, err) == simMust {
		led := c.site.ledger
		led.mu.Lock()
		led.told = append(led.told, simTold{at: at, guid: m.guid, sent: sent, acked: time.Now(), epoch: epoch})
		led.mu.Unlock()
	}
}

// knownEpoch is the highest epoch that the node knows to have begun.
func (l *simLife) knownEpoch() uint64 {
	_, theirs := l.node.site.leader()
	return max(theirs, l.node.epoch())
}

// look reads which message has a UID.
func (c *simClient) look(l *simLife, at simPlace) (event.GUID, bool) {
	var guid event.GUID
	found := false
	r := l.node.shards[mailstore.ShardOf(c.account, len(l.node.shards))].replica
	err := state.ScanMessages(r.Reader(), at.box, at.uid, at.uid, func(m state.Message) (bool, error) {
		guid, found = m.GUID, true
		return true, nil
	})
	if err != nil && !l.dead() {
		c.site.failf("look: %v", err)
	}
	return guid, found
}

// find opens the mailbox that has a message of the client.
func (c *simClient) find(ctx context.Context, l *simLife, m *simMessage) (*mailstore.Mailbox, uint32) {
	list, err := l.store().Mailboxes(ctx, simAdmin, c.account)
	if err != nil {
		return nil, 0
	}
	for _, b := range list {
		mb, err := l.store().Open(ctx, simAdmin, c.account, b.Name, false)
		if err != nil {
			continue
		}
		uid := uint32(0)
		err = mb.Messages(1, 1<<32-1, func(row state.Message) (bool, error) {
			if row.GUID == m.guid {
				uid = row.UID
			}
			return true, nil
		})
		if err == nil && uid != 0 {
			return mb, uid
		}
		mb.Close()
	}
	return nil, 0
}

func (c *simClient) flag(ctx context.Context, l *simLife, m *simMessage) {
	mb, uid := c.find(ctx, l, m)
	if mb == nil {
		return
	}
	defer mb.Close()
	led := c.site.ledger
	led.mu.Lock()
	if m.flagged == simGone {
		m.flagged = simMaybe
	}
	led.mu.Unlock()
	res, err := mb.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: event.UIDsOf(uid), Op: mailstore.AddFlags, Flags: []string{`\Flagged`}})
	f := led.outcome(l, err)
	c.site.tracef("%s: flag %.6s (UID %d) at %s: %v %v", c.name, m.guid, uid, l.of.name, res.Changed, short(err))
	if f == simMust && res.Changed.Contains(uid) {
		led.mu.Lock()
		m.flagged = simMust
		led.mu.Unlock()
	}
}

func (c *simClient) move(ctx context.Context, l *simLife, m *simMessage) {
	mb, uid := c.find(ctx, l, m)
	if mb == nil {
		return
	}
	defer mb.Close()
	list, err := l.store().Mailboxes(ctx, simAdmin, c.account)
	if err != nil {
		return
	}
	to := list[c.rnd.IntN(len(list))]
	if to.ID == mb.ID() {
		return
	}
	led := c.site.ledger
	led.mu.Lock()
	m.moves++
	led.mu.Unlock()
	_, err = mb.Move(ctx, event.UIDsOf(uid), to.Name)
	led.outcome(l, err)
	c.site.tracef("%s: move %.6s (UID %d) to %s at %s: %v", c.name, m.guid, uid, to.Name, l.of.name, short(err))
}

func (c *simClient) expunge(ctx context.Context, l *simLife, m *simMessage) {
	mb, uid := c.find(ctx, l, m)
	if mb == nil {
		return
	}
	defer mb.Close()
	led := c.site.ledger
	led.mu.Lock()
	if m.fate == simMust {
		m.fate = simMaybe
	}
	copies := m.moves
	led.mu.Unlock()
	_, err := mb.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: event.UIDsOf(uid), Op: mailstore.AddFlags, Flags: []string{`\Deleted`}})
	led.outcome(l, err)
	var removed event.UIDSet
	if err == nil {
		removed, _, err = mb.Expunge(ctx, event.UIDsOf(uid))
		f := led.outcome(l, err)
		led.mu.Lock()
		if f == simMust && removed.Contains(uid) && !led.ever && copies == 0 { // nothing is deleted for the sake of a history that ends
			m.fate = simGone
		}
		led.mu.Unlock()
	}
	c.site.tracef("%s: expunge %.6s (UID %d) at %s: %v %v", c.name, m.guid, uid, l.of.name, removed, short(err))
}

func (c *simClient) create(ctx context.Context, l *simLife) {
	c.site.ledger.mu.Lock()
	c.site.ledger.boxes++
	name := fmt.Sprintf("Box %d", c.site.ledger.boxes)
	c.site.ledger.mu.Unlock()
	_, err := l.store().CreateMailbox(ctx, simAdmin, c.account, mailstore.NewMailbox{Name: name})
	c.site.ledger.outcome(l, err)
	c.site.tracef("%s: create %s at %s: %v", c.name, name, l.of.name, short(err))
}

func (c *simClient) rename(ctx context.Context, l *simLife) {
	list, err := l.store().Mailboxes(ctx, simAdmin, c.account)
	if err != nil {
		return
	}
	b := list[c.rnd.IntN(len(list))]
	if b.Name == mailstore.Inbox {
		return
	}
	to := fmt.Sprintf("%s'", b.Name)
	err = l.store().RenameMailbox(ctx, simAdmin, c.account, b.Name, to)
	c.site.ledger.outcome(l, err)
	c.site.tracef("%s: rename %s to %s at %s: %v", c.name, b.Name, to, l.of.name, short(err))
}
