package salvage

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/internal/codec"
	"angarium/mailstore"
)

// Tail gives the envelopes of a divergent tail in order. It is gone through twice, and must give the same both times.
type Tail = iter.Seq2[eventlog.Envelope, error]

// Old is what is still known of the old history beside the tail, as by the old primary's replica (FromReplica).
type Old interface {
	// Body gives a message as it was received.
	Body(ctx context.Context, guid event.GUID) ([]byte, error)
	// MailboxName gives the name of a mailbox; ok is false when it is not known.
	MailboxName(account string, id event.MailboxID) (name string, ok bool, err error)
	// Message gives a message; ok is false when it is not known.
	Message(id event.MailboxID, uid uint32) (m Message, ok bool, err error)
}

// Message is a message of the old history.
type Message struct {
	GUID         event.GUID
	InternalDate int64 // seconds since 1970
	Flags        []string
}

// Options says what there is beside the tail.
type Options struct {
	Old     Old    // may be nil
	Session string // goes into the log with what is done
}

// errChanged says that the tail is not the same when it is read again.
var errChanged = errors.New("the tail changed while it was salvaged")

// Plan says what Apply would do, and changes nothing. It tells failures apart that can be foreseen; others show in Apply only.
func Plan(ctx context.Context, store *mailstore.Store, tail Tail, opts Options) (*Report, error) {
	return run(ctx, store, tail, opts, true)
}

// Apply salvages a tail through a store of the new history, which need not be the primary's own: writes may be forwarded. When the store
// cannot be written to it ends with an error, mailstore.ErrUnavailable; what was done until then is done, and Apply can be called again. The
// report is nil then.
func Apply(ctx context.Context, store *mailstore.Store, tail Tail, opts Options) (*Report, error) {
	return run(ctx, store, tail, opts, false)
}

// engine salvages one tail.
type engine struct {
	store *mailstore.Store
	old   Old
	id    mailstore.Identity
	dry   bool // nothing is written; accounts, boxes and messages are as if it had been

	items    []item
	last     lasts
	accounts map[string]*account
	bodies   bodies
	came     map[key]*entered   // messages that entered a mailbox in the tail
	deltas   map[key]flagDeltas // what the tail has said so far of flags of the others
	flags    flagPlan
	virtual  map[target]flagSet // in a plan: the flags of messages that would be appended
	indexed  []*box             // those whose GUIDs are in memory
	open     *mailstore.Mailbox // the mailbox looked at last
}

// item is one event of the tail, without the bytes of bodies, and what becomes of it.
type item struct {
	position eventlog.Position
	index    uint64
	event    event.Event
	mailbox  string
	tally
}

func run(ctx context.Context, store *mailstore.Store, tail Tail, opts Options, dry bool) (*Report, error) {
	c, err := codec.New()
	if err != nil {
		return nil, fmt.Errorf("salvage: %w", err)
	}
	e := &engine{
		store: store, old: opts.Old, dry: dry,
		id:       mailstore.Identity{Service: "salvage", Session: opts.Session, Admin: true},
		accounts: map[string]*account{},
		bodies:   newBodies(c),
		came:     map[key]*entered{},
		deltas:   map[key]flagDeltas{},
		flags:    flagPlan{},
		virtual:  map[target]flagSet{},
	}
	defer e.close()
	if e.old == nil {
		e.old = nothingOld{}
	}
	if err := e.read(tail); err != nil {
		return nil, fmt.Errorf("salvage: read tail: %w", err)
	}
	for _, step := range []func(context.Context) error{e.changeAccounts, e.renameMailboxes, e.createMailboxes, e.changeTree} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("salvage: %w", err)
		}
	}
	if err := e.messages(ctx, tail); err != nil {
		return nil, fmt.Errorf("salvage: %w", err)
	}
	if err := e.applyFlags(ctx); err != nil {
		return nil, fmt.Errorf("salvage: %w", err)
	}
	return e.report(), nil
}

// do carries out a write, unless this is a plan. A write that the store refuses is told of in the tally, and false; an error is for a store that
// cannot be written to.
func (e *engine) do(ctx context.Context, it *item, write func() error) (bool, error) {
	if e.dry {
		return true, ctx.Err()
	}
	err := write()
	switch {
	case err == nil:
		return true, nil
	case fatal(ctx, err):
		return false, err
	}
	it.skip("%v", err)
	return false, nil
}

// fatal says that an error is not of one write, but keeps all from being done.
func fatal(ctx context.Context, err error) bool {
	return errors.Is(err, mailstore.ErrUnavailable) || ctx.Err() != nil
}

func (e *engine) report() *Report {
	r := &Report{Records: make([]Record, len(e.items))}
	for i := range e.items {
		it := &e.items[i]
		o, detail := it.outcome()
		r.Records[i] = Record{
			Position: uint64(it.position), Index: it.index, Account: it.event.AccountName(), Mailbox: it.mailbox,
			Kind: it.event.Kind().String(), Outcome: o, Detail: detail,
		}
		switch o {
		case Applied:
			r.Applied++
		case AlreadyThere:
			r.AlreadyThere++
		default:
			r.NotApplied++
		}
	}
	return r
}
