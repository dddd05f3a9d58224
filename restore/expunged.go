package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/replica/state"
)

// until is where the time of Expunged ends.
func (p *planner) until(ctx context.Context, h History) (eventlog.Position, error) {
	if p.opts.Until == (Point{}) {
		return h.Last(ctx)
	}
	return h.Resolve(ctx, p.opts.Until)
}

// lost is a message that was expunged.
type lost struct {
	message
	box         event.MailboxID
	uidValidity uint32
	uidNext     uint32 // of its mailbox then: what comes back has this UID or a higher one
}

// expunged plans to bring back what was expunged after a position.
func (p *planner) expunged(ctx context.Context, h History, from eventlog.Position) error {
	to, err := p.until(ctx, h)
	if err != nil {
		return err
	}
	if to < from {
		return fmt.Errorf("%w: the end lies before the beginning", ErrOptions)
	}
	var all []lost
	names := map[event.MailboxID]string{}
	s, err := fold(ctx, h, p.opts.Account, to, func(s *scratch, e Event) error {
		ev, ok := e.Entry.Event.(*event.MessagesExpunged)
		if !ok || e.Position <= from {
			return nil
		}
		list, name, err := s.lost(ev)
		all, names[ev.Mailbox] = append(all, list...), name
		return err
	})
	if err != nil {
		return err
	}
	if p.then, err = s.account(p.opts.Account); err != nil {
		return err
	}
	if p.now.row == nil {
		return fmt.Errorf("%w: %s", mailstore.ErrNoAccount, p.opts.Account)
	}
	byBox := map[event.MailboxID][]lost{}
	var order []event.MailboxID
	for _, l := range all {
		if _, ok := byBox[l.box]; !ok {
			order = append(order, l.box)
		}
		byBox[l.box] = append(byBox[l.box], l)
	}
	made := map[string]bool{}
	for _, id := range order {
		if err := p.bringBack(ctx, id, names[id], byBox[id], made); err != nil {
			return err
		}
	}
	return nil
}

// lost reads what an event is about to expunge.
func (s *scratch) lost(ev *event.MessagesExpunged) ([]lost, string, error) {
	if err := s.flush(); err != nil {
		return nil, "", err
	}
	row, err := state.GetMailbox(s.tx, ev.Mailbox)
	if row == nil || err != nil {
		return nil, "", err // an event that does not apply will say why
	}
	var list []lost
	var page state.Page
	number := uint32(1<<32 - 1)
	for uid := range ev.UIDs.All() {
		if n := state.PageOf(uid); n != number {
			if page, err = state.GetPage(s.tx, ev.Mailbox, n); err != nil {
				return nil, "", err
			}
			number = n
		}
		m, ok, err := state.GetMessage(s.tx, ev.Mailbox, uid)
		if err != nil {
			return nil, "", err
		}
		k, live := page.Find(uid)
		if !ok || !live {
			continue
		}
		flags := slices.DeleteFunc(page[k].Flags.Names(row.Keywords), func(f string) bool { return strings.EqualFold(f, `\Deleted`) })
		list = append(list, lost{
			message: message{uid: uid, guid: m.GUID, flags: flags, date: m.InternalDate}, box: ev.Mailbox,
			uidValidity: row.UIDValidity, uidNext: row.UIDNext,
		})
	}
	return list, row.Name, nil
}

// bringBack plans for one mailbox. A message is back already when its like came into the mailbox after it was expunged, be that
// there still or lost in its turn.
func (p *planner) bringBack(ctx context.Context, id event.MailboxID, name string, all []lost, made map[string]bool) error {
	there := p.now.byID(id)
	if there == nil {
		there = p.now.byName(name)
	} else {
		name = there.row.Name
	}
	if p.opts.Into != "" {
		name = p.opts.Into
		there = p.now.byName(name)
	}
	if p.opts.Mailbox != "" && p.opts.Into == "" && name != p.opts.Mailbox {
		return nil
	}
	var now []message
	var err error
	if there != nil {
		if now, err = there.load(ctx); err != nil {
			return err
		}
	}
	sameUIDs := there != nil && there.row.ID == id && there.row.UIDValidity == all[len(all)-1].uidValidity
	came := map[same][]uint32{} // UIDs of what came, ascending
	for _, l := range all {
		came[l.same()] = append(came[l.same()], l.uid)
	}
	for _, m := range now {
		uid := m.uid
		if !sameUIDs {
			uid = 1<<32 - 1
		}
		came[m.same()] = append(came[m.same()], uid)
	}
	for _, uids := range came {
		slices.Sort(uids)
	}
	var missing []message
	for _, l := range all {
		if len(p.opts.UIDs) > 0 && !p.opts.UIDs.Contains(l.uid) {
			continue
		}
		uids := came[l.same()]
		k := slices.IndexFunc(uids, func(uid uint32) bool { return uid >= l.uidNext })
		if k < 0 {
			missing = append(missing, l.message)
			continue
		}
		came[l.same()] = slices.Delete(uids, k, k+1)
	}
	if len(missing) == 0 {
		return nil
	}
	if there == nil && !made[name] {
		made[name] = true
		s := Step{Op: OpCreate, Mailbox: name}
		if p.opts.Into == "" {
			s.id = id
		}
		p.step(s)
	}
	p.append(name, missing)
	return nil
}
