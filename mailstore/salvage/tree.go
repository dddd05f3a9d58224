package salvage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"angarium/eventlog/event"
	"angarium/mailstore"
)

// pending is something that may become possible when something else was done, and may be undone by it.
type pending struct {
	it      *item
	done    func() bool
	try     func(context.Context) (changed bool, err error) // when it is not done; says in why what keeps it from being done
	why     string
	changed bool
}

// settle tries what is pending again and again, until nothing more can be done. So the outcome does not depend on the order, and a second run
// finds nothing to do. rounds bounds it.
func settle(ctx context.Context, list []*pending) error {
	progress := true
	for rounds := len(list) + 1; rounds > 0 && progress; rounds-- {
		progress = false
		for _, p := range list {
			if p.done() {
				continue
			}
			changed, err := p.try(ctx)
			if err != nil {
				return err
			}
			p.changed = p.changed || changed
			progress = progress || changed
		}
	}
	for _, p := range list {
		switch {
		case !p.done():
			p.it.skip("%s", p.why)
		case p.changed:
			p.it.applied++
		default:
			p.it.already++
		}
	}
	return nil
}

// renameMailboxes gives mailboxes that were there before the tail the names they had at its end.
func (e *engine) renameMailboxes(ctx context.Context) error {
	var list []*pending
	for n := range e.items {
		it := &e.items[n]
		v, ok := it.event.(*event.MailboxRenamed)
		if !ok {
			continue
		}
		a, err := e.account(ctx, v.Account)
		if err != nil {
			return err
		}
		if it.noAccount(a) {
			continue
		}
		renames := slices.Clone(v.Renames)
		slices.SortFunc(renames, func(x, y event.Rename) int { return cmp.Compare(len(x.Name), len(y.Name)) })
		it.mailbox = renames[0].Name
		for _, r := range renames {
			if _, made := e.last.created[r.Mailbox]; made {
				it.already++
				it.say("the mailbox was made in the tail, and is made under its last name")
				continue
			}
			if it.superseded(n, e.last.renamed[r.Mailbox], e.items) {
				continue
			}
			list = append(list, e.rename(it, a, r))
		}
	}
	return settle(ctx, list)
}

func (e *engine) rename(it *item, a *account, r event.Rename) *pending {
	p := &pending{it: it, why: "the mailbox is gone"}
	p.done = func() bool { return a.boxes[r.Mailbox] != nil && a.boxes[r.Mailbox].name == r.Name }
	p.try = func(ctx context.Context) (bool, error) {
		b := a.boxes[r.Mailbox]
		switch {
		case b == nil:
			return false, nil
		case a.names[r.Name] != nil:
			p.why = "the name is taken"
			return false, nil
		case b.name == mailstore.Inbox || strings.HasPrefix(r.Name, b.name+mailstore.Separator):
			p.why = "the mailbox cannot get this name now"
			return false, nil
		}
		err := e.renameNow(ctx, a, b, r.Name)
		if err != nil && fatal(ctx, err) {
			return false, err
		}
		if err != nil {
			p.why = err.Error()
		}
		return err == nil, nil
	}
	return p
}

// renameNow renames a mailbox with all below it.
func (e *engine) renameNow(ctx context.Context, a *account, b *box, to string) error {
	from := b.name
	if !e.dry {
		if err := e.store.RenameMailbox(ctx, e.id, a.name, from, to); err != nil {
			return err
		}
		return e.refresh(ctx, a)
	}
	moved := map[string]*box{}
	for _, name := range slices.Sorted(maps.Keys(a.names)) {
		rest, ok := strings.CutPrefix(name, from)
		if !ok || (rest != "" && !strings.HasPrefix(rest, mailstore.Separator)) {
			continue
		}
		if taken := a.names[to+rest]; taken != nil && !strings.HasPrefix(to+rest+mailstore.Separator, from+mailstore.Separator) {
			return fmt.Errorf("%w: %q", mailstore.ErrMailboxExists, to+rest)
		}
		moved[name] = a.names[name]
	}
	for name := range moved {
		delete(a.names, name)
	}
	for name, other := range moved {
		other.name = to + strings.TrimPrefix(name, from)
		a.names[other.name] = other
	}
	return nil
}

