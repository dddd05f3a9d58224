package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

const (
	password = "chaos-password"
	// observeTimeout bounds one look at a mailbox.
	observeTimeout = 60 * time.Second
)

// world is what IMAP shows.
type world map[place]*seenBox

// seenBox is what IMAP shows of a mailbox.
type seenBox struct {
	validity, next uint32
	modseq         uint64
	byKey          map[string][]*seenMessage
}

// seenMessage is what IMAP shows of a message.
type seenMessage struct {
	uid    uint32
	modseq uint64
	flags  []string           // in order, without \Recent
	text   *[sha256.Size]byte // if it was asked for
}

// dialIMAP logs in.
func dialIMAP(addr, account string) (*imapclient.Client, error) {
	conn, err := net.DialTimeout("tcp", addr, dialTimeout)
	if err != nil {
		return nil, err
	}
	c := imapclient.New(conn, nil)
	err = within(c, loginTimeout, func() error { return c.Login(account, password).Wait() })
	if err != nil {
		return nil, errors.Join(err, closeQuietly(c))
	}
	return c, nil
}

const (
	dialTimeout  = 5 * time.Second
	loginTimeout = 30 * time.Second
)

// closeQuietly closes a connection that may be broken: that it is says nothing new.
func closeQuietly(c interface{ Close() error }) error {
	_ = c.Close()
	return nil
}

// within gives a command so much time. Then the connection is closed under it.
func within(c *imapclient.Client, limit time.Duration, do func() error) error {
	t := time.AfterFunc(limit, func() { _ = closeQuietly(c) })
	err := do()
	if !t.Stop() && err != nil {
		return fmt.Errorf("%w after %v: %w", errTimeout, limit, err)
	}
	return err
}

var errTimeout = errors.New("no answer")

// observe reads all mailboxes of the ledger from a node; the octets of those messages that were not compared before.
func (l *ledger) observe(addr string) (world, error) {
	w := world{}
	for _, account := range l.accounts {
		c, err := dialIMAP(addr, account)
		if err != nil {
			return nil, fmt.Errorf("log in as %s: %w", account, err)
		}
		err = within(c, observeTimeout, func() error {
			for _, name := range []string{inbox, shared} {
				s, err := l.observeBox(c, place{account, name})
				if err != nil {
					return fmt.Errorf("look at %s of %s: %w", name, account, err)
				}
				w[place{account, name}] = s
			}
			return nil
		})
		if err := errors.Join(err, closeQuietly(c)); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (l *ledger) observeBox(c *imapclient.Client, at place) (*seenBox, error) {
	d, err := c.Select(at.name, &imap.SelectOptions{ReadOnly: true, CondStore: true}).Wait()
	if err != nil {
		return nil, err
	}
	s := &seenBox{validity: d.UIDValidity, next: uint32(d.UIDNext), modseq: d.HighestModSeq, byKey: map[string][]*seenMessage{}}
	if d.NumMessages == 0 {
		return s, nil
	}
	opts := fetchKeys()
	opts.Flags, opts.ModSeq = true, true
	list, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, opts).Collect()
	if err != nil {
		return nil, err
	}
	if len(list) != int(d.NumMessages) {
		return nil, fmt.Errorf("EXISTS is %d, and FETCH tells of %d messages", d.NumMessages, len(list))
	}
	var unread imap.UIDSet
	byUID := map[imap.UID]*seenMessage{}
	for _, m := range list {
		one := &seenMessage{uid: uint32(m.UID), modseq: m.ModSeq, flags: flagsOf(m.Flags)}
		key := keyOf(m)
		s.byKey[key] = append(s.byKey[key], one)
		byUID[m.UID] = one
		if l.unchecked(at, key) {
			unread.AddNum(m.UID)
		}
	}
	return s, readTexts(c, unread, byUID)
}

// unchecked says whether the octets of a message were not compared yet with those sent.
func (l *ledger) unchecked(at place, key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.boxes[at].messages[key]
	return m != nil && !m.checked
}

func readTexts(c *imapclient.Client, uids imap.UIDSet, byUID map[imap.UID]*seenMessage) error {
	if len(uids) == 0 {
		return nil
	}
	section := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierText, Peek: true}
	list, err := c.Fetch(uids, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		return err
	}
	for _, m := range list {
		if s := byUID[m.UID]; s != nil {
			sum := sha256.Sum256(m.FindBodySection(section))
			s.text = &sum
		}
	}
	for uid := range byUID {
		if uids.Contains(uid) && byUID[uid].text == nil {
			return fmt.Errorf("no BODY[TEXT] of UID %d", uid)
		}
	}
	return nil
}

func keySection() *imap.FetchItemBodySection {
	return &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"Message-ID"}, Peek: true}
}

func fetchKeys() *imap.FetchOptions {
	return &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{keySection()}}
}

func keyOf(m *imapclient.FetchMessageBuffer) string {
	for _, s := range m.BodySection {
		if _, value, ok := strings.Cut(string(s.Bytes), ":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func flagsOf(list []imap.Flag) []string {
	flags := []string{}
	for _, f := range list {
		if f != `\Recent` {
			flags = append(flags, string(f))
		}
	}
	slices.Sort(flags)
	return flags
}
