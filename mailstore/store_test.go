package mailstore_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"angarium/eventlog/event"
	"angarium/internal/codec"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/replica/state"
)

const mail = "From: a@example.com\r\nSubject: hello\r\n\r\nbody\r\n"

func TestDeliverManyRecipientsStoresOneBody(t *testing.T) {
	for _, shards := range []int{1, 3} {
		env := storetest.New(t, shards, mailstore.Options{Encoding: codec.Zstd})
		var to []mailstore.Recipient
		for _, n := range []string{"ann", "bob", "cid", "dan", "eve"} {
			env.Account(t, n)
			to = append(to, mailstore.Recipient{Account: n, Mailbox: "not there"})
		}
		to = append(to, mailstore.Recipient{Account: "nobody"}, to[0])
		b, err := env.Store.Prepare([]byte(mail))
		if err != nil {
			t.Fatal(err)
		}
		res := env.Store.Deliver(context.Background(), storetest.Admin, b, to)
		for i, r := range res {
			if i == 5 {
				if !errors.Is(r.Err, mailstore.ErrNoAccount) {
					t.Errorf("unknown account: %v", r.Err)
				}
				continue
			}
			if r.Err != nil || r.UID != 1 {
				t.Errorf("recipient %d: %+v", i, r)
			}
		}
		bodies := 0
		for _, r := range env.Replicas {
			if known, err := r.HasBody(b.GUID); err != nil {
				t.Fatal(err)
			} else if known {
				bodies++
			}
		}
		if bodies == 0 || bodies > shards {
			t.Errorf("%d bodies in %d shards", bodies, shards)
		}
		m, err := env.Store.Mailbox(context.Background(), storetest.User("ann"), "ann", "inbox")
		if err != nil || m.Messages != 1 || m.Size != uint64(len(mail)) || m.Unseen != 1 {
			t.Errorf("INBOX of ann: %+v, %v", m, err)
		}
	}
}

func TestLargeBodyTravelsInChunks(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	raw := "Subject: big\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 200_000)
	uid := env.Append(t, "ann", "INBOX", raw)
	box, err := env.Store.Open(context.Background(), storetest.User("ann"), "ann", "INBOX", true)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	m, ok, err := box.Message(uid)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	got, err := box.Body(m.GUID)
	if err != nil || !bytes.Equal(got, []byte(raw)) {
		t.Fatalf("%d bytes, %v; want %d", len(got), err, len(raw))
	}
}