// createMailboxes makes the mailboxes of the tail, under their last names, where those are free.
func (e *engine) createMailboxes(ctx context.Context) error {
	for n := range e.items {
		it := &e.items[n]
		v, ok := it.event.(*event.MailboxCreated)
		if !ok {
			continue
		}
		a, err := e.account(ctx, v.Account)
		if err != nil {
			return err
		}
		it.mailbox = e.last.name[v.Mailbox]
		if it.noAccount(a) {
			continue
		}
		if b := a.names[it.mailbox]; b != nil {
			a.boxes[v.Mailbox] = b
			it.already++
			continue
		}
		if err := e.create(ctx, it, a, v); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) create(ctx context.Context, it *item, a *account, v *event.MailboxCreated) error {
	uses := v.SpecialUse
	if other := a.taken(uses, nil); other != nil {
		uses = nil
		it.say("without its special use, which %q has", other.name)
	}
	b := &box{account: a, name: it.mailbox, uses: uses, guids: map[event.GUID]uint32{}, added: map[event.GUID]uint32{}}
	ok, err := e.do(ctx, it, func() error {
		id, err := e.store.CreateMailbox(ctx, e.id, a.name, mailstore.NewMailbox{Name: it.mailbox, SpecialUse: uses})
		b.id = id
		return err
	})
	if !ok || err != nil {
		return err
	}
	it.applied++
	a.boxes[v.Mailbox], a.names[b.name] = b, b
	if !e.dry {
		a.boxes[b.id] = b
	}
	return nil
}

// changeTree does what the tail says last of subscriptions and special uses, and tells of what is not done.
func (e *engine) changeTree(ctx context.Context) error {
	var list []*pending
	set := map[*box]int{} // the last event about the special uses of a mailbox: two mailboxes of the tail may be one here
	for n := range e.items {
		if v, ok := e.items[n].event.(*event.SpecialUseSet); ok && e.accounts[v.Account].there {
			set[e.accounts[v.Account].boxes[v.Mailbox]] = n
		}
	}
	for n := range e.items {
		it := &e.items[n]
		name := it.event.AccountName()
		if name == "" {
			continue
		}
		a, err := e.account(ctx, name)
		if err != nil {
			return err
		}
		switch v := it.event.(type) {
		case *event.SubscriptionSet:
			it.mailbox = v.Name
			if !it.superseded(n, e.last.subscribed[[2]string{name, v.Name}], e.items) {
				err = e.subscribe(ctx, it, a, v)
			}
		case *event.SpecialUseSet:
			it.mailbox = e.nameOf(a, v.Mailbox)
			if it.noAccount(a) {
				break
			}
			if b := a.boxes[v.Mailbox]; b == nil {
				it.skip("the mailbox is gone")
			} else if !it.superseded(n, set[b], e.items) {
				list = append(list, e.setUse(it, b, v))
			}
		case *event.MailboxDeleted:
			it.mailbox = e.nameOf(a, v.Mailbox)
			it.skip("nothing is deleted")
		case *event.RecentTaken:
			it.mailbox = e.nameOf(a, v.Mailbox)
			it.skip("of no consequence")
		case *event.MessagesExpunged:
			it.mailbox = e.nameOf(a, v.Mailbox)
			it.skip("nothing is expunged")
		}
		if err != nil {
			return err
		}
	}
	return settle(ctx, list)
}

// nameOf names a mailbox for the report.
func (e *engine) nameOf(a *account, id event.MailboxID) string {
	if b := a.boxes[id]; b != nil {
		return b.name
	}
	if name, ok := e.last.name[id]; ok {
		return name
	}
	if name, ok, err := e.old.MailboxName(a.name, id); ok && err == nil {
		return name
	}
	return id.String()
}

func (e *engine) subscribe(ctx context.Context, it *item, a *account, v *event.SubscriptionSet) error {
	switch {
	case it.noAccount(a):
		return nil
	case slices.Contains(a.subscribed, v.Name) == v.Subscribed:
		it.already++
		return nil
	}
	ok, err := e.do(ctx, it, func() error { return e.store.Subscribe(ctx, e.id, a.name, v.Name, v.Subscribed) })
	if !ok || err != nil {
		return err
	}
	it.applied++
	if v.Subscribed {
		a.subscribed = append(a.subscribed, v.Name)
	} else {
		a.subscribed = slices.DeleteFunc(a.subscribed, func(s string) bool { return s == v.Name })
	}
	return nil
}

func (e *engine) setUse(it *item, b *box, v *event.SpecialUseSet) *pending {
	p := &pending{it: it}
	p.done = func() bool { return sameSet(b.uses, v.SpecialUse) }
	p.try = func(ctx context.Context) (bool, error) {
		if b.account.taken(v.SpecialUse, b) != nil {
			p.why = "another mailbox has the special use"
			return false, nil
		}
		if !e.dry {
			err := e.store.SetSpecialUse(ctx, e.id, b.account.name, b.name, v.SpecialUse)
			if err != nil && fatal(ctx, err) {
				return false, err
			}
			if err != nil {
				p.why = err.Error()
				return false, nil
			}
		}
		b.uses = v.SpecialUse
		return true, nil
	}
	return p
}

func sameSet(x, y []string) bool {
	x, y = slices.Clone(x), slices.Clone(y)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
