package restore

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"angarium/eventlog/event"
	"angarium/mailstore"
)

// rename is one call of RenameMailbox: it takes the mailboxes below along.
type rename struct{ from, to string }

// tree is the names of the mailboxes of an account while renames are planned.
type tree struct {
	names map[event.MailboxID]string // now
	want  map[event.MailboxID]string // at the end; a mailbox that is not here may have any name
	steps []rename
}

// planRenames gives the renames after which every mailbox of want has the name it should, when those of names are there now. Mailboxes of no
// interest stay where they are, unless they are in the way or below one that moves.
func planRenames(names, want map[event.MailboxID]string) []rename {
	t := &tree{names: maps.Clone(names), want: want}
	for t.direct() {
	}
	if moving := t.moving(); len(moving) > 0 {
		t.indirect(moving)
	}
	return t.steps
}

func below(name, of string) bool { return strings.HasPrefix(name, of+mailstore.Separator) }

// moving gives the mailboxes that do not have the name they should, in order of the names they have.
func (t *tree) moving() []event.MailboxID {
	var list []event.MailboxID
	for id, name := range t.want {
		if have, ok := t.names[id]; ok && have != name {
			list = append(list, id)
		}
	}
	slices.SortFunc(list, func(a, b event.MailboxID) int { return strings.Compare(t.names[a], t.names[b]) })
	return list
}

// rename carries out a rename in the plan.
func (t *tree) rename(from, to string) {
	t.steps = append(t.steps, rename{from, to})
	for id, name := range t.names {
		if name == from || below(name, from) {
			t.names[id] = to + name[len(from):]
		}
	}
}

// direct does one rename that puts a mailbox, with all below it, where they belong; false when there is none.
func (t *tree) direct() bool {
	for _, id := range t.moving() {
		from, to := t.names[id], t.want[id]
		if from == mailstore.Inbox || below(to, from) {
			continue
		}
		fits := true
		taken := map[string]bool{}
		for other, name := range t.names {
			if name != from && !below(name, from) {
				taken[name] = true
			} else if want, ok := t.want[other]; ok && want != to+name[len(from):] {
				fits = false
			}
		}
		for _, name := range t.names {
			if name == from || below(name, from) {
				fits = fits && !taken[to+name[len(from):]]
			}
		}
		if fits {
			t.rename(from, to)
			return true
		}
	}
	return false
}

// indirect takes the mailboxes that have to move, those in their way, and all below these out of the tree, one by one from the leaves, and puts
// each where it belongs.
func (t *tree) indirect(moving []event.MailboxID) {
	goal := map[event.MailboxID]string{}
	for _, id := range moving {
		goal[id] = t.want[id]
	}
	for grown := true; grown; {
		grown = false
		for id, name := range t.names {
			if _, ok := goal[id]; ok || name == mailstore.Inbox {
				continue
			}
			for other, to := range goal {
				if name == to || below(name, t.names[other]) {
					goal[id], grown = cmp.Or(t.want[id], name), true
					break
				}
			}
		}
	}
	ids := slices.Collect(maps.Keys(goal))
	slices.SortFunc(ids, func(a, b event.MailboxID) int { return -strings.Compare(t.names[a], t.names[b]) })
	temps := map[event.MailboxID]string{}
	for i, id := range ids { // the deepest first: what is below has gone already
		temps[id] = t.free(fmt.Sprintf("restore-%d", i+1))
		t.rename(t.names[id], temps[id])
	}
	slices.SortFunc(ids, func(a, b event.MailboxID) int {
		_, wantedA := t.want[a]
		_, wantedB := t.want[b]
		if wantedA != wantedB { // those that may have any name come last
			return map[bool]int{true: -1, false: 1}[wantedA]
		}
		return strings.Compare(goal[a], goal[b])
	})
	for _, id := range ids {
		t.rename(temps[id], t.free(goal[id]))
	}
}

// free gives a name that no mailbox has and none will need: the one given, or that with a number.
func (t *tree) free(name string) string {
	taken := func(candidate string) bool {
		for id, have := range t.names {
			if want, ok := t.want[id]; have == candidate || (ok && want == candidate && candidate != name) {
				return true
			}
		}
		return false
	}
	candidate := name
	for n := 2; taken(candidate); n++ {
		candidate = fmt.Sprintf("%s (%d)", name, n)
	}
	return candidate
}
