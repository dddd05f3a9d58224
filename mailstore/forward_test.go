package mailstore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/internal/codec"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/replica/state"
)

// notForwarded are the exported methods that do not write, or that only the primary does.
var notForwarded = strings.Fields(`Account Accounts Checkpoint DropBodies Freeze KnownBody Mailbox Mailboxes MaxMessage Open Prepare Recipient Serve Subscriptions WatchAccount
	Records Body Changed Close ID Knows LastGiven Message Messages Snapshot TakeRecent Vanished`)

var sentinels = []error{
	mailstore.ErrNoAccount, mailstore.ErrAccountExists, mailstore.ErrNoMailbox, mailstore.ErrMailboxExists, mailstore.ErrName, mailstore.ErrNotAllowed,
	mailstore.ErrDenied, mailstore.ErrSpecialUse, mailstore.ErrLimit, mailstore.ErrTooLarge, mailstore.ErrUnavailable, mailstore.ErrDamaged,
	mailstore.ErrNotPrimary, mailstore.ErrNumbers, eventlog.ErrUnknown, eventlog.ErrNoSpace, eventlog.ErrUnavailable, eventlog.ErrFenced, eventlog.ErrTooLarge, eventlog.ErrClosed,
}

// meaning lists the sentinels that an error is.
func meaning(err error) []string {
	var list []string
	for _, s := range sentinels {
		if errors.Is(err, s) {
			list = append(list, s.Error())
		}
	}
	return list
}

var sameResult = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b error) bool { return slices.Equal(meaning(a), meaning(b)) }),
}

