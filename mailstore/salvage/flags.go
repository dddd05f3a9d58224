package salvage

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"angarium/eventlog/event"
	"angarium/mailstore"
)

// flagSet is the flags of a message: by lower-case name, as they are spelled.
type flagSet map[string]string

func newFlagSet(names []string) flagSet {
	s := flagSet{}
	for _, n := range names {
		s[strings.ToLower(n)] = n
	}
	return s
}

func (s flagSet) clone() flagSet { return maps.Clone(s) }

func (s flagSet) names() []string { return slices.Sorted(maps.Values(s)) }

// flagDeltas is what was said of flags: by lower-case name.
type flagDeltas map[string]flagDelta

type flagDelta struct {
	name string
	set  bool
}

func (s flagSet) apply(deltas flagDeltas) {
	for low, d := range deltas {
		if d.set {
			s[low] = d.name
		} else {
			delete(s, low)
		}
	}
}

// deltasOf gives what a change says.
func deltasOf(c event.FlagChange) flagDeltas {
	d := flagDeltas{}
	for _, n := range c.Remove {
		d[strings.ToLower(n)] = flagDelta{n, false}
	}
	for _, n := range c.Add {
		d[strings.ToLower(n)] = flagDelta{n, true}
	}
	return d
}

// target is a message of the new history. In a plan, one that would be appended has UID 0, and its GUID tells it apart.
type target struct {
	box  *box
	uid  uint32
	guid event.GUID
}

// flagPlan is what the tail says last of each flag of each message. Two messages of the old history may be one in the new one: so it is
// kept by the latter.
type flagPlan map[target]map[string]plannedFlag

type plannedFlag struct {
	flagDelta
	item int // that says so
}

// flagsChanged notes what an event says of flags.
func (e *engine) flagsChanged(ctx context.Context, n int, v *event.FlagsChanged) error {
	it := &e.items[n]
	a, err := e.account(ctx, v.Account)
	if err != nil {
		return err
	}
	it.mailbox = e.nameOf(a, v.Mailbox)
	if it.noAccount(a) {
		return nil
	}
	for _, c := range v.Changes {
		deltas := deltasOf(c)
		for uid := range c.UIDs.All() {
			if err := ctx.Err(); err != nil {
				return err
			}
			t, ok, err := e.flagTarget(ctx, it, a, key{v.Mailbox, uid}, deltas)
			if err != nil {
				return err
			}
			if ok {
				e.plan(t, n, deltas)
			}
		}
	}
	return nil
}

// flagTarget finds the message that a change of flags is about, and keeps how the old history has it by then.
func (e *engine) flagTarget(ctx context.Context, it *item, a *account, k key, deltas flagDeltas) (target, bool, error) {
	if ent := e.came[k]; ent != nil {
		ent.flags.apply(deltas)
		if ent.at == nil {
			it.skip("its message was not salvaged")
			return target{}, false, nil
		}
		if ent.uid == 0 {
			return target{ent.at, 0, ent.guid}, true, nil
		}
		return target{box: ent.at, uid: ent.uid}, true, nil
	}
	if e.deltas[k] == nil {
		e.deltas[k] = flagDeltas{}
	}
	maps.Copy(e.deltas[k], deltas)
	ent, err := e.present(ctx, a, k)
	if err != nil {
		return target{}, false, err
	}
	if ent == nil {
		it.skip("its message is gone")
		return target{}, false, nil
	}
	return target{box: ent.at, uid: ent.uid}, true, nil
}

func (e *engine) plan(t target, n int, deltas flagDeltas) {
	if e.flags[t] == nil {
		e.flags[t] = map[string]plannedFlag{}
	}
	for low, d := range deltas {
		if was, ok := e.flags[t][low]; ok {
			e.items[was.item].skip("superseded by event %d", e.items[n].index)
		}
		e.flags[t][low] = plannedFlag{d, n}
	}
}

// applyFlags makes the flags what the tail said of them last.
func (e *engine) applyFlags(ctx context.Context) error {
	targets := slices.SortedFunc(maps.Keys(e.flags), func(x, y target) int {
		return cmp.Or(
			strings.Compare(x.box.account.name, y.box.account.name), strings.Compare(x.box.name, y.box.name),
			cmp.Compare(x.uid, y.uid), slices.Compare(x.guid[:], y.guid[:]),
		)
	})
	for len(targets) > 0 {
		n := 1
		for n < len(targets) && targets[n].box == targets[0].box {
			n++
		}
		if err := e.flagBox(ctx, targets[:n]); err != nil {
			return err
		}
		targets = targets[n:]
	}
	return nil
}

// flagGroup is messages of a mailbox of which the same has to be changed.
type flagGroup struct {
	op    mailstore.FlagOp
	flag  string
	uids  event.UIDSet
	items []int // the events that say so, one for each message
}

// flagBox changes flags of messages in one mailbox, by ascending UID.
func (e *engine) flagBox(ctx context.Context, targets []target) error {
	var groups []*flagGroup
	byFlag := map[flagDelta]*flagGroup{}
	for _, t := range targets {
		have, ok, err := e.flagsOf(ctx, t)
		if err != nil {
			return err
		}
		for _, low := range slices.Sorted(maps.Keys(e.flags[t])) {
			p := e.flags[t][low]
			it := &e.items[p.item]
			if !ok {
				it.skip("its message is gone")
				continue
			}
			if _, has := have[low]; has == p.set {
				it.already++
				continue
			}
			g := byFlag[flagDelta{low, p.set}]
			if g == nil {
				g = &flagGroup{op: mailstore.RemoveFlags, flag: p.name}
				if p.set {
					g.op = mailstore.AddFlags
				}
				byFlag[flagDelta{low, p.set}] = g
				groups = append(groups, g)
			}
			g.uids = g.uids.Add(t.uid)
			g.items = append(g.items, p.item)
		}
	}
	for _, g := range groups {
		if err := e.storeFlags(ctx, targets[0].box, g); err != nil {
			return err
		}
	}
	return nil
}

// flagsOf gives the flags that a message has now.
func (e *engine) flagsOf(ctx context.Context, t target) (flagSet, bool, error) {
	if t.uid == 0 {
		have, ok := e.virtual[t]
		return have, ok, nil
	}
	mb, err := e.look(ctx, t.box)
	if err != nil || mb == nil {
		return nil, false, err
	}
	snap := mb.Snapshot()
	live, ok := snap.List.Get(t.uid)
	return newFlagSet(live.Flags.Names(snap.Mailbox.Keywords)), ok, nil
}

func (e *engine) storeFlags(ctx context.Context, b *box, g *flagGroup) error {
	var failed error
	if !e.dry {
		mb, err := e.look(ctx, b)
		if err == nil && mb == nil {
			err = mailstore.ErrNoMailbox
		}
		if err == nil {
			_, err = mb.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: g.uids, Op: g.op, Flags: []string{g.flag}})
		}
		if fatal(ctx, err) {
			return err
		}
		failed = err
	}
	for _, n := range g.items {
		if failed != nil {
			e.items[n].skip("%v", failed)
		} else {
			e.items[n].applied++
		}
	}
	return nil
}
