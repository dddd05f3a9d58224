package main

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"time"
)

// maxViolations is how many violations are reported.
const maxViolations = 20

// fate is what is known of a message in a mailbox.
type fate int

const (
	gone  fate = iota // its expunge was acknowledged, or it never came
	maybe             // sent or being expunged, and not acknowledged: it may be there
	must              // acknowledged: it has to be there
)

// branch is a history of the site. There are two between a forced promotion of one node and the time when the other gives way.
type branch int

const (
	mainBranch branch = iota // the one that goes on
	sideBranch               // the one whose tail is set aside
	noBranch                 // the client cannot know which one it is told of: UIDs it is told mean nothing
	branches   = 2
)

// ledger is what the clients were told. All of it is guarded by mu.
type ledger struct {
	mu         sync.Mutex
	accounts   []string
	boxes      map[place]*box
	round      int
	serial     int
	counts     counts
	violations []string
}

// counts are totals of a run.
type counts struct {
	deliveries, appends, stores, expunges int // acknowledged
	refused, broken                       int // commands that were not
	readBack                              int // writes that were looked for, and found, after they were acknowledged
	seenLost                              int // messages that a client saw before a primary was killed, and that were not acknowledged
	aside                                 int // envelopes that were set aside
}

// place names a mailbox.
type place struct{ account, name string }

// box is a mailbox.
type box struct {
	place
	l        *ledger
	validity uint32 // UIDVALIDITY; 0 until it was told
	messages map[string]*message
	known    [branches]uidHistory
}

// uidHistory is what was told of UIDs in one branch.
type uidHistory struct {
	next   uint32 // UIDNEXT as it was last observed
	modseq uint64 // HIGHESTMODSEQ likewise
	keys   map[uint32]string
	order  []interval // of commands that were told UIDs since the last round
}

// interval is when a command that assigned a UID was sent and acknowledged.
type interval struct {
	sent, acked time.Time
	uid         uint32
}

// message is a message in a mailbox.
type message struct {
	box     *box
	key     string // Message-ID
	text    [sha256.Size]byte
	fate    fate
	fresh   bool      // its fate was decided since the last round ended
	acked   time.Time // when it became must
	uid     [branches]uint32
	owner   int             // the worker that may change it; 0: none yet
	flags   map[string]fate // those not named are gone
	checked bool            // its octets were compared with those sent
}

func newLedger(accounts int, boxes ...string) *ledger {
	l := &ledger{boxes: map[place]*box{}}
	for i := range accounts {
		name := fmt.Sprintf("user%d@chaos.test", i+1)
		l.accounts = append(l.accounts, name)
		for _, b := range boxes {
			at := place{name, b}
			l.boxes[at] = &box{place: at, l: l, messages: map[string]*message{}}
			l.boxes[at].known[mainBranch].keys = map[uint32]string{}
		}
	}
	return l
}

func (l *ledger) violation(format string, args ...any) {
	if len(l.violations) < maxViolations {
		l.violations = append(l.violations, fmt.Sprintf("round %d: ", l.round)+fmt.Sprintf(format, args...))
	}
}

// err gives the violations as an error.
func (l *ledger) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.violations) == 0 {
		return nil
	}
	return fmt.Errorf("%d violations:\n  %s", len(l.violations), strings.Join(l.violations, "\n  "))
}

func (b *box) violation(key, format string, args ...any) {
	b.l.violation("%s %s: %s: %s", b.account, b.name, key, fmt.Sprintf(format, args...))
}

// newKey makes a Message-ID.
func (l *ledger) newKey(who string) string {
	l.serial++
	return fmt.Sprintf("<r%d.%s.%d@chaos.test>", l.round, who, l.serial)
}

// add notes a message that is about to be sent.
func (b *box) add(key string, text []byte, owner int, flags ...string) *message {
	m := &message{box: b, key: key, text: sha256.Sum256(text), fate: maybe, owner: owner, flags: map[string]fate{}, fresh: true}
	for _, f := range flags {
		m.flags[f] = must
	}
	b.messages[key] = m
	return m
}

// expunged notes that the expunge of a message was acknowledged.
func (m *message) expunged(br branch) {
	m.fate, m.fresh = gone, true
	if br != mainBranch { // nothing is deleted for the sake of a history that ends
		m.inDoubt()
	}
}

// inDoubt notes that a message that was expunged may be back.
func (m *message) inDoubt() {
	m.fate = maybe
	for f := range m.flags {
		m.flags[f] = maybe
	}
}

// acknowledged notes that a message that was sent was taken.
func (m *message) acknowledged(now time.Time) { m.fate, m.acked, m.fresh = must, now, true }

// told notes the UID that a command was told to have given a message.
func (m *message) told(br branch, uid, validity uint32, sent, acked time.Time) {
	m.box.told(validity)
	if br == noBranch {
		return
	}
	h := &m.box.known[br]
	if uid < h.next {
		m.box.violation(m.key, "got UID %d, when UIDNEXT had been %d", uid, h.next)
	}
	h.order = append(h.order, interval{sent, acked, uid})
	m.identified(br, uid)
}

// identified notes which message a UID names.
func (m *message) identified(br branch, uid uint32) {
	if br == noBranch {
		return
	}
	h := &m.box.known[br]
	if old, ok := h.keys[uid]; ok && old != m.key {
		m.box.violation(m.key, "has UID %d, which was %s before", uid, old)
	}
	if was := m.uid[br]; was != 0 && was != uid {
		m.box.violation(m.key, "has UID %d, and had UID %d before", uid, was)
	}
	h.keys[uid], m.uid[br] = m.key, uid
}

// told notes the UIDVALIDITY of the mailbox.
func (b *box) told(validity uint32) {
	if b.validity == 0 {
		b.validity = validity
	}
	if validity == 0 || validity != b.validity {
		b.violation("mailbox", "UIDVALIDITY %d became %d", b.validity, validity)
	}
}

// fork begins the side branch with what is known of the main one.
func (l *ledger) fork() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.boxes {
		was := b.known[mainBranch]
		keys := make(map[uint32]string, len(was.keys))
		for uid, key := range was.keys {
			keys[uid] = key
		}
		b.known[sideBranch] = uidHistory{next: was.next, modseq: was.modseq, keys: keys}
		for _, m := range b.messages {
			m.uid[sideBranch] = m.uid[mainBranch]
		}
	}
}

// join forgets the side branch.
func (l *ledger) join() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.boxes {
		b.ordered(sideBranch)
		b.known[sideBranch] = uidHistory{}
		for _, m := range b.messages {
			m.uid[sideBranch] = 0
		}
	}
}

// ordered checks that UIDs were given in the order of the commands: of two of which one was acknowledged before the other was sent, it got
// the lower UID.
func (b *box) ordered(br branch) {
	h := &b.known[br]
	sortByUID(h.order)
	var first time.Time // the earliest acknowledgement among those with higher UIDs
	for i := len(h.order) - 1; i >= 0; i-- {
		o := h.order[i]
		if !first.IsZero() && first.Before(o.sent) {
			b.violation(h.keys[o.uid], "was given UID %d, when a higher one had been acknowledged %v before it was sent", o.uid, o.sent.Sub(first))
		}
		if first.IsZero() || o.acked.Before(first) {
			first = o.acked
		}
	}
	h.order = nil
}
