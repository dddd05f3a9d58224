package expire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"angarium/mailstore"
	"angarium/replica/state"
)

// Service is the service that acts in the events of policies.
const Service = "expire"

// Actor is who acts in the events of a policy.
func Actor(policy string) string { return "policy:" + policy }

// Defaults of an Expirer.
const (
	defaultBatch = 500
	defaultRate  = 1000
)

// Expirer expunges what is over the limits of a Set.
type Expirer struct {
	Store *mailstore.Store
	Set   Set
	// Leads says whether this node is the primary of an account; it is asked before each batch. nil: it always is.
	Leads func(account string) bool
	Batch int              // messages of one event at most [500]
	Rate  int              // messages expunged in a second at most, over time [1000]
	Now   func() time.Time // [time.Now]
}

// Query says what to look at.
type Query struct {
	Account string // "": all
	DryRun  bool   // expunge nothing
}

// Sum is what a run found, and expunged unless it was a dry run.
type Sum struct {
	Mailboxes int    `json:"mailboxes"` // with something to expunge
	Messages  int    `json:"messages"`
	Bytes     uint64 `json:"bytes"`
}

// Progress says how far a run is.
type Progress struct{ Accounts, OfAccounts int }

// Run goes through the mailboxes once. found, if not nil, is told what each limit expunged, or would; it may end the run with an error. An interrupted
// run has done a part, and the next one does the rest. Accounts that this node does not lead are passed over, in a dry run too.
func (x *Expirer) Run(ctx context.Context, q Query, found func(Found) error, progress func(Progress)) (Sum, error) {
	r := &run{Expirer: *x, q: q, found: found, id: mailstore.Identity{Service: Service, Admin: true}}
	if r.Batch <= 0 {
		r.Batch = defaultBatch
	}
	if r.Rate <= 0 {
		r.Rate = defaultRate
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Leads == nil {
		r.Leads = func(string) bool { return true }
	}
	if !x.Set.Limiting() {
		return r.sum, nil
	}
	names := []string{q.Account}
	if q.Account == "" {
		names = nil
		accounts, err := x.Store.Accounts(ctx, r.id)
		if err != nil {
			return r.sum, err
		}
		for _, a := range accounts {
			names = append(names, a.Name)
		}
	}
	for i, name := range names {
		if progress != nil {
			progress(Progress{Accounts: i, OfAccounts: len(names)})
		}
		if err := r.account(ctx, name); err != nil {
			return r.sum, fmt.Errorf("expire mail of %s: %w", name, err)
		}
	}
	return r.sum, nil
}

// run is one pass.
type run struct {
	Expirer
	q     Query
	found func(Found) error
	id    mailstore.Identity
	sum   Sum
}

func (r *run) account(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil || !r.Leads(name) {
		return err
	}
	boxes, err := r.Store.Mailboxes(ctx, r.id, name)
	if err != nil {
		return err
	}
	for _, m := range boxes {
		before := r.sum.Messages
		if err := r.mailbox(ctx, m); err != nil {
			return fmt.Errorf("mailbox %q: %w", m.Name, err)
		}
		if r.sum.Messages > before {
			r.sum.Mailboxes++
		}
	}
	return nil
}

func (r *run) mailbox(ctx context.Context, m *state.Mailbox) error {
	l := r.Set.limitsOf(m)
	for {
		most := r.Batch
		if r.q.DryRun {
			most = 0
		}
		list, n, err := examine(r.Store, r.id, m, &l, r.Now(), most)
		if err != nil || n == 0 {
			return err
		}
		for i := range list {
			if err := r.take(ctx, &list[i]); err != nil {
				return err
			}
		}
		if r.q.DryRun || n < most {
			return nil
		}
		again, err := r.Store.Mailbox(ctx, r.id, m.Account, m.Name)
		if errors.Is(err, mailstore.ErrNoMailbox) || (err == nil && again.ID != m.ID) {
			return nil // deleted or renamed meanwhile: the next run finds what is left
		}
		if err != nil {
			return err
		}
		m = again
	}
}

// take expunges what was found, as far as it is still there, and tells of it.
func (r *run) take(ctx context.Context, f *Found) error {
	if !r.q.DryRun {
		n, err := r.expunge(ctx, f)
		if err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
	r.sum.Messages += f.Messages
	r.sum.Bytes += f.Bytes
	if r.found == nil {
		return nil
	}
	return r.found(*f)
}

// errNotLeading ends the run of an account that has another primary now.
var errNotLeading = fmt.Errorf("%w: this node does not lead the account any more", mailstore.ErrNotPrimary)

func (r *run) expunge(ctx context.Context, f *Found) (int, error) {
	if !r.Leads(f.Account) {
		return 0, errNotLeading
	}
	id := r.id
	id.Account = Actor(f.Policy)
	b, err := r.Store.Open(ctx, id, f.Account, f.Mailbox, false)
	if errors.Is(err, mailstore.ErrNoMailbox) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer b.Close()
	if b.ID() != f.ID {
		return 0, nil
	}
	gone, _, err := b.Remove(ctx, f.UIDs)
	if errors.Is(err, mailstore.ErrNoMailbox) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if f.UIDs, f.Messages = gone, gone.Len(); f.Messages == 0 {
		return 0, nil
	}
	return f.Messages, r.pause(ctx, f.Messages)
}

// pause keeps the rate.
func (r *run) pause(ctx context.Context, messages int) error {
	t := time.NewTimer(time.Duration(messages) * time.Second / time.Duration(r.Rate))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
