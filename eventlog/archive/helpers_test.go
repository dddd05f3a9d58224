package archive_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/eventlog/event"
	"angarium/eventlog/memlog"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/replica/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for. Nothing should take as long.
const patience = 2 * time.Minute

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// memoryReplica is a replica in memory.
type memoryReplica struct {
	*state.Memory
	at eventlog.State
}

func newMemoryReplica() *memoryReplica { return &memoryReplica{Memory: state.NewMemory()} }

func (r *memoryReplica) Applied() eventlog.State { return r.at }
func (r *memoryReplica) Reader() state.Reader    { return r.Memory }

func (r *memoryReplica) Apply(batch []eventlog.Envelope) error {
	for i := range batch {
		for _, e := range batch[i].Entries {
			if _, err := state.Apply(r.Memory, e); err != nil {
				return err
			}
		}
		r.at = batch[i].State()
	}
	return nil
}

func (r *memoryReplica) Load(at eventlog.State, _ time.Time, fill func(state.Tx) (bool, error)) error {
	for {
		done, err := fill(r.Memory)
		if err != nil {
			return err
		}
		if done {
			r.at = at
			return nil
		}
	}
}

// replay folds a log up to a position, without the archive.
func replay(t testing.TB, log eventlog.Log, to eventlog.Position) *memoryReplica {
	t.Helper()
	ctx := testContext(t)
	r := newMemoryReplica()
	if to == 0 {
		return r
	}
	f, err := eventlog.Follow(ctx, log, eventlog.State{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for r.at.Position < to {
		env, err := f.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Apply([]eventlog.Envelope{env}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func head(t testing.TB, log eventlog.Log) eventlog.Position {
	t.Helper()
	h, err := log.Head(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return h.Last
}

var cred = event.Credential{Iterations: 1, Salt: []byte("salt"), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}

// history makes a store with some mail of two accounts, one body in several mailboxes, and one body in chunks.
func history(t testing.TB) *storetest.Env {
	t.Helper()
	ctx := testContext(t)
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "anna")
	env.Account(t, "ben")
	for i := range 20 {
		raw := fmt.Sprintf("From: x@example.org\r\nMessage-ID: <%d@example.org>\r\nSubject: message %d\r\n\r\n%s\r\n", i, i, strings.Repeat("text ", 10*i))
		env.Append(t, []string{"anna", "ben"}[i%2], "INBOX", raw, `\Seen`)
		if i%5 == 0 {
			env.Append(t, "anna", "INBOX", raw, "$Label")
		}
	}
	env.Append(t, "ben", "INBOX", "Subject: large\r\n\r\n"+strings.Repeat("0123456789abcdef", 80_000))
	user := storetest.User("anna")
	if _, err := env.Store.CreateMailbox(ctx, user, "anna", mailstore.NewMailbox{Name: "Old", Subscribe: true}); err != nil {
		t.Fatal(err)
	}
	box, err := env.Store.Open(ctx, user, "anna", "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	if _, err := box.Move(ctx, event.UIDsOf(1, 3), "Old"); err != nil {
		t.Fatal(err)
	}
	if _, err := box.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: event.UIDsOf(2, 4, 5), Op: mailstore.AddFlags, Flags: []string{`\Deleted`}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := box.Expunge(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if err := env.Store.Checkpoint(ctx, 0); err != nil {
		t.Fatal(err)
	}
	return env
}

var quiet = slog.New(slog.DiscardHandler)

// ship ships a log to its end, and stops without further ado.
func ship(t testing.TB, target archive.Target, log eventlog.Log, opts archive.ShipperOptions) {
	t.Helper()
	ctx := testContext(t)
	opts.Logger = quiet
	s, err := archive.NewShipper(target, log, opts)
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(running) }()
	if err := s.Flush(ctx, head(t, log)); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func openShard(t testing.TB, target archive.Target, key *archive.Key) *archive.Shard {
	t.Helper()
	ctx := testContext(t)
	a, err := archive.Open(ctx, target, key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Shard(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// verify verifies an archive, with a fold, and gives what was found.
func verify(t testing.TB, target archive.Target, key *archive.Key) ([]archive.Finding, archive.VerifyResult) {
	t.Helper()
	ctx := testContext(t)
	a, err := archive.Open(ctx, target, key)
	if err != nil {
		t.Fatal(err)
	}
	var found []archive.Finding
	res, err := a.Verify(ctx, archive.VerifyOptions{
		Scratch: func(int) (archive.Scratch, func() error, error) {
			return newMemoryReplica(), func() error { return nil }, nil
		},
		Report: func(f archive.Finding) { found = append(found, f) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, res
}

func mustBeSound(t testing.TB, target archive.Target, key *archive.Key) archive.VerifyResult {
	t.Helper()
	found, res := verify(t, target, key)
	for _, f := range found {
		t.Errorf("finding: %s", f)
	}
	return res
}

// recoverTo recovers up to a position, 0 for the last, into a new log and a new replica.
func recoverTo(t testing.TB, s *archive.Shard, opts archive.RecoverOptions) (*memlog.Log, *memoryReplica) {
	t.Helper()
	log, r := memlog.New(), newMemoryReplica()
	opts.Replica = r
	opts.OpenLog = func(context.Context, eventlog.State) (eventlog.Log, error) { return log, nil }
	if _, _, err := s.Recover(testContext(t), opts); err != nil {
		t.Fatal(err)
	}
	return log, r
}

func sameState(t testing.TB, got, want *memoryReplica) {
	t.Helper()
	if got.at != want.at {
		t.Errorf("stands at %v, want %v", got.at, want.at)
	}
	for k, v := range want.Rows {
		if string(got.Rows[k]) != string(v) {
			t.Errorf("row %q: %x, want %x", k, got.Rows[k], v)
		}
	}
	for k := range got.Rows {
		if _, ok := want.Rows[k]; !ok {
			t.Errorf("row %q should not be there", k)
		}
	}
	for e, b := range want.Bodies {
		if string(got.Bodies[e]) != string(b) {
			t.Errorf("body at %v differs", e)
		}
	}
}

// hooked is a target whose calls can fail.
type hooked struct {
	archive.Target
	put func(name string, store func() error) error
	del func(name string) error
}

func (h *hooked) Put(ctx context.Context, name string, data []byte) error {
	if h.put == nil {
		return h.Target.Put(ctx, name, data)
	}
	return h.put(name, func() error { return h.Target.Put(ctx, name, data) })
}

func (h *hooked) Delete(ctx context.Context, name string) error {
	if h.del != nil {
		if err := h.del(name); err != nil {
			return err
		}
	}
	return h.Target.Delete(ctx, name)
}

var errBroken = errors.New("the target is broken")

func newDir(t testing.TB) *archive.Dir {
	t.Helper()
	d, err := archive.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// guidsOf gives the bodies that a replica knows.
func guidsOf(t fataler, r *memoryReplica) map[event.GUID]bool {
	t.Helper()
	all := map[event.GUID]bool{}
	err := r.Scan([]byte{0}, []byte{0xff}, func(k, _ []byte) (bool, error) {
		if state.IsBodyKey(k) {
			all[event.GUID(k[1:])] = true
		}
		return true, nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d bodies, %v", len(all), err)
	}
	return all
}

// rightBody checks a body that was asked for.
func rightBody(t fataler, asked map[event.GUID]bool) func(event.GUID, []byte) error {
	return func(guid event.GUID, raw []byte) error {
		t.Helper()
		if !asked[guid] || event.GUID(sha256.Sum256(raw)) != guid {
			t.Fatalf("another body came as %s", guid)
		}
		return nil
	}
}
