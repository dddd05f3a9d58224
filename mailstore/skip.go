package mailstore

import (
	"context"
	"fmt"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// What is left out of an account's numbers when a future of it was lost: more than that future can have given.
const (
	skipModseqs      = 1 << 32
	skipUIDs         = 1 << 22 // of each mailbox: a thousand recoveries use up its UIDs
	skipUIDValidity  = 1 << 14 // mailboxes that were made faster than one in a second
	highestSkippable = 1 << 62 // modseqs have 63 bits
)

// futureLost says that a future of an account was lost, and that its numbers were not left out yet.
func (sh *shard) futureLost(a *state.Account) bool {
	if sh.Recovered == 0 || a == nil || a.Deleted {
		return false
	}
	n := len(a.Skipped)
	return n == 0 || a.Skipped[n-1].Epoch < sh.Recovered
}

// skipLost leaves out the numbers that a lost future of an account may have given, before the first write to it. The account is locked.
func (w *write) skipLost(ctx context.Context, account string) error {
	if w.sh.Recovered == 0 || w.remote != nil {
		return nil
	}
	a, err := state.GetAccount(w.reader(), account)
	if err != nil || !w.sh.futureLost(a) {
		return err
	}
	if a.Modseq >= highestSkippable {
		return fmt.Errorf("%w: the modseqs of %s are used up", ErrUnavailable, account)
	}
	e := &event.NumbersSkipped{
		Account: account, Modseq: a.Modseq + skipModseqs, UIDs: skipUIDs, Epoch: w.sh.Recovered,
		UIDValidity: max(uint32(w.now.Unix()), a.UIDValidity+skipUIDValidity),
	}
	system := &write{s: w.s, sh: w.sh, id: Identity{Service: "system"}, now: w.now}
	return w.sh.append(context.WithoutCancel(ctx), system.entries([]event.Event{e})) // the lock is held until the outcome is known
}

// Knows says whether a modseq that a client shows can be of this history. One that cannot is of a future that was lost: whatever the client
// remembers of it, it has to be told anew.
func (b *Mailbox) Knows(modseq uint64) (bool, error) {
	a, err := state.GetAccount(b.sh.Replica.Reader(), b.Account)
	if err != nil || a == nil {
		return true, err
	}
	return a.Knows(modseq) && !(b.sh.futureLost(a) && modseq > a.Modseq), nil
}

// LastGiven is the highest UID that can ever have been given in the mailbox, in a future that was lost too; 0 when there is none.
func (b *Mailbox) LastGiven() (uint32, error) {
	last := b.Snapshot().Mailbox.FirstUID() - 1
	a, err := state.GetAccount(b.sh.Replica.Reader(), b.Account)
	if err == nil && b.sh.futureLost(a) {
		last = uint32(min(uint64(last)+skipUIDs, lastUID-1))
	}
	return last, err
}
