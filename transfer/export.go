package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"angarium/mailstore"
	"angarium/replica/state"
)

// The forms of an export.
const (
	FormatMaildir = "maildir" // Maildir++ with Dovecot's files
	FormatMbox    = "mbox"    // a file for each mailbox
	FormatArchive = "archive" // a directory that has everything
)

// ExportOptions says what of an account is exported, and where to. Zero values are the defaults.
type ExportOptions struct {
	Account          string
	Format           string // one of the constants
	Dir              string // is made; an export of the same account into it is brought up to date
	Include, Exclude []string
	DryRun           bool
	Progress         func(Progress) // may be nil
}

// outMailbox is a mailbox on its way out.
type outMailbox struct {
	row        *state.Mailbox
	subscribed bool
}

// outMessage is a message on its way out.
type outMessage struct {
	state.Message
	flags  []string
	recent bool
	body   func() ([]byte, error)
}

func (m *outMessage) date() time.Time { return time.Unix(m.InternalDate, 0).UTC() }

// sink is what an export is written to.
type sink interface {
	// begin starts a mailbox. Messages come by ascending UID.
	begin(box outMailbox) error
	message(m *outMessage) error
	end() error
	// finish makes all of it durable.
	finish(boxes []outMailbox, subscriptions []string) error
	// abandon gives up.
	abandon()
}

// Export writes an account to a directory.
func Export(ctx context.Context, store *mailstore.Store, id mailstore.Identity, opts ExportOptions) (*Report, error) {
	e := &exporter{store: store, id: id, opts: opts, report: &Report{Problems: []Problem{}}}
	boxes, subs, err := e.plan(ctx)
	if err != nil {
		return e.report, err
	}
	if opts.DryRun {
		for _, b := range boxes {
			e.report.Mailboxes++
			e.report.Messages += int(b.row.Messages)
			e.report.Bytes += int64(b.row.Size)
		}
		return e.report, nil
	}
	out, err := e.open()
	if err != nil {
		return e.report, err
	}
	for _, b := range boxes {
		e.report.Mailboxes++
		if err := e.mailbox(ctx, out, b); err != nil {
			out.abandon()
			return e.report, fmt.Errorf("mailbox %q: %w", b.row.Name, err)
		}
	}
	return e.report, out.finish(boxes, subs)
}

type exporter struct {
	store  *mailstore.Store
	id     mailstore.Identity
	opts   ExportOptions
	report *Report
}

func (e *exporter) open() (sink, error) {
	switch e.opts.Format {
	case FormatMaildir:
		return newMaildirSink(e.opts.Dir, e.report)
	case FormatMbox:
		return newMboxSink(e.opts.Dir)
	case FormatArchive:
		return newArchiveSink(e.opts.Dir, e.opts.Account)
	}
	return nil, fmt.Errorf("unknown form of export %q", e.opts.Format)
}

// plan lists the mailboxes that are wanted.
func (e *exporter) plan(ctx context.Context) ([]outMailbox, []string, error) {
	if _, err := e.store.Account(ctx, e.opts.Account); err != nil {
		return nil, nil, err
	}
	rows, err := e.store.Mailboxes(ctx, e.id, e.opts.Account)
	if err != nil {
		return nil, nil, err
	}
	subs, err := e.store.Subscriptions(ctx, e.id, e.opts.Account)
	if err != nil {
		return nil, nil, err
	}
	choose := newChooser(e.opts.Include, e.opts.Exclude)
	var list []outMailbox
	for _, row := range rows {
		if choose.wants(row.Name) {
			list = append(list, outMailbox{row, slices.Contains(subs, row.Name)})
		}
	}
	subs = slices.DeleteFunc(subs, func(n string) bool { return !choose.wants(n) })
	return list, subs, nil
}

// mailbox writes a mailbox as it is now. A message that is damaged is left out, and told of.
func (e *exporter) mailbox(ctx context.Context, out sink, box outMailbox) error {
	b, err := e.store.Open(ctx, e.id, e.opts.Account, box.row.Name, true)
	if errors.Is(err, mailstore.ErrNoMailbox) {
		e.report.problem(Problem{Mailbox: box.row.Name, Text: "was deleted meanwhile"})
		return nil
	}
	if err != nil {
		return err
	}
	defer b.Close()
	snap := b.Snapshot()
	*box.row = *snap.Mailbox
	if err := out.begin(box); err != nil {
		return err
	}
	done := 0
	err = b.Messages(1, 1<<32-1, func(m state.Message) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		live, ok := snap.List.Get(m.UID)
		if !ok {
			return true, nil // it came after the snapshot
		}
		one := &outMessage{
			Message: m, flags: live.Flags.Names(snap.Mailbox.Keywords), recent: m.UID > snap.Mailbox.RecentUID,
			body: func() ([]byte, error) { return b.Body(m.GUID) },
		}
		err := out.message(one)
		if errors.Is(err, mailstore.ErrDamaged) {
			e.report.Failed++
			e.report.problem(Problem{Mailbox: box.row.Name, Message: fmt.Sprintf("UID %d", m.UID), Text: err.Error()})
			return true, nil
		}
		if err == nil {
			done++
			e.report.Messages++
			e.report.Bytes += int64(m.Size)
			if e.opts.Progress != nil {
				e.opts.Progress(Progress{Mailbox: box.row.Name, Done: done, OfMessages: int(snap.Mailbox.Messages)})
			}
		}
		return true, err
	})
	if err != nil {
		return err
	}
	return out.end()
}
