package mailstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/memlog"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/replica"
)

func prepare(t testing.TB, env *storetest.Env, raw string) *mailstore.Body {
	t.Helper()
	b, err := env.Store.Prepare([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func messages(t testing.TB, env *storetest.Env, account, mailbox string) uint32 {
	t.Helper()
	m, err := env.Store.Mailbox(context.Background(), storetest.Admin, account, mailbox)
	if err != nil {
		t.Fatal(err)
	}
	return m.Messages
}

// A caller that gives up gets an answer at once; the locks stay until the outcome is known, so that the next write is decided on
// what came of it.
func TestLocksOutliveTheCaller(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	b := prepare(t, env, mail)
	hold := make(chan struct{})
	env.Logs[0].SetHook(func(eventlog.Mark, []byte) memlog.Fault { return memlog.Fault{HoldAck: hold} })
	ctx, cancel := context.WithCancel(context.Background())
	given := make(chan error, 1)
	before := env.Replicas[0].Applied().Position
	go func() {
		_, err := env.Store.Append(ctx, storetest.User("ann"), "ann", "INBOX", []mailstore.NewMessage{{Body: b}})
		given <- err
	}()
	if err := env.Replicas[0].Wait(context.Background(), before+1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-given; !errors.Is(err, mailstore.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("append of a caller that gave up: %v", err)
	}
	short, end := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer end()
	res := env.Store.Deliver(short, storetest.Admin, b, []mailstore.Recipient{{Account: "ann"}})
	if !errors.Is(res[0].Err, mailstore.ErrUnavailable) || !errors.Is(res[0].Err, context.DeadlineExceeded) {
		t.Errorf("delivery while the account is locked: %v", res[0].Err)
	}
	env.Logs[0].SetHook(nil)
	close(hold)
	if uid := env.Append(t, "ann", "INBOX", mail); uid != 2 {
		t.Errorf("UID %d, want 2: the append before was in the log", uid)
	}
	if n := messages(t, env, "ann", "INBOX"); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}

func TestCallersThatGiveUpLeaveNothingHalfDone(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	b := prepare(t, env, mail)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*20*time.Microsecond)
			defer cancel()
			_, err := env.Store.Append(ctx, storetest.User("ann"), "ann", "INBOX", []mailstore.NewMessage{{Body: b}, {Body: b}})
			if err != nil && !errors.Is(err, mailstore.ErrUnavailable) {
				t.Errorf("append %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	uid := env.Append(t, "ann", "INBOX", mail)
	if n := messages(t, env, "ann", "INBOX"); n != uid || n%2 != 1 {
		t.Errorf("%d messages up to UID %d", n, uid)
	}
}

// appender fails every append with one error.
type appender struct{ err error }

func (a appender) Append(context.Context, ...event.Entry) (eventlog.Receipt, error) {
	return eventlog.Receipt{}, a.err
}

func TestNothingIsDoneWhenTheLogRefuses(t *testing.T) {
	for _, cause := range []error{eventlog.ErrUnavailable, eventlog.ErrNoSpace, eventlog.ErrFenced, eventlog.ErrClosed, eventlog.ErrTooLarge} {
		env := storetest.New(t, 1, mailstore.Options{})
		env.Account(t, "ann")
		env.Append(t, "ann", "INBOX", mail, `\Deleted`)
		refused := fmt.Errorf("append: %w", cause)
		s, err := mailstore.New(mailstore.Options{Shards: []mailstore.Shard{{Replica: env.Replicas[0], Log: appender{refused}}}})
		if err != nil {
			t.Fatal(err)
		}
		before := env.Replicas[0].Applied()
		for name, err := range everyWrite(t, s) {
			if !errors.Is(err, mailstore.ErrUnavailable) || !errors.Is(err, cause) {
				t.Errorf("%s with %v: %v", name, cause, err)
			}
		}
		for name, err := range everyWrite(t, s) { // no lock was left behind
			if !errors.Is(err, mailstore.ErrUnavailable) {
				t.Errorf("%s with %v: %v", name, cause, err)
			}
		}
		if env.Replicas[0].Applied() != before {
			t.Error("something was applied")
		}
		if uid := env.Append(t, "ann", "INBOX", mail); uid != 2 {
			t.Errorf("UID %d after writes that failed", uid)
		}
	}
}

func importError(_ []mailstore.ImportOutcome, err error) error { return err }

// everyWrite calls each method that writes, each of which has something to do, and gives the errors.
func everyWrite(t testing.TB, s *mailstore.Store) map[string]error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ann, admin := storetest.User("ann"), storetest.Admin
	b, err := s.Prepare([]byte("Subject: new\r\n\r\n" + t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	box, err := s.Open(ctx, ann, "ann", "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	inbox, err := s.Mailbox(ctx, admin, "ann", "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	cred := event.Credential{Iterations: 1, Salt: []byte("salt"), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
	errs := map[string]error{
		"Deliver":         s.Deliver(ctx, admin, b, []mailstore.Recipient{{Account: "ann"}})[0].Err,
		"ImportMailboxes": importError(s.ImportMailboxes(ctx, admin, "ann", []mailstore.ImportedMailbox{imported("x", 5)})),
		"ImportMessages": s.ImportMessages(ctx, admin, "ann", mailstore.Import{
			Mailbox: "INBOX", UIDValidity: inbox.UIDValidity, Messages: []mailstore.ImportedMessage{{NewMessage: mailstore.NewMessage{Body: b}, UID: 9}},
		}),
		"Stash":          s.Stash(ctx, ann, "ann", b),
		"CreateAccount":  s.CreateAccount(ctx, admin, "bob", cred),
		"SetCredential":  s.SetCredential(ctx, admin, "ann", cred),
		"DisableAccount": s.DisableAccount(ctx, admin, "ann", true),
		"DeleteAccount":  s.DeleteAccount(ctx, admin, "ann"),
		"RenameMailbox":  s.RenameMailbox(ctx, ann, "ann", "INBOX", "old"),
		"Subscribe":      s.Subscribe(ctx, ann, "ann", "x", true),
		"SetSpecialUse":  s.SetSpecialUse(ctx, ann, "ann", "INBOX", []string{`\Archive`}),
		"Checkpoint":     s.Checkpoint(ctx, 0),
	}
	_, errs["CreateMailbox"] = s.CreateMailbox(ctx, ann, "ann", mailstore.NewMailbox{Name: "x"})
	_, errs["Append"] = s.Append(ctx, ann, "ann", "INBOX", []mailstore.NewMessage{{Body: b}})
	_, errs["StoreFlags"] = box.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: event.UIDsOf(1), Op: mailstore.AddFlags, Flags: []string{`\Seen`}})
	_, errs["Copy"] = box.Copy(ctx, event.UIDsOf(1), "INBOX")
	_, errs["Move"] = box.Move(ctx, event.UIDsOf(1), "INBOX")
	_, _, errs["Expunge"] = box.Expunge(ctx, nil)
	box.TakeRecent(box.Snapshot())
	errs["KeepRecent"] = box.KeepRecent(ctx)
	return errs
}

func TestHaltedReplicaRefusesWritesAndServesReads(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	uid := env.Append(t, "ann", "INBOX", mail, `\Deleted`)
	r := env.Replicas[0]
	// A foreign event that does not fit goes into the log through a writer of the shard.
	before := r.Applied()
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := env.Writers[0].Append(context.Background(), event.Entry{Event: &event.AccountDeleted{Account: "nobody"}}); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(context.Background(), before.Position+1); !errors.Is(err, replica.ErrHalted) {
		t.Fatalf("Wait: %v", err)
	}
	for name, err := range everyWrite(t, env.Store) {
		if !errors.Is(err, mailstore.ErrUnavailable) || !errors.Is(err, replica.ErrHalted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	box, err := env.Store.Open(context.Background(), storetest.User("ann"), "ann", "INBOX", true)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	m, ok, err := box.Message(uid)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if raw, err := box.Body(m.GUID); err != nil || string(raw) != mail {
		t.Errorf("%q, %v", raw, err)
	}
}

func TestUploadsOfOneLargeBody(t *testing.T) {
	big := "Subject: big\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 200_000)
	env := storetest.New(t, 1, mailstore.Options{})
	for _, n := range []string{"ann", "bob"} {
		env.Account(t, n)
	}
	// An upload that breaks off after its first chunk.
	b := prepare(t, env, big)
	ctx, cancel := context.WithCancel(context.Background())
	env.Logs[0].SetHook(func(eventlog.Mark, []byte) memlog.Fault { cancel(); return memlog.Fault{} })
	if err := env.Store.Stash(ctx, storetest.User("ann"), "ann", b); !errors.Is(err, mailstore.ErrUnavailable) {
		t.Errorf("stash of a caller that gave up: %v", err)
	}
	env.Logs[0].SetHook(nil)
	if known, err := env.Replicas[0].HasBody(b.GUID); known || err != nil {
		t.Fatal("the upload was not interrupted", err)
	}
	var wg sync.WaitGroup
	for _, n := range []string{"ann", "bob", "ann", "bob"} {
		wg.Go(func() { env.Append(t, n, "INBOX", big) })
	}
	wg.Wait()
	st, err := env.Replicas[0].Status()
	if err != nil || st.Totals.Messages != 4 {
		t.Errorf("%+v, %v", st, err)
	}
	// What broke off, and the body once.
	if limit := uint64(len(big) + 1<<20 + 4096); st.Bodies > limit {
		t.Errorf("%d bytes of bodies, want at most %d", st.Bodies, limit)
	}
}

// A command may bring thousands of tiny messages: their bodies must not make the unit too large.
func TestAppendOfManyTinyMessages(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	var msgs []mailstore.NewMessage
	for i := range eventlog.MaxUnitEvents + 10 {
		msgs = append(msgs, mailstore.NewMessage{Body: prepare(t, env, fmt.Sprintf("Subject: %d\r\n\r\n", i))})
	}
	res, err := env.Store.Append(context.Background(), storetest.User("ann"), "ann", "INBOX", msgs)
	if err != nil || res.Count != len(msgs) || messages(t, env, "ann", "INBOX") != uint32(len(msgs)) {
		t.Errorf("%+v, %v", res, err)
	}
}
