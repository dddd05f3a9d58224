// Package storetest makes whole mail stores in memory for tests: logs, replicas and the store over them.
package storetest

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/memlog"
	"angarium/mailstore"
	"angarium/replica"
	"angarium/replica/state"
)

// Admin is an identity that may do everything.
var Admin = mailstore.Identity{Service: "test", Session: "s1", Admin: true}

// User is the identity of an account that is logged in.
func User(account string) mailstore.Identity {
	return mailstore.Identity{Account: account, Service: "test", Session: "s2"}
}

// Env is a store with what is below it.
type Env struct {
	Store    *mailstore.Store
	Logs     []*memlog.Log
	Writers  []*eventlog.Writer
	Replicas []*replica.Replica
}

// New makes a store of some shards. At the end of the test every replica is checked, and must be sound.
func New(t testing.TB, shards int, opts mailstore.Options) *Env {
	t.Helper()
	logs := make([]*memlog.Log, shards)
	for i := range logs {
		logs[i] = memlog.New()
	}
	return over(t, logs, opts)
}

// Fork makes a store that has the history of another up to now, and goes on by itself: what a promotion makes of a replica that is cut off.
func (e *Env) Fork(t testing.TB, opts mailstore.Options) *Env {
	t.Helper()
	logs := make([]*memlog.Log, len(e.Logs))
	for i, log := range e.Logs {
		logs[i] = memlog.New()
		Copy(t, log, logs[i])
	}
	return over(t, logs, opts)
}

// Recovered makes a store of what there is up to now, as if the rest of the history was lost and this is a copy of what was not.
func (e *Env) Recovered(t testing.TB, opts mailstore.Options) *Env {
	t.Helper()
	logs := make([]*memlog.Log, len(e.Logs))
	for i, log := range e.Logs {
		logs[i] = memlog.New()
		Copy(t, log, logs[i])
		totals, err := state.GetTotals(e.Replicas[i].Reader())
		if err != nil {
			t.Fatal(err)
		}
		opts.Shards = append(opts.Shards, mailstore.Shard{Recovered: totals.Epoch + 1})
	}
	return over(t, logs, opts)
}

// over makes a store over logs, of which it is the primary.
func over(t testing.TB, logs []*memlog.Log, opts mailstore.Options) *Env {
	t.Helper()
	env := &Env{Logs: logs}
	for i, log := range logs {
		r := follow(t, i, log)
		w, err := lead(context.Background(), log, r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := w.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		env.Writers = append(env.Writers, w)
		env.Replicas = append(env.Replicas, r)
		if i == len(opts.Shards) {
			opts.Shards = append(opts.Shards, mailstore.Shard{})
		}
		opts.Shards[i].Replica, opts.Shards[i].Log = r, w
	}
	s, err := mailstore.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	env.Store = s
	return env
}

// follow makes a replica that follows a log until the end of the test, and is checked then.
func follow(t testing.TB, shard int, log eventlog.Log) *replica.Replica {
	t.Helper()
	r := OpenReplica(t, replica.Options{FS: vfs.NewMem(), Dir: "replica", Shard: shard, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, log) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, replica.ErrHalted) {
			t.Error(err)
		}
		Check(t, r)
	})
	return r
}

// lead starts an epoch in a log, and a writer once the replica has applied it.
func lead(ctx context.Context, log eventlog.Log, r *replica.Replica) (*eventlog.Writer, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.Wait(ctx, head.Last); err != nil {
		return nil, err
	}
	st, err := eventlog.Fence(ctx, log, r.Applied(), "test")
	if err != nil {
		return nil, err
	}
	if err := r.Wait(ctx, st.Position); err != nil {
		return nil, err
	}
	return eventlog.NewWriter(log, st, eventlog.Options{}), nil
}

// Copy appends to a log what another has beyond its end.
func Copy(t testing.TB, from, to *memlog.Log) {
	t.Helper()
	ctx := context.Background()
	head, err := from.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	after, err := mark(ctx, to)
	if err != nil {
		t.Fatal(err)
	}
	for after.Position < head.Last {
		payload, err := from.Read(ctx, after.Position+1)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-to.Append(ctx, after, payload); err != nil {
			t.Fatal(err)
		}
		after = behind(after, payload)
	}
}

// mark gives the mark of the last envelope of a log.
func mark(ctx context.Context, log eventlog.Log) (eventlog.Mark, error) {
	head, err := log.Head(ctx)
	if err != nil || head.Last == 0 {
		return eventlog.Mark{}, err
	}
	payload, err := log.Read(ctx, head.Last)
	if err != nil {
		return eventlog.Mark{}, err
	}
	return behind(eventlog.Mark{Position: head.Last - 1}, payload), nil
}

func behind(after eventlog.Mark, payload []byte) eventlog.Mark {
	return eventlog.Mark{Position: after.Position + 1, Hash: eventlog.Hash(payload[len(payload)-eventlog.HashSize:])}
}

// OpenReplica opens a replica and closes it at the end of the test.
func OpenReplica(t testing.TB, opts replica.Options) *replica.Replica {
	t.Helper()
	r, err := replica.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// Check fails the test for every violation of a replica's invariants.
func Check(t testing.TB, r *replica.Replica) {
	t.Helper()
	_, err := r.Check(context.Background(), replica.CheckOptions{Deep: true}, func(v state.Violation) { t.Errorf("violation: %s", v) })
	if err != nil {
		t.Error(err)
	}
}

// Account makes an account whose credential no password fits.
func (e *Env) Account(t testing.TB, name string) {
	t.Helper()
	cred := event.Credential{Iterations: 1, Salt: []byte("salt"), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
	if err := e.Store.CreateAccount(context.Background(), Admin, name, cred); err != nil {
		t.Fatal(err)
	}
}

// Append puts a message into a mailbox and returns its UID.
func (e *Env) Append(t testing.TB, account, mailbox, raw string, flags ...string) uint32 {
	t.Helper()
	b, err := e.Store.Prepare([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	res, err := e.Store.Append(context.Background(), User(account), account, mailbox, []mailstore.NewMessage{{Body: b, Flags: flags}})
	if err != nil {
		t.Fatal(err)
	}
	return res.First
}
