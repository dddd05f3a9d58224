package imapd

import (
	"context"
	"strings"

	"angarium/eventlog/event"
	"angarium/replica"
	"angarium/replica/state"
)

// tellNews tells what has happened in the account outside of the selected mailbox: names by LIST, messages by STATUS. It is called between
// commands, and during those whose responses cannot be mistaken for it.
func (s *session) tellNews(ctx context.Context) error {
	if s.watcher == nil {
		return nil
	}
	news := s.watcher.Take()
	switch {
	case news.IsEmpty():
		return nil
	case news.Lost:
		s.overflow()
		return s.enc.Err()
	}
	t := &newsTeller{s: s, n: s.notify}
	if err := t.tell(ctx, &news); err != nil {
		s.log.Error("notification failed", "error", err)
		s.overflow()
	}
	return s.enc.Err()
}

// newsTeller tells of one lot of news.
type newsTeller struct {
	s          *session
	n          *notifySettings
	subscribed map[string]bool
	names      []toldName
	listed     map[string]bool // what is in names
}

// toldName is a name that a LIST response is due for.
type toldName struct{ name, old string }

func (t *newsTeller) tell(ctx context.Context, news *replica.AccountNews) error {
	if err := t.readSubscriptions(ctx); err != nil {
		return err
	}
	t.mailboxNames(news.Mailboxes)
	for _, c := range news.Subscriptions {
		if t.n.of(c.Name, true)&subscriptionChange != 0 { // it is among those subscribed, or was
			t.list(c.Name, "")
		}
	}
	if err := t.writeNames(ctx); err != nil {
		return err
	}
	for i := range news.Mailboxes {
		t.status(&news.Mailboxes[i])
	}
	return nil
}

func (t *newsTeller) readSubscriptions(ctx context.Context) error {
	if !t.n.needsSubscriptions() {
		return nil
	}
	names, err := t.s.srv.opts.Store.Subscriptions(ctx, t.s.id, t.s.id.Account)
	if err != nil {
		return err
	}
	t.subscribed = make(map[string]bool, len(names))
	for _, name := range names {
		t.subscribed[name] = true
	}
	return nil
}

// events gives what is asked for of a name.
func (t *newsTeller) events(name string) notifyEvents { return t.n.of(name, t.subscribed[name]) }

func (t *newsTeller) namesOf(name string) bool { return t.events(name)&mailboxName != 0 }

// mailboxNames collects the names that mailboxes got or lost (RFC 5465, section 5.4). The superior of a mailbox that was made or deleted is
// told too, since it may have got its first child, or lost its last.
func (t *newsTeller) mailboxNames(news []replica.MailboxNews) {
	renamed := map[string]string{}
	for i := range news {
		if from, to := renameOf(&news[i]); from != to && (t.namesOf(from) || t.namesOf(to)) {
			renamed[from] = to
		}
	}
	for i := range news {
		c := &news[i]
		if from, to := renameOf(c); from != "" {
			if renamed[from] == to && from != to && !alongWith(renamed, from, to) {
				t.list(to, from)
			}
			continue
		}
		name := c.Before
		switch {
		case c.Mailbox != nil:
			name = c.Mailbox.Name
		case name == "":
			continue // made and deleted
		}
		t.listIfAsked(name)
		for parent := range superiors(name) {
			t.listIfAsked(parent)
			break
		}
	}
}

// renameOf gives the names of a mailbox that was there before and still is; they are the same if it was not renamed.
func renameOf(c *replica.MailboxNews) (from, to string) {
	if c.Before == "" || c.Mailbox == nil {
		return "", ""
	}
	return c.Before, c.Mailbox.Name
}

// alongWith says whether a rename is part of that of a superior, which is told.
func alongWith(renamed map[string]string, from, to string) bool {
	for parent := range superiors(from) {
		if next, ok := renamed[parent]; ok && to == next+strings.TrimPrefix(from, parent) {
			return true
		}
	}
	return false
}

func (t *newsTeller) listIfAsked(name string) {
	if t.namesOf(name) {
		t.list(name, "")
	}
}

func (t *newsTeller) list(name, old string) {
	if t.listed[name] {
		return
	}
	if t.listed == nil {
		t.listed = map[string]bool{}
	}
	t.listed[name] = true
	t.names = append(t.names, toldName{name, old})
}

// writeNames writes the LIST responses, with attributes as they are now.
func (t *newsTeller) writeNames(ctx context.Context) error {
	if len(t.names) == 0 {
		return nil
	}
	tree, err := t.s.listTree(ctx)
	if err != nil {
		return err
	}
	entries := make(map[string]*listEntry, len(tree))
	for _, e := range tree {
		entries[e.name] = e
	}
	req := &listRequest{extended: true, returnSubscribed: true}
	for _, n := range t.names {
		e := entries[n.name]
		if e == nil {
			e = &listEntry{name: n.name}
		}
		t.s.writeListed(req, e)
		if n.old != "" {
			t.s.enc.Raw(` ("OLDNAME" (`).Mailbox(n.old).Raw("))")
		}
		t.s.enc.CRLF()
	}
	return nil
}

// status tells the counters of a mailbox that is not selected when its messages have changed, or when it is new.
func (t *newsTeller) status(c *replica.MailboxNews) {
	if c.Mailbox == nil || t.s.isSelected(c.ID) {
		return
	}
	asked, happened := t.events(c.Mailbox.Name)&messageEvents, notifyEvents(0)
	for _, what := range [...]struct {
		did   bool
		event notifyEvents
	}{{c.Appended, messageNew}, {c.Expunged, messageExpunge}, {c.Flagged, flagChange}, {c.Before == "", messageEvents}} {
		if what.did {
			happened |= what.event
		}
	}
	if asked&happened != 0 {
		t.s.writeCounters(c.Mailbox, asked)
	}
}

func (s *session) isSelected(id event.MailboxID) bool { return s.box != nil && s.box.mb.ID() == id }

// writeCounters tells the counters of a mailbox of which some events are asked for (RFC 5465, sections 3.1 and 5.1 to 5.3).
func (s *session) writeCounters(m *state.Mailbox, asked notifyEvents) {
	items := []string{"MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN"}
	if asked&flagChange != 0 || s.condstore {
		items = append(items, "HIGHESTMODSEQ")
	}
	s.writeStatus(m, items)
}

// writeWatched tells the counters of all mailboxes whose messages are of interest, but for the selected one.
func (s *session) writeWatched(ctx context.Context) error {
	t := &newsTeller{s: s, n: s.notify}
	if err := t.readSubscriptions(ctx); err != nil {
		return err
	}
	boxes, err := s.srv.opts.Store.Mailboxes(ctx, s.id, s.id.Account)
	if err != nil {
		return err
	}
	for _, m := range boxes {
		if asked := t.events(m.Name) & messageEvents; asked != 0 && !s.isSelected(m.ID) {
			s.writeCounters(m, asked)
		}
	}
	return s.enc.Err()
}
