package restore

import (
	"context"
	"fmt"
	"slices"

	"angarium/eventlog/event"
	"angarium/mailstore"
)

// pair is a mailbox as it was with what it is now, or will be once the steps before have been done.
type pair struct {
	then *box
	now  *box   // nil: it will be made
	name string // that it will have
}

// inPlace plans to make the mailboxes what they were.
func (p *planner) inPlace(ctx context.Context, boxes []*box) error {
	if p.now.row == nil {
		p.step(Step{Op: OpCreateAccount, cred: p.then.row.Credential})
		p.now = &account{boxes: []*box{}}
	}
	pairs := p.match(boxes)
	matched := map[event.MailboxID]bool{}
	for _, x := range pairs {
		if x.now != nil {
			matched[x.now.row.ID] = true
		}
	}
	whole := p.opts.Mailbox == ""
	var extra []*box
	for _, b := range p.now.boxes {
		if !matched[b.row.ID] {
			extra = append(extra, b)
		}
	}
	if p.opts.Exact && whole && p.opts.has(Mailboxes) {
		for _, b := range extra {
			p.step(Step{Op: OpDelete, Mailbox: b.row.Name, Messages: int(b.row.Messages)})
		}
		p.now.boxes = slices.DeleteFunc(slices.Clone(p.now.boxes), func(b *box) bool { return !matched[b.row.ID] })
		extra = nil
	}
	p.names(pairs)
	for i := range pairs {
		if err := p.messages(ctx, &pairs[i]); err != nil {
			return err
		}
	}
	if p.opts.has(Mailboxes) {
		p.specialUses(pairs, extra)
	}
	switch {
	case p.opts.has(Subscriptions) && whole:
		p.subscriptions()
	case p.opts.has(Subscriptions):
		p.subscribeAgain(pairs)
	}
	return nil
}

// match finds for each mailbox what it is now: the one of its id, or else one of its name that was not there.
func (p *planner) match(boxes []*box) []pair {
	pairs := make([]pair, 0, len(boxes))
	for _, b := range boxes {
		x := pair{then: b, now: p.now.byID(b.row.ID), name: b.row.Name}
		if x.now == nil {
			if same := p.now.byName(b.row.Name); same != nil && p.then.byID(same.row.ID) == nil {
				x.now = same
			}
		}
		pairs = append(pairs, x)
	}
	return pairs
}

// besideSuffix is added to the name of a mailbox that comes back while another has its name.
const besideSuffix = " (restored)"

// names plans renames and new mailboxes. Where names are of no interest, a mailbox keeps the one it has.
func (p *planner) names(pairs []pair) {
	names, want := map[event.MailboxID]string{}, map[event.MailboxID]string{}
	for _, b := range p.now.boxes {
		names[b.row.ID] = b.row.Name
	}
	for i := range pairs {
		x := &pairs[i]
		switch {
		case x.now == nil:
		case p.cameBeside(x, pairs):
			x.name = x.now.row.Name
		case p.opts.has(Mailboxes):
			want[x.now.row.ID] = x.name
		default:
			x.name = x.now.row.Name
		}
	}
	t := &tree{names: names, want: want}
	for i := range pairs { // a name that will be needed for a new mailbox must not be taken
		if pairs[i].now == nil {
			t.want[pairs[i].then.row.ID] = pairs[i].name
		}
	}
	for _, r := range planRenames(t.names, t.want) {
		p.step(Step{Op: OpRename, Mailbox: r.from, To: r.to})
		t.rename(r.from, r.to)
	}
	taken := map[string]bool{}
	for _, name := range t.names {
		taken[name] = true
	}
	for i := range pairs {
		x := &pairs[i]
		if x.now != nil {
			x.name = t.names[x.now.row.ID]
			continue
		}
		if !p.opts.has(Mailboxes) && !p.opts.has(Messages) {
			x.name = "" // it is not there, and is not to come back
			continue
		}
		if taken[x.name] && x.name != mailstore.Inbox { // by one that is not to move
			x.name += besideSuffix
			if x.now = p.now.byName(x.name); x.now != nil {
				continue
			}
		}
		if x.name != mailstore.Inbox { // a new account has its INBOX
			p.step(Step{Op: OpCreate, Mailbox: x.name, id: x.then.row.ID})
		}
	}
}

