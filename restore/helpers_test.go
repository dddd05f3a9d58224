package restore_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/replica/state"
	"angarium/restore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var admin = mailstore.Identity{Account: "root", Service: "syncctl", Session: "s9", Client: "192.0.2.1", Admin: true}

// fataler is what testing.TB and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// picture is an account as a restore has to bring it back: mailboxes by name, and of each the messages by GUID with flags and date.
type picture struct {
	Boxes map[string]pictured
	Subs  []string
}

type pictured struct {
	Uses     []string
	Messages []string // sorted
}

func look(t fataler, store *mailstore.Store, account string) picture {
	t.Helper()
	ctx := context.Background()
	p := picture{Boxes: map[string]pictured{}}
	boxes, err := store.Mailboxes(ctx, admin, account)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range boxes {
		b, err := store.Open(ctx, admin, account, m.Name, true)
		if err != nil {
			t.Fatal(err)
		}
		x := pictured{Uses: slices.Sorted(slices.Values(m.SpecialUse))}
		snap := b.Snapshot()
		err = b.Messages(1, 1<<32-1, func(msg state.Message) (bool, error) {
			live, ok := snap.List.Get(msg.UID)
			if !ok {
				t.Fatalf("message %d of %q is not in the snapshot", msg.UID, m.Name)
			}
			flags := live.Flags.Names(snap.Mailbox.Keywords)
			slices.Sort(flags)
			x.Messages = append(x.Messages, fmt.Sprintf("%s %d %v", msg.GUID, msg.InternalDate, flags))
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Close()
		slices.Sort(x.Messages)
		p.Boxes[m.Name] = x
	}
	if p.Subs, err = store.Subscriptions(ctx, admin, account); err != nil {
		t.Fatal(err)
	}
	return p
}

// user changes an account at random.
type user struct {
	env     *storetest.Env
	account string
	n       int // messages so far
}

var names = []string{"a", "b", "a/b", "a/b/c", "b/a", "INBOX", "c", "INBOX/x"}

func anyName(t *rapid.T) string { return rapid.SampledFrom(names).Draw(t, "name") }

func (u *user) id() mailstore.Identity { return storetest.User(u.account) }

// some opens a mailbox that is there, with some of its UIDs.
func (u *user) some(t *rapid.T) (*mailstore.Mailbox, event.UIDSet) {
	ctx := context.Background()
	boxes, err := u.env.Store.Mailboxes(ctx, u.id(), u.account)
	if err != nil {
		t.Fatal(err)
	}
	m := rapid.SampledFrom(boxes).Draw(t, "mailbox")
	b, err := u.env.Store.Open(ctx, u.id(), u.account, m.Name, false)
	if err != nil {
		t.Fatal(err)
	}
	first := rapid.Uint32Range(1, 9).Draw(t, "first")
	return b, event.UIDSet{{First: first, Last: first + rapid.Uint32Range(0, 3).Draw(t, "more")}}
}

// actions are what the user can do. Mailstore refuses some of it: that is as good.
func (u *user) actions() map[string]func(*rapid.T) {
	ctx := context.Background()
	s := u.env.Store
	flags := func(t *rapid.T) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom([]string{`\Seen`, `\Flagged`, `\Deleted`, "$Work", "Other"}), 0, 3, rapid.ID[string]).Draw(t, "flags")
	}
	uses := func(t *rapid.T) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom([]string{`\Sent`, `\Junk`}), 0, 2, rapid.ID[string]).Draw(t, "uses")
	}
	return map[string]func(*rapid.T){
		"create": func(t *rapid.T) {
			_, _ = s.CreateMailbox(ctx, u.id(), u.account, mailstore.NewMailbox{Name: anyName(t), SpecialUse: uses(t), Subscribe: rapid.Bool().Draw(t, "sub")})
		},
		"delete": func(t *rapid.T) { _ = s.DeleteMailbox(ctx, u.id(), u.account, anyName(t)) },
		"rename": func(t *rapid.T) { _ = s.RenameMailbox(ctx, u.id(), u.account, anyName(t), anyName(t)) },
		"subscribe": func(t *rapid.T) {
			_ = s.Subscribe(ctx, u.id(), u.account, anyName(t), rapid.Bool().Draw(t, "on"))
		},
		"use": func(t *rapid.T) { _ = s.SetSpecialUse(ctx, u.id(), u.account, anyName(t), uses(t)) },
		"append": func(t *rapid.T) {
			u.n++
			raw := fmt.Sprintf("Message-ID: <%s.%d@example.org>\r\nSubject: %d\r\n\r\nhello\r\n", u.account, u.n%7, u.n%7) // GUIDs come again
			body, err := s.Prepare([]byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := u.some(t)
			defer b.Close()
			boxes, err := s.Mailboxes(ctx, u.id(), u.account)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range boxes {
				if m.ID == b.ID() {
					msg := mailstore.NewMessage{Body: body, Flags: flags(t), InternalDate: time.Unix(int64(1000+u.n), 0)}
					if _, err := s.Append(ctx, u.id(), u.account, m.Name, []mailstore.NewMessage{msg}); err != nil {
						t.Fatal(err)
					}
				}
			}
		},
		"flags": func(t *rapid.T) {
			b, uids := u.some(t)
			defer b.Close()
			op := rapid.SampledFrom([]mailstore.FlagOp{mailstore.SetFlags, mailstore.AddFlags, mailstore.RemoveFlags}).Draw(t, "op")
			if _, err := b.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: uids, Op: op, Flags: flags(t)}); err != nil {
				t.Fatal(err)
			}
		},
		"expunge": func(t *rapid.T) {
			b, uids := u.some(t)
			defer b.Close()
			if _, err := b.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: uids, Op: mailstore.AddFlags, Flags: []string{`\Deleted`}}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := b.Expunge(ctx, uids); err != nil {
				t.Fatal(err)
			}
		},
		"copy": func(t *rapid.T) { b, uids := u.some(t); defer b.Close(); _, _ = b.Copy(ctx, uids, anyName(t)) },
		"move": func(t *rapid.T) { b, uids := u.some(t); defer b.Close(); _, _ = b.Move(ctx, uids, anyName(t)) },
	}
}

