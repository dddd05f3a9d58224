package replica

import (
	"context"
	"fmt"
	"sync"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// MailboxNews is what became of one mailbox while nobody looked: several changes are told as one.
type MailboxNews struct {
	ID      event.MailboxID
	Before  string         // its name before; "" when it did not exist
	Mailbox *state.Mailbox // as it is now, not to be changed; nil when it was deleted
	// What happened to messages.
	Appended, Flagged, Expunged bool
}

// SubscriptionNews is a name that was added to an account's subscriptions, or removed.
type SubscriptionNews struct {
	Name       string
	Subscribed bool
}

// AccountNews is what happened in an account, in the order in which it began.
type AccountNews struct {
	Mailboxes     []MailboxNews
	Subscriptions []SubscriptionNews
	// Lost: more happened than the watcher keeps. The rest is empty then.
	Lost bool
}

// IsEmpty says whether nothing happened.
func (n *AccountNews) IsEmpty() bool {
	return len(n.Mailboxes) == 0 && len(n.Subscriptions) == 0 && !n.Lost
}

// AccountWatcher gathers what happens in an account, but for what one session does itself.
type AccountWatcher struct {
	// C gets a value when there is something to take. Several changes may give one value.
	C chan struct{}

	watches          *accountWatches
	account, session string
	most             int // mailboxes and subscriptions in news

	mu     sync.Mutex
	news   AccountNews
	boxes  map[event.MailboxID]int // places in news.Mailboxes
	names  map[string]int          // places in news.Subscriptions
	closed bool
}

// WatchAccount tells of what happens in an account after the call, until Close of the watcher; what the given session does is left out.
// News of more than most mailboxes and subscriptions that nobody has taken are lost, which is told. It waits for the end of the batch that
// is being applied.
func (r *Replica) WatchAccount(ctx context.Context, account, session string, most int) (*AccountWatcher, error) {
	w := &AccountWatcher{C: make(chan struct{}, 1), watches: &r.watches, account: account, session: session, most: most}
	batch := r.watches.add(w)
	if batch == nil {
		return w, nil
	}
	select {
	case <-batch: // the batch did not know of the watcher when it began
		w.Take()
		return w, nil
	case <-ctx.Done():
		w.Close()
		return nil, fmt.Errorf("watch account %s: %w", account, ctx.Err())
	}
}

// Close ends the watch.
func (w *AccountWatcher) Close() {
	w.watches.remove(w)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.reset(AccountNews{})
}

// Take gives what has happened since the last call.
func (w *AccountWatcher) Take() AccountNews {
	w.mu.Lock()
	defer w.mu.Unlock()
	news := w.news
	w.reset(AccountNews{})
	return news
}

func (w *AccountWatcher) reset(news AccountNews) { w.news, w.boxes, w.names = news, nil, nil }

// tell takes in the changes of a batch: all of them, or none yet.
func (w *AccountWatcher) tell(changes []accountChange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	for i := range changes {
		w.tellOne(&changes[i])
	}
	if w.news.IsEmpty() {
		return
	}
	select {
	case w.C <- struct{}{}:
	default: // it has been told and has not looked yet
	}
}

func (w *AccountWatcher) tellOne(c *accountChange) {
	if w.news.Lost {
		return
	}
	own := c.session == w.session
	switch {
	case c.lost:
		w.reset(AccountNews{Lost: true})
	case c.subscription != nil:
		w.tellSubscription(*c.subscription, own)
	default:
		w.tellMailbox(&c.mailbox, own)
	}
	if len(w.news.Mailboxes)+len(w.news.Subscriptions) > w.most {
		w.reset(AccountNews{Lost: true})
	}
}

// tellMailbox joins a change to what is known of the mailbox. What the session itself does only keeps that true.
func (w *AccountWatcher) tellMailbox(c *MailboxNews, own bool) {
	i, known := w.boxes[c.ID]
	switch {
	case own && !known:
		return
	case !known:
		if w.boxes == nil {
			w.boxes = map[event.MailboxID]int{}
		}
		w.boxes[c.ID] = len(w.news.Mailboxes)
		w.news.Mailboxes = append(w.news.Mailboxes, *c)
		return
	}
	n := &w.news.Mailboxes[i]
	n.Mailbox = c.Mailbox
	if !own {
		n.Appended, n.Flagged, n.Expunged = n.Appended || c.Appended, n.Flagged || c.Flagged, n.Expunged || c.Expunged
		return
	}
	if c.Mailbox == nil {
		*n = MailboxNews{ID: n.ID} // as if it had never been
	} else if n.Before == c.Before {
		n.Before = c.Mailbox.Name
	}
}

func (w *AccountWatcher) tellSubscription(c SubscriptionNews, own bool) {
	i, known := w.names[c.Name]
	switch {
	case known:
		w.news.Subscriptions[i] = c
	case !own:
		if w.names == nil {
			w.names = map[string]int{}
		}
		w.names[c.Name] = len(w.news.Subscriptions)
		w.news.Subscriptions = append(w.news.Subscriptions, c)
	}
}

// accountWatches is who watches which account.
type accountWatches struct {
	mu        sync.Mutex
	byAccount map[string]map[*AccountWatcher]struct{}
	batch     chan struct{} // closed when the batch under way is published, or given up; nil between batches
}

// add enters a watcher, and gives the batch under way, which tells it nothing.
func (a *accountWatches) add(w *AccountWatcher) (batch <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byAccount == nil {
		a.byAccount = map[string]map[*AccountWatcher]struct{}{}
	}
	if a.byAccount[w.account] == nil {
		a.byAccount[w.account] = map[*AccountWatcher]struct{}{}
	}
	a.byAccount[w.account][w] = struct{}{}
	return a.batch
}

func (a *accountWatches) remove(w *AccountWatcher) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byAccount[w.account], w)
	if len(a.byAccount[w.account]) == 0 {
		delete(a.byAccount, w.account)
	}
}

