package main

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// world is what IMAP shows of all accounts: mailboxes by the account's and their own name.
type world map[string]map[string]*seenBox

// seenBox is what IMAP shows of a mailbox.
type seenBox struct {
	ID          string // MAILBOXID
	UIDValidity uint32
	UIDNext     uint32
	Highest     uint64 // HIGHESTMODSEQ
	messages    map[uint32]*seenMessage
	byKey       map[string][]uint32
}

// seenMessage is what IMAP shows of a message.
type seenMessage struct {
	uid     uint32
	key     string
	flags   []string // in order, without \Recent
	modseq  uint64
	emailID string
	text    *[sha256.Size]byte // hash of BODY[TEXT], if it was asked for
}

const fetchItems = "(UID FLAGS MODSEQ EMAILID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"

// observe reads all mailboxes of an account. It reads the octets of those messages for which text says so.
func observe(addr, user string, text func(box string, m *seenMessage) bool) (map[string]*seenBox, error) {
	c, err := dialIMAP(addr, user, password)
	if err != nil {
		return nil, err
	}
	defer c.close()
	res, err := c.cmd("LIST", `""`, `"*"`)
	if err == nil {
		err = res.err()
	}
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	boxes := map[string]*seenBox{}
	for _, l := range res.untagged {
		if len(l.values) != 4 || l.values[0].text != "LIST" {
			continue
		}
		if hasFlag(l.values[1], `\NonExistent`) || hasFlag(l.values[1], `\Noselect`) {
			continue
		}
		name := l.values[3].text
		b, err := observeBox(c, name)
		if err == nil {
			err = observeText(c, name, b, text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		boxes[name] = b
	}
	return boxes, c.must("LOGOUT")
}

func hasFlag(list value, flag string) bool {
	return slices.ContainsFunc(list.list, func(v value) bool { return strings.EqualFold(v.text, flag) })
}

func observeBox(c *imapConn, name string) (*seenBox, error) {
	res, err := c.cmd("EXAMINE", quote(name), "(CONDSTORE)")
	if err == nil {
		err = res.err()
	}
	if err != nil {
		return nil, err
	}
	b := &seenBox{messages: map[uint32]*seenMessage{}, byKey: map[string][]uint32{}}
	exists := uint64(0)
	for _, l := range res.untagged {
		if len(l.values) == 2 && l.values[1].text == "EXISTS" {
			exists = l.values[0].number()
		}
		_, code, _ := splitStatus(l.status)
		b.code(code)
	}
	if exists > 0 {
		if res, err = c.cmd("FETCH", "1:*", fetchItems); err == nil {
			err = res.err()
		}
		if err != nil {
			return nil, err
		}
	}
	for _, l := range res.untagged {
		items := l.fetched()
		if items == nil {
			continue
		}
		m := newSeen(items)
		if m.uid == 0 || b.messages[m.uid] != nil {
			return nil, fmt.Errorf("%w: UID %d is told twice or not at all", errSyntax, m.uid)
		}
		b.messages[m.uid] = m
		b.byKey[m.key] = append(b.byKey[m.key], m.uid)
	}
	if uint64(len(b.messages)) != exists {
		return nil, fmt.Errorf("EXISTS is %d, and FETCH tells of %d messages", exists, len(b.messages))
	}
	return b, nil
}

// code takes in a response code of SELECT.
func (b *seenBox) code(code string) {
	name, arg, _ := strings.Cut(code, " ")
	n, _ := strconv.ParseUint(arg, 10, 64) // MAILBOXID has no number
	switch name {
	case "UIDVALIDITY":
		b.UIDValidity = uint32(n)
	case "UIDNEXT":
		b.UIDNext = uint32(n)
	case "HIGHESTMODSEQ":
		b.Highest = n
	case "MAILBOXID":
		b.ID = strings.Trim(arg, "()")
	}
}

func newSeen(items map[string]value) *seenMessage {
	m := &seenMessage{uid: uint32(items["UID"].number()), modseq: items["MODSEQ"].number(), key: messageID(items)}
	if e := items["EMAILID"]; len(e.list) == 1 {
		m.emailID = e.list[0].text
	}
	m.flags = flagsOf(items["FLAGS"])
	return m
}

func flagsOf(v value) []string {
	flags := []string{}
	for _, f := range v.list {
		if f.text != `\Recent` {
			flags = append(flags, f.text)
		}
	}
	slices.Sort(flags)
	return flags
}

func messageID(items map[string]value) string {
	_, id, _ := strings.Cut(items["BODY[HEADER.FIELDS (MESSAGE-ID)]"].text, ":")
	return strings.TrimSpace(id)
}

// textBatch is how many messages are read with one command.
const textBatch = 50

func observeText(c *imapConn, name string, b *seenBox, want func(box string, m *seenMessage) bool) error {
	var uids []string
	for uid, m := range b.messages {
		if want(name, m) {
			uids = append(uids, strconv.FormatUint(uint64(uid), 10))
		}
	}
	for set := range slices.Chunk(uids, textBatch) {
		res, err := c.cmd("UID", "FETCH", strings.Join(set, ","), "(UID BODY.PEEK[TEXT])")
		if err == nil {
			err = res.err()
		}
		if err != nil {
			return err
		}
		for _, l := range res.untagged {
			items := l.fetched()
			m := b.messages[uint32(items["UID"].number())]
			if t, ok := items["BODY[TEXT]"]; ok && m != nil {
				sum := sha256.Sum256([]byte(t.text))
				m.text = &sum
			}
		}
		for _, uid := range set {
			n, err := strconv.ParseUint(uid, 10, 32)
			if err != nil {
				return err
			}
			if b.messages[uint32(n)].text == nil {
				return fmt.Errorf("no BODY[TEXT] for UID %s", uid)
			}
		}
	}
	return nil
}
