package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/replica/state"
)

// target is what a mailbox has while a folder is imported into it.
type target struct {
	im      *importer
	p       *planned
	row     *state.Mailbox
	entries map[string]entry // of the ledger
	flags   flagCleaner
	now     map[uint32]there
	free    map[same][]uint32 // UIDs that nothing of the source stands for
	next    uint32            // UIDNEXT
	done    int
}

// there is a message of the mailbox.
type there struct {
	guid event.GUID
	date int64
	size uint64
}

// same is what a message has that was copied: its body and its date.
type same struct {
	guid event.GUID
	date int64
}

func (im *importer) folder(ctx context.Context, p *planned) error {
	items, err := im.src.Items(ctx, p.Name)
	if err != nil {
		if errors.Is(err, ErrMessage) {
			im.report.problem(Problem{Mailbox: p.mailbox, Text: err.Error()})
			return nil
		}
		return err
	}
	t := &target{im: im, p: p, next: 1}
	if err := t.load(ctx, items); err != nil {
		return err
	}
	kept, other, err := t.sort(items)
	if err != nil {
		return err
	}
	im.tell(t, len(kept)+len(other))
	if im.opts.DryRun {
		for _, it := range slices.Concat(kept, other) {
			im.report.Messages++
			im.report.Bytes += max(it.Size, 0)
		}
		return nil
	}
	total := len(kept) + len(other)
	all := func(items []Item, keep bool) error {
		return batches(items, func(b []Item) error {
			if err := t.copy(ctx, b, keep); err != nil {
				return err
			}
			t.done += len(b)
			im.tell(t, total)
			return nil
		})
	}
	if err := all(kept, true); err != nil {
		return err
	}
	if err := t.raise(ctx); err != nil { // before messages get new UIDs: those that the source has given are not for them
		return err
	}
	if err := all(other, false); err != nil {
		return err
	}
	if err := t.update(ctx, items); err != nil {
		return err
	}
	if text := t.flags.problem(); text != "" {
		im.report.problem(Problem{Mailbox: p.mailbox, Text: text})
	}
	return nil
}

// raise lets UIDNEXT and HIGHESTMODSEQ go on above those of the source.
func (t *target) raise(ctx context.Context) error {
	if !t.p.keep {
		return nil
	}
	return t.im.store.ImportMessages(ctx, t.im.id, t.im.opts.Account, mailstore.Import{
		Mailbox: t.p.mailbox, UIDValidity: t.p.held, UIDNext: t.p.numbers.UIDNext, Modseq: t.p.numbers.Modseq,
	})
}

func (im *importer) tell(t *target, total int) {
	if im.opts.Progress != nil {
		im.opts.Progress(Progress{Mailbox: t.p.mailbox, Done: t.done, OfMessages: total})
	}
}

// load reads what the mailbox has, and what the ledger knows of it.
func (t *target) load(ctx context.Context, items []Item) error {
	t.now, t.free = map[uint32]there{}, map[same][]uint32{}
	if !t.p.there {
		t.entries = map[string]entry{}
		return nil
	}
	t.entries = t.im.book.of(t.p.Name, t.p.held)
	b, err := t.im.store.Open(ctx, t.im.id, t.im.opts.Account, t.p.mailbox, true)
	if err != nil {
		return err
	}
	defer b.Close()
	t.row = b.Snapshot().Mailbox
	t.next = t.row.UIDNext
	t.flags.keywords = slices.Clone(t.row.Keywords)
	claimed := map[uint32]bool{}
	for _, it := range items {
		if e, ok := t.entries[it.ID]; ok {
			claimed[e.UID] = true
		}
	}
	return b.Messages(1, 1<<32-1, func(m state.Message) (bool, error) {
		t.now[m.UID] = there{m.GUID, m.InternalDate, m.Size}
		if !claimed[m.UID] {
			k := same{m.GUID, m.InternalDate}
			t.free[k] = append(t.free[k], m.UID)
		}
		return true, nil
	})
}

// sort finds out which items are to be copied: with their UIDs, and with new ones. Those that are there under their UID and that the ledger
// does not know are entered in it.
func (t *target) sort(items []Item) (kept, other []Item, err error) {
	lost := len(t.entries) == 0 // the ledger, if there was one
	adopted := map[string]entry{}
	for _, it := range items {
		if _, ok := t.entries[it.ID]; ok {
			t.im.report.Known++
			continue
		}
		if limit := t.im.store.MaxMessage(); it.Size > limit {
			t.im.fail(t.p, it, fmt.Sprintf("%d bytes, more than the limit of %d", it.Size, limit))
			continue
		}
		if !t.p.keep || it.UID == 0 {
			other = append(other, it)
			continue
		}
		m, ok := t.now[it.UID]
		switch {
		case it.UID >= t.next:
			kept = append(kept, it)
		case ok && m.date == it.Date.Unix() && (it.Size < 0 || uint64(it.Size) == m.size):
			t.im.report.Known++
			adopted[it.ID] = entry{UID: it.UID} // its flags are looked at
		case !ok && lost:
			t.im.report.Known++ // it was here, and was expunged
			adopted[it.ID] = entry{UID: it.UID}
		default:
			other = append(other, it) // its UID was given to another message here, or it could not be had before
		}
	}
	return kept, other, t.remember(adopted)
}

