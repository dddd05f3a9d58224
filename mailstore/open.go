package mailstore

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"angarium/eventlog/event"
	"angarium/replica"
	"angarium/replica/state"
)

// Mailbox is a mailbox that a session has open. It is for one session; Close gives it back.
type Mailbox struct {
	Account  string
	ReadOnly bool // EXAMINE: no write through it

	s       *Store
	sh      *shard
	id      Identity
	box     *replica.Box
	watcher *replica.Watcher
}

// Open opens a mailbox by name: ErrNoMailbox when there is none.
func (s *Store) Open(ctx context.Context, id Identity, account, name string, readOnly bool) (*Mailbox, error) {
	m, err := s.Mailbox(ctx, id, account, name)
	if err != nil {
		return nil, err
	}
	sh := s.shardOf(account)
	box, err := sh.Replica.OpenBox(ctx, m.ID)
	if errors.Is(err, replica.ErrNoMailbox) { // deleted between the two
		return nil, fmt.Errorf("%w: %q", ErrNoMailbox, name)
	}
	if err != nil {
		return nil, err
	}
	return &Mailbox{Account: account, ReadOnly: readOnly, s: s, sh: sh, id: id, box: box, watcher: box.Watch()}, nil
}

// Close gives the mailbox back.
func (b *Mailbox) Close() {
	b.watcher.Close()
	b.box.Release()
}

// ID names the mailbox.
func (b *Mailbox) ID() event.MailboxID { return b.box.ID() }

// Snapshot gives the mailbox as it is now, with everything that was acknowledged to anybody on this node before the call.
func (b *Mailbox) Snapshot() *replica.Snapshot { return b.box.Snapshot() }

// Changed gets a value when the mailbox has changed since the last value was taken.
func (b *Mailbox) Changed() <-chan struct{} { return b.watcher.C }

func (b *Mailbox) mayWrite() error {
	if b.ReadOnly {
		return fmt.Errorf("%w: the mailbox is open read-only", ErrDenied)
	}
	return b.id.may(b.Account)
}

func (b *Mailbox) target() target { return target{onMail{b.Account}, b.box.ID()} }

// openBox reads what a write to an open mailbox decides on: under the account's lock, its snapshot is the truth.
func (w *write) openBox(account string) (*state.Account, *replica.Snapshot, error) {
	a, err := state.GetAccount(w.reader(), account)
	if err != nil {
		return nil, nil, err
	}
	snap := w.box.Snapshot()
	if a == nil || a.Deleted || snap.Deleted || snap.Mailbox.Account != account {
		return nil, nil, fmt.Errorf("%w: it was deleted", ErrNoMailbox)
	}
	return a, snap, nil
}

// among yields the live messages of a snapshot that are in uids.
func among(snap *replica.Snapshot, uids event.UIDSet) iter.Seq[state.Live] {
	return func(yield func(state.Live) bool) {
		for _, r := range uids {
			seq, _ := snap.List.Seq(r.First)
			for _, live := range snap.List.From(seq) {
				if live.UID > r.Last {
					break
				}
				if !yield(live) {
					return
				}
			}
		}
	}
}

// Messages yields the unchanging part of the messages first ≤ UID ≤ last, in order, those expunged since left out. The structure is valid
// during the call only.
func (b *Mailbox) Messages(first, last uint32, fn func(state.Message) (bool, error)) error {
	return state.ScanMessages(b.sh.Replica.Reader(), b.box.ID(), first, last, fn)
}

// Records yields the unchanging part of the messages of a mailbox from a UID on, in order, without bringing the mailbox into memory. The
// structure is valid during the call only.
func (s *Store) Records(id Identity, m *state.Mailbox, first uint32, fn func(state.Message) (bool, error)) error {
	if err := id.may(m.Account); err != nil {
		return err
	}
	return state.ScanMessages(s.shardOf(m.Account).Replica.Reader(), m.ID, first, lastUID, fn)
}

// Message gives the unchanging part of one message; ok is false when it is not there (any more).
func (b *Mailbox) Message(uid uint32) (m state.Message, ok bool, err error) {
	return state.GetMessage(b.sh.Replica.Reader(), b.box.ID(), uid)
}

// Body gives a message of this mailbox as it was received. ErrDamaged says that it cannot be read.
func (b *Mailbox) Body(guid event.GUID) ([]byte, error) {
	raw, err := b.sh.Replica.ReadBody(guid)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return raw, nil
}

// Vanished yields the sets of UIDs expunged after modseq since (RFC 7162, section 3.2.10.1). complete is false when the mailbox
// no longer remembers back that far, or does not know that modseq: then all UIDs that are not there have to be told.
func (b *Mailbox) Vanished(since uint64, fn func(event.UIDSet) (bool, error)) (complete bool, err error) {
	if knows, err := b.Knows(since); !knows || err != nil {
		return false, err
	}
	if since < b.Snapshot().Mailbox.TombstoneFrom {
		since, complete = 0, b.Snapshot().Mailbox.TombstoneFrom == b.Snapshot().Mailbox.CreatedModseq
	} else {
		complete = true
	}
	err = state.ScanTombstones(b.sh.Replica.Reader(), b.box.ID(), since, func(_ uint64, uids event.UIDSet) (bool, error) { return fn(uids) })
	return complete, err
}
