package expire_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/mailstore/expire"
	"angarium/mailstore/storetest"
	"angarium/replica/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const day = 24 * time.Hour

// clock is a time that a test sets.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// setup makes a store with accounts that have a mailbox Trash, and a clock for both.
func setup(t *testing.T, accounts ...string) (*storetest.Env, *clock) {
	t.Helper()
	c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	env := storetest.New(t, 1, mailstore.Options{
		Now: c.Now, DefaultMailboxes: []mailstore.NewMailbox{{Name: "Trash", SpecialUse: []string{`\Trash`}}},
	})
	for _, a := range accounts {
		env.Account(t, a)
	}
	return env, c
}

func put(t *testing.T, env *storetest.Env, account, mailbox string, n, size int, date time.Time) {
	t.Helper()
	for i := range n {
		b, err := env.Store.Prepare([]byte(fmt.Sprintf("Subject: %d\r\n\r\n", i) + strings.Repeat("x", size)))
		if err != nil {
			t.Fatal(err)
		}
		msg := mailstore.NewMessage{Body: b, InternalDate: date}
		if _, err := env.Store.Append(context.Background(), storetest.User(account), account, mailbox, []mailstore.NewMessage{msg}); err != nil {
			t.Fatal(err)
		}
	}
}

// uids gives the UIDs that are in a mailbox.
func uids(t *testing.T, env *storetest.Env, account, mailbox string) string {
	t.Helper()
	m, err := env.Store.Mailbox(context.Background(), storetest.User(account), account, mailbox)
	if err != nil {
		t.Fatal(err)
	}
	var set event.UIDSet
	err = env.Store.Records(storetest.User(account), m, 1, func(r state.Message) (bool, error) { set = set.Add(r.UID); return true, nil })
	if err != nil {
		t.Fatal(err)
	}
	return set.String()
}

func expirer(env *storetest.Env, c *clock, policies ...expire.Policy) *expire.Expirer {
	return &expire.Expirer{Store: env.Store, Set: expire.Set{Policies: policies}, Now: c.Now, Rate: 1e9}
}

