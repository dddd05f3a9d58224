package restore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/replica/state"
	"angarium/restore"
)

// TestRestoreComesBackToThePast: for random histories and a random point, a restore gives what the account was.
func TestRestoreComesBackToThePast(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		u := newUser(rt, env, fmt.Sprintf("u%d", n))
		u.act(rt, rapid.IntRange(0, 25).Draw(rt, "before"))
		at, want := last(rt, env.Logs[0]), look(rt, env.Store, u.account)
		u.act(rt, rapid.IntRange(0, 25).Draw(rt, "after"))
		h := restore.History{Log: env.Logs[0]}
		if rapid.IntRange(0, 4).Draw(rt, "from the archive") == 0 {
			h = restore.History{Archive: shipped(rt, fmt.Sprintf("%s/%d", t.TempDir(), n), env.Logs[0])}
		}
		if rapid.Bool().Draw(rt, "exact") {
			planAndApply(rt, u, h, restore.Options{At: restore.Point{Position: at}, Exact: true})
			if diff := cmp.Diff(want, look(rt, env.Store, u.account)); diff != "" {
				rt.Fatalf("not as it was (-want +got):\n%s", diff)
			}
			return
		}
		planAndApply(rt, u, h, restore.Options{At: restore.Point{Position: at}})
		got := look(rt, env.Store, u.account)
		if diff := cmp.Diff(want.Subs, got.Subs); diff != "" {
			rt.Errorf("subscriptions (-want +got):\n%s", diff)
		}
		for name, w := range want.Boxes {
			g, ok := got.Boxes[name]
			if !ok {
				rt.Fatalf("mailbox %q did not come back", name)
			}
			if diff := cmp.Diff(w.Uses, g.Uses); diff != "" {
				rt.Errorf("special use of %q (-want +got):\n%s", name, diff)
			}
			for _, m := range w.Messages {
				i, ok := slices.BinarySearch(g.Messages, m)
				if !ok {
					rt.Fatalf("message %s of %q did not come back", m, name)
				}
				g.Messages = slices.Delete(g.Messages, i, i+1)
			}
		}
	})
}

func TestOnlyWhatIsAskedForIsRestored(t *testing.T) {
	for only, want := range map[restore.Part]restore.Counts{
		restore.Messages: {Messages: 5}, restore.Flags: {Flags: 3}, restore.Mailboxes: {}, restore.Subscriptions: {},
	} {
		u, h, at := setup(t)
		plan := planAndApply(t, u, h, restore.Options{At: restore.Point{Position: at}, Only: []restore.Part{only}})
		if diff := cmp.Diff(want, plan.Counts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", only, diff)
		}
	}
}

func TestAPlanSaysWhatItUndoesAndWhoDidIt(t *testing.T) {
	u, h, at := setup(t)
	plan, err := restore.New(context.Background(), u.env.Store, admin, h, restore.Options{Account: "anna", Mailbox: "INBOX", At: restore.Point{Position: at}})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range plan.Undone {
		kinds = append(kinds, fmt.Sprintf("%s %d %s %s", e.Kind, e.Messages, e.Actor, e.Mailbox))
	}
	want := []string{"FlagsChanged 5 anna INBOX", "FlagsChanged 3 anna INBOX", "MessagesExpunged 5 anna INBOX"}
	if diff := cmp.Diff(want, kinds); diff != "" || plan.Undoes != 3 {
		t.Errorf("%d events (-want +got):\n%s", plan.Undoes, diff)
	}
}

