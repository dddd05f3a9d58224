package salvage_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/memlog"
	"angarium/mailstore"
	"angarium/mailstore/salvage"
	"angarium/mailstore/storetest"
	"angarium/replica/state"
)

var ctx = context.Background()

// tb makes a rapid test one that storetest takes: what a run sets up is cleaned up after that run.
type tb struct {
	testing.TB
	rapid *rapid.T
}

func (t tb) Cleanup(fn func())              { t.rapid.Cleanup(fn) }
func (t tb) Error(args ...any)              { t.rapid.Error(args...) }
func (t tb) Errorf(format string, a ...any) { t.rapid.Errorf(format, a...) }
func (t tb) Fatal(args ...any)              { t.rapid.Fatal(args...) }
func (t tb) Fatalf(format string, a ...any) { t.rapid.Fatalf(format, a...) }
func (t tb) Helper()                        {}

// split is two histories with a common beginning: the old one, whose primary was cut off, and the new one.
type split struct {
	old, new *storetest.Env
	fork     eventlog.Position // the last envelope that both have
}

// fork lets a history go on in two ways.
func fork(t testing.TB, env *storetest.Env) *split {
	t.Helper()
	return &split{old: env, new: env.Fork(t, mailstore.Options{}), fork: env.Replicas[0].Applied().Position}
}

// tail is what only the old history has.
func (s *split) tail() salvage.Tail { return tailOf(s.old.Logs[0], s.fork) }

func tailOf(log *memlog.Log, after eventlog.Position) salvage.Tail {
	return func(yield func(eventlog.Envelope, error) bool) {
		head, err := log.Head(ctx)
		if err != nil {
			yield(eventlog.Envelope{}, err)
			return
		}
		for pos := after + 1; pos <= head.Last; pos++ {
			payload, err := log.Read(ctx, pos)
			var env eventlog.Envelope
			if err == nil {
				env, err = eventlog.Decode(pos, payload)
			}
			if !yield(env, err) || err != nil {
				return
			}
		}
	}
}

// message is a message as a test looks at it.
type message struct {
	guid  event.GUID
	flags string
	date  int64
}

// contents is the messages of all mailboxes, by account and name.
func contents(t testing.TB, env *storetest.Env) map[string][]message {
	t.Helper()
	all := map[string][]message{}
	accounts, err := env.Store.Accounts(ctx, storetest.Admin)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		boxes, err := env.Store.Mailboxes(ctx, storetest.Admin, a.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range boxes {
			all[a.Name+":"+b.Name] = boxContents(t, env, a.Name, b.Name)
		}
	}
	return all
}

func boxContents(t testing.TB, env *storetest.Env, account, name string) []message {
	t.Helper()
	mb, err := env.Store.Open(ctx, storetest.Admin, account, name, true)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	snap := mb.Snapshot()
	list := []message{}
	err = mb.Messages(1, 1<<32-1, func(m state.Message) (bool, error) {
		live, _ := snap.List.Get(m.UID)
		list = append(list, message{m.GUID, strings.Join(live.Flags.Names(snap.Mailbox.Keywords), " "), m.InternalDate})
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// ids gives the UIDVALIDITY of each mailbox, and the UID and GUID of its messages.
func ids(t testing.TB, env *storetest.Env) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := state.ScanAllMailboxes(env.Replicas[0].Reader(), func(m *state.Mailbox) (bool, error) {
		all[m.ID.String()] = fmt.Sprint(m.UIDValidity)
		err := state.ScanMessages(env.Replicas[0].Reader(), m.ID, 1, 1<<32-1, func(msg state.Message) (bool, error) {
			all[fmt.Sprintf("%s %d", m.ID, msg.UID)] = msg.GUID.String()
			return true, nil
		})
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func apply(t testing.TB, s *split, old salvage.Old) *salvage.Report {
	t.Helper()
	r, err := salvage.Apply(ctx, s.new.Store, s.tail(), salvage.Options{Old: old, Session: "s"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lines shows a report without positions.
func lines(r *salvage.Report) []string {
	var list []string
	for _, rec := range r.Records {
		l := fmt.Sprintf("%s %s/%s: %s", rec.Kind, rec.Account, rec.Mailbox, rec.Outcome)
		if rec.Detail != "" {
			l += " (" + rec.Detail + ")"
		}
		list = append(list, l)
	}
	return list
}
