package salvage_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/mailstore/salvage"
	"angarium/mailstore/storetest"
)

var (
	ann  = storetest.User("ann")
	cred = event.Credential{Iterations: 7, Salt: []byte("salt"), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
)

func mail(n int) string { return fmt.Sprintf("Subject: %d\r\n\r\n", n) }

func guid(t testing.TB, env *storetest.Env, raw string) event.GUID {
	t.Helper()
	b, err := env.Store.Prepare([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return b.GUID
}

// must fails the test on an error.
func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func create(t testing.TB, env *storetest.Env, name string, uses ...string) {
	t.Helper()
	_, err := env.Store.CreateMailbox(ctx, ann, "ann", mailstore.NewMailbox{Name: name, SpecialUse: uses})
	must(t, err)
}

// in calls fn with a mailbox of ann open.
func in(t testing.TB, env *storetest.Env, name string, fn func(*mailstore.Mailbox)) {
	t.Helper()
	mb, err := env.Store.Open(ctx, ann, "ann", name, false)
	must(t, err)
	defer mb.Close()
	fn(mb)
}

func flag(t testing.TB, env *storetest.Env, name string, uid uint32, op mailstore.FlagOp, flags ...string) {
	t.Helper()
	in(t, env, name, func(mb *mailstore.Mailbox) {
		_, err := mb.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: event.UIDsOf(uid), Op: op, Flags: flags})
		must(t, err)
	})
}

// A case of salvage: what both histories have, what each went on with, and what the report says.
type scenario struct {
	common, new, tail func(testing.TB, *storetest.Env)
	report            []string
	boxes             map[string][]string // flags of the messages by mailbox, afterwards
}

func nothing(testing.TB, *storetest.Env) {}

var scenarios = map[string]scenario{
	"a delivery and an append": {nothing, nothing,
		func(t testing.TB, env *storetest.Env) {
			b, err := env.Store.Prepare([]byte(mail(1)))
			must(t, err)
			must(t, env.Store.Deliver(ctx, storetest.Admin, b, []mailstore.Recipient{{Account: "ann"}})[0].Err)
			env.Append(t, "ann", "INBOX", mail(2), `\Seen`, "Work")
		},
		[]string{"BodyChunk /: applied", "MessagesAppended ann/INBOX: applied", "BodyChunk /: applied", "MessagesAppended ann/INBOX: applied"},
		map[string][]string{"INBOX": {"", `\Seen Work`}},
	},
	"a message that came on both sides gets the flags of both": {nothing,
		func(t testing.TB, env *storetest.Env) { env.Append(t, "ann", "INBOX", mail(1), `\Flagged`) },
		func(t testing.TB, env *storetest.Env) {
			env.Append(t, "ann", "INBOX", mail(1))
			flag(t, env, "INBOX", 1, mailstore.AddFlags, `\Seen`, "Work")
			flag(t, env, "INBOX", 1, mailstore.RemoveFlags, "Work")
		},
		[]string{
			"BodyChunk /: already there", "MessagesAppended ann/INBOX: already there",
			"FlagsChanged ann/INBOX: applied (1 applied, 1 not applied: superseded by event 7)", "FlagsChanged ann/INBOX: already there",
		},
		map[string][]string{"INBOX": {`\Seen \Flagged`}},
	},
	"another message has the UID": {nothing,
		func(t testing.TB, env *storetest.Env) { env.Append(t, "ann", "INBOX", mail(1)) },
		func(t testing.TB, env *storetest.Env) {
			env.Append(t, "ann", "INBOX", mail(2))
			flag(t, env, "INBOX", 1, mailstore.AddFlags, `\Seen`)
		},
		[]string{"BodyChunk /: applied", "MessagesAppended ann/INBOX: applied", "FlagsChanged ann/INBOX: applied"},
		map[string][]string{"INBOX": {"", `\Seen`}},
	},
	"a mailbox that is gone": {
		func(t testing.TB, env *storetest.Env) {
			create(t, env, "a")
			create(t, env, "b")
			env.Append(t, "ann", "b", mail(9))
		},
		func(t testing.TB, env *storetest.Env) {
			must(t, env.Store.DeleteMailbox(ctx, ann, "ann", "a"), env.Store.DeleteMailbox(ctx, ann, "ann", "b"))
			create(t, env, "b")
		},
		func(t testing.TB, env *storetest.Env) {
			env.Append(t, "ann", "a", mail(1))
			env.Append(t, "ann", "b", mail(2))
			flag(t, env, "b", 1, mailstore.AddFlags, `\Seen`)
			flag(t, env, "b", 2, mailstore.AddFlags, `\Seen`)
		},
		[]string{
			"BodyChunk /: applied", "MessagesAppended ann/a: applied (in INBOX: the mailbox is gone)",
			"BodyChunk /: applied", "MessagesAppended ann/b: applied (the mailbox is gone, another has its name)",
			"FlagsChanged ann/b: not applied (its message is gone)", "FlagsChanged ann/b: applied",
		},
		map[string][]string{"INBOX": {""}, "b": {`\Seen`}},
	},
	"copies, moves and expunges": {
		func(t testing.TB, env *storetest.Env) {
			create(t, env, "a")
			env.Append(t, "ann", "INBOX", mail(1), `\Seen`)
			env.Append(t, "ann", "INBOX", mail(2))
			env.Append(t, "ann", "INBOX", mail(3), `\Deleted`)
		},
		func(t testing.TB, env *storetest.Env) {
			in(t, env, "INBOX", func(mb *mailstore.Mailbox) {
				_, _, err := mb.Expunge(ctx, nil)
				must(t, err)
			})
		},
		func(t testing.TB, env *storetest.Env) {
			flag(t, env, "INBOX", 1, mailstore.AddFlags, "Work")
			in(t, env, "INBOX", func(mb *mailstore.Mailbox) {
				_, err := mb.Copy(ctx, event.UIDsOf(1), "a")
				must(t, err)
				_, err = mb.Move(ctx, event.UIDsOf(2, 3), "a")
				must(t, err)
			})
			flag(t, env, "a", 2, mailstore.AddFlags, `\Flagged`)
			env.Append(t, "ann", "a", mail(4)) // gets the UID, in the new history, of the message that is gone
			flag(t, env, "a", 3, mailstore.AddFlags, `\Answered`)
			in(t, env, "a", func(mb *mailstore.Mailbox) {
				_, _, err := mb.Expunge(ctx, nil)
				must(t, err)
			})
		},
		[]string{
			"FlagsChanged ann/INBOX: applied", "MessagesCopied ann/a: applied",
			"MessagesMoved ann/a: applied (1 applied, 1 not applied: the message that it was made of is gone)",
			"FlagsChanged ann/a: applied", "BodyChunk /: applied", "MessagesAppended ann/a: applied",
			"FlagsChanged ann/a: not applied (its message was not salvaged)", "MessagesExpunged ann/a: not applied (nothing is expunged)",
		},
		map[string][]string{"INBOX": {`\Seen Work`, ""}, "a": {`\Seen Work`, `\Flagged`, ""}},
	},
	"the tree": {
		func(t testing.TB, env *storetest.Env) {
			create(t, env, "a")
			create(t, env, "a/x")
			create(t, env, "t")
			create(t, env, "s", `\Sent`)
		},
		func(t testing.TB, env *storetest.Env) { create(t, env, "taken") },
		func(t testing.TB, env *storetest.Env) {
			must(t, env.Store.RenameMailbox(ctx, ann, "ann", "a", "b"), env.Store.RenameMailbox(ctx, ann, "ann", "t", "taken"))
			create(t, env, "New folder", `\Junk`)
			must(t, env.Store.RenameMailbox(ctx, ann, "ann", "New folder", "Projects"))
			create(t, env, "a")
			must(t,
				env.Store.Subscribe(ctx, ann, "ann", "b", true), env.Store.Subscribe(ctx, ann, "ann", "b", false), env.Store.Subscribe(ctx, ann, "ann", "a", true),
				env.Store.SetSpecialUse(ctx, ann, "ann", "s", nil), env.Store.SetSpecialUse(ctx, ann, "ann", "b/x", []string{`\Sent`}),
				env.Store.DeleteMailbox(ctx, ann, "ann", "s"),
			)
		},
		[]string{
			"MailboxRenamed ann/b: applied (1 applied, 1 already there)", "MailboxRenamed ann/taken: not applied (the name is taken)",
			"MailboxCreated ann/Projects: applied",
			"MailboxRenamed ann/Projects: already there (the mailbox was made in the tail, and is made under its last name)",
			"MailboxCreated ann/a: applied",
			"SubscriptionSet ann/b: not applied (superseded by event 14)", "SubscriptionSet ann/b: already there", "SubscriptionSet ann/a: applied",
			"SpecialUseSet ann/s: applied", "SpecialUseSet ann/b/x: applied", "MailboxDeleted ann/s: not applied (nothing is deleted)",
		},
		map[string][]string{"INBOX": {}, "Projects": {}, "a": {}, "b": {}, "b/x": {}, "s": {}, "t": {}, "taken": {}},
	},
	"a special use that becomes free later": {
		func(t testing.TB, env *storetest.Env) { create(t, env, "a"); create(t, env, "b") },
		func(t testing.TB, env *storetest.Env) {
			must(t, env.Store.SetSpecialUse(ctx, ann, "ann", "b", []string{`\Junk`}))
		},
		func(t testing.TB, env *storetest.Env) {
			must(t,
				env.Store.SetSpecialUse(ctx, ann, "ann", "a", []string{`\Junk`}), env.Store.SetSpecialUse(ctx, ann, "ann", "b", []string{`\Sent`}),
			)
		},
		[]string{"SpecialUseSet ann/a: applied", "SpecialUseSet ann/b: applied"},
		map[string][]string{"INBOX": {}, "a": {}, "b": {}},
	},
	"accounts": {nothing, nothing,
		func(t testing.TB, env *storetest.Env) {
			must(t,
				env.Store.SetCredential(ctx, storetest.Admin, "ann", cred), env.Store.CreateAccount(ctx, storetest.Admin, "new", cred),
				env.Store.DisableAccount(ctx, storetest.Admin, "ann", true), env.Store.DeleteAccount(ctx, storetest.Admin, "new"),
				env.Store.DeleteAccount(ctx, storetest.Admin, "ann"),
			)
		},
		[]string{
			"CredentialSet ann/: applied", "AccountCreated new/: applied", "MailboxCreated new/INBOX: already there", "AccountDisabled ann/: applied",
			"AccountDeleted new/: not applied (nothing is deleted)", "AccountDeleted ann/: not applied (nothing is deleted)",
		},
		map[string][]string{"INBOX": {}},
	},
	"an account that is gone": {nothing,
		func(t testing.TB, env *storetest.Env) { must(t, env.Store.DeleteAccount(ctx, storetest.Admin, "ann")) },
		func(t testing.TB, env *storetest.Env) {
			env.Append(t, "ann", "INBOX", mail(1))
			must(t, env.Store.Subscribe(ctx, ann, "ann", "x", true))
		},
		[]string{
			"BodyChunk /: applied", "MessagesAppended ann/INBOX: not applied (the account is not there)", "SubscriptionSet ann/x: not applied (the account is not there)",
		},
		map[string][]string{},
	},
}

func TestScenarios(t *testing.T) {
	for name, sc := range scenarios {
		t.Run(name, func(t *testing.T) {
			env := storetest.New(t, 1, mailstore.Options{})
			env.Account(t, "ann")
			sc.common(t, env)
			s := fork(t, env)
			sc.new(t, s.new)
			sc.tail(t, s.old)
			got := lines(apply(t, s, salvage.FromReplica(s.old.Replicas[0])))
			if diff := cmp.Diff(sc.report, got); diff != "" {
				t.Errorf("report (-want +got)\n%s", diff)
			}
			boxes := map[string][]string{}
			for box, list := range contents(t, s.new) {
				if box[:4] != "ann:" {
					continue
				}
				boxes[box[4:]] = []string{}
				for _, m := range list {
					boxes[box[4:]] = append(boxes[box[4:]], m.flags)
				}
			}
			if diff := cmp.Diff(sc.boxes, boxes); diff != "" {
				t.Errorf("mailboxes (-want +got)\n%s", diff)
			}
		})
	}
}

func TestInternalDateIsKept(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	s := fork(t, env)
	b, err := env.Store.Prepare([]byte(mail(1)))
	must(t, err)
	_, err = env.Store.Append(ctx, ann, "ann", "INBOX", []mailstore.NewMessage{{Body: b, InternalDate: time.Unix(86400, 0)}})
	must(t, err)
	r := apply(t, s, nil)
	want := []message{{guid(t, env, mail(1)), "", 86400}}
	if diff := cmp.Diff(want, boxContents(t, s.new, "ann", "INBOX"), cmp.AllowUnexported(message{})); diff != "" {
		t.Error(diff)
	}
	if r.Applied != 2 || r.Records[0].Position <= uint64(s.fork) || r.Records[1].Index != r.Records[0].Index+1 {
		t.Errorf("%+v", r)
	}
}

// An upload that began before the histories parted is not whole in the tail.
func TestBodyThatBeganBeforeTheTail(t *testing.T) {
	for _, known := range []bool{false, true} {
		env := storetest.New(t, 1, mailstore.Options{})
		env.Account(t, "ann")
		raw := mail(1) + "0123456789"
		g := guid(t, env, raw)
		chunk := func(from, to int, structure []byte) {
			t.Helper()
			c := &event.BodyChunk{GUID: g, Size: uint64(len(raw)), Stored: uint64(len(raw)), Offset: uint64(from), Data: []byte(raw[from:to]), Structure: structure}
			r, err := env.Writers[0].Append(ctx, event.Entry{Event: c})
			must(t, err)
			must(t, env.Replicas[0].Wait(ctx, r.Position))
		}
		b, err := env.Store.Prepare([]byte(raw))
		must(t, err)
		chunk(0, 5, nil)
		s := fork(t, env)
		chunk(5, len(raw), b.Structure)
		env.Append(t, "ann", "INBOX", raw)
		var old salvage.Old
		want := salvage.NotApplied
		if known {
			old, want = salvage.FromReplica(env.Replicas[0]), salvage.Applied
		}
		r := apply(t, s, old)
		if got := r.Records[len(r.Records)-1]; got.Outcome != want || r.Records[0].Outcome != salvage.NotApplied {
			t.Errorf("old replica known: %v: %+v", known, r.Records)
		}
		if got := len(boxContents(t, s.new, "ann", "INBOX")); (got == 1) != known {
			t.Errorf("old replica known: %v: %d messages", known, got)
		}
	}
}

// A whole history is salvaged into an empty store, through a node that forwards and whose link breaks now and then.
func TestSalvageThroughAReplica(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	create(t, env, "a/b")
	for i := range 10 {
		env.Append(t, "ann", []string{"INBOX", "a/b"}[i%2], mail(i), `\Seen`)
	}
	flag(t, env, "INBOX", 3, mailstore.SetFlags, `\Flagged`)
	pair := storetest.NewPair(t, 1, mailstore.Options{})
	var calls atomic.Int32
	pair.SetHook(func(string) storetest.Fault {
		switch n := calls.Add(1); {
		case n%5 == 0:
			return storetest.Fault{Unsent: true}
		case n%7 == 0:
			return storetest.Fault{Unanswered: true}
		}
		return storetest.Fault{}
	})
	tail := tailOf(env.Logs[0], 0)
	broken := 0
	for {
		r, err := salvage.Apply(ctx, pair.Replica().Store, tail, salvage.Options{})
		if err == nil {
			if r.NotApplied != 1 { // the start of the epoch
				t.Errorf("%v", lines(r))
			}
			break
		}
		if broken++; !errors.Is(err, mailstore.ErrUnavailable) || r != nil || broken > 100 {
			t.Fatal(r, err)
		}
	}
	if broken == 0 {
		t.Error("the link never broke")
	}
	must(t, pair.Replica().Replicas[0].Wait(ctx, pair.Primary().Replicas[0].Applied().Position))
	if diff := cmp.Diff(contents(t, env), contents(t, pair.Replica()), cmp.AllowUnexported(message{})); diff != "" {
		t.Error(diff)
	}
}

func TestTailThatCannotBeRead(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	s := fork(t, env)
	env.Append(t, "ann", "INBOX", mail(1))
	whole := s.tail()
	passes := 0
	cases := map[string]salvage.Tail{
		"an error": func(yield func(eventlog.Envelope, error) bool) { yield(eventlog.Envelope{}, eventlog.ErrCorrupt) },
		"nothing the second time": func(yield func(eventlog.Envelope, error) bool) {
			if passes++; passes == 1 {
				whole(yield)
			}
		},
	}
	for name, tail := range cases {
		if r, err := salvage.Apply(ctx, s.new.Store, tail, salvage.Options{}); err == nil || r != nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := salvage.Apply(ended, s.new.Store, whole, salvage.Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := boxContents(t, s.new, "ann", "INBOX"); len(got) != 0 {
		t.Errorf("%d messages", len(got))
	}
}
