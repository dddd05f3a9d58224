package transfer

import (
	"context"
	"maps"
	"slices"
	"strings"

	"angarium/eventlog/event"
	"angarium/mailstore"
)

// update brings over what has changed at the source since: flags, and with Options.Delete what is no more there.
func (t *target) update(ctx context.Context, items []Item) error {
	b, err := t.im.store.Open(ctx, t.im.id, t.im.opts.Account, t.p.mailbox, false)
	if err != nil {
		return err
	}
	defer b.Close()
	if !t.im.opts.NoFlags {
		if err := t.updateFlags(ctx, b, items); err != nil {
			return err
		}
	}
	if !t.im.opts.Delete {
		return nil
	}
	return t.expunge(ctx, b, items)
}

// updateFlags gives messages the flags they have at the source now, where those are others than at the last run: what was changed here stays.
func (t *target) updateFlags(ctx context.Context, b *mailstore.Mailbox, items []Item) error {
	groups := map[string][]uint32{}
	changed := map[string]entry{}
	for _, it := range items {
		e, ok := t.entries[it.ID]
		sum := flagSum(it.Flags)
		if !ok || e.Flags == sum {
			continue
		}
		changed[it.ID] = entry{e.UID, sum}
		key := strings.Join(t.flags.clean(it.Flags), " ")
		groups[key] = append(groups[key], e.UID)
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		res, err := b.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: uidSet(groups[key]), Op: mailstore.SetFlags, Flags: strings.Fields(key)})
		if err != nil {
			return err
		}
		t.im.report.Flags += res.Changed.Len()
	}
	return t.remember(changed)
}

// expunge removes messages that came from the source and are no more there.
func (t *target) expunge(ctx context.Context, b *mailstore.Mailbox, items []Item) error {
	have, claimed := make(map[string]bool, len(items)), map[uint32]bool{}
	for _, it := range items {
		have[it.ID] = true
		if e, ok := t.entries[it.ID]; ok {
			claimed[e.UID] = true
		}
	}
	var list []uint32
	forget := map[string]entry{}
	for id, e := range t.entries {
		if !have[id] {
			forget[id] = entry{}
			if !claimed[e.UID] { // the source may only have given it another name
				list = append(list, e.UID)
			}
		}
	}
	if len(list) == 0 {
		return t.remember(forget)
	}
	gone := uidSet(list)
	if _, err := b.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: gone, Op: mailstore.AddFlags, Flags: []string{`\Deleted`}}); err != nil {
		return err
	}
	uids, _, err := b.Expunge(ctx, gone)
	if err != nil {
		return err
	}
	t.im.report.Expunged += uids.Len()
	return t.remember(forget)
}

// uidSet makes a set of UIDs in any order.
func uidSet(list []uint32) event.UIDSet {
	var set event.UIDSet
	for _, uid := range slices.Sorted(slices.Values(list)) {
		set = set.Add(uid)
	}
	return set
}
