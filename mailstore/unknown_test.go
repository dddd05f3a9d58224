package mailstore_test

import (
	"context"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/memlog"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

// refusals makes a log refuse its next appends, each with one of the errors.
func refusals(log *memlog.Log, errs ...error) {
	log.SetHook(func(eventlog.Mark, []byte) memlog.Fault {
		if len(errs) == 0 {
			return memlog.Fault{}
		}
		err := errs[0]
		errs = errs[1:]
		return memlog.Fault{Refuse: err}
	})
}

// An append whose outcome is unknown at first may yet reach the log: nobody is answered, and nobody decides on the account, before it
// is certain whether it did.
func TestAnswerComesWhenTheOutcomeIsCertain(t *testing.T) {
	ctx := context.Background()
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	b := prepare(t, env, mail)
	refusals(env.Logs[0], eventlog.ErrUnknown, eventlog.ErrNoSpace)
	delivered := uint32(0)
	for range 2 {
		if env.Store.Deliver(ctx, storetest.Admin, b, []mailstore.Recipient{{Account: "ann"}})[0].Err == nil {
			delivered++
		}
	}
	if err := env.Replicas[0].Err(); err != nil {
		t.Fatal(err)
	}
	m, err := env.Store.Mailbox(ctx, storetest.User("ann"), "ann", "INBOX")
	if err != nil || m.Messages != delivered {
		t.Errorf("%d deliveries were acknowledged, INBOX has %+v, %v", delivered, m, err)
	}
}

// A writer that was down comes back when the log answers, whatever it answers.
func TestWriterComesBackAfterAFullLog(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	b := prepare(t, env, mail)
	refusals(env.Logs[0], eventlog.ErrUnavailable, eventlog.ErrUnavailable, eventlog.ErrNoSpace)
	for {
		err := env.Store.Deliver(ctx, storetest.Admin, b, []mailstore.Recipient{{Account: "ann"}})[0].Err
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("nothing can be delivered any more: %v", err)
		}
	}
}
