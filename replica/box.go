package replica

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/replica/state"
	"angarium/replica/view"
)

// Snapshot is a mailbox at one moment. It never changes.
type Snapshot struct {
	Mailbox *state.Mailbox // the row; not to be changed. Of a deleted mailbox: the last one
	List    view.List      // the live messages
	Deleted bool
}

// Box is a mailbox in memory, shared by all who have it open.
type Box struct {
	id  event.MailboxID
	r   *Replica
	now atomic.Pointer[Snapshot]

	loaded  chan struct{} // closed when now is set, or err
	err     error
	pending []pending         // under r.mu: what came while it was loaded
	from    eventlog.Position // under r.mu: where it was loaded
	next    Snapshot          // under r.mu
	refs    int               // under r.mu
	idle    *list.Element     // under r.mu: its place among the boxes nobody has open

	watchMu  sync.Mutex
	watchers map[*Watcher]struct{}
}

// pending is a change that waits for its box to be loaded, and the position up to which its batch leads.
type pending struct {
	position eventlog.Position
	change   *state.Change
}

// Watcher is told when a Box has changed.
type Watcher struct {
	// C gets a value when there is a newer snapshot than the last one looked at. Several changes may give one value.
	C   chan struct{}
	box *Box
}

// ErrNoMailbox says that there is no such mailbox.
var ErrNoMailbox = errors.New("no such mailbox")

// boxLRU is the boxes that nobody has open, most recently used first, and the number of messages in their newest snapshots.
type boxLRU struct {
	list     list.List
	messages int
}

// remove takes a box out, if it is there.
func (l *boxLRU) remove(b *Box) {
	if b.idle == nil {
		return
	}
	l.messages -= b.next.List.Len()
	l.list.Remove(b.idle)
	b.idle = nil
}

// OpenBox brings a mailbox into memory, if it is not there, and keeps it until Release: ErrNoMailbox when there is none.
func (r *Replica) OpenBox(ctx context.Context, id event.MailboxID) (*Box, error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, ErrClosed
	}
	box, ok := r.boxes[id]
	if !ok {
		box = &Box{id: id, r: r, loaded: make(chan struct{}), watchers: map[*Watcher]struct{}{}}
		r.boxes[id] = box
	}
	box.refs++
	r.idle.remove(box)
	r.mu.Unlock()
	if !ok {
		snap := r.db.NewSnapshot() // taken when the box is known: what it does not hold is published to the box
		box.load(snap)
		if err := snap.Close(); err != nil {
			r.opts.Logger.Warn("close snapshot of the index", "error", err)
		}
	}
	select {
	case <-box.loaded:
	case <-ctx.Done():
		box.Release()
		return nil, ctx.Err()
	}
	if box.err != nil {
		err := box.err
		box.Release()
		return nil, err
	}
	return box, nil
}

// load reads the mailbox without holding up the replica, then catches up with what came meanwhile.
func (b *Box) load(snap pebble.Reader) {
	var builder view.Builder
	var row *state.Mailbox
	r := reader{snap}
	at, err := readPlace(snap)
	if err == nil {
		row, err = state.GetMailbox(r, b.id)
	}
	if err == nil && row == nil {
		err = ErrNoMailbox
	}
	if err == nil {
		err = state.ScanPages(r, b.id, func(n uint32, p state.Page) (bool, error) {
			builder.Add(n, p)
			return true, nil
		})
	}
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	defer close(b.loaded)
	if err != nil {
		b.err = fmt.Errorf("open mailbox %s: %w", b.id, err)
		delete(b.r.boxes, b.id)
		return
	}
	b.next = Snapshot{Mailbox: row, List: builder.List()}
	came := b.pending
	b.pending = nil
	b.now.Store(&Snapshot{}) // loaded from here on
	b.from = at.Position
	for _, c := range came {
		b.applyLocked(c.change, c.position)
	}
	b.publishLocked()
}

// applyLocked takes in a change; publishLocked shows it.
func (b *Box) applyLocked(c *state.Change, position eventlog.Position) {
	if b.now.Load() == nil {
		b.pending = append(b.pending, pending{position, c})
		return
	}
	if position <= b.from { // it was committed when the box was loaded, and published only now
		return
	}
	if b.next.Deleted { // should it have come back, those who have it open have to open it anew
		return
	}
	if c.Mailbox == nil {
		b.next.Deleted = true
		return
	}
	before := b.next.List.Len()
	b.next.Mailbox = c.Mailbox
	if len(c.Appended) > 0 {
		b.next.List = b.next.List.Append(c.Appended...)
	}
	if len(c.Flagged) > 0 {
		b.next.List = b.next.List.Set(c.Flagged...)
	}
	if len(c.Expunged) > 0 {
		b.next.List = b.next.List.Remove(c.Expunged)
	}
	if b.idle != nil {
		b.r.idle.messages += b.next.List.Len() - before
	}
}

func (b *Box) publishLocked() {
	if b.now.Load() == nil {
		return
	}
	snap := b.next
	b.now.Store(&snap)
	if snap.Deleted {
		delete(b.r.boxes, b.id)
		b.r.idle.remove(b)
	}
	b.watchMu.Lock()
	defer b.watchMu.Unlock()
	for w := range b.watchers {
		select {
		case w.C <- struct{}{}:
		default: // it has been told and has not looked yet
		}
	}
}

// ID names the mailbox.
func (b *Box) ID() event.MailboxID { return b.id }

// Snapshot gives the mailbox as it is now.
func (b *Box) Snapshot() *Snapshot { return b.now.Load() }

// Watch tells of changes until Close of the watcher.
func (b *Box) Watch() *Watcher {
	w := &Watcher{C: make(chan struct{}, 1), box: b}
	b.watchMu.Lock()
	defer b.watchMu.Unlock()
	b.watchers[w] = struct{}{}
	return w
}

// Close ends the watch.
func (w *Watcher) Close() {
	w.box.watchMu.Lock()
	defer w.box.watchMu.Unlock()
	delete(w.box.watchers, w)
}

// Release says that the caller no longer needs the box. What nobody needs stays in memory while there is room for it.
func (b *Box) Release() {
	r := b.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if b.refs--; b.refs > 0 || r.boxes[b.id] != b {
		return
	}
	b.idle = r.idle.list.PushFront(b)
	r.idle.messages += b.next.List.Len()
	r.evictLocked()
}

// evictLocked lets go of the boxes that have been idle for longest until the rest fits.
func (r *Replica) evictLocked() {
	for r.idle.messages > r.opts.BoxMessages || r.idle.list.Len() > maxIdleBoxes {
		last := r.idle.list.Back().Value.(*Box)
		r.idle.remove(last)
		delete(r.boxes, last.id)
	}
}

// maxIdleBoxes bounds the mailboxes in memory that nobody has open, however small they are.
const maxIdleBoxes = 10_000
