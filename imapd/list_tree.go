package imapd

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"angarium/mailstore"
	"angarium/replica/state"
)

// listEntry is a name that LIST can tell of: a mailbox, a subscription, or the superior of one of these.
type listEntry struct {
	name       string
	box        *state.Mailbox // nil if there is no such mailbox
	subscribed bool
	children   bool // there are mailboxes below it
	selected   bool // fits the selection options
	below      bool // a name below it does
}

// listTree reads an account's names in the order in which they are told: INBOX first, each before those below it.
func (s *session) listTree(ctx context.Context) ([]*listEntry, error) {
	boxes, err := s.srv.opts.Store.Mailboxes(ctx, s.id, s.id.Account)
	if err != nil {
		return nil, err
	}
	subscriptions, err := s.srv.opts.Store.Subscriptions(ctx, s.id, s.id.Account)
	if err != nil {
		return nil, err
	}
	tree := make(map[string]*listEntry, len(boxes))
	get := func(name string) *listEntry {
		e := tree[name]
		if e == nil {
			e = &listEntry{name: name}
			tree[name] = e
		}
		return e
	}
	for _, m := range boxes {
		get(m.Name).box = m
		for parent := range superiors(m.Name) {
			get(parent).children = true
		}
	}
	for _, name := range subscriptions {
		get(name).subscribed = true
		for parent := range superiors(name) {
			get(parent)
		}
	}
	list := make([]*listEntry, 0, len(tree))
	for _, e := range tree {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *listEntry) int { return compareNames(a.name, b.name) })
	return list, nil
}

// superiors yields the names above a name, the nearest first.
func superiors(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for {
			i := strings.LastIndex(name, mailstore.Separator)
			if i < 0 || !yield(name[:i]) {
				return
			}
			name = name[:i]
		}
	}
}

// compareNames orders names level by level, with INBOX first.
func compareNames(a, b string) int {
	if c := cmp.Compare(inboxPrefix(b), inboxPrefix(a)); c != 0 {
		return c
	}
	for {
		x, restA, moreA := strings.Cut(a, mailstore.Separator)
		y, restB, moreB := strings.Cut(b, mailstore.Separator)
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
		if !moreA || !moreB {
			switch {
			case moreB:
				return -1
			case moreA:
				return 1
			}
			return 0
		}
		a, b = restA, restB
	}
}

// markSelected notes which names fit the selection options, and which have such below them.
func markSelected(list []*listEntry, fits func(*listEntry) bool) {
	byName := make(map[string]*listEntry, len(list))
	for _, e := range list {
		byName[e.name] = e
	}
	for _, e := range list {
		if e.selected = fits(e); !e.selected {
			continue
		}
		for parent := range superiors(e.name) {
			if p := byName[parent]; p != nil {
				p.below = true
			}
		}
	}
}
