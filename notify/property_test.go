package notify_test

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"angarium/eventlog/event"
	"angarium/eventlog/logtest"
	"angarium/eventlog/memlog"
	"angarium/notify"
	"angarium/notify/notifytest"
	"angarium/replica/state/statetest"
)

// randomLog fills a log with a random valid history of some envelopes.
func randomLog(t testing.TB, rt *rapid.T) *memlog.Log {
	t.Helper()
	h := statetest.New(statetest.Drawn{T: rt})
	log := memlog.New()
	var b logtest.Builder
	var unit []event.Entry
	flush := func() {
		if len(unit) == 0 {
			return
		}
		after, payload := b.Next(t, unit...)
		must(t, <-log.Append(context.Background(), after, payload))
		unit = nil
	}
	for range rapid.IntRange(1, 80).Draw(rt, "events") {
		entry, err := h.Next()
		must(t, err)
		if _, ok := entry.Event.(*event.EpochStarted); ok || len(unit) >= 6 {
			flush()
		}
		unit = append(unit, entry)
		if rapid.Bool().Draw(rt, "commit") {
			flush()
		}
	}
	flush()
	return log
}

func TestAnyPositionGivesTheSameEvents(t *testing.T) {
	schema := loadSchema(t)
	rapid.Check(t, func(rt *rapid.T) {
		log := randomLog(t, rt)
		// One feed that someone reads from the beginning, and one that has to read everything back.
		feeds := make([]*notify.Feed, 2)
		for i := range feeds {
			f := notifytest.NewFollower(t, log)
			feeds[i] = notify.NewFeed(notify.FeedOptions{Host: notifytest.Host})
			if i == 0 {
				c := feeds[0].Cursor(notify.Place{})
				defer c.Close()
			}
			stop := f.Run(t, feeds[i])
			defer stop()
			passed(t, log, feeds[i])
		}
		live := readAll(t, feeds[0], notify.Place{})
		for _, e := range live {
			schema.check(t, e.JSON())
		}
		from := notify.Place{}
		if len(live) > 0 {
			from = live[rapid.IntRange(0, len(live)-1).Draw(rt, "from")].After()
		}
		var want []*notify.Event
		for _, e := range live {
			if !(notify.Place{Position: e.Position, Index: e.Index}).Before(from) {
				want = append(want, e)
			}
		}
		for i, f := range feeds {
			got := readAll(t, f, from)
			for _, e := range got {
				schema.check(t, e.JSON())
			}
			if g, w := identities(got), identities(want); !slices.Equal(g, w) {
				rt.Fatalf("feed %d from %v:\n got %q\nwant %q", i, from, g, w)
			}
		}
	})
}
