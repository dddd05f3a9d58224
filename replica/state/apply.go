package state

import (
	"fmt"

	"angarium/eventlog/event"
)

// Change is what one event made of one mailbox or account, for those who follow the state: sessions and notifications.
type Change struct {
	Account string
	ID      event.MailboxID // zero when only the account changed
	Mailbox *Mailbox        // the mailbox after the event; nil when it was deleted, or when ID is zero
	// The live messages that came, that changed their flags, and that went. Each by ascending UID.
	Appended []Live
	Flagged  []Live
	Expunged event.UIDSet
}

// Apply makes the state after an event from the state before it. It is all or nothing only together with the caller: after an
// error the caller drops tx. ErrDiverged says that the event does not fit the state.
func Apply(tx Tx, entry event.Entry) ([]Change, error) {
	a, err := NewApplier(tx)
	if err != nil {
		return nil, err
	}
	changes, err := a.Apply(entry)
	if err != nil {
		return nil, err
	}
	return changes, a.Flush()
}

// Apply is like the function of that name, on what the applier keeps.
func (a *Applier) Apply(entry event.Entry) ([]Change, error) {
	w := &work{Applier: a, meta: entry.Meta}
	if err := w.apply(entry.Event); err != nil {
		return nil, fmt.Errorf("apply %s: %w", entry.Event.Kind(), err)
	}
	if err := w.finish(); err != nil {
		return nil, fmt.Errorf("apply %s: %w", entry.Event.Kind(), err)
	}
	return w.changes, nil
}

func (w *work) apply(ev event.Event) error {
	switch e := ev.(type) {
	case *event.EpochStarted:
		return w.epochStarted(e)
	case *event.Checkpoint:
		return w.checkpoint(e)
	case *event.BodiesDropped:
		return w.bodiesDropped(e)
	case *event.AccountCreated:
		return w.accountCreated(e)
	case *event.CredentialSet:
		return w.credentialSet(e)
	case *event.AccountDisabled:
		return w.accountDisabled(e)
	case *event.AccountDeleted:
		return w.accountDeleted(e)
	case *event.NumbersSkipped:
		return w.numbersSkipped(e)
	case *event.MailboxCreated:
		return w.mailboxCreated(e)
	case *event.MailboxRenamed:
		return w.mailboxRenamed(e)
	case *event.MailboxDeleted:
		return w.mailboxDeleted(e)
	case *event.SubscriptionSet:
		return w.subscriptionSet(e)
	case *event.SpecialUseSet:
		return w.specialUseSet(e)
	case *event.RecentTaken:
		return w.recentTaken(e)
	case *event.BodyChunk:
		return w.bodyChunk(e)
	case *event.MessagesAppended:
		return w.messagesAppended(e)
	case *event.MessagesCopied:
		return w.messagesCopied(e)
	case *event.MessagesMoved:
		return w.messagesMoved(e)
	case *event.FlagsChanged:
		return w.flagsChanged(e)
	case *event.MessagesExpunged:
		return w.messagesExpunged(e)
	}
	return fmt.Errorf("%w: event of unknown type %T", ErrDiverged, ev)
}

func (w *work) epochStarted(e *event.EpochStarted) error {
	if e.Epoch != w.totals.Epoch+1 {
		return fmt.Errorf("%w: epoch %d after epoch %d", ErrDiverged, e.Epoch, w.totals.Epoch)
	}
	w.totals.Epoch, w.totals.Primary = e.Epoch, e.Node
	return nil
}

func (w *work) checkpoint(e *event.Checkpoint) error {
	if err := w.Flush(); err != nil { // which brings the digest up to date
		return err
	}
	t := w.totals
	if e.Mailboxes != t.Mailboxes || e.Messages != t.Messages || e.Digest != t.Digest {
		return fmt.Errorf("%w: checkpoint of %d mailboxes, %d messages, digest %016x; here are %d, %d, %016x",
			ErrDiverged, e.Mailboxes, e.Messages, e.Digest, t.Mailboxes, t.Messages, t.Digest)
	}
	return nil
}
