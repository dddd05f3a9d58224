package notify_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/notify"
	"angarium/notify/notifytest"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// must fails the test for an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const letter = "From: Bert Müller <bert@example.org>\r\nTo: anna@example.org\r\nSubject: Lunch\r\nMessage-ID: <m1@example.org>\r\n" +
	"Date: Thu, 29 Feb 2024 12:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nToday at one?\r\n"

// imap is a session of anna.
func imap(account string) mailstore.Identity {
	return mailstore.Identity{Account: account, Service: "imap", Session: "7f3c", Client: "192.0.2.7:51234"}
}

// history makes every kind of event, in an account whose name needs escaping.
func history(t testing.TB, env *notifytest.Env, account string) {
	t.Helper()
	ctx, s := context.Background(), env.Store
	env.Account(t, account)
	deliver(t, env, letter, account)
	env.Append(t, account, "INBOX", strings.Replace(letter, "m1@", "m2@", 1), `\Seen`, "$Work")
	id := imap(account)
	_, err := s.CreateMailbox(ctx, id, account, mailstore.NewMailbox{Name: "Entwürfe & more", SpecialUse: []string{`\Drafts`}, Subscribe: true})
	must(t, err)
	must(t, s.RenameMailbox(ctx, id, account, "Entwürfe & more", "Lists/ietf"))
	box, err := s.Open(ctx, id, account, "INBOX", false)
	must(t, err)
	defer box.Close()
	_, err = box.Copy(ctx, event.UIDsOf(1, 2), "Lists/ietf")
	must(t, err)
	store := func(op mailstore.FlagOp, uids event.UIDSet, flags ...string) {
		_, err := box.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: uids, Op: op, Flags: flags})
		must(t, err)
	}
	store(mailstore.AddFlags, event.UIDsOf(1), `\Seen`, `\Flagged`)
	store(mailstore.SetFlags, event.UIDsOf(1), "$Work")
	store(mailstore.AddFlags, event.UIDsOf(1, 2), `\Deleted`)
	_, _, err = box.Expunge(ctx, event.UIDsOf(1))
	must(t, err)
	_, err = box.Move(ctx, event.UIDsOf(2), "Lists/ietf")
	must(t, err)
	must(t, s.Subscribe(ctx, id, account, "Lists/ietf", true))
	must(t, s.Subscribe(ctx, id, account, "Lists/ietf", false))
	must(t, s.DeleteMailbox(ctx, id, account, "Lists/ietf"))
	expire(t, env, account)
	must(t, s.DeleteAccount(ctx, storetest.Admin, account))
}

func deliver(t testing.TB, env *notifytest.Env, raw string, accounts ...string) {
	t.Helper()
	b, err := env.Store.Prepare([]byte(raw))
	must(t, err)
	var to []mailstore.Recipient
	for _, a := range accounts {
		to = append(to, mailstore.Recipient{Account: a})
	}
	lmtp := mailstore.Identity{Service: "lmtp", Session: "l1", Client: "127.0.0.1", Admin: true}
	for _, d := range env.Store.Deliver(context.Background(), lmtp, b, to) {
		must(t, d.Err)
	}
}

// expire removes a message as a policy of the server does.
func expire(t testing.TB, env *notifytest.Env, account string) {
	t.Helper()
	ctx := context.Background()
	deliver(t, env, letter, account)
	box, err := env.Store.Open(ctx, mailstore.Identity{Service: "expire", Admin: true}, account, "INBOX", false)
	must(t, err)
	defer box.Close()
	_, err = box.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: event.UIDSet{{First: 1, Last: 1 << 31}}, Op: mailstore.AddFlags, Flags: []string{`\Deleted`}})
	must(t, err)
	_, _, err = box.Expunge(ctx, nil)
	must(t, err)
}

// readAll gives the events of a feed from a place up to its head.
func readAll(t testing.TB, f *notify.Feed, at notify.Place) []*notify.Event {
	t.Helper()
	c := f.Cursor(at)
	defer c.Close()
	var all []*notify.Event
	for end := f.Head(); at.Position <= end; {
		b, err := c.Next(context.Background())
		must(t, err)
		all = append(all, b.Events...)
		at = b.Next
	}
	return all
}

// settled waits until the feed has seen what the log holds.
func settled(t testing.TB, env *notifytest.Env, f *notify.Feed) {
	t.Helper()
	head, err := env.Logs[f.Shard()].Head(context.Background())
	must(t, err)
	c := f.Cursor(notify.Place{Position: head.Last})
	defer c.Close()
	_, err = c.Next(context.Background())
	must(t, err)
}

// passed waits until a feed that nobody reads has seen what the log holds. It keeps nothing of it in memory.
func passed(t testing.TB, log eventlog.Log, f *notify.Feed) {
	t.Helper()
	head, err := log.Head(context.Background())
	must(t, err)
	waitFor(t, "the head of the log", func() bool { return f.Head() >= head.Last })
}

var hexID = regexp.MustCompile(`"[0-9a-f]{32}"`)

