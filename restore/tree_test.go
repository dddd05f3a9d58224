package restore

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"angarium/eventlog/event"
	"angarium/mailstore"
)

// carryOut renames as mailstore does, and refuses what that refuses.
func carryOut(t *rapid.T, names map[event.MailboxID]string, r rename) {
	t.Helper()
	if r.from == mailstore.Inbox || below(r.to, r.from) {
		t.Fatalf("%q to %q is not allowed", r.from, r.to)
	}
	taken, found := map[string]bool{}, false
	for _, name := range names {
		found = found || name == r.from
		if name != r.from && !below(name, r.from) {
			taken[name] = true
		}
	}
	for id, name := range names {
		if name != r.from && !below(name, r.from) {
			continue
		}
		to := r.to + name[len(r.from):]
		if taken[to] {
			t.Fatalf("%q to %q: %q exists", r.from, r.to, to)
		}
		names[id] = to
	}
	if !found {
		t.Fatalf("there is no %q", r.from)
	}
}

// TestRenamesLeadWhereTheyShould: from any tree to any other, by renames that the store accepts.
func TestRenamesLeadWhereTheyShould(t *testing.T) {
	all := []string{"a", "b", "c", "a/b", "a/c", "b/a", "a/b/c", "b/a/c", "c/a/b/c", "INBOX/a"}
	rapid.Check(t, func(t *rapid.T) {
		names, want := map[event.MailboxID]string{{0xff}: mailstore.Inbox}, map[event.MailboxID]string{{0xff}: mailstore.Inbox}
		have := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 8, rapid.ID[string]).Draw(t, "have")
		goal := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 8, rapid.ID[string]).Draw(t, "goal")
		for i, name := range have {
			names[event.MailboxID{byte(i + 1)}] = name
		}
		for i, name := range goal {
			want[event.MailboxID{byte(i + 1)}] = name
		}
		before := maps.Clone(names)
		steps := planRenames(names, want)
		for _, r := range steps {
			carryOut(t, names, r)
		}
		if len(steps) > 4*len(all) {
			t.Fatalf("%d renames of %d mailboxes", len(steps), len(before))
		}
		seen := map[string]bool{}
		for id, name := range names {
			if w, ok := want[id]; ok && name != w {
				t.Fatalf("%v: %q, want %q: from %v by %v", id[0], name, w, before, steps)
			}
			if seen[name] {
				t.Fatalf("two mailboxes are %q", name)
			}
			seen[name] = true
		}
		if again := planRenames(names, want); len(again) > 0 {
			t.Fatalf("a second run would rename %v", again)
		}
	})
}

func TestOneRenameTakesTheSubtreeAlong(t *testing.T) {
	names, want := map[event.MailboxID]string{}, map[event.MailboxID]string{}
	for i, name := range []string{"", "/x", "/x/y"} {
		id := event.MailboxID{byte(i + 1)}
		names[id], want[id] = "Old"+name, "New"+name
	}
	if got := fmt.Sprint(planRenames(names, want)); got != "[{Old New}]" {
		t.Errorf("renames %s", got)
	}
}