func (t *target) remember(list map[string]entry) error {
	if err := t.im.book.add(t.p.Name, t.p.held, list); err != nil {
		return err
	}
	t.entries = t.im.book.of(t.p.Name, t.p.held)
	return nil
}

func (im *importer) fail(p *planned, it Item, text string) {
	im.report.Failed++
	im.report.problem(Problem{Mailbox: p.mailbox, Message: it.ID, Text: text})
}

// fetched is a message that is ready to be stored.
type fetched struct {
	it  Item
	msg mailstore.NewMessage
}

// copy brings one batch over.
func (t *target) copy(ctx context.Context, items []Item, keep bool) error {
	var list []fetched
	adopted := map[string]entry{}
	err := t.im.src.Fetch(ctx, t.p.Name, items, func(it Item, raw []byte, failed error) error {
		if failed != nil {
			t.im.fail(t.p, it, failed.Error())
			return nil
		}
		body, err := t.im.store.Prepare(raw)
		if errors.Is(err, mailstore.ErrTooLarge) {
			t.im.fail(t.p, it, err.Error())
			return nil
		}
		if err != nil {
			return err
		}
		if err := t.im.pace(ctx, len(raw)); err != nil {
			return err
		}
		if k := (same{body.GUID, it.Date.Unix()}); !keep && len(t.free[k]) > 0 {
			adopted[it.ID] = entry{UID: t.free[k][0]}
			t.free[k] = t.free[k][1:]
			t.im.report.Known++
			return nil
		}
		list = append(list, fetched{it, mailstore.NewMessage{Body: body, Flags: t.flags.clean(it.Flags), InternalDate: it.Date}})
		return nil
	})
	slices.SortStableFunc(list, func(a, b fetched) int { return cmp.Compare(a.it.UID, b.it.UID) })
	// What came before a failure is stored all the same.
	if stored := t.store(ctx, list, keep); stored != nil {
		return errors.Join(err, stored)
	}
	return errors.Join(err, t.remember(adopted))
}

// pace keeps to the limit of bytes per second.
func (im *importer) pace(ctx context.Context, n int) error {
	if im.opts.Limit == nil {
		return nil
	}
	for n > 0 {
		step := min(n, im.opts.Limit.Burst())
		if err := im.opts.Limit.WaitN(ctx, step); err != nil {
			return err
		}
		n -= step
	}
	return nil
}

// store writes messages: those that are \Recent apart from those that are not.
func (t *target) store(ctx context.Context, list []fetched, keep bool) error {
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].it.Recent == list[0].it.Recent {
			n++
		}
		if err := t.append(ctx, list[:n], keep); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

func (t *target) append(ctx context.Context, list []fetched, keep bool) error {
	im := t.im
	added := map[string]entry{}
	if keep {
		in := mailstore.Import{Mailbox: t.p.mailbox, UIDValidity: t.p.held, Modseq: t.p.numbers.Modseq, Recent: list[0].it.Recent}
		for _, f := range list {
			in.Messages = append(in.Messages, mailstore.ImportedMessage{NewMessage: f.msg, UID: f.it.UID})
			added[f.it.ID] = entry{f.it.UID, flagSum(f.it.Flags)}
		}
		err := im.store.ImportMessages(ctx, im.id, im.opts.Account, in)
		if errors.Is(err, mailstore.ErrNumbers) { // mail came in meanwhile
			im.report.problem(Problem{Mailbox: t.p.mailbox, Text: fmt.Sprintf("%d messages from UID %d on get new UIDs: %v", len(list), list[0].it.UID, err)})
			return t.append(ctx, list, false)
		}
		if err != nil {
			return err
		}
	} else {
		msgs := make([]mailstore.NewMessage, len(list))
		for i, f := range list {
			msgs[i] = f.msg
		}
		got, err := im.store.Append(ctx, im.id, im.opts.Account, t.p.mailbox, msgs)
		if err != nil {
			return err
		}
		for i, f := range list {
			added[f.it.ID] = entry{got.First + uint32(i), flagSum(f.it.Flags)}
		}
	}
	im.report.Messages += len(list)
	for _, f := range list {
		im.report.Bytes += int64(f.msg.Body.Size)
	}
	return t.remember(added)
}