// begin starts a batch. It gathers what watchers have to be told; nil when there are none. before reads the state before the batch. The
// caller calls end when the batch is published or given up.
func (a *accountWatches) begin(before state.Reader) (c *accountChanges, end func()) {
	batch := make(chan struct{})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.batch = batch
	end = func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.batch = nil
		close(batch)
	}
	if len(a.byAccount) == 0 {
		return nil, end
	}
	return &accountChanges{watches: a, before: before}, end
}

func (a *accountWatches) watched(account string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.byAccount[account]) > 0
}

// accountChanges is what a batch does to accounts that are watched.
type accountChanges struct {
	watches *accountWatches
	before  state.Reader
	names   map[event.MailboxID]string // of mailboxes that the batch has made or renamed: as it has left them
	lists   map[string][]accountChange // by account
}

// accountChange is one change: of a subscription or else of a mailbox.
type accountChange struct {
	session      string
	subscription *SubscriptionNews
	mailbox      MailboxNews
	lost         bool // it cannot be said what it was
}

// add takes in what an event made of the state.
func (a *accountChanges) add(entry event.Entry, changes []state.Change) {
	if a == nil || len(changes) == 0 || !a.watches.watched(changes[0].Account) {
		return // all changes of an event are of one account
	}
	session, list := entry.Meta.Session, a.lists[changes[0].Account]
	if e, ok := entry.Event.(*event.SubscriptionSet); ok {
		list = append(list, accountChange{session: session, subscription: &SubscriptionNews{e.Name, e.Subscribed}})
	}
	for i := range changes {
		c := &changes[i]
		if c.ID == (event.MailboxID{}) {
			continue
		}
		news := MailboxNews{
			ID: c.ID, Mailbox: c.Mailbox, Appended: len(c.Appended) > 0, Flagged: len(c.Flagged) > 0, Expunged: len(c.Expunged) > 0,
		}
		var err error
		if news.Before, err = a.nameBefore(entry.Event, c); err != nil {
			list = append(list, accountChange{lost: true})
			break
		}
		renamed := c.Mailbox == nil || news.Before != c.Mailbox.Name
		_, numbered := entry.Event.(*event.MessagesAppended) // an import can raise UIDNEXT without a message
		if renamed || numbered || news.Appended || news.Flagged || news.Expunged {
			list = append(list, accountChange{session: session, mailbox: news})
		}
	}
	if a.lists == nil {
		a.lists = map[string][]accountChange{}
	}
	a.lists[changes[0].Account] = list
}

// nameBefore gives the name that a mailbox had before an event, "" when the event made it. Only events that change names read anything.
func (a *accountChanges) nameBefore(e event.Event, c *state.Change) (string, error) {
	if _, created := e.(*event.MailboxCreated); created {
		a.keepName(c)
		return "", nil
	}
	if _, renamed := e.(*event.MailboxRenamed); !renamed && c.Mailbox != nil {
		return c.Mailbox.Name, nil
	}
	name, known := a.names[c.ID]
	if !known {
		row, err := state.GetMailbox(a.before, c.ID)
		if err != nil {
			return "", err
		}
		if row != nil {
			name = row.Name
		}
	}
	a.keepName(c)
	return name, nil
}

func (a *accountChanges) keepName(c *state.Change) {
	if c.Mailbox == nil {
		return // no event is about it any more
	}
	if a.names == nil {
		a.names = map[event.MailboxID]string{}
	}
	a.names[c.ID] = c.Mailbox.Name
}

// publish tells the watchers.
func (a *accountChanges) publish() {
	if a == nil || len(a.lists) == 0 {
		return
	}
	a.watches.mu.Lock()
	defer a.watches.mu.Unlock()
	for account, list := range a.lists {
		for w := range a.watches.byAccount[account] {
			w.tell(list)
		}
	}
}