func (u *user) act(t *rapid.T, n int) {
	actions := u.actions()
	keys := slices.Sorted(maps.Keys(actions))
	for range n {
		actions[rapid.SampledFrom(append(keys, "append", "append", "flags")).Draw(t, "action")](t)
	}
}

func last(t fataler, log eventlog.Log) eventlog.Position {
	t.Helper()
	h, err := log.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return h.Last
}

// newUser makes a user with an account of his own.
func newUser(t fataler, env *storetest.Env, name string) *user {
	t.Helper()
	cred := event.Credential{Iterations: 1, Salt: []byte("salt"), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
	if err := env.Store.CreateAccount(context.Background(), admin, name, cred); err != nil {
		t.Fatal(err)
	}
	return &user{env: env, account: name}
}

// shipped ships the log so far into a new archive, and gives its shard.
func shipped(t fataler, dir string, log eventlog.Log) *archive.Shard {
	t.Helper()
	target, err := archive.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := archive.NewShipper(target, log, archive.ShipperOptions{SegmentBytes: 16 << 10, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	err = s.Flush(ctx, last(t, log))
	stop()
	if runErr := <-done; err != nil || runErr != nil {
		t.Fatalf("ship: %v, %v", err, runErr)
	}
	a, err := archive.Open(context.Background(), target, nil)
	if err != nil {
		t.Fatal(err)
	}
	shard, err := a.Shard(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return shard
}

func planAndApply(t fataler, u *user, h restore.History, opts restore.Options) *restore.Plan {
	t.Helper()
	ctx := context.Background()
	opts.Account = u.account
	plan, err := restore.New(ctx, u.env.Store, admin, h, opts)
	if err != nil {
		t.Fatal(err)
	}
	res, err := restore.Apply(ctx, u.env.Store, admin, h, plan, nil)
	if err != nil {
		t.Fatalf("apply %+v: %v", plan.Steps, err)
	}
	if diff := cmp.Diff(plan.Counts, res.Counts); diff != "" {
		t.Errorf("what was done is not what was planned (-plan +done):\n%s", diff)
	}
	h.Log = u.env.Logs[0] // the archive does not have what was just done
	again, err := restore.New(ctx, u.env.Store, admin, h, opts)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Empty() {
		t.Errorf("a second run would do %+v after %+v", again.Steps, plan.Steps)
	}
	return plan
}

// setup makes an account with mail, of which five messages are expunged and three are flagged after the point.
func setup(t *testing.T) (u *user, h restore.History, at eventlog.Position) {
	t.Helper()
	ctx := context.Background()
	env := storetest.New(t, 1, mailstore.Options{})
	u = newUser(t, env, "anna")
	for i := range 10 {
		env.Append(t, "anna", "INBOX", fmt.Sprintf("Message-ID: <%d@example.org>\r\n\r\n%d\r\n", i, i), `\Seen`)
	}
	at = last(t, env.Logs[0])
	b, err := env.Store.Open(ctx, u.id(), "anna", "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, up := range []mailstore.FlagUpdate{
		{UIDs: event.UIDSet{{First: 1, Last: 5}}, Op: mailstore.AddFlags, Flags: []string{`\Deleted`}},
		{UIDs: event.UIDSet{{First: 8, Last: 10}}, Op: mailstore.SetFlags, Flags: []string{`\Flagged`}},
	} {
		if _, err := b.StoreFlags(ctx, up); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := b.Expunge(ctx, nil); err != nil {
		t.Fatal(err)
	}
	return u, restore.History{Log: env.Logs[0]}, at
}
