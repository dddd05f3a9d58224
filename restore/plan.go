package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/eventlog/event"
	"angarium/mailstore"
)

// Part is a part of an account that a restore can be confined to.
type Part string

// The parts of an account.
const (
	Messages      Part = "messages"
	Flags         Part = "flags"
	Mailboxes     Part = "mailboxes" // their names and special uses
	Subscriptions Part = "subscriptions"
)

// Parts lists the parts of an account.
func Parts() []Part { return []Part{Messages, Flags, Mailboxes, Subscriptions} }

// Options says what to restore. Zero values mean the defaults named here.
type Options struct {
	Account string
	Mailbox string // by the name it had at the point, or the one it has now [all mailboxes]
	At      Point
	Only    []Part // [all]

	// Exact also takes away what came after the point: messages are expunged, mailboxes deleted. Without it a restore only brings back and sets
	// back, and what is new stays. It is not for Into and Expunged.
	Exact bool

	// Into puts copies of the messages as they were into a mailbox of this name, or, of all mailboxes, into mailboxes below it, instead of
	// changing what there is.
	Into string

	// Expunged brings back the messages that were expunged after At, up to Until [now], instead of the state at a point.
	Expunged bool
	Until    Point
	UIDs     event.UIDSet // with Expunged: only messages that had these UIDs in Mailbox [all]
}

// ErrOptions says that options do not go together.
var ErrOptions = errors.New("these options do not go together")

func (o *Options) has(p Part) bool { return len(o.Only) == 0 || slices.Contains(o.Only, p) }

func (o *Options) check() error {
	switch {
	case o.Account == "":
		return fmt.Errorf("%w: no account", ErrOptions)
	case o.Exact && (o.Into != "" || o.Expunged):
		return fmt.Errorf("%w: an exact restore is in place", ErrOptions)
	case (o.Into != "" || o.Expunged) && len(o.Only) > 0 && !slices.Equal(o.Only, []Part{Messages}):
		return fmt.Errorf("%w: what is brought back beside other mail are messages", ErrOptions)
	}
	if len(o.UIDs) > 0 && (!o.Expunged || o.Mailbox == "") {
		return fmt.Errorf("%w: UIDs are those of messages that were expunged from a mailbox", ErrOptions)
	}
	for _, p := range o.Only {
		if !slices.Contains(Parts(), p) {
			return fmt.Errorf("%w: there is no part %q", ErrOptions, p)
		}
	}
	return nil
}

// The operations of steps.
const (
	OpCreateAccount = "create account"
	OpDelete        = "delete mailbox"
	OpRename        = "rename mailbox"
	OpCreate        = "create mailbox"
	OpAppend        = "bring back messages"
	OpFlags         = "set flags back"
	OpExpunge       = "take away messages"
	OpSpecialUse    = "set special use back"
	OpSubscribe     = "subscribe"
	OpUnsubscribe   = "unsubscribe"
)

// Step is one thing to do.
type Step struct {
	Op       string   `json:"op"`
	Mailbox  string   `json:"mailbox,omitempty"` // its name when the step's turn comes; of a subscription, the name
	To       string   `json:"to,omitempty"`      // of a rename
	Uses     []string `json:"special_use,omitempty"`
	Flags    []string `json:"flags,omitempty"` // that messages will have
	Messages int      `json:"messages,omitempty"`
	UIDs     string   `json:"uids,omitempty"`

	uids   event.UIDSet
	modseq uint64 // messages changed since are left alone
	list   []message
	cred   event.Credential
	id     event.MailboxID // under which a mailbox comes back; zero: a new one
}

// Undone is an event that a restore undoes.
type Undone struct {
	Position eventlog.Position `json:"position"`
	Time     time.Time         `json:"time"`
	Kind     string            `json:"kind"`
	Mailbox  string            `json:"mailbox,omitempty"`
	Messages int               `json:"messages,omitempty"`
	Actor    string            `json:"actor,omitempty"`
	Service  string            `json:"service,omitempty"`
	Session  string            `json:"session,omitempty"`
	Client   string            `json:"client,omitempty"`
	Detail   string            `json:"detail,omitempty"`
}

// Counts sums a plan up.
type Counts struct {
	Mailboxes     int `json:"mailboxes"`     // made or renamed
	Deleted       int `json:"deleted"`       // mailboxes deleted
	Messages      int `json:"messages"`      // brought back
	Flags         int `json:"flags"`         // messages whose flags are set back
	Expunged      int `json:"expunged"`      // messages taken away
	Subscriptions int `json:"subscriptions"` // set or removed
	SpecialUses   int `json:"special_uses"`  // mailboxes whose special use is set back
	Accounts      int `json:"accounts"`      // made
}

// MaxUndone bounds the events that a plan lists.
const MaxUndone = 1000

// Plan is what a restore does. An empty plan, without steps, says that all is as it was.
type Plan struct {
	Account  string            `json:"account"`
	Position eventlog.Position `json:"position"` // the point
	Time     string            `json:"time,omitempty"`
	Counts   Counts            `json:"counts"`
	Steps    []Step            `json:"steps"`
	Undone   []Undone          `json:"undone"` // the latest MaxUndone at most
	Undoes   int               `json:"undoes"` // how many there are
}

// Empty says that there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Steps) == 0 }

// planner makes a plan.
type planner struct {
	opts  Options
	store *mailstore.Store
	id    mailstore.Identity
	plan  *Plan
	then  *account
	now   *account
}