func TestEveryWriteIsForwardedWithTheSameResult(t *testing.T) {
	ctx := context.Background()
	at := time.Unix(1_800_000_000, 0)
	opts := mailstore.Options{Encoding: codec.Zstd, Now: func() time.Time { return at }}
	alone, pair := storetest.New(t, 1, opts), storetest.NewPair(t, 1, opts)
	var seen sync.Map
	pair.SetHook(func(op string) storetest.Fault { seen.Store(op, true); return storetest.Fault{} })
	alone.Account(t, "ann")
	pair.Replica().Account(t, "ann")
	tried := map[string]bool{}
	for i, st := range writeSteps {
		want, wantErr := st.call(ctx, t, alone.Store)
		seen.Delete(st.op)
		got, gotErr := st.call(ctx, t, pair.Replica().Store)
		if diff := cmp.Diff(want, got, sameResult); diff != "" {
			t.Errorf("step %d, %s: result (-here +forwarded)\n%s", i, st.method, diff)
		}
		if diff := cmp.Diff(meaning(wantErr), meaning(gotErr)); diff != "" || (wantErr == nil) != (gotErr == nil) {
			t.Errorf("step %d, %s: %v here, %v forwarded", i, st.method, wantErr, gotErr)
		}
		if diff := cmp.Diff(shape(t, alone.Store), shape(t, pair.Replica().Store)); diff != "" { // the replica has it already
			t.Errorf("step %d, %s: mailboxes (-here +forwarded)\n%s", i, st.method, diff)
		}
		if _, ok := seen.Load(st.op); !ok {
			t.Errorf("step %d, %s was not forwarded as %s", i, st.method, st.op)
		}
		tried[st.op], tried[st.method] = true, true
	}
	for _, op := range mailstore.Ops() {
		if !tried[op] {
			t.Errorf("no step forwards %s", op)
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[*mailstore.Store](), reflect.TypeFor[*mailstore.Mailbox]()} {
		for m := range typ.NumMethod() {
			if name := typ.Method(m).Name; !tried[name] && !slices.Contains(notForwarded, name) {
				t.Errorf("%s of %s is in no step", name, typ)
			}
		}
	}
}

// shape describes what there is, but for the ids.
func shape(t *testing.T, s *mailstore.Store) map[string]string {
	t.Helper()
	ctx := context.Background()
	all := map[string]string{}
	accounts, err := s.Accounts(ctx, admin)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		subscribed, err := s.Subscriptions(ctx, admin, a.Name)
		if err != nil {
			t.Fatal(err)
		}
		all[a.Name] = fmt.Sprint(a.Disabled, a.Modseq, a.UIDValidity, subscribed)
		boxes, err := s.Mailboxes(ctx, admin, a.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range boxes {
			row := *m
			row.ID = event.MailboxID{}
			all[a.Name+":"+m.Name] = fmt.Sprintf("%+v", row)
		}
	}
	return all
}

func TestUnansweredForwardIsUnknown(t *testing.T) {
	ctx := context.Background()
	cases := map[string]struct {
		fault   storetest.Fault
		unknown bool
		done    uint32
	}{
		"not sent":     {storetest.Fault{Unsent: true}, false, 1},
		"not answered": {storetest.Fault{Unanswered: true}, true, 2},
		"garbled":      {storetest.Fault{Garbled: true}, true, 2},
	}
	for name, c := range cases {
		pair := storetest.NewPair(t, 1, mailstore.Options{})
		pair.Replica().Account(t, "ann")
		pair.Replica().Append(t, "ann", "INBOX", mail)
		pair.SetHook(func(string) storetest.Fault { return c.fault })
		s := pair.Replica().Store
		_, err := s.Append(ctx, ann, "ann", "INBOX", []mailstore.NewMessage{{Body: bodyOf(t, s, mail)}})
		if !errors.Is(err, mailstore.ErrUnavailable) || errors.Is(err, eventlog.ErrUnknown) != c.unknown {
			t.Errorf("append, %s: %v", name, err)
		}
		if n := messages(t, pair.Primary(), "ann", "INBOX"); n != c.done {
			t.Errorf("%s: %d messages", name, n)
		}
		res := s.Deliver(ctx, admin, bodyOf(t, s, mail), []mailstore.Recipient{{Account: "ann"}})
		if err := res[0].Err; !errors.Is(err, mailstore.ErrUnavailable) || errors.Is(err, eventlog.ErrUnknown) != c.unknown {
			t.Errorf("delivery, %s: %v", name, err)
		}
		for method, err := range everyWrite(t, s) {
			if method != "Checkpoint" && (!errors.Is(err, mailstore.ErrUnavailable) || errors.Is(err, eventlog.ErrUnknown) != c.unknown) {
				t.Errorf("%s, %s: %v", method, name, err)
			}
		}
	}
}

func TestReplicaThatDoesNotCatchUp(t *testing.T) {
	ctx := context.Background()
	pair := storetest.NewPair(t, 1, mailstore.Options{ForwardWait: time.Millisecond})
	pair.Primary().Account(t, "ann")
	if err := pair.Replica().Replicas[0].Wait(ctx, pair.Primary().Replicas[0].Applied().Position); err != nil {
		t.Fatal(err)
	}
	pair.Cut()
	s := pair.Replica().Store
	_, err := s.CreateMailbox(ctx, ann, "ann", mailstore.NewMailbox{Name: "x"})
	if !errors.Is(err, mailstore.ErrUnavailable) || !errors.Is(err, eventlog.ErrUnknown) {
		t.Errorf("create: %v", err)
	}
	_, err = s.CreateMailbox(ctx, ann, "ann", mailstore.NewMailbox{Name: "x"})
	if !errors.Is(err, mailstore.ErrMailboxExists) {
		t.Errorf("create again: %v", err)
	}
	res := s.Deliver(ctx, admin, bodyOf(t, s, mail), []mailstore.Recipient{{Account: "ann"}})
	if res[0].Err != nil || res[0].UID != 1 {
		t.Errorf("a delivery that the primary has: %+v", res[0])
	}
	pair.Mend(t)
	if err := s.Subscribe(ctx, ann, "ann", "x", true); errors.Is(err, mailstore.ErrUnavailable) && !errors.Is(err, eventlog.ErrUnknown) {
		t.Errorf("subscribe: %v", err)
	}
}

func TestErrorsKeepTheirMeaningAcrossNodes(t *testing.T) {
	for _, s := range sentinels {
		wrapped := fmt.Errorf("while testing \xff: %w", s)
		got := mailstore.Across(wrapped)
		if !errors.Is(got, s) || !strings.Contains(got.Error(), "while testing") {
			t.Errorf("%v became %v", wrapped, got)
		}
		if diff := cmp.Diff(meaning(wrapped), meaning(got)); diff != "" {
			t.Error(diff)
		}
	}
	both := fmt.Errorf("%w: %w", mailstore.ErrUnavailable, eventlog.ErrNoSpace)
	if got := mailstore.Across(both); !errors.Is(got, mailstore.ErrUnavailable) || !errors.Is(got, eventlog.ErrNoSpace) {
		t.Errorf("%v became %v", both, got)
	}
	if got := mailstore.Across(errors.New(strings.Repeat("é", 5000))); got == nil || len(got.Error()) > 2000 || len(meaning(got)) != 0 {
		t.Errorf("a long error became one of %d bytes", len(got.Error()))
	}
	if got := mailstore.Across(nil); got != nil {
		t.Error(got)
	}
}

func TestServeIsForThePrimary(t *testing.T) {
	ctx := context.Background()
	pair := storetest.NewPair(t, 2, mailstore.Options{})
	pair.Replica().Account(t, "ann")
	shard := mailstore.ShardOf("ann", 2)
	s := pair.Replica().Store
	liar := bodyOf(t, s, mail)
	liar.Stored = []byte("From: b@example.com\r\nSubject: hello\r\n\r\nbody\r\n")
	huge := bodyOf(t, s, mail)
	huge.Size = 1 << 60
	cases := []struct {
		name    string
		at      *storetest.Env
		shard   int
		op      string
		id      mailstore.Identity
		body    *mailstore.Body
		account string
		want    error
	}{
		{"a replica", pair.Replica(), shard, "deliver", admin, bodyOf(t, s, mail), "ann", mailstore.ErrNotPrimary},
		{"an op that is not known", pair.Primary(), shard, "deliverr", admin, bodyOf(t, s, mail), "ann", mailstore.ErrUnavailable},
		{"another request", pair.Primary(), shard, "flags", admin, bodyOf(t, s, mail), "ann", mailstore.ErrUnavailable},
		{"another shard", pair.Primary(), 1 - shard, "deliver", admin, bodyOf(t, s, mail), "ann", mailstore.ErrUnavailable},
		{"a shard that is not there", pair.Primary(), -1, "deliver", admin, bodyOf(t, s, mail), "ann", mailstore.ErrUnavailable},
		{"a stranger", pair.Primary(), shard, "deliver", storetest.User("eve"), bodyOf(t, s, mail), "ann", mailstore.ErrDenied},
		{"a body with another GUID", pair.Primary(), shard, "deliver", admin, liar, "ann", mailstore.ErrUnavailable},
		{"a body that claims to be huge", pair.Primary(), shard, "deliver", admin, huge, "ann", mailstore.ErrTooLarge},
		{"no body", pair.Primary(), shard, "deliver", admin, nil, "ann", mailstore.ErrUnavailable},
		{"an account name with NUL", pair.Primary(), shard, "deliver", admin, bodyOf(t, s, mail), "ann\x00", mailstore.ErrUnavailable},
	}
	for _, c := range cases {
		req, err := mailstore.Request(c.id, c.body, c.account)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.at.Store.Serve(ctx, c.shard, c.op, req)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err := mailstore.AnswerError(resp); !errors.Is(err, c.want) || errors.Is(err, eventlog.ErrUnknown) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if n := messages(t, pair.Primary(), "ann", "INBOX"); n != 0 {
		t.Errorf("%d messages were delivered", n)
	}
	if err := s.Checkpoint(ctx, shard); !errors.Is(err, mailstore.ErrUnavailable) {
		t.Errorf("checkpoint on a replica: %v", err)
	}
	if err := pair.Primary().Store.Checkpoint(ctx, shard); err != nil {
		t.Errorf("checkpoint on the primary: %v", err)
	}
}

// A mailbox id of another account gets a session of one account nowhere.
func TestServeTakesNoMailboxOfAnotherAccount(t *testing.T) {
	ctx := context.Background()
	pair := storetest.NewPair(t, 1, mailstore.Options{})
	for _, name := range []string{"ann", "eve"} {
		pair.Replica().Account(t, name)
	}
	pair.Replica().Append(t, "ann", "INBOX", mail, `\Deleted`)
	m, err := pair.Replica().Store.Mailbox(ctx, ann, "ann", "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	req, err := mailstore.ExpungeRequest(storetest.User("eve"), "eve", m.ID)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := pair.Primary().Store.Serve(ctx, 0, "expunge", req)
	if err != nil {
		t.Fatal(err)
	}
	if err := mailstore.AnswerError(resp); !errors.Is(err, mailstore.ErrNoMailbox) {
		t.Errorf("expunge: %v", err)
	}
	if n := messages(t, pair.Primary(), "ann", "INBOX"); n != 1 {
		t.Errorf("%d messages are left", n)
	}
}

func TestFreezeKeepsWritesWaiting(t *testing.T) {
	ctx := context.Background()
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	thaw, err := env.Store.Freeze(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	if err := env.Store.Subscribe(short, ann, "ann", "x", true); !errors.Is(err, mailstore.ErrUnavailable) || errors.Is(err, eventlog.ErrUnknown) {
		t.Errorf("a write while the shard is frozen: %v", err)
	}
	if _, err := env.Store.Freeze(short, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second freeze: %v", err)
	}
	if _, err := env.Store.Mailboxes(ctx, ann, "ann"); err != nil {
		t.Errorf("a read while the shard is frozen: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- env.Store.Subscribe(ctx, ann, "ann", "x", true) }()
	thaw()
	thaw()
	if err := <-done; err != nil {
		t.Errorf("a write after the thaw: %v", err)
	}
	if _, err := env.Store.Freeze(ctx, 1); err == nil {
		t.Error("a shard that is not there was frozen")
	}
}

// Both nodes take deliveries and flag changes while they change roles, again and again: what was acknowledged is there once, and no write fails.
func TestHandoverLosesAndDoublesNothing(t *testing.T) {
	const clients, each, handovers = 4, 40, 4
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pair := storetest.NewPair(t, 2, mailstore.Options{})
	for _, name := range []string{"ann", "bob"} {
		pair.Replica().Account(t, name)
	}
	var mu sync.Mutex
	want := map[event.GUID]int{}
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				s := pair.Nodes[c%2].Store
				b, err := s.Prepare([]byte(fmt.Sprintf("Subject: %d of client %d\r\n\r\n", i, c)))
				if err != nil {
					t.Error(err)
					return
				}
				for _, d := range s.Deliver(ctx, admin, b, []mailstore.Recipient{{Account: "ann"}, {Account: "bob"}}) {
					if d.Err != nil {
						t.Errorf("delivery %d of client %d: %v", i, c, d.Err)
						return
					}
				}
				mu.Lock()
				want[b.GUID] = 2
				mu.Unlock()
			}
		})
	}
	for range handovers {
		if err := pair.Handover(ctx, t); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	for _, name := range []string{"ann", "bob"} {
		shard := mailstore.ShardOf(name, 2)
		position := pair.Primary().Replicas[shard].Applied().Position
		for _, env := range pair.Nodes {
			if err := env.Replicas[shard].Wait(ctx, position); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n, env := range pair.Nodes {
		got := map[event.GUID]int{}
		for _, name := range []string{"ann", "bob"} {
			box, err := env.Store.Open(ctx, admin, name, "INBOX", true)
			if err != nil {
				t.Fatal(err)
			}
			err = box.Messages(1, 1<<32-1, func(m state.Message) (bool, error) { got[m.GUID]++; return true, nil })
			box.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
		if !maps.Equal(want, got) {
			t.Errorf("node %d has %d bodies of %d", n, len(got), len(want))
		}
	}
}

// What was done without an answer is seen after CatchUp.
func TestCatchUpShowsWhatWasDone(t *testing.T) {
	ctx := context.Background()
	pair := storetest.NewPair(t, 1, mailstore.Options{})
	pair.Replica().Account(t, "ann")
	pair.SetHook(func(op string) storetest.Fault { return storetest.Fault{Unanswered: op == "append"} })
	s := pair.Replica().Store
	for n := range uint32(20) {
		_, err := s.Append(ctx, ann, "ann", "INBOX", []mailstore.NewMessage{{Body: bodyOf(t, s, mail)}})
		if !errors.Is(err, eventlog.ErrUnknown) {
			t.Fatal(err)
		}
		if err := s.CatchUp(ctx, ann, "ann"); err != nil {
			t.Fatal(err)
		}
		if got := messages(t, pair.Replica(), "ann", "INBOX"); got != n+1 {
			t.Fatalf("%d messages after %d appends", got, n+1)
		}
	}
}

// Bodies that are too much for one request go ahead one by one.
func TestLargeAppendIsForwardedInParts(t *testing.T) {
	ctx := context.Background()
	pair := storetest.NewPair(t, 1, mailstore.Options{})
	pair.Replica().Account(t, "ann")
	var mu sync.Mutex
	ops := map[string]int{}
	pair.SetHook(func(op string) storetest.Fault {
		mu.Lock()
		defer mu.Unlock()
		ops[op]++
		return storetest.Fault{}
	})
	s := pair.Replica().Store
	var msgs []mailstore.NewMessage
	for i := range 3 {
		raw := fmt.Sprintf("Subject: %d\r\n\r\n", i) + strings.Repeat("0123456789abcdef\r\n", 400_000)
		msgs = append(msgs, mailstore.NewMessage{Body: bodyOf(t, s, raw)})
	}
	res, err := s.Append(ctx, ann, "ann", "INBOX", msgs)
	if err != nil || res.Count != 3 {
		t.Fatal(res, err)
	}
	if ops["stash"] != 1 || ops["append"] != 1 {
		t.Errorf("forwarded %v", ops)
	}
	if n := messages(t, pair.Replica(), "ann", "INBOX"); n != 3 {
		t.Errorf("%d messages", n)
	}
}
