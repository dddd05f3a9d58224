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
	env := &Env{}
	for i := range shards {
		log := memlog.New()
		r := OpenReplica(t, replica.Options{FS: vfs.NewMem(), Dir: "replica", Shard: i, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(context.Background())
		st, err := eventlog.Fence(ctx, log, eventlog.State{}, "test")
		if err != nil {
			t.Fatal(err)
		}
		w := eventlog.NewWriter(log, st, eventlog.Options{})
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, log) }()
		if err := r.Wait(ctx, st.Position); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := w.Close(ctx); err != nil {
				t.Error(err)
			}
			cancel()
			if err := <-done; err != nil && !errors.Is(err, replica.ErrHalted) {
				t.Error(err)
			}
			Check(t, r)
		})
		env.Logs = append(env.Logs, log)
		env.Writers = append(env.Writers, w)
		env.Replicas = append(env.Replicas, r)
		opts.Shards = append(opts.Shards, mailstore.Shard{Replica: r, Log: w})
	}
	s, err := mailstore.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	env.Store = s
	return env
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
