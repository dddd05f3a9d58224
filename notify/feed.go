package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Replica is what a feed asks of the replica of its shard. *replica.Replica is one.
type Replica interface {
	// Reader reads committed rows.
	Reader() state.Reader
	// Applied says where the replica stands.
	Applied() eventlog.State
	// ReadBody gives a message as it was received.
	ReadBody(guid event.GUID) ([]byte, error)
}

// Archive keeps what a log has purged.
type Archive interface {
	// Tail reads the archived envelopes from a position on. At the end of the archive its Next returns io.EOF. It fails with
	// eventlog.ErrPurged when the archive does not reach back to from.
	Tail(ctx context.Context, from eventlog.Position) (eventlog.Tail, error)
}

// FeedOptions configures the feed of a shard.
type FeedOptions struct {
	Shard   int
	Host    string  // the server's name in URLs
	Archive Archive // nil: what the log has purged is gone
	Logger  *slog.Logger
}

// Bounds of a feed. What does not fit is read back from the log by those who need it.
const (
	maxIntakeBytes = 64 << 20 // of envelopes that were applied and are not projected yet
	maxRingEvents  = 1 << 13  // of projected events that are kept in memory; the collector of garbage goes through all of them each time
	maxRingBytes   = 16 << 20 // likewise, about
	eventOverhead  = 1 << 10  // bytes of an event beside its JSON form, about
)

// Feed is the events of one shard, in order, to be read from any place in the log on by any number of cursors. It never waits for a cursor, and
// the replica never waits for it.
type Feed struct {
	opts FeedOptions
	p    projector
	wake chan struct{} // has an element when there is work; capacity 1
	stop chan struct{}
	done chan struct{} // closed when the projecting goroutine has ended; nil before Start

	log     eventlog.Log
	replica Replica

	mu      sync.Mutex
	intake  []*applied
	size    int               // bytes of intake
	lost    eventlog.Position // not 0: envelopes up to here did not fit into intake
	ring    ring
	changed chan struct{} // closed and replaced when the ring grows, or the feed closes
	cursors map[*Cursor]struct{}
	closed  bool
}

// applied is a batch that the replica has applied.
type applied struct {
	envelopes []eventlog.Envelope
	changes   []state.Change
	prior     map[event.MailboxID]*state.Mailbox
	bytes     int
}

// ErrClosed says that the feed was closed.
var ErrClosed = errors.New("notify: closed")

// NewFeed makes the feed of a shard. Its Committing is to be a hook of the replica; Start begins to use what comes.
func NewFeed(opts FeedOptions) *Feed {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Feed{
		opts: opts, p: projector{shard: opts.Shard, host: opts.Host},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), changed: make(chan struct{}), cursors: map[*Cursor]struct{}{},
	}
}

// Shard is the number of the feed's shard.
func (f *Feed) Shard() int { return f.opts.Shard }

// Start connects the feed with its log and replica. It is called once, before the replica follows the log.
func (f *Feed) Start(log eventlog.Log, r Replica) {
	f.log, f.replica = log, r
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring.reset(r.Applied().Position + 1)
	f.done = make(chan struct{})
	go f.run()
}

// Close ends the feed and its cursors. It is called before the replica is closed, and after all who read the feed have stopped.
func (f *Feed) Close() {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return
	}
	f.closed = true
	close(f.stop)
	close(f.changed)
	done := f.done
	f.mu.Unlock()
	if done != nil {
		<-done
	}
}

// Committing takes notice of a batch that the replica is about to commit: before reads the state that the batch starts from. The function that it
// returns is to be called when the batch is committed. Both are quick: a few rows are read when mailboxes are renamed, deleted or copied
// from, and nothing is waited for.
func (f *Feed) Committing(batch []eventlog.Envelope, changes []state.Change, before state.Reader) (committed func()) {
	a := &applied{envelopes: batch, changes: changes}
	for i := range batch {
		a.bytes += len(batch[i].Payload)
		for _, entry := range batch[i].Entries {
			a.notePrior(entry.Event, before)
		}
	}
	return func() { f.push(a) }
}

// notePrior reads the rows that an event makes unreadable, or reads itself.
func (a *applied) notePrior(ev event.Event, before state.Reader) {
	var ids []event.MailboxID
	switch e := ev.(type) {
	case *event.MailboxRenamed:
		for _, r := range e.Renames {
			ids = append(ids, r.Mailbox)
		}
	case *event.MailboxDeleted:
		ids = append(ids, e.Mailbox)
	case *event.MessagesCopied:
		ids = append(ids, e.Source)
	}
	for _, id := range ids {
		if _, ok := a.prior[id]; ok {
			continue
		}
		row, err := state.GetMailbox(before, id)
		if err != nil || row == nil { // made by this very batch, or unreadable: the event will say that it is not known
			continue
		}
		if a.prior == nil {
			a.prior = map[event.MailboxID]*state.Mailbox{}
		}
		a.prior[id] = row
	}
}

func (f *Feed) push(a *applied) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	if f.size+a.bytes > maxIntakeBytes {
		f.intake, f.size = nil, 0
		f.lost = a.envelopes[len(a.envelopes)-1].Position
	} else {
		f.intake = append(f.intake, a)
		f.size += a.bytes
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run projects what the replica applies.
func (f *Feed) run() {
	defer close(f.done)
	for {
		select {
		case <-f.wake:
		case <-f.stop:
			return
		}
		for f.step() {
		}
	}
}

// step projects one batch; false when there is none.
func (f *Feed) step() bool {
	f.mu.Lock()
	if f.lost > 0 {
		f.opts.Logger.Warn("notification is behind; events will be read back from the log", "shard", f.opts.Shard, "position", uint64(f.lost))
		f.advanceLocked(f.lost + 1)
		f.lost = 0
	}
	if len(f.intake) == 0 || f.closed {
		f.mu.Unlock()
		return false
	}
	a := f.intake[0]
	f.intake[0] = nil
	f.intake = f.intake[1:]
	f.size -= a.bytes
	last := a.envelopes[len(a.envelopes)-1].Position
	if f.unwantedLocked(last) {
		f.advanceLocked(last + 1)
		f.mu.Unlock()
		return true
	}
	f.mu.Unlock()

	v := newLiveView(a, f.replica.Reader())
	for i := range a.envelopes {
		env := &a.envelopes[i]
		entry := entryOf(env, f.p.project(env, v))
		f.mu.Lock()
		f.ring.add(entry)
		f.broadcastLocked()
		f.mu.Unlock()
	}
	return true
}

// unwantedLocked says that no cursor will ask for events up to a position: there is none, or all are beyond.
func (f *Feed) unwantedLocked(last eventlog.Position) bool {
	for c := range f.cursors {
		if c.place.Position <= last {
			return false
		}
	}
	return true
}

// advanceLocked empties the ring: what comes next is next.
func (f *Feed) advanceLocked(next eventlog.Position) {
	f.ring.reset(next)
	f.broadcastLocked()
}

func (f *Feed) broadcastLocked() {
	if !f.closed {
		close(f.changed)
		f.changed = make(chan struct{})
	}
}

// Head is the position up to which the feed has seen the log.
func (f *Feed) Head() eventlog.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ring.next - 1
}

// ReadBody gives a message as it was received.
func (f *Feed) ReadBody(guid event.GUID) ([]byte, error) {
	raw, err := f.replica.ReadBody(guid)
	if err != nil {
		return nil, fmt.Errorf("read the message of an event: %w", err)
	}
	return raw, nil
}