// New compares an account at a point with what it is now and gives the plan. The identity must be one that may act on all accounts.
// ErrTooOld says that the history does not reach back to the point, mailstore.ErrNoMailbox that the mailbox was not there.
func New(ctx context.Context, store *mailstore.Store, id mailstore.Identity, h History, opts Options) (*Plan, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	at, err := h.Resolve(ctx, opts.At)
	if err != nil {
		return nil, err
	}
	p := &planner{opts: opts, store: store, id: id, plan: &Plan{Account: opts.Account, Position: at, Steps: []Step{}, Undone: []Undone{}}}
	if !opts.At.Time.IsZero() {
		p.plan.Time = opts.At.Time.Format(time.RFC3339)
	}
	if p.now, err = liveAccount(ctx, store, id, opts.Account); err != nil {
		return nil, err
	}
	if opts.Expunged {
		err = p.expunged(ctx, h, at)
	} else {
		err = p.state(ctx, h, at)
	}
	if err != nil {
		return nil, err
	}
	p.count()
	if !p.plan.Empty() && opts.Into == "" {
		err = p.undone(ctx, h, at)
	}
	return p.plan, err
}

// state plans to come back to a state.
func (p *planner) state(ctx context.Context, h History, at eventlog.Position) error {
	s, err := fold(ctx, h, p.opts.Account, at, nil)
	if err != nil {
		return err
	}
	if p.then, err = s.account(p.opts.Account); err != nil {
		return err
	}
	if p.then.row == nil {
		return fmt.Errorf("%w: %s at position %d", mailstore.ErrNoAccount, p.opts.Account, at)
	}
	boxes, err := p.selected()
	if err != nil {
		return err
	}
	if p.opts.Into != "" {
		return p.into(ctx, boxes)
	}
	return p.inPlace(ctx, boxes)
}

// selected gives the mailboxes, as they were, that are to be restored.
func (p *planner) selected() ([]*box, error) {
	if p.opts.Mailbox == "" {
		return p.then.boxes, nil
	}
	name, err := mailstore.CleanName(p.opts.Mailbox)
	if err != nil {
		return nil, err
	}
	if b := p.then.byName(name); b != nil {
		return []*box{b}, nil
	}
	if now := p.now.byName(name); now != nil {
		if b := p.then.byID(now.row.ID); b != nil {
			return []*box{b}, nil
		}
	}
	return nil, fmt.Errorf("%w: %q at position %d", mailstore.ErrNoMailbox, name, p.plan.Position)
}

func (p *planner) step(s Step) { p.plan.Steps = append(p.plan.Steps, s) }

// count sums the steps up.
func (p *planner) count() {
	c := &p.plan.Counts
	for i := range p.plan.Steps {
		s := &p.plan.Steps[i]
		switch s.Op {
		case OpCreateAccount:
			c.Accounts++
		case OpDelete:
			c.Deleted++
			c.Expunged += s.Messages
		case OpRename, OpCreate:
			c.Mailboxes++
		case OpAppend:
			c.Messages += s.Messages
		case OpFlags:
			c.Flags += s.Messages
		case OpExpunge:
			c.Expunged += s.Messages
		case OpSpecialUse:
			c.SpecialUses++
		case OpSubscribe, OpUnsubscribe:
			c.Subscriptions++
		}
	}
}

// undone lists the events after the point that the plan undoes.
func (p *planner) undone(ctx context.Context, h History, at eventlog.Position) error {
	last, err := h.Last(ctx)
	if err != nil {
		return err
	}
	if p.opts.Expunged {
		if last, err = p.until(ctx, h); err != nil {
			return err
		}
	}
	names := map[event.MailboxID]string{}
	of := map[event.MailboxID]bool{}
	for _, a := range []*account{p.then, p.now} {
		for _, b := range a.boxes {
			names[b.row.ID] = b.row.Name
			of[b.row.ID] = p.opts.Mailbox == "" || b.row.Name == p.opts.Mailbox
		}
	}
	return h.Events(ctx, at+1, last, archive.EventFilter{Account: p.opts.Account}, func(e Event) error {
		if !p.undoes(e.Entry.Event) {
			return nil
		}
		d := describe(e, names)
		if p.opts.Mailbox != "" && !slices.ContainsFunc(d.boxes, func(id event.MailboxID) bool { return of[id] }) {
			return nil
		}
		p.plan.Undoes++
		if len(p.plan.Undone) == MaxUndone {
			p.plan.Undone = slices.Delete(p.plan.Undone, 0, 1)
		}
		p.plan.Undone = append(p.plan.Undone, d.undone(e))
		return nil
	})
}

// undoes says whether a restore like this undoes events of a kind.
func (p *planner) undoes(ev event.Event) bool {
	o := &p.opts
	switch ev.(type) {
	case *event.MessagesExpunged:
		return o.has(Messages)
	case *event.MailboxDeleted, *event.AccountDeleted:
		return o.has(Messages) || o.has(Mailboxes)
	case *event.MessagesMoved:
		return o.has(Messages) && !o.Expunged
	case *event.MessagesAppended, *event.MessagesCopied:
		return o.has(Messages) && o.Exact
	case *event.MailboxCreated:
		return o.has(Mailboxes) && o.Exact
	case *event.FlagsChanged:
		return o.has(Flags) && !o.Expunged
	case *event.MailboxRenamed, *event.SpecialUseSet:
		return o.has(Mailboxes) && !o.Expunged
	case *event.SubscriptionSet:
		return o.has(Subscriptions) && !o.Expunged
	}
	return false
}