// cameBeside says that a mailbox was brought back beside one that has its name, and that is not to move.
func (p *planner) cameBeside(x *pair, pairs []pair) bool {
	other := p.now.byName(x.name)
	return x.now.row.Name == x.name+besideSuffix && other != nil && !slices.ContainsFunc(pairs, func(y pair) bool { return y.now == other })
}

// messages plans what becomes of the messages of a mailbox.
func (p *planner) messages(ctx context.Context, x *pair) error {
	if x.name == "" || !(p.opts.has(Messages) || p.opts.has(Flags)) {
		return nil
	}
	if x.now != nil && x.now.row.ID == x.then.row.ID && x.now.row.HighestModseq == x.then.row.HighestModseq {
		return nil // nothing has changed in it
	}
	then, err := x.then.load(ctx)
	if err != nil {
		return err
	}
	var now []message
	sameID := false
	modseq := uint64(0)
	if x.now != nil {
		if now, err = x.now.load(ctx); err != nil {
			return err
		}
		sameID, modseq = x.now.row.ID == x.then.row.ID, x.now.row.HighestModseq
	}
	missing, kept, extra := compare(then, now, sameID)
	if p.opts.has(Messages) {
		p.append(x.name, missing)
	}
	if p.opts.has(Flags) {
		p.flags(x.name, kept, modseq)
	}
	if p.opts.Exact && p.opts.has(Messages) && len(extra) > 0 {
		var uids event.UIDSet
		for _, m := range extra {
			uids = uids.Add(m.uid)
		}
		p.step(Step{Op: OpExpunge, Mailbox: x.name, Messages: len(extra), uids: uids, UIDs: uids.String()})
	}
	return nil
}

// kept is a message that is there, and how it was.
type kept struct{ then, now message }

// same is what a message keeps when it comes back under a new UID.
type same struct {
	guid event.GUID
	date int64
}

func (m *message) same() same { return same{m.guid, m.date} }

// compare pairs the messages that were with those that are: by UID where it is the same mailbox, and else by GUID and date, as restored
// messages have new UIDs.
func compare(then, now []message, sameID bool) (missing []message, both []kept, extra []message) {
	byUID := map[uint32]int{}
	used := make([]bool, len(now))
	if sameID {
		for i, m := range now {
			byUID[m.uid] = i
		}
	}
	var rest []message
	for _, m := range then {
		if i, ok := byUID[m.uid]; ok && now[i].guid == m.guid {
			both, used[i] = append(both, kept{m, now[i]}), true
		} else {
			rest = append(rest, m)
		}
	}
	left := map[same][]int{}
	for i, m := range now {
		if !used[i] {
			left[m.same()] = append(left[m.same()], i)
		}
	}
	for _, m := range rest {
		list := left[m.same()]
		if len(list) == 0 {
			missing = append(missing, m)
			continue
		}
		both, used[list[0]] = append(both, kept{m, now[list[0]]}), true
		left[m.same()] = list[1:]
	}
	for i, m := range now {
		if !used[i] {
			extra = append(extra, m)
		}
	}
	return missing, both, extra
}

func (p *planner) append(name string, list []message) {
	if len(list) > 0 {
		p.step(Step{Op: OpAppend, Mailbox: name, Messages: len(list), list: list})
	}
}

// flags plans to give messages the flags they had, one step for each set of flags.
func (p *planner) flags(name string, both []kept, modseq uint64) {
	slices.SortFunc(both, func(a, b kept) int { return int(int64(a.now.uid) - int64(b.now.uid)) })
	groups := map[string]*Step{}
	var order []string
	for _, k := range both {
		key := flagKey(k.then.flags)
		if key == flagKey(k.now.flags) {
			continue
		}
		s := groups[key]
		if s == nil {
			s = &Step{Op: OpFlags, Mailbox: name, Flags: k.then.flags, modseq: modseq}
			groups[key] = s
			order = append(order, key)
		}
		s.uids = s.uids.Add(k.now.uid)
		s.Messages++
	}
	for _, key := range order {
		s := groups[key]
		s.UIDs = s.uids.String()
		p.step(*s)
	}
}

