package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"angarium/eventlog/archive"
	"angarium/eventlog/event"
	"angarium/mailstore"
)

// Service is the service that acts in the events of a restore.
const Service = "restore"

// Bounds of one append of a restore.
const (
	appendMessages = 200
	appendFetch    = 32 << 20 // bytes of bodies that are fetched before they are appended
)

// Progress says how far a restore is.
type Progress struct {
	Steps, OfSteps       int
	Messages, OfMessages int // brought back
}

// Result is what Apply did.
type Result struct {
	Counts Counts `json:"counts"` // of the steps that were done
	// Missing is the messages that could not be brought back, as their bodies are neither in the store nor in the history.
	Missing []string `json:"missing,omitempty"` // GUIDs, at most MaxUndone
}

// ErrBodies says that bodies of messages are missing. All else was restored.
var ErrBodies = errors.New("bodies of messages are missing")

// Apply carries out a plan. The identity's service becomes Service, and its actor is who restores. Should it be interrupted, a new plan has what
// was left undone. Bodies that the store no longer has come from the history.
func Apply(ctx context.Context, store *mailstore.Store, id mailstore.Identity, h History, plan *Plan, progress func(Progress)) (Result, error) {
	id.Service = Service
	a := &applier{store: store, id: id, h: h, plan: plan, progress: progress}
	a.done.OfSteps = len(plan.Steps)
	a.done.OfMessages = plan.Counts.Messages
	finished := &planner{plan: &Plan{}}
	var failed error
	for i := range plan.Steps {
		s := plan.Steps[i] // a copy: the plan stays as it was made
		if failed = a.step(ctx, &s); failed != nil {
			failed = fmt.Errorf("%s %q: %w", s.Op, s.Mailbox, failed)
			break
		}
		finished.step(s)
		a.done.Steps++
		a.tell()
	}
	finished.count()
	res := Result{Counts: finished.plan.Counts, Missing: a.missing}
	if failed == nil && len(a.missing) > 0 {
		failed = fmt.Errorf("%w: of %d messages", ErrBodies, len(a.missing))
	}
	return res, failed
}

type applier struct {
	store    *mailstore.Store
	id       mailstore.Identity
	h        History
	plan     *Plan
	progress func(Progress)
	done     Progress
	missing  []string
}

func (a *applier) tell() {
	if a.progress != nil {
		a.progress(a.done)
	}
}

func (a *applier) step(ctx context.Context, s *Step) error {
	account := a.plan.Account
	switch s.Op {
	case OpCreateAccount:
		return a.createAccount(ctx, s)
	case OpDelete:
		return a.store.DeleteMailbox(ctx, a.id, account, s.Mailbox)
	case OpRename:
		return a.store.RenameMailbox(ctx, a.id, account, s.Mailbox, s.To)
	case OpCreate:
		_, err := a.store.CreateMailbox(ctx, a.id, account, mailstore.NewMailbox{Name: s.Mailbox, ID: s.id})
		if errors.Is(err, mailstore.ErrMailboxExists) { // somebody was faster
			return nil
		}
		return err
	case OpAppend:
		return a.append(ctx, s)
	case OpFlags:
		return a.inBox(ctx, s, func(b *mailstore.Mailbox) error {
			_, err := b.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: s.uids, Op: mailstore.SetFlags, Flags: s.Flags, UnchangedSince: &s.modseq})
			return err
		})
	case OpExpunge:
		return a.inBox(ctx, s, func(b *mailstore.Mailbox) error { return expunge(ctx, b, s.uids) })
	case OpSpecialUse:
		return a.store.SetSpecialUse(ctx, a.id, account, s.Mailbox, s.Uses)
	case OpSubscribe, OpUnsubscribe:
		return a.store.Subscribe(ctx, a.id, account, s.Mailbox, s.Op == OpSubscribe)
	}
	return fmt.Errorf("unknown step %q", s.Op)
}

// createAccount makes the account with the credential it had. The default mailboxes go again: those that were there come back by their own steps.
func (a *applier) createAccount(ctx context.Context, s *Step) error {
	if err := a.store.CreateAccount(ctx, a.id, a.plan.Account, s.cred); err != nil {
		return err
	}
	boxes, err := a.store.Mailboxes(ctx, a.id, a.plan.Account)
	if err != nil {
		return err
	}
	for _, b := range boxes {
		if b.Name == mailstore.Inbox {
			continue
		}
		if err := a.store.DeleteMailbox(ctx, a.id, a.plan.Account, b.Name); err != nil {
			return err
		}
		if err := a.store.Subscribe(ctx, a.id, a.plan.Account, b.Name, false); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) inBox(ctx context.Context, s *Step, do func(*mailstore.Mailbox) error) error {
	b, err := a.store.Open(ctx, a.id, a.plan.Account, s.Mailbox, false)
	if err != nil {
		return err
	}
	defer b.Close()
	return do(b)
}

func expunge(ctx context.Context, b *mailstore.Mailbox, uids event.UIDSet) error {
	if _, err := b.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: uids, Op: mailstore.AddFlags, Flags: []string{`\Deleted`}}); err != nil {
		return err
	}
	_, _, err := b.Expunge(ctx, uids)
	return err
}

// append brings messages back, some at a time, in the order of the UIDs they had.
func (a *applier) append(ctx context.Context, s *Step) error {
	fetched, err := a.fetch(ctx, s.list)
	if err != nil {
		return err
	}
	var batch []mailstore.NewMessage
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if _, err := a.store.Append(ctx, a.id, a.plan.Account, s.Mailbox, batch); err != nil {
			return err
		}
		a.done.Messages += len(batch)
		a.tell()
		batch = nil
		return nil
	}
	for i := range s.list {
		m := &s.list[i]
		body, err := a.store.KnownBody(ctx, a.id, a.plan.Account, m.guid)
		if err != nil {
			return err
		}
		if body == nil || !fetched[m.guid] {
			a.miss(m.guid)
			s.Messages--
			continue
		}
		batch = append(batch, mailstore.NewMessage{Body: body, Flags: m.flags, InternalDate: time.Unix(m.date, 0)})
		if len(batch) == appendMessages {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (a *applier) miss(guid event.GUID) {
	if len(a.missing) < MaxUndone {
		a.missing = append(a.missing, guid.String())
	}
}

// fetch stores the bodies that the store does not have, and says which ones there are.
func (a *applier) fetch(ctx context.Context, list []message) (map[event.GUID]bool, error) {
	have, want := map[event.GUID]bool{}, map[event.GUID]bool{}
	for i := range list {
		guid := list[i].guid
		body, err := a.store.KnownBody(ctx, a.id, a.plan.Account, guid)
		if err != nil {
			return nil, err
		}
		if body != nil {
			have[guid] = true
		} else {
			want[guid] = true
		}
	}
	if len(want) == 0 {
		return have, nil
	}
	err := a.h.Bodies(ctx, want, func(guid event.GUID, raw []byte) error {
		body, err := a.store.Prepare(raw)
		if err == nil {
			err = a.store.Stash(ctx, a.id, a.plan.Account, body)
		}
		have[guid] = err == nil
		return err
	})
	if errors.Is(err, archive.ErrDamaged) {
		err = nil // what could be read was: the rest is missing
	}
	return have, err
}
