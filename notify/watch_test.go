package notify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/memlog"
	"angarium/notify"
	"angarium/notify/notifytest"
)

// node is a notifier over a store with some mail.
func node(t *testing.T, shards int, sinks ...notify.Sink) (*notifytest.Env, *notify.Notifier) {
	t.Helper()
	env := notifytest.New(t, shards)
	n, err := notify.New(notify.Options{Host: notifytest.Host, Shards: shards, Sinks: sinks})
	must(t, err)
	for i, f := range env.Followers {
		f.Run(t, n.Feed(i))
	}
	n.Start()
	t.Cleanup(n.Close)
	return env, n
}

func feedsOf(n *notify.Notifier, shards int) []*notify.Feed {
	var feeds []*notify.Feed
	for i := range shards {
		feeds = append(feeds, n.Feed(i))
	}
	return feeds
}

func TestWatchSeesWhatHappens(t *testing.T) {
	env, n := node(t, 2)
	history(t, env, "before")
	env.Settle(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events := make(chan string, 1000)
	done := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		started := false
		done <- n.Watch(ctx, notify.WatchOptions{Filter: notify.Filter{Accounts: []string{"anna"}}}, func(e *notify.Event) error {
			if e.Event == notify.Login && !started {
				started = true
				close(began)
				return nil
			}
			if e.User != "anna" {
				t.Errorf("an event of %s", e.User)
			}
			events <- string(e.Event)
			return nil
		})
	}()
	waitFor(t, "the watcher", func() bool {
		n.Login(notify.SessionInfo{Account: "anna", Time: notifytest.Start})
		select {
		case <-began:
			return true
		default:
			return false
		}
	})
	history(t, env, "bert")
	history(t, env, "anna")
	n.Logout(notify.SessionInfo{Account: "bert", Time: notifytest.Start})
	n.Logout(notify.SessionInfo{Account: "anna", Time: notifytest.Start})
	seen := map[string]bool{}
	for !seen["Logout"] || !seen[string(notify.AccountDelete)] {
		select {
		case e := <-events:
			seen[e] = true
		case <-time.After(patience):
			t.Fatalf("seen only %v", seen)
		}
	}
	cancel()
	must(t, <-done)
}

func TestWatchOnceEndsWithWhatIsThere(t *testing.T) {
	env, n := node(t, 2)
	history(t, env, "anna")
	history(t, env, "bert")
	for _, f := range feedsOf(n, 2) {
		settled(t, env, f)
	}
	all := map[int]notify.Place{0: {}, 1: {}}
	watch := func(opts notify.WatchOptions) []string {
		opts.Once = true
		var ids []string
		must(t, n.Watch(context.Background(), opts, func(e *notify.Event) error {
			ids = append(ids, e.ID())
			return nil
		}))
		return ids
	}
	got := watch(notify.WatchOptions{Since: all})
	for shard := range 2 {
		want := inShard(idsOf(t, feedsOf(n, 2)), shard)
		equal(t, "everything", inShard(got, shard), want)
		equal(t, "one shard", watch(notify.WatchOptions{Since: all, Shards: []int{shard}}), want)
	}
	if ids := watch(notify.WatchOptions{}); len(ids) > 0 {
		t.Errorf("from now on there is %v", ids)
	}
	expunges := watch(notify.WatchOptions{Since: all, Filter: notify.Filter{Events: []notify.Name{notify.MessageExpunge}}})
	if len(expunges) != 2 {
		t.Errorf("expunges: %v", expunges)
	}
	if err := n.Watch(context.Background(), notify.WatchOptions{Shards: []int{2}}, nil); err == nil {
		t.Error("there is a shard 2")
	}
	wrong := errors.New("wrong")
	if err := n.Watch(context.Background(), notify.WatchOptions{Since: all}, func(*notify.Event) error { return wrong }); !errors.Is(err, wrong) {
		t.Errorf("the watcher's error: %v", err)
	}
}

func TestWatchOnceHasAllThatIsApplied(t *testing.T) {
	env, n := node(t, 1)
	since := notify.Place{Position: 1}
	for i := range 20 {
		history(t, env, fmt.Sprint("user", i))
		env.Settle(t) // the replica, not the feed
		applied := env.Followers[0].Applied().Position
		var last eventlog.Position
		opts := notify.WatchOptions{Since: map[int]notify.Place{0: since}, Once: true}
		must(t, n.Watch(context.Background(), opts, func(e *notify.Event) error { last = e.Position; return nil }))
		if last != applied { // the last change of a history has an event
			t.Fatalf("the last event is of position %d, and %d is applied", last, applied)
		}
		since.Position = applied + 1
	}
}

