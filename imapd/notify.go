package imapd

import (
	"context"
	"slices"
	"strings"

	"angarium/eventlog/event"
	"angarium/mailstore"
)

// notifyEvents is a set of events that NOTIFY can ask for (RFC 5465, section 5).
type notifyEvents uint8

const (
	messageNew notifyEvents = 1 << iota
	messageExpunge
	flagChange
	mailboxName
	subscriptionChange

	messageEvents = messageNew | messageExpunge | flagChange
)

// notifySettings is what a session asked for with NOTIFY: the zero value is NOTIFY NONE.
type notifySettings struct {
	selected notifyEvents  // in the selected mailbox
	delayed  bool          // EXPUNGE in the selected mailbox waits for a command that allows it
	fetch    *fetchRequest // what is told of a new message in the selected mailbox; nil: nothing but EXISTS
	groups   []notifyGroup // for other mailboxes, and for names
}

// notifyGroup is an event group for mailboxes other than the selected one.
type notifyGroup struct {
	filter notifyFilter
	names  []string // of subtree and mailboxes
	events notifyEvents
}

// notifyFilter says which mailboxes an event group is about (RFC 5465, section 6). "inboxes" is personal too: every mailbox can be
// delivered to.
type notifyFilter uint8

const (
	filterPersonal notifyFilter = iota
	filterSubscribed
	filterSubtree
	filterMailboxes
)

// covers says whether the group is about a name.
func (g *notifyGroup) covers(name string, subscribed bool) bool {
	switch g.filter {
	case filterPersonal:
		return true
	case filterSubscribed:
		return subscribed
	case filterMailboxes:
		return slices.Contains(g.names, name)
	}
	return slices.ContainsFunc(g.names, func(top string) bool {
		below, ok := strings.CutPrefix(name, top)
		return ok && (below == "" || strings.HasPrefix(below, mailstore.Separator))
	})
}

// of gives the events that are asked for of a name. Groups add up.
func (n *notifySettings) of(name string, subscribed bool) (events notifyEvents) {
	for i := range n.groups {
		if n.groups[i].covers(name, subscribed) {
			events |= n.groups[i].events
		}
	}
	return events
}

// watches says whether anything beside the selected mailbox is of interest.
func (n *notifySettings) watches() bool {
	return slices.ContainsFunc(n.groups, func(g notifyGroup) bool { return g.events != 0 })
}

func (n *notifySettings) needsSubscriptions() bool {
	return slices.ContainsFunc(n.groups, func(g notifyGroup) bool { return g.filter == filterSubscribed })
}

// handleNotify serves NOTIFY (RFC 5465, section 3.1). What has happened before is told by the settings before, and all of it in the selected
// mailbox.
func handleNotify(s *session, ctx context.Context) (reply, error) {
	req, err := s.parseNotify()
	if err != nil {
		return reply{}, err
	}
	if err := s.tellNews(ctx); err != nil {
		return reply{}, err
	}
	if err := s.writeChanges(ctx, messageEvents); err != nil {
		return reply{}, err
	}
	if req.settings.fetch != nil && req.settings.fetch.condstoreAware {
		s.enableCondstore()
	}
	if err := s.setNotify(ctx, &req.settings); err != nil {
		return reply{}, err
	}
	if req.status {
		if err := s.writeWatched(ctx); err != nil {
			return reply{}, err
		}
	}
	return reply{text: "NOTIFY completed"}, nil
}

// setNotify makes settings those of the session.
func (s *session) setNotify(ctx context.Context, n *notifySettings) error {
	switch {
	case !n.watches():
		s.unwatch()
	case s.watcher == nil:
		w, err := s.srv.opts.Store.WatchAccount(ctx, s.id, s.id.Account, s.srv.opts.Limits.NotifyMailboxes)
		if err != nil {
			return err
		}
		s.watcher = w
	}
	s.notify = n
	s.rewatch()
	return nil
}

// unwatch ends the watch over the account.
func (s *session) unwatch() {
	if s.watcher != nil {
		s.watcher.Close()
		s.watcher = nil
	}
}

// endNotify gives back what NOTIFY needs.
func (s *session) endNotify() {
	s.unwatch()
	s.notify = nil
	s.rewatch()
}

// overflow ends notifications of which some cannot be told (RFC 5465, section 5.8).
func (s *session) overflow() {
	s.unwatch()
	s.notify = &notifySettings{}
	s.rewatch()
	s.enc.Status("*", "OK", "NOTIFICATIONOVERFLOW", "Too much has happened; notifications are off")
}

// rewatch has the reader interrupted by what the session is to be told of now, after settings or the selected mailbox have changed.
func (s *session) rewatch() {
	if s.stopWaking != nil {
		s.stopWaking()
		s.stopWaking = nil
	}
	var box, account <-chan struct{}
	if s.notify != nil && s.notify.selected != 0 && s.box != nil {
		box = s.box.changed()
	}
	if s.watcher != nil {
		account = s.watcher.C
	}
	if box != nil || account != nil {
		s.stopWaking = s.interruptOn(box, account)
	}
}

// tellBetweenCommands tells a client that asked for it what has happened, while no command is in progress.
func (s *session) tellBetweenCommands(ctx context.Context) error {
	if s.notify == nil {
		return nil
	}
	if err := s.tellNews(ctx); err != nil {
		return err
	}
	return s.writeUpdates(ctx, !s.notify.delayed)
}

// wanted says what is told of the selected mailbox: everything, until NOTIFY says otherwise.
func (s *session) wanted() notifyEvents {
	if s.notify == nil {
		return messageEvents
	}
	return s.notify.selected
}

// ownMessages notes messages that the session itself put into a mailbox: if it is the selected one, they are told by EXISTS alone (RFC
// 5465, section 5.2).
func (s *session) ownMessages(id event.MailboxID, first uint32, count int) {
	if s.fetchesNew() && s.box.mb.ID() == id && count > 0 {
		s.box.own = unionUIDs(s.box.own, event.UIDSet{{First: first, Last: first + uint32(count) - 1}})
	}
}

// fetchesNew says whether new messages in the selected mailbox are told of by FETCH.
func (s *session) fetchesNew() bool { return s.box != nil && s.notify != nil && s.notify.fetch != nil }

// ownCopies is ownMessages for what COPY or MOVE made in a mailbox that is known by name.
func (s *session) ownCopies(ctx context.Context, name string, t mailstore.Transferred) {
	if !s.fetchesNew() || len(t.Source) == 0 {
		return
	}
	if m, err := s.srv.opts.Store.Mailbox(ctx, s.id, s.id.Account, name); err == nil {
		s.ownMessages(m.ID, t.First, int(t.Source.Len()))
	}
}

// fetchNew tells of new messages of the view what the client asked to be told. It sets no \Seen, and what cannot be read is left out.
func (s *session) fetchNew(ctx context.Context, uids event.UIDSet) {
	b, req := s.box, s.notify.fetch
	w := &fetchWriter{s: s, b: b, req: req}
	l := &rowLoader{b: b, records: req.needsRecord(), structures: req.needsStructure()}
	err := l.each(ctx, b.among(uids), func(row *fetchRow) error {
		if !b.own.Contains(row.live.UID) {
			w.message(row)
		}
		return s.enc.Err()
	})
	b.own = nil
	if err == nil {
		err = w.damaged
	}
	if err != nil && s.enc.Err() == nil {
		s.log.Error("fetch of new messages failed", "mailbox", b.mb.ID().String(), "error", err)
	}
}
