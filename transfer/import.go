package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/time/rate"

	"angarium/mailstore"
)

// Service is the service that acts in the events of an import.
const Service = "import"

// Options says what of a source is imported, and how. Zero values are the defaults.
type Options struct {
	Account string // that the mail is for; it exists
	Source  string // names the source for the ledger: the same for all imports of one account of it
	Ledgers string // directory of the ledgers
	Keep    bool   // mailboxes and messages keep their numbers where they can

	Include, Exclude []string // patterns of folder names: "*" is anything, "%" anything within a level
	Into             string   // puts all folders below this mailbox
	SkipVirtual      bool     // leaves out folders that show messages of others, as Gmail's "All Mail"
	NoFlags          bool     // leaves the flags of messages that are there as they are
	Delete           bool     // expunges what is no more at the source
	DryRun           bool     // only says what would be done

	Limit    *rate.Limiter  // bytes of messages read, nil: no limit
	Progress func(Progress) // may be nil
}

// Import copies an account. It can be run again, after an interruption too, and does then what is left to do. What it did until it failed is
// in the report.
func Import(ctx context.Context, store *mailstore.Store, id mailstore.Identity, src Source, opts Options) (*Report, error) {
	id.Service = Service
	im := &importer{store: store, id: id, src: src, opts: opts, report: &Report{Problems: []Problem{}}}
	book, err := openLedger(opts.Ledgers, opts.Account, opts.Source, opts.DryRun)
	if err != nil {
		return im.report, err
	}
	im.book = book
	return im.report, errors.Join(im.run(ctx), book.close())
}

type importer struct {
	store  *mailstore.Store
	id     mailstore.Identity
	src    Source
	opts   Options
	book   *ledger
	report *Report
}

// planned is a folder that is wanted.
type planned struct {
	Folder
	mailbox string // where it goes
	numbers Numbers
	keep    bool   // its mailbox has its UIDVALIDITY
	there   bool   // the mailbox
	held    uint32 // UIDVALIDITY of the mailbox
}

func (im *importer) run(ctx context.Context) error {
	list, err := im.plan(ctx)
	if err != nil {
		return err
	}
	if im.opts.DryRun {
		err = im.look(ctx, list)
	} else {
		err = im.mailboxes(ctx, list)
	}
	if err != nil {
		return err
	}
	for i := range list {
		im.report.Mailboxes++
		if err := im.folder(ctx, &list[i]); err != nil {
			return fmt.Errorf("folder %q: %w", list[i].Name, err)
		}
	}
	return nil
}

// plan lists the folders that are wanted, with the mailboxes they go to.
func (im *importer) plan(ctx context.Context) ([]planned, error) {
	folders, err := im.src.Folders(ctx)
	if err != nil {
		return nil, err
	}
	choose := newChooser(im.opts.Include, im.opts.Exclude)
	taken := map[string]string{}
	var list []planned
	for _, f := range folders {
		if !choose.wants(f.Name) || (im.opts.SkipVirtual && f.Virtual) {
			continue
		}
		p := planned{Folder: f}
		if p.mailbox, err = mailboxName(f.Name, im.opts.Into); err != nil {
			im.report.problem(Problem{Mailbox: f.Name, Text: "left out: " + err.Error()})
			continue
		}
		if other, ok := taken[p.mailbox]; ok {
			im.report.problem(Problem{Mailbox: f.Name, Text: fmt.Sprintf("goes into one mailbox %q with %q", p.mailbox, other)})
			continue
		}
		taken[p.mailbox] = f.Name
		if p.numbers, err = im.src.Numbers(ctx, f.Name); err != nil {
			if errors.Is(err, ErrMessage) { // it cannot be opened
				im.report.problem(Problem{Mailbox: f.Name, Text: err.Error()})
				continue
			}
			return nil, fmt.Errorf("folder %q: %w", f.Name, err)
		}
		list = append(list, p)
	}
	slices.SortStableFunc(list, func(a, b planned) int { return strings.Compare(a.mailbox, b.mailbox) })
	return list, nil
}

// mailboxes makes the mailboxes that are not there, all at once, and subscribes to them.
func (im *importer) mailboxes(ctx context.Context, list []planned) error {
	wanted := make([]mailstore.ImportedMailbox, len(list))
	for i, p := range list {
		wanted[i].New = mailstore.NewMailbox{Name: p.mailbox, SpecialUse: p.SpecialUse}
		if im.opts.Keep {
			wanted[i].UIDValidity, wanted[i].Modseq = p.numbers.UIDValidity, p.numbers.Modseq
		}
	}
	out, err := im.store.ImportMailboxes(ctx, im.id, im.opts.Account, wanted)
	if err != nil {
		return fmt.Errorf("make the mailboxes: %w", err)
	}
	subscribed, err := im.store.Subscriptions(ctx, im.id, im.opts.Account)
	if err != nil {
		return err
	}
	for i, o := range out {
		p := &list[i]
		p.keep, p.held, p.there = o.Kept, o.UIDValidity, true
		if o.Made {
			im.report.Made++
		}
		if p.keep {
			im.report.Kept++
		} else if im.opts.Keep && p.numbers.UIDValidity != 0 {
			im.report.problem(Problem{Mailbox: p.mailbox, Text: fmt.Sprintf(
				"has UIDVALIDITY %d, not %d, and new UIDs: mail was in it before, or the number was taken", o.UIDValidity, p.numbers.UIDValidity)})
		}
		// Only with a new mailbox: who unsubscribes later is not subscribed again by the next run.
		if o.Made && p.Subscribed && !slices.Contains(subscribed, p.mailbox) {
			if err := im.store.Subscribe(ctx, im.id, im.opts.Account, p.mailbox, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// look finds out for a dry run which mailboxes are there, or would be made.
func (im *importer) look(ctx context.Context, list []planned) error {
	boxes := map[string]uint32{}
	if _, err := im.store.Account(ctx, im.opts.Account); !errors.Is(err, mailstore.ErrNoAccount) {
		rows, err := im.store.Mailboxes(ctx, im.id, im.opts.Account)
		if err != nil {
			return err
		}
		for _, m := range rows {
			if m.UIDNext > 1 { // one that never had a message would be made anew
				boxes[m.Name] = m.UIDValidity
			}
		}
	}
	for i := range list {
		p := &list[i]
		p.held, p.there = boxes[p.mailbox], boxes[p.mailbox] != 0
		p.keep = im.opts.Keep && p.numbers.UIDValidity != 0 && (!p.there || p.held == p.numbers.UIDValidity)
		if !p.there {
			im.report.Made++
		}
		if p.keep {
			im.report.Kept++
		}
	}
	return nil
}