func TestWatchFromATime(t *testing.T) {
	env, n := node(t, 1)
	history(t, env, "anna")
	f := n.Feed(0)
	settled(t, env, f)
	ctx := context.Background()
	for position := eventlog.Position(1); position <= f.Head(); position++ {
		payload, err := env.Logs[0].Read(ctx, position)
		must(t, err)
		envelope, err := eventlog.Decode(position, payload)
		must(t, err)
		at, err := f.At(ctx, envelope.Time)
		must(t, err)
		if at.Position > position || at.Index != 0 {
			t.Errorf("at the time of %d: %v", position, at)
		}
		at, err = f.At(ctx, envelope.Time.Add(time.Microsecond))
		must(t, err)
		if at.Position <= position {
			t.Errorf("after the time of %d: %v", position, at)
		}
	}
}

func TestHistoryThatIsGone(t *testing.T) {
	env, n := node(t, 1)
	history(t, env, "anna")
	f := n.Feed(0)
	passed(t, env.Logs[0], f)
	must(t, env.Logs[0].Purge(context.Background(), 5))
	err := n.Watch(context.Background(), notify.WatchOptions{Since: map[int]notify.Place{0: {Position: 2}}, Once: true}, func(*notify.Event) error { return nil })
	var history *notify.HistoryError
	if !errors.As(err, &history) || history.Wanted != 2 || history.First != 5 {
		t.Fatalf("error %v", err)
	}
	r := newReceiver(t, func(int) int { return 200 })
	s := r.sink(t, t.TempDir())
	run(t, s, feedsOf(n, 1))
	waitFor(t, "the rest", caughtUp(s, feedsOf(n, 1)))
	equal(t, "what is left", r.got(), idsFrom(t, f, notify.Place{Position: 5}))
	if st := s.Status(); st.Lost != 4 {
		t.Errorf("status %+v", st)
	}
}

func idsFrom(t *testing.T, f *notify.Feed, at notify.Place) []string {
	t.Helper()
	var list []string
	for _, e := range readAll(t, f, at) {
		list = append(list, e.ID())
	}
	return list
}

// archive keeps the envelopes before a position.
type archive struct {
	log    eventlog.Log
	before eventlog.Position
}

// Tail implements notify.Archive.
func (a archive) Tail(ctx context.Context, from eventlog.Position) (eventlog.Tail, error) {
	t, err := a.log.Tail(ctx, from)
	return archiveTail{t, a.before}, err
}

type archiveTail struct {
	eventlog.Tail
	before eventlog.Position
}

// Next implements eventlog.Tail.
func (t archiveTail) Next(ctx context.Context) (eventlog.Message, error) {
	m, err := t.Tail.Next(ctx)
	if err == nil && m.Position >= t.before {
		return eventlog.Message{}, io.EOF
	}
	return m, err
}

// TryNext implements eventlog.Tail.
func (t archiveTail) TryNext() (eventlog.Message, bool, error) { return eventlog.Message{}, false, nil }

// copyOf copies a log.
func copyOf(t *testing.T, log eventlog.Log) *memlog.Log {
	t.Helper()
	ctx, made := context.Background(), memlog.New()
	head, err := log.Head(ctx)
	must(t, err)
	var mark eventlog.Mark
	for position := head.First; position <= head.Last; position++ {
		payload, err := log.Read(ctx, position)
		must(t, err)
		must(t, <-made.Append(ctx, mark, payload))
		mark = eventlog.Mark{Position: position, Hash: eventlog.Hash(payload[len(payload)-eventlog.HashSize:])}
	}
	return made
}

