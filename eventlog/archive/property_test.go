package archive_test

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/replica"
	"angarium/replica/state"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// scribble changes a store at random. What mailstore refuses is as good.
func scribble(t *rapid.T, env *storetest.Env, account string, n int) {
	ctx := context.Background()
	id, s := storetest.User(account), env.Store
	name := func() string { return rapid.SampledFrom([]string{"INBOX", "a", "b", "a/b"}).Draw(t, "name") }
	for i := range n {
		switch rapid.SampledFrom([]string{"create", "delete", "rename", "subscribe", "append", "append", "append", "checkpoint", "flags", "move", "account"}).Draw(t, "action") {
		case "create":
			_, _ = s.CreateMailbox(ctx, id, account, mailstore.NewMailbox{Name: name(), Subscribe: true})
		case "delete":
			_ = s.DeleteMailbox(ctx, id, account, name())
		case "rename":
			_ = s.RenameMailbox(ctx, id, account, name(), name())
		case "subscribe":
			_ = s.Subscribe(ctx, id, account, name(), rapid.Bool().Draw(t, "on"))
		case "append":
			size := rapid.SampledFrom([]int{0, 10, 1000, 600_000}).Draw(t, "size")
			body, err := s.Prepare(append([]byte(fmt.Sprintf("Subject: %d\r\n\r\n", i%5)), make([]byte, size)...))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = s.Append(ctx, id, account, name(), []mailstore.NewMessage{{Body: body, Flags: []string{"k" + fmt.Sprint(i%3)}}})
		case "checkpoint":
			if err := s.Checkpoint(ctx, 0); err != nil {
				t.Fatal(err)
			}
		case "account":
			_ = s.DeleteAccount(ctx, storetest.Admin, account)
			_ = s.CreateAccount(ctx, storetest.Admin, account, cred)
		default:
			scribbleIn(t, s, id, account, name())
		}
	}
}

func scribbleIn(t *rapid.T, s *mailstore.Store, id mailstore.Identity, account, mailbox string) {
	ctx := context.Background()
	b, err := s.Open(ctx, id, account, mailbox, false)
	if err != nil {
		return
	}
	defer b.Close()
	first := rapid.Uint32Range(1, 5).Draw(t, "first")
	uids := event.UIDSet{{First: first, Last: first + 2}}
	if rapid.Bool().Draw(t, "move") {
		_, _ = b.Move(ctx, uids, "INBOX")
		return
	}
	_, _ = b.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: uids, Op: mailstore.AddFlags, Flags: []string{`\Deleted`}})
	if rapid.Bool().Draw(t, "expunge") {
		_, _, _ = b.Expunge(ctx, uids)
	}
}

// TestRecoveryIsExact: for random histories and a random point, what is recovered is what was, every row of it, with a snapshot and without.
func TestRecoveryIsExact(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	log := env.Logs[0]
	env.Account(t, "anna")
	target := newDir(t)
	rapid.Check(t, func(rt *rapid.T) {
		scribble(rt, env, "anna", rapid.IntRange(1, 10).Draw(rt, "changes"))
		ship(t, target, log, archive.ShipperOptions{SegmentBytes: 1 << 20})
		last := head(t, log)
		if rapid.IntRange(0, 4).Draw(rt, "snapshot") == 0 {
			r := replay(t, log, last)
			if _, err := openShard(t, target, nil).WriteSnapshot(context.Background(), archive.Source{Reader: r.Memory, At: r.at}); err != nil {
				rt.Fatal(err)
			}
		}
		to := eventlog.Position(rapid.Uint64Range(1, uint64(last)).Draw(rt, "to"))
		opts := archive.RecoverOptions{To: to, FromSnapshot: rapid.Bool().Draw(rt, "from a snapshot")}
		s := openShard(t, target, nil)
		if _, err := s.SnapshotUpTo(context.Background(), to); err != nil {
			opts.FromSnapshot = false
		}
		r := newMemoryReplica()
		opts.Replica = r
		if _, _, err := s.Recover(context.Background(), opts); err != nil {
			rt.Fatal(err)
		}
		sameState(t, r, replay(t, log, to))
		if t.Failed() {
			rt.FailNow()
		}
	})
}

func TestARealReplicaIsRecovered(t *testing.T) {
	env := history(t)
	target := newDir(t)
	ship(t, target, env.Logs[0], archive.ShipperOptions{})
	r := storetest.OpenReplica(t, replica.Options{FS: vfs.NewMem(), Dir: "recovered", Logger: quiet})
	if _, _, err := openShard(t, target, nil).Recover(testContext(t), archive.RecoverOptions{Replica: r}); err != nil {
		t.Fatal(err)
	}
	storetest.Check(t, r)
	got, err1 := state.GetTotals(r.Reader())
	want, err2 := state.GetTotals(env.Replicas[0].Reader())
	if err1 != nil || err2 != nil || *got != *want || r.Applied() != env.Replicas[0].Applied() {
		t.Errorf("recovered %+v at %v, want %+v at %v (%v, %v)", got, r.Applied(), want, env.Replicas[0].Applied(), err1, err2)
	}
}

// TestAnInterruptedRecoveryGoesOn ends a recovery after each batch, with log and replica at different places.
func TestAnInterruptedRecoveryGoesOn(t *testing.T) {
	env := history(t)
	log, last := env.Logs[0], head(t, env.Logs[0])
	target := newDir(t)
	ship(t, target, log, archive.ShipperOptions{})
	s := openShard(t, target, nil)
	for cut := eventlog.Position(0); cut <= last; cut++ {
		newLog, r := recoverTo(t, s, archive.RecoverOptions{To: max(cut, 1)})
		if cut%2 == 0 { // the replica was behind the log
			r = replay(t, log, cut/2)
		} else { // the log was behind the replica
			newLog.Truncate(cut / 2)
		}
		_, _, err := s.Recover(testContext(t), archive.RecoverOptions{
			Replica: r, OpenLog: func(context.Context, eventlog.State) (eventlog.Log, error) { return newLog, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		sameLog(t, newLog, log, last)
		sameState(t, r, replay(t, log, last))
	}
}
