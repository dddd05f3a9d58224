package salvage_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/mailstore/salvage"
	"angarium/mailstore/storetest"
)

var (
	names     = []string{"INBOX", "a", "b", "a/b", "a/b/c", "b/a"}
	flagNames = []string{`\Seen`, `\Deleted`, `\Flagged`, "Work", "$Junk"}
	useNames  = []string{`\Sent`, `\Junk`, `\Archive`}
	accounts  = []string{"ann", "ann", "ann", "ann", "bob", "cid"}
)

// world draws operations. rapid draws the seed and the lengths: its own numbers are mostly small ones.
type world struct {
	*rand.Rand
	t testing.TB
}

func pick[T any](w world, list []T) T { return list[w.IntN(len(list))] }

func (w world) some(list []string, most int) []string {
	n := w.IntN(most + 1)
	var out []string
	for _, k := range w.Perm(len(list))[:n] {
		out = append(out, list[k])
	}
	return out
}

// act carries out one operation, which may fail.
func (w world) act(env *storetest.Env) {
	account, name, other := pick(w, accounts), pick(w, names), pick(w, names)
	s, id := env.Store, storetest.Admin
	switch op := w.IntN(26); op {
	case 0, 1, 2, 3:
		s.Deliver(ctx, id, w.body(s), []mailstore.Recipient{{Account: account, Mailbox: name}, {Account: "ann"}})
	case 4, 5:
		_, _ = s.Append(ctx, id, account, name, []mailstore.NewMessage{{Body: w.body(s), Flags: w.some(flagNames, 3)}, {Body: w.body(s)}})
	case 6, 7:
		_, _ = s.CreateMailbox(ctx, id, account, mailstore.NewMailbox{Name: name, SpecialUse: w.some(useNames, 1), Subscribe: w.IntN(2) == 0})
	case 8, 9:
		_ = s.RenameMailbox(ctx, id, account, name, other)
	case 10, 11:
		_ = s.DeleteMailbox(ctx, id, account, name)
	case 12:
		_ = s.Subscribe(ctx, id, account, name, w.IntN(2) == 0)
	case 13:
		_ = s.SetSpecialUse(ctx, id, account, name, w.some(useNames, 1))
	case 14:
		w.changeAccount(s, account)
	default:
		w.change(s, account, name, other, op)
	}
}

func (w world) changeAccount(s *mailstore.Store, account string) {
	cred := event.Credential{Iterations: 1 + w.Uint32N(3), Salt: []byte("salt"), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
	switch w.IntN(9) {
	case 0, 1:
		_ = s.CreateAccount(ctx, storetest.Admin, account, cred)
	case 2, 3, 4:
		_ = s.SetCredential(ctx, storetest.Admin, account, cred)
	case 5, 6, 7:
		_ = s.DisableAccount(ctx, storetest.Admin, account, w.IntN(2) == 0)
	case 8:
		_ = s.DeleteAccount(ctx, storetest.Admin, account)
	}
}

func (w world) change(s *mailstore.Store, account, name, other string, op int) {
	mb, err := s.Open(ctx, storetest.Admin, account, name, false)
	if err != nil {
		return
	}
	defer mb.Close()
	first := 1 + w.Uint32N(6)
	uids := event.UIDSet{{First: first, Last: first + w.Uint32N(4)}}
	switch {
	case op < 21:
		_, _ = mb.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: uids, Op: mailstore.FlagOp(w.IntN(3)), Flags: w.some(flagNames, 3)})
	case op == 21:
		_, _ = mb.Copy(ctx, uids, other)
	case op < 24:
		_, _ = mb.Move(ctx, uids, other)
	case op == 24:
		_, _, _ = mb.Expunge(ctx, nil)
	default:
		mb.TakeRecent(mb.Snapshot())
		_ = mb.KeepRecent(ctx)
	}
}