func TestHistoryThatIsArchived(t *testing.T) {
	env := notifytest.New(t, 1)
	history(t, env, "anna")
	for name, c := range map[string]struct {
		before eventlog.Position
		lost   bool
	}{"up to the log": {6, false}, "and overlapping": {9, false}, "with a hole before the log": {4, true}} {
		t.Run(name, func(t *testing.T) {
			log := copyOf(t, env.Logs[0])
			f := notify.NewFeed(notify.FeedOptions{Host: notifytest.Host, Archive: archive{env.Logs[0], c.before}})
			notifytest.NewFollower(t, log).Run(t, f)
			passed(t, log, f)
			want := idsFrom(t, f, notify.Place{})
			must(t, log.Purge(context.Background(), 6))
			if !c.lost {
				equal(t, "from the beginning", idsFrom(t, f, notify.Place{}), want)
				return
			}
			cursor := f.Cursor(notify.Place{})
			defer cursor.Close()
			var err error
			for err == nil {
				_, err = cursor.Next(context.Background())
			}
			var history *notify.HistoryError
			if !errors.As(err, &history) || history.Wanted != 4 || history.First != 6 {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestStatusTellsHowFarBehindASinkIs(t *testing.T) {
	r := newReceiver(t, func(int) int { return 503 })
	s := r.sink(t, t.TempDir(), func(o *notify.DeliveryOptions) { o.Patience = -1 })
	env, n := node(t, 1, s)
	history(t, env, "anna")
	settled(t, env, n.Feed(0))
	waitFor(t, "a failure", func() bool { return s.Status().State == notify.SinkFailing })
	st := n.Status()
	if len(st) != 1 || st[0].Name != "test" || st[0].Kind != "webhook" || st[0].Behind == 0 || st[0].Error == "" {
		t.Errorf("status %+v", st)
	}
}

func TestFiltersLikeCyrus(t *testing.T) {
	env, n := node(t, 1)
	history(t, env, "anna")
	f := n.Feed(0)
	settled(t, env, f)
	events := readAll(t, f, notify.Place{})
	names := func(filter notify.Filter) []string {
		t.Helper()
		must(t, filter.Check())
		s := filter.Sieve()
		var list []string
		for _, e := range events {
			if e := s.Apply(e, f.ReadBody); e != nil && (len(list) == 0 || list[len(list)-1] != e.Event.Token()) {
				list = append(list, e.Event.Token())
			}
		}
		return list
	}
	equal(t, "groups", names(notify.Filter{Groups: []notify.Group{notify.GroupMailbox, notify.GroupQuota}}),
		[]string{"MailboxCreate", "MailboxRename", "MailboxDelete", "AccountDelete"})
	equal(t, "flags", names(notify.Filter{Groups: []notify.Group{notify.GroupFlags}, ExcludeFlags: []string{`\seen`, "$work"}}),
		[]string{"FlagsSet", "FlagsClear", "MessageTrash"})
	equal(t, "flags and trash", names(notify.Filter{Groups: []notify.Group{notify.GroupFlags}, ExcludeFlags: []string{`\Seen`, `\Deleted`, `\Flagged`, "$Work"}}), nil)
	equal(t, "special use", names(notify.Filter{ExcludeSpecialUse: []string{`\drafts`}, Groups: []notify.Group{notify.GroupMailbox}}),
		[]string{"MailboxCreate", "AccountDelete"})
	if all := names(notify.Filter{ExcludeSpecialUse: []string{"ALL"}}); slices.Contains(all, "MessageCopy") || !slices.Contains(all, "MessageNew") {
		t.Errorf("INBOX alone: %v", all)
	}
	for _, bad := range []notify.Filter{{Groups: []notify.Group{"x"}}, {Events: []notify.Name{"x"}}, {Content: 9}, {ContentBytes: -1}, {ContentBytes: 1 << 20}} {
		if bad.Check() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}

func TestContentOfNewMessages(t *testing.T) {
	env, n := node(t, 1)
	env.Account(t, "anna")
	deliver(t, env, "Subject: gr\xc3\xbc\xc3\x9fe\r\n\r\nabc\xc3\xa4def\r\n", "anna")
	f := n.Feed(0)
	settled(t, env, f)
	events := readAll(t, f, notify.Place{})
	e := events[len(events)-1]
	for _, c := range []struct {
		mode  notify.ContentMode
		limit int
		want  string
	}{
		{notify.ContentNone, 0, ""},
		{notify.ContentHeader, 0, "Subject: grüße\r\n\r\n"},
		{notify.ContentHeader, 12, "Subject: gr"}, // a character is not cut through
		{notify.ContentBody, 0, "abcädef\r\n"},
		{notify.ContentBody, 4, "abc"},
		{notify.ContentHeaderBody, 5, "Subject: grüße\r\n\r\nabcä"},
		{notify.ContentMessage, 0, "Subject: grüße\r\n\r\nabcädef\r\n"},
		{notify.ContentMessage, 7, "Subject"},
	} {
		filter := notify.Filter{Content: c.mode, ContentBytes: c.limit}
		got := filter.Sieve().Apply(e, f.ReadBody)
		if got.MessageContent != c.want || got.Degraded != nil {
			t.Errorf("%v to %d: %q, degraded %v; want %q", c.mode, c.limit, got.MessageContent, got.Degraded, c.want)
		}
	}
	if e.MessageContent != "" {
		t.Error("the shared event was changed")
	}
}