func run(t *testing.T, x *expire.Expirer, q expire.Query) (expire.Sum, []expire.Found) {
	t.Helper()
	var list []expire.Found
	sum, err := x.Run(context.Background(), q, func(f expire.Found) error {
		f.UIDs, f.ID, f.Bytes = nil, event.MailboxID{}, 0
		list = append(list, f)
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return sum, list
}

func TestWhatWasMovedToTheTrashStaysTheWholeTime(t *testing.T) {
	env, c := setup(t, "anna")
	old := c.now.Add(-1000 * day)
	put(t, env, "anna", "Trash", 3, 10, old) // written long ago, thrown away today
	c.now = c.now.Add(20 * day)
	put(t, env, "anna", "Trash", 2, 10, old)
	c.now = c.now.Add(15 * day)
	x := expirer(env, c, expire.Policy{Name: "trash", SpecialUse: `\trash`, MaxAge: 30 * day})
	sum, list := run(t, x, expire.Query{DryRun: true})
	want := []expire.Found{{Account: "anna", Mailbox: "Trash", Policy: "trash", Reason: expire.TooOld, Messages: 3}}
	if diff := cmp.Diff(want, list); diff != "" || sum.Messages != 3 || sum.Mailboxes != 1 || sum.Bytes == 0 {
		t.Errorf("dry run: %+v (-want +got):\n%s", sum, diff)
	}
	if got := uids(t, env, "anna", "Trash"); got != "1:5" {
		t.Errorf("a dry run left %s", got)
	}
	if _, list := run(t, x, expire.Query{}); cmp.Diff(want, list) != "" {
		t.Errorf("expunged %+v", list)
	}
	if got := uids(t, env, "anna", "Trash"); got != "4:5" {
		t.Errorf("left %s", got)
	}
	if sum, _ := run(t, x, expire.Query{}); sum != (expire.Sum{}) {
		t.Errorf("a second run expunged %+v", sum)
	}
}

func TestAnAgeByInternalDateLooksAtAllMessages(t *testing.T) {
	env, c := setup(t, "anna")
	put(t, env, "anna", "Trash", 1, 10, c.now)
	put(t, env, "anna", "Trash", 2, 10, c.now.Add(-40*day))
	put(t, env, "anna", "Trash", 1, 10, c.now)
	run(t, expirer(env, c, expire.Policy{Name: "t", Mailbox: "Tr*", MaxAge: 30 * day, ByReceived: true}), expire.Query{})
	if got := uids(t, env, "anna", "Trash"); got != "1,4" {
		t.Errorf("left %s", got)
	}
}

func TestNumberAndSizeExpungeWhatCameFirst(t *testing.T) {
	env, c := setup(t, "anna")
	put(t, env, "anna", "Trash", 20, 1000, c.now)
	x := expirer(env, c, expire.Policy{Name: "many", Mailbox: "Trash", MaxMessages: 12}, expire.Policy{Name: "big", MaxBytes: 8200})
	x.Batch = 3 // more than one batch of each
	sum, list := run(t, x, expire.Query{})
	reasons := map[string]int{}
	for _, f := range list {
		reasons[f.Policy+" "+f.Reason] += f.Messages
		if f.Messages > 3 {
			t.Errorf("%d messages in one batch", f.Messages)
		}
	}
	if diff := cmp.Diff(map[string]int{"many messages": 8, "big size": 4}, reasons); diff != "" || sum.Mailboxes != 1 {
		t.Errorf("%+v (-want +got):\n%s", sum, diff)
	}
	if got := uids(t, env, "anna", "Trash"); got != "13:20" {
		t.Errorf("left %s", got)
	}
}

func TestEventsNameThePolicy(t *testing.T) {
	env, c := setup(t, "anna")
	put(t, env, "anna", "Trash", 4, 10, c.now)
	x := expirer(env, c, expire.Policy{Name: "spam", MaxMessages: 1})
	x.Batch = 2
	run(t, x, expire.Query{})
	var got []string
	head, err := env.Logs[0].Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for pos := head.First; pos <= head.Last; pos++ {
		payload, err := env.Logs[0].Read(context.Background(), pos)
		if err != nil {
			t.Fatal(err)
		}
		e, err := eventlog.Decode(pos, payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range e.Entries {
			if ev, ok := entry.Event.(*event.MessagesExpunged); ok {
				got = append(got, fmt.Sprintf("%s %s %s", entry.Meta.Actor, entry.Meta.Service, ev.UIDs))
			}
		}
	}
	if diff := cmp.Diff([]string{"policy:spam expire 1:2", "policy:spam expire 3"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOnlyAccountsThatAreLedAreTouched(t *testing.T) {
	env, c := setup(t, "anna", "ben", "carl")
	for _, a := range []string{"anna", "ben", "carl"} {
		put(t, env, a, "Trash", 3, 10, c.now)
	}
	x := expirer(env, c, expire.Policy{Name: "p", MaxMessages: 1})
	x.Leads = func(a string) bool { return a != "ben" }
	run(t, x, expire.Query{Account: "ben"})
	run(t, x, expire.Query{Account: "anna"})
	if a, b := uids(t, env, "anna", "Trash"), uids(t, env, "ben", "Trash"); a != "3" || b != "1:3" {
		t.Errorf("anna has %s, ben %s", a, b)
	}
	asked := 0 // the shard changes its primary in the middle
	x.Leads = func(string) bool { asked++; return asked < 2 }
	if _, err := x.Run(context.Background(), expire.Query{Account: "carl"}, nil, nil); !errors.Is(err, mailstore.ErrNotPrimary) {
		t.Errorf("went on: %v", err)
	}
}

func TestEachLimitIsOfTheFirstPolicyThatHasIt(t *testing.T) {
	set := expire.Set{
		Keep: expire.Window{Expunged: 30 * day, Deleted: 60 * day},
		Policies: []expire.Policy{
			{Name: "lawyer", Account: "law*@example.org", Final: true, KeepExpunged: 3650 * day},
			{Name: "small", Domain: "example.org", MaxMessages: 10},
			{Name: "spam", Mailbox: "Sp?m", MaxMessages: 1000, MaxBytes: 1 << 20, KeepDeleted: 7 * day},
		},
	}
	for _, c := range []struct {
		account, mailbox string
		want             expire.Limits
	}{
		{"lawyers@example.org", "Spam", expire.Limits{Keep: expire.Window{Expunged: 3650 * day, Deleted: 60 * day}}},
		{"anna@example.org", "Späm", expire.Limits{
			Messages: expire.Rule[int]{Policy: "small", Limit: 10}, Bytes: expire.Rule[int64]{Policy: "spam", Limit: 1 << 20},
			Keep: expire.Window{Expunged: 30 * day, Deleted: 7 * day},
		}},
		{"anna", "Spam/x", expire.Limits{Keep: set.Keep}},
	} {
		if diff := cmp.Diff(c.want, set.For(c.account, c.mailbox, nil)); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.account, c.mailbox, diff)
		}
	}
	if got := set.Longest(); got != (expire.Window{Expunged: 3650 * day, Deleted: 60 * day}) {
		t.Errorf("longest %+v", got)
	}
	set.Keep.Deleted = 0
	if got := set.Longest(); got.Deleted != 0 {
		t.Errorf("for good is longest: %+v", got)
	}
}