// lines writes events as JSON lines in which the random ids of mailboxes are numbered.
func lines(events []*notify.Event) []byte {
	var buf bytes.Buffer
	ids := map[string]string{}
	for _, e := range events {
		buf.Write(hexID.ReplaceAllFunc(e.JSON(), func(id []byte) []byte {
			if _, ok := ids[string(id)]; !ok {
				ids[string(id)] = fmt.Sprintf(`"%032x"`, len(ids)+1)
			}
			return []byte(ids[string(id)])
		}))
		buf.WriteByte('\n')
	}
	return buf.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); d != "" {
		t.Errorf("%s (-want +got; -rewrite accepts it):\n%s", path, d)
	}
}

func TestEventsOfAHistory(t *testing.T) {
	env := notifytest.New(t, 1)
	env.Followers[0].Lockstep = true
	feed := env.Feeds(t)[0]
	c := feed.Cursor(notify.Place{}) // keeps what comes in memory
	defer c.Close()
	history(t, env, "anna.b@example.org")
	settled(t, env, feed)

	live := readAll(t, feed, notify.Place{})
	golden(t, "events.jsonl", lines(live))
	schema := loadSchema(t)
	seen := map[notify.Name]bool{}
	for _, e := range live {
		seen[e.Event] = true
		schema.check(t, e.JSON())
		if len(e.Degraded) > 0 {
			t.Errorf("%s is degraded though it was projected as it was applied: %v", e.ID(), e.Degraded)
		}
	}
	for _, n := range notify.Names() {
		if !seen[n] && n.Group() != notify.GroupAccess {
			t.Errorf("the history has no %s", n)
		}
	}
}

func TestEventsReadBackAreTheSame(t *testing.T) {
	env := notifytest.New(t, 1)
	feed := env.Feeds(t)[0]
	c := feed.Cursor(notify.Place{})
	defer c.Close()
	history(t, env, "anna")
	settled(t, env, feed)
	live := readAll(t, feed, notify.Place{})

	late := notifytest.NewFollower(t, env.Logs[0])
	lateFeed := notify.NewFeed(notify.FeedOptions{Host: notifytest.Host})
	late.Run(t, lateFeed)
	passed(t, env.Logs[0], lateFeed)
	past := readAll(t, lateFeed, notify.Place{})

	golden(t, "events-read-back.jsonl", lines(past))
	schema := loadSchema(t)
	for _, e := range past {
		schema.check(t, e.JSON())
	}
	if d := cmp.Diff(identities(live), identities(past)); d != "" {
		t.Errorf("read back (-live +past):\n%s", d)
	}
}

// identities gives of each event what is read from the log alone.
func identities(events []*notify.Event) []string {
	var list []string
	for _, e := range events {
		list = append(list, strings.Join([]string{
			e.ID(), string(e.Event), e.User, e.UniqueID, e.UIDSet, e.OldUniqueID, e.OldUIDSet, fmt.Sprint(e.Modseq), e.FlagNames, e.Timestamp,
		}, " "))
	}
	return list
}

func TestEventsAreNumberedWithoutGaps(t *testing.T) {
	env := notifytest.New(t, 1)
	feed := env.Feeds(t)[0]
	history(t, env, "anna")
	settled(t, env, feed)
	var last notify.Place
	for _, e := range readAll(t, feed, notify.Place{}) {
		if e.Position < last.Position || e.Position == last.Position && e.Index != last.Index || e.Position > last.Position && e.Index != 0 {
			t.Errorf("%s comes after %v", e.ID(), last)
		}
		last = e.After()
		o, err := notify.ParseID(e.ID())
		if err != nil || o != *e.Origin {
			t.Errorf("ParseID(%s) = %v, %v", e.ID(), o, err)
		}
	}
}

func TestEveryKindIsDecidedOn(t *testing.T) {
	dir := filepath.Join("..", "eventlog", "event", "testdata", "golden")
	files, err := os.ReadDir(dir)
	must(t, err)
	var kinds []event.Kind
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		must(t, err)
		var sample struct{ CBOR string }
		must(t, json.Unmarshal(b, &sample))
		raw, err := hex.DecodeString(sample.CBOR)
		must(t, err)
		entry, err := event.Decode(raw)
		must(t, err)
		kinds = append(kinds, entry.Event.Kind())
		if !notify.Decided(entry.Event) {
			t.Errorf("nobody has decided what %s notifies of", entry.Event.Kind())
		}
	}
	for _, k := range event.Kinds() {
		if !slices.Contains(kinds, k) {
			t.Errorf("no sample of %s in %s", k, dir)
		}
	}
}

func TestWhatDoesNotFitIsReadFromTheLog(t *testing.T) {
	env, n := node(t, 1)
	f := n.Feed(0)
	c := f.Cursor(notify.Place{})
	defer c.Close()
	history(t, env, "anna")
	settled(t, env, f)
	f.FillIntake()
	history(t, env, "bert")
	settled(t, env, f)
	var got []string
	for at := (notify.Place{}); at.Position <= f.Head(); {
		b, err := c.Next(context.Background())
		must(t, err)
		for _, e := range b.Events {
			got = append(got, e.ID())
		}
		at = b.Next
	}
	other := notify.NewFeed(notify.FeedOptions{Host: notifytest.Host})
	notifytest.NewFollower(t, env.Logs[0]).Run(t, other)
	passed(t, env.Logs[0], other)
	equal(t, "events", got, idsFrom(t, other, notify.Place{}))
}