func TestSessionSeesWhatItWrote(t *testing.T) {
	ctx := context.Background()
	env := storetest.New(t, 1, mailstore.Options{Encoding: codec.S2})
	env.Account(t, "ann")
	for range 3 {
		env.Append(t, "ann", "INBOX", mail, `\Flagged`, "Work")
	}
	box, err := env.Store.Open(ctx, storetest.User("ann"), "ann", "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	res, err := box.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: event.UIDsOf(1, 2, 9), Op: mailstore.AddFlags, Flags: []string{`\seen`, "work", `\Deleted`}})
	if err != nil || res.Changed.String() != "1:2" {
		t.Fatalf("%+v, %v", res, err)
	}
	snap := box.Snapshot()
	first, _ := snap.List.Get(1)
	if diff := cmp.Diff([]string{`\Seen`, `\Flagged`, `\Deleted`, "Work"}, first.Flags.Names(snap.Mailbox.Keywords)); diff != "" {
		t.Error(diff)
	}
	if snap.Mailbox.Unseen != 1 || snap.Mailbox.Deleted != 2 {
		t.Errorf("row %+v", snap.Mailbox)
	}
	if _, err := env.Store.CreateMailbox(ctx, storetest.User("ann"), "ann", mailstore.NewMailbox{Name: "Archive/2026"}); err != nil {
		t.Fatal(err)
	}
	moved, err := box.Move(ctx, event.UIDsOf(2, 3), "Archive/2026")
	if err != nil || moved.Source.String() != "2:3" || moved.First != 1 {
		t.Fatalf("%+v, %v", moved, err)
	}
	gone, _, err := box.Expunge(ctx, nil)
	if err != nil || gone.String() != "1" {
		t.Fatalf("%v, %v", gone, err)
	}
	var vanished []string
	if _, err := box.Vanished(0, func(u event.UIDSet) (bool, error) { vanished = append(vanished, u.String()); return true, nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"2:3", "1"}, vanished); diff != "" {
		t.Error(diff)
	}
}

func TestRenameTakesTheSubtreeAlong(t *testing.T) {
	ctx, ann := context.Background(), storetest.User("ann")
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	for _, n := range []string{"a", "a/b", "a/b/c", "ab", "z/x"} {
		if _, err := env.Store.CreateMailbox(ctx, ann, "ann", mailstore.NewMailbox{Name: n}); err != nil {
			t.Fatal(err)
		}
	}
	env.Append(t, "ann", "INBOX", mail)
	steps := []struct {
		from, to string
		want     error
	}{
		{"a", "z/a", nil},
		{"z", "z/z", mailstore.ErrNotAllowed},
		{"nowhere", "y", mailstore.ErrNoMailbox},
		{"ab", "z/x", mailstore.ErrMailboxExists},
		{"z", "y", nil}, // z itself is not there, what is below it is
		{"INBOX", "old", nil},
	}
	for _, st := range steps {
		if err := env.Store.RenameMailbox(ctx, ann, "ann", st.from, st.to); !errors.Is(err, st.want) {
			t.Errorf("%s to %s: %v", st.from, st.to, err)
		}
	}
	list, err := env.Store.Mailboxes(ctx, ann, "ann")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range list {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{"INBOX", "ab", "old", "y/a", "y/a/b", "y/a/b/c", "y/x"}, names); diff != "" {
		t.Error(diff)
	}
	if m, err := env.Store.Mailbox(ctx, ann, "ann", "old"); err != nil || m.Messages != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestUIDValidityNeverRepeats(t *testing.T) {
	ctx, ann := context.Background(), storetest.User("ann")
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	last := uint32(0)
	for range 5 {
		if _, err := env.Store.CreateMailbox(ctx, ann, "ann", mailstore.NewMailbox{Name: "x"}); err != nil {
			t.Fatal(err)
		}
		m, err := env.Store.Mailbox(ctx, ann, "ann", "x")
		if err != nil || m.UIDValidity <= last {
			t.Fatalf("UIDVALIDITY %+v after %d, %v", m, last, err)
		}
		last = m.UIDValidity
		if err := env.Store.DeleteMailbox(ctx, ann, "ann", "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := env.Store.DeleteAccount(ctx, storetest.Admin, "ann"); err != nil {
		t.Fatal(err)
	}
	env.Account(t, "ann")
	if m, err := env.Store.Mailbox(ctx, ann, "ann", "INBOX"); err != nil || m.UIDValidity <= last {
		t.Fatalf("UIDVALIDITY %+v after %d, %v", m, last, err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	ctx := context.Background()
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	eve := storetest.User("eve")
	_, openErr := env.Store.Open(ctx, eve, "ann", "INBOX", true)
	_, listErr := env.Store.Mailboxes(ctx, eve, "ann")
	_, createErr := env.Store.CreateMailbox(ctx, eve, "ann", mailstore.NewMailbox{Name: "x"})
	for i, err := range []error{
		openErr, listErr, createErr, env.Store.DeleteAccount(ctx, eve, "ann"), env.Store.Subscribe(ctx, mailstore.Identity{}, "ann", "x", true),
	} {
		if !errors.Is(err, mailstore.ErrDenied) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

func TestCheckpointHolds(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	env.Append(t, "ann", "INBOX", mail)
	if err := env.Store.Checkpoint(context.Background(), 0); err != nil {
		t.Fatal(err)
	}
	if totals, err := state.GetTotals(env.Replicas[0].Reader()); err != nil || totals.Messages != 1 {
		t.Fatalf("%+v, %v", totals, err)
	}
}
