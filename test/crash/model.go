package main

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// maxViolations is how many violations are reported.
const maxViolations = 20

// model is what has to be there, from what the clients were told. All of it is guarded by mu.
type model struct {
	mu       sync.Mutex
	accounts []*account
	round    int
	bodies   map[string][sha256.Size]byte // hash of the text of each message, by Message-ID
	pending  []*op                        // commands that were under way when the server died
	failures []string
	serial   int
	shards   int
}

// account is an account of the model.
type account struct {
	m       *model
	name    string
	boxes   map[string]*box // by name
	used    map[string]map[uint32]bool
	history map[string][]string // by Message-ID or mailbox name
}

// box is a mailbox of the model.
type box struct {
	account     *account
	name        string
	owner       int    // the worker that may rename or delete it; 0: nobody
	id          string // MAILBOXID; "" until a check has seen it
	uidvalidity uint32 // 0 until it was told
	uidnext     uint32 // lower bound of UIDs given from now on
	highest     uint64 // HIGHESTMODSEQ at the last check
	live        []*message
	ledger      map[uint32]string // the Message-ID that each UID was ever seen to have
	keys        map[string]bool   // every Message-ID that was ever to go here
}

// message is a message in a mailbox of the model.
type message struct {
	box     *box
	key     string // Message-ID
	uid     uint32 // 0: not known yet
	flags   []string
	modseq  uint64 // 0: not known
	emailID string // "" until a check has seen it
	owner   int    // the worker that may change it; 0: nobody yet
	checked bool   // its octets were compared with those sent
}

func newModel(accounts, shards int) *model {
	m := &model{shards: max(shards, 1), bodies: map[string][sha256.Size]byte{}}
	for i := range accounts {
		a := &account{m: m, name: fmt.Sprintf("user%d@crash.test", i+1), boxes: map[string]*box{}, used: map[string]map[uint32]bool{}, history: map[string][]string{}}
		a.addBox("INBOX", 0)
		m.accounts = append(m.accounts, a)
	}
	return m
}

func (a *account) addBox(name string, owner int) *box {
	b := newBox(a, name, owner)
	a.boxes[name] = b
	return b
}

func newBox(a *account, name string, owner int) *box {
	return &box{account: a, name: name, owner: owner, uidnext: 1, ledger: map[uint32]string{}, keys: map[string]bool{}}
}

// note records something about a message or a mailbox.
func (a *account) note(about, format string, args ...any) {
	a.history[about] = append(a.history[about], fmt.Sprintf("round %d: ", a.m.round)+fmt.Sprintf(format, args...))
}

// violation records that the server broke a promise about a message or a mailbox.
func (a *account) violation(about, format string, args ...any) {
	a.m.violation(a.name, a.history[about], about, fmt.Sprintf(format, args...))
}

func (m *model) violation(account string, history []string, about, text string) {
	if len(m.failures) == maxViolations {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s\n", account, about, text)
	for _, h := range history {
		fmt.Fprintf(&b, "    %s\n", h)
	}
	m.failures = append(m.failures, b.String())
}

// err gives the violations as an error.
func (m *model) err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.failures) == 0 {
		return nil
	}
	return fmt.Errorf("%d violations:\n%s", len(m.failures), strings.Join(m.failures, ""))
}

// newKey makes a Message-ID.
func (m *model) newKey(who string) string {
	m.serial++
	return fmt.Sprintf("<r%d.%s.%d@crash.test>", m.round, who, m.serial)
}

// identify records which message a UID names, and says whether it named no other before.
func (b *box) identify(uid uint32, key string) bool {
	if old, ok := b.ledger[uid]; ok && old != key {
		b.account.violation(old, "UID %d of %s was this message, and is now %s", uid, b.name, key)
		return false
	}
	b.ledger[uid] = key
	return true
}

// assigned records the UID that a command was told to have given a message.
func (b *box) assigned(uid uint32, key string) {
	if _, known := b.ledger[uid]; uid < b.uidnext && !known {
		b.account.violation(key, "got UID %d in %s, whose UIDNEXT was %d", uid, b.name, b.uidnext)
	}
	b.identify(uid, key)
}

// validity records the UIDVALIDITY that was told of a mailbox.
func (b *box) validity(v uint32) {
	a := b.account
	if b.uidvalidity == 0 {
		if a.used[b.name] == nil {
			a.used[b.name] = map[uint32]bool{}
		}
		if a.used[b.name][v] {
			a.violation(b.name, "UIDVALIDITY %d comes again", v)
		}
		a.used[b.name][v] = true
		b.uidvalidity = v
	}
	if v == 0 || v != b.uidvalidity {
		a.violation(b.name, "UIDVALIDITY %d became %d", b.uidvalidity, v)
	}
}

// add puts a message into a mailbox.
func (b *box) add(key string, uid uint32, flags []string, owner int) *message {
	m := &message{box: b, key: key, uid: uid, flags: slices.Clone(flags), owner: owner}
	slices.Sort(m.flags)
	b.live = append(b.live, m)
	return m
}

// remove takes a message out of its mailbox.
func (b *box) remove(m *message) {
	b.live = slices.DeleteFunc(b.live, func(o *message) bool { return o == m })
}

// owned gives the messages with known UIDs that a worker may change, at most n of them, from the place start on.
func (b *box) owned(owner, start, n int) []*message {
	var list []*message
	for i := range b.live {
		m := b.live[(start+i)%len(b.live)]
		if len(list) < n && m.uid != 0 && m.owner == owner {
			list = append(list, m)
		}
	}
	return list
}