// specialUses plans the special uses. One that a mailbox had is taken from whichever has it now.
func (p *planner) specialUses(pairs []pair, extra []*box) {
	wanted := map[string]bool{}
	for _, x := range pairs {
		for _, u := range x.then.row.SpecialUse {
			wanted[u] = true
		}
	}
	type change struct {
		name string
		uses []string
	}
	var later []change
	for _, x := range pairs {
		if x.name == "" {
			continue
		}
		var have []string
		if x.now != nil {
			have = x.now.row.SpecialUse
		}
		want := x.then.row.SpecialUse
		if sameSet(have, want) {
			continue
		}
		later = append(later, change{x.name, want})
		if common := slices.DeleteFunc(slices.Clone(have), func(u string) bool { return !slices.Contains(want, u) }); len(common) < len(have) {
			if sameSet(common, want) {
				later[len(later)-1].uses = want
				continue
			}
			p.step(Step{Op: OpSpecialUse, Mailbox: x.name, Uses: common})
		}
	}
	now := map[event.MailboxID]string{}
	for _, b := range extra {
		now[b.row.ID] = p.nameOf(b)
		if left := slices.DeleteFunc(slices.Clone(b.row.SpecialUse), func(u string) bool { return wanted[u] }); len(left) < len(b.row.SpecialUse) {
			p.step(Step{Op: OpSpecialUse, Mailbox: now[b.row.ID], Uses: left})
		}
	}
	slices.SortStableFunc(later, func(a, b change) int { return len(a.uses) - len(b.uses) }) // first those that give up
	for _, c := range later {
		p.step(Step{Op: OpSpecialUse, Mailbox: c.name, Uses: c.uses})
	}
}

// nameOf gives the name that a mailbox has after the renames of the plan.
func (p *planner) nameOf(b *box) string {
	name := b.row.Name
	for _, s := range p.plan.Steps {
		if s.Op == OpRename && (name == s.Mailbox || below(name, s.Mailbox)) {
			name = s.To + name[len(s.Mailbox):]
		}
	}
	return name
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// subscribeAgain plans the subscriptions of mailboxes that come back.
func (p *planner) subscribeAgain(pairs []pair) {
	for i := range pairs {
		x := &pairs[i]
		if x.now == nil && x.name != "" && slices.Contains(p.then.subs, x.then.row.Name) && !slices.Contains(p.now.subs, x.name) {
			p.step(Step{Op: OpSubscribe, Mailbox: x.name})
		}
	}
}

func (p *planner) subscriptions() {
	for _, name := range p.then.subs {
		if !slices.Contains(p.now.subs, name) {
			p.step(Step{Op: OpSubscribe, Mailbox: name})
		}
	}
	for _, name := range p.now.subs {
		if !slices.Contains(p.then.subs, name) {
			p.step(Step{Op: OpUnsubscribe, Mailbox: name})
		}
	}
}

// into plans copies of mailboxes beside what there is.
func (p *planner) into(ctx context.Context, boxes []*box) error {
	if p.now.row == nil {
		return fmt.Errorf("%w: %s (hint: restore it in place)", mailstore.ErrNoAccount, p.opts.Account)
	}
	for _, b := range boxes {
		name := p.opts.Into
		if p.opts.Mailbox == "" {
			name += mailstore.Separator + b.row.Name
		}
		name, err := mailstore.CleanName(name)
		if err != nil {
			return err
		}
		then, err := b.load(ctx)
		if err != nil {
			return err
		}
		var now []message
		if there := p.now.byName(name); there != nil {
			if now, err = there.load(ctx); err != nil {
				return err
			}
		} else {
			p.step(Step{Op: OpCreate, Mailbox: name})
		}
		missing, _, _ := compare(then, now, false)
		p.append(name, missing)
	}
	return nil
}