func TestARestoreCanItselfBeUndone(t *testing.T) {
	u, h, at := setup(t)
	before, then := last(t, u.env.Logs[0]), look(t, u.env.Store, "anna")
	planAndApply(t, u, h, restore.Options{At: restore.Point{Position: at}})
	planAndApply(t, u, h, restore.Options{At: restore.Point{Position: before}, Exact: true})
	if diff := cmp.Diff(then, look(t, u.env.Store, "anna")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIntoMakesACopyBeside(t *testing.T) {
	u, h, at := setup(t)
	before := look(t, u.env.Store, "anna")
	planAndApply(t, u, h, restore.Options{At: restore.Point{Position: at}, Mailbox: "INBOX", Into: "Restored"})
	after := look(t, u.env.Store, "anna")
	if n := len(after.Boxes["Restored"].Messages); n != 10 {
		t.Errorf("%d messages in the copy", n)
	}
	delete(after.Boxes, "Restored")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("something else changed (-want +got):\n%s", diff)
	}
}

func TestExpungedMessagesComeBackOnce(t *testing.T) {
	u, h, at := setup(t)
	plan := planAndApply(t, u, h, restore.Options{At: restore.Point{Position: at}, Expunged: true, Mailbox: "INBOX"})
	if diff := cmp.Diff(restore.Counts{Messages: 5}, plan.Counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, m := range look(t, u.env.Store, "anna").Boxes["INBOX"].Messages {
		if strings.Contains(m, "Deleted") {
			t.Errorf("it came back to be expunged again: %s", m)
		}
	}
	ctx := context.Background()
	b, err := u.env.Store.Open(ctx, u.id(), "anna", "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	all := event.UIDSet{{First: 1, Last: 100}}
	if _, err := b.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: all, Op: mailstore.AddFlags, Flags: []string{`\Deleted`}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Expunge(ctx, nil); err != nil {
		t.Fatal(err)
	}
	plan = planAndApply(t, u, h, restore.Options{At: restore.Point{Position: at}, Expunged: true})
	if plan.Counts.Messages != 10 {
		t.Errorf("%d messages come back, each of 10 should once", plan.Counts.Messages)
	}
}

func TestADeletedAccountComesBack(t *testing.T) {
	u, h, at := setup(t)
	ctx := context.Background()
	if _, err := u.env.Store.CreateMailbox(ctx, u.id(), "anna", mailstore.NewMailbox{Name: "Sent", SpecialUse: []string{`\Sent`}, Subscribe: true}); err != nil {
		t.Fatal(err)
	}
	at, want := last(t, u.env.Logs[0]), look(t, u.env.Store, "anna")
	if err := u.env.Store.DeleteAccount(ctx, admin, "anna"); err != nil {
		t.Fatal(err)
	}
	planAndApply(t, u, h, restore.Options{At: restore.Point{Position: at}})
	if diff := cmp.Diff(want, look(t, u.env.Store, "anna")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAMailboxWhoseNameIsTakenComesBackBeside(t *testing.T) {
	u, h, _ := setup(t)
	ctx := context.Background()
	for _, name := range []string{"Old", "New"} {
		if _, err := u.env.Store.CreateMailbox(ctx, u.id(), "anna", mailstore.NewMailbox{Name: name}); err != nil {
			t.Fatal(err)
		}
		u.env.Append(t, "anna", name, "Subject: in "+name+"\r\n\r\n")
	}
	at := last(t, u.env.Logs[0])
	if err := u.env.Store.DeleteMailbox(ctx, u.id(), "anna", "Old"); err != nil {
		t.Fatal(err)
	}
	if err := u.env.Store.RenameMailbox(ctx, u.id(), "anna", "New", "Old"); err != nil {
		t.Fatal(err)
	}
	before := look(t, u.env.Store, "anna")
	planAndApply(t, u, h, restore.Options{At: restore.Point{Position: at}, Mailbox: "Old"})
	after := look(t, u.env.Store, "anna")
	if len(after.Boxes["Old (restored)"].Messages) != 1 {
		t.Errorf("it did not come back: %+v", after.Boxes)
	}
	delete(after.Boxes, "Old (restored)")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("something else changed (-want +got):\n%s", diff)
	}
}

func TestADeletedMailboxComesBackUnderItsID(t *testing.T) {
	u, h, _ := setup(t)
	ctx := context.Background()
	if _, err := u.env.Store.CreateMailbox(ctx, u.id(), "anna", mailstore.NewMailbox{Name: "Lists", Subscribe: true}); err != nil {
		t.Fatal(err)
	}
	box := func() *state.Mailbox {
		m, err := u.env.Store.Mailbox(ctx, u.id(), "anna", "Lists")
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, text := range []string{"one", "two"} {
		u.env.Append(t, "anna", "Lists", "Subject: "+text+"\r\n\r\n")
	}
	at, before := last(t, u.env.Logs[0]), box()
	u.env.Append(t, "anna", "Lists", "Subject: after the point\r\n\r\n") // its UID must not be given again either
	if err := u.env.Store.DeleteMailbox(ctx, u.id(), "anna", "Lists"); err != nil {
		t.Fatal(err)
	}
	if err := u.env.Store.Subscribe(ctx, u.id(), "anna", "Lists", false); err != nil {
		t.Fatal(err)
	}
	if _, err := u.env.Store.CreateMailbox(ctx, u.id(), "anna", mailstore.NewMailbox{Name: "x", ID: before.ID}); !errors.Is(err, mailstore.ErrDenied) {
		t.Errorf("a user named an id: %v", err)
	}
	planAndApply(t, u, h, restore.Options{At: restore.Point{Position: at}, Mailbox: "Lists"})
	after := box()
	if after.ID != before.ID || after.UIDValidity != before.UIDValidity || after.Messages != 2 {
		t.Errorf("was %+v, is %+v", before, after)
	}
	if after.UIDNext != 6 { // 1 to 3 were given
		t.Errorf("UIDNEXT is %d", after.UIDNext)
	}
	if subs := look(t, u.env.Store, "anna").Subs; !slices.Contains(subs, "Lists") {
		t.Errorf("subscribed to %v", subs)
	}
	b, err := u.env.Store.Open(ctx, u.id(), "anna", "Lists", true)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var gone []string
	complete, err := b.Vanished(before.HighestModseq, func(set event.UIDSet) (bool, error) { gone = append(gone, set.String()); return true, nil })
	if !complete || err != nil || !slices.Equal(gone, []string{"1:3"}) {
		t.Errorf("a client that knew it is told that %v is gone: %t, %v", gone, complete, err)
	}
}

func TestRecallTakesAMessageOutEverywhere(t *testing.T) {
	u, h, _ := setup(t)
	ctx := context.Background()
	newUser(t, u.env, "ben")
	u.env.Append(t, "ben", "INBOX", "Message-ID: <7@example.org>\r\n\r\nthe same id\r\n")
	before := last(t, u.env.Logs[0])
	found, err := restore.FindMessage(ctx, u.env.Store, admin, "7@example.org")
	if err != nil || len(found) != 2 {
		t.Fatalf("found %+v, %v", found, err)
	}
	if n, err := restore.Recall(ctx, u.env.Store, admin, found); n != 2 || err != nil {
		t.Errorf("recalled %d, %v", n, err)
	}
	if found, err := restore.FindMessage(ctx, u.env.Store, admin, "<7@example.org>"); err != nil || len(found) != 0 {
		t.Errorf("still there: %+v, %v", found, err)
	}
	if plan := planAndApply(t, u, h, restore.Options{At: restore.Point{Position: before}}); plan.Counts.Messages != 1 {
		t.Errorf("undone for %d messages", plan.Counts.Messages)
	}
}

func TestHistoryFollowsAMessage(t *testing.T) {
	u, h, _ := setup(t)
	ctx := context.Background()
	if _, err := u.env.Store.CreateMailbox(ctx, u.id(), "anna", mailstore.NewMailbox{Name: "Old"}); err != nil {
		t.Fatal(err)
	}
	b, err := u.env.Store.Open(ctx, u.id(), "anna", "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Move(ctx, event.UIDsOf(8), "Old"); err != nil {
		t.Fatal(err)
	}
	if err := u.env.Store.RenameMailbox(ctx, u.id(), "anna", "Old", "Older"); err != nil {
		t.Fatal(err)
	}
	if err := u.env.Store.DeleteMailbox(ctx, u.id(), "anna", "Older"); err != nil {
		t.Fatal(err)
	}
	want := []string{"MessagesAppended INBOX", "FlagsChanged INBOX", "MessagesMoved INBOX", "MailboxDeleted Older"}
	whole := shipped(t, t.TempDir(), u.env.Logs[0])
	for name, h := range map[string]restore.History{"log": h, "archive": {Archive: whole}} {
		for what, q := range map[string]restore.Query{
			"UID": {Mailbox: "INBOX", UID: 8}, "Message-ID": {MessageID: "7@example.org"}, "Message-ID in brackets": {MessageID: "<7@example.org>"},
		} {
			q.Account = "anna"
			var got []string
			err := restore.List(ctx, h, q, func(e restore.Happened) error { got = append(got, e.Kind+" "+e.Mailbox); return nil })
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s by %s: %v (-want +got):\n%s", name, what, err, diff)
			}
		}
	}
	n := 0
	if err := restore.List(ctx, h, restore.Query{Account: "anna", Mailbox: "Old"}, func(restore.Happened) error { n++; return nil }); err != nil || n != 4 {
		t.Errorf("%d events of the mailbox, %v", n, err)
	}
}

// TestBodiesComeFromTheHistory restores into a store that has none of the bodies.
func TestBodiesComeFromTheHistory(t *testing.T) {
	u, h, at := setup(t)
	want := look(t, u.env.Store, "anna")
	for name, h := range map[string]restore.History{"log": h, "archive": {Archive: shipped(t, t.TempDir(), u.env.Logs[0])}} {
		other := storetest.New(t, 1, mailstore.Options{DefaultMailboxes: []mailstore.NewMailbox{{Name: "Trash", SpecialUse: []string{`\Trash`}, Subscribe: true}}})
		plan, err := restore.New(context.Background(), other.Store, admin, h, restore.Options{Account: "anna", At: restore.Point{Position: last(t, u.env.Logs[0])}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := restore.Apply(context.Background(), other.Store, admin, h, plan, nil); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, look(t, other.Store, "anna")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		empty := restore.History{Log: other.Logs[0]} // without the bodies of what is to come back
		plan, err = restore.New(context.Background(), other.Store, admin, h, restore.Options{Account: "anna", At: restore.Point{Position: at}})
		if err != nil {
			t.Fatal(err)
		}
		res, err := restore.Apply(context.Background(), other.Store, admin, empty, plan, nil)
		if !errors.Is(err, restore.ErrBodies) || len(res.Missing) != 5 {
			t.Errorf("%s: %d bodies are missing: %v", name, len(res.Missing), err)
		}
	}
}