func (w world) body(s *mailstore.Store) *mailstore.Body {
	n := w.IntN(40)
	raw := fmt.Sprintf("Subject: %d\r\n\r\n", n)
	if n == 0 {
		raw += strings.Repeat("0123456789\r\n", 100_000) // goes ahead in chunks
	}
	b, err := s.Prepare([]byte(raw))
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// diverge makes two histories of drawn operations.
func diverge(t *rapid.T, base testing.TB) *split {
	w := world{rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), base}
	env := storetest.New(base, 1, mailstore.Options{})
	for _, a := range []string{"ann", "bob"} {
		env.Account(base, a)
	}
	for range rapid.IntRange(20, 80).Draw(t, "common") {
		w.act(env)
	}
	s := fork(base, env)
	for range rapid.IntRange(0, 60).Draw(t, "new") {
		w.act(s.new)
	}
	for range rapid.IntRange(5, 80).Draw(t, "tail") {
		w.act(s.old)
	}
	return s
}

func TestSalvageKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		base := tb{t, rt}
		s := diverge(rt, base)
		var old salvage.Old
		if rapid.Bool().Draw(rt, "old replica") {
			old = salvage.FromReplica(s.old.Replicas[0])
		}
		opts := salvage.Options{Old: old}
		before, beforeIDs := contents(base, s.new), ids(base, s.new)
		at := s.new.Replicas[0].Applied().Position
		plan, err := salvage.Plan(ctx, s.new.Store, s.tail(), opts)
		if err != nil {
			rt.Fatal(err)
		}
		if s.new.Replicas[0].Applied().Position != at {
			rt.Fatal("the plan wrote something")
		}
		first := apply(base, s, old)
		if diff := cmp.Diff(lines(plan), lines(first)); diff != "" {
			rt.Fatalf("the plan is not what was done (-plan +done)\n%s", diff)
		}
		after, afterIDs := contents(base, s.new), ids(base, s.new)
		for id, was := range beforeIDs {
			if afterIDs[id] != was {
				rt.Fatalf("%s was %s and is %q", id, was, afterIDs[id])
			}
		}
		checkMail(rt, s, first, before, after)
		checkNoneDoubled(rt, beforeIDs, afterIDs)
		at = s.new.Replicas[0].Applied().Position
		second := apply(base, s, old)
		if second.Applied != 0 || s.new.Replicas[0].Applied().Position != at {
			rt.Fatalf("the second run did something:\n%s\nafter\n%s", strings.Join(lines(second), "\n"), strings.Join(lines(first), "\n"))
		}
		if diff := cmp.Diff(after, contents(base, s.new), cmp.AllowUnexported(message{})); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// checkMail holds that every message that entered in the tail is there, if its account is, and that no other came.
func checkMail(t *rapid.T, s *split, r *salvage.Report, before, after map[string][]message) {
	n := 0
	for env, err := range s.tail() {
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range env.Entries {
			rec := r.Records[n]
			n++
			v, ok := entry.Event.(*event.MessagesAppended)
			if !ok || len(after[v.Account+":INBOX"]) == 0 && rec.Outcome == salvage.NotApplied && strings.Contains(rec.Detail, "account") {
				continue
			}
			for _, m := range v.Messages {
				if count(after[v.Account+":"+rec.Mailbox], m.GUID)+count(after[v.Account+":INBOX"], m.GUID) == 0 {
					t.Fatalf("message %s is not in %s: %+v", m.GUID, rec.Mailbox, rec)
				}
			}
		}
	}
	total := func(all map[string][]message) (n int) {
		for _, list := range all {
			n += len(list)
		}
		return n
	}
	entered := 0
	for _, rec := range r.Records {
		if rec.Outcome == salvage.Applied && strings.HasPrefix(rec.Kind, "Messages") {
			entered++
		}
	}
	if entered == 0 && total(after) != total(before) {
		t.Fatalf("%d messages became %d", total(before), total(after))
	}
}

// checkNoneDoubled holds that salvage put no message where it was: by the ids of mailboxes, whose names it may have changed.
func checkNoneDoubled(t *rapid.T, before, after map[string]string) {
	had, has := copies(before), copies(after)
	for key, n := range has {
		if n > max(had[key], 1) {
			t.Fatalf("%s is %d times there, and was %d times", key, n, had[key])
		}
	}
}

// copies counts, in what ids gives, the messages of a mailbox that have one GUID.
func copies(all map[string]string) map[string]int {
	n := map[string]int{}
	for key, guid := range all {
		if box, _, ok := strings.Cut(key, " "); ok {
			n["message "+guid+" in mailbox "+box]++
		}
	}
	return n
}

func count(list []message, guid event.GUID) (n int) {
	for _, m := range list {
		if m.guid == guid {
			n++
		}
	}
	return n
}
