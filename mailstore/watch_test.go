package mailstore_test

import (
	"context"
	"errors"
	"testing"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

func TestWatchingAnAccountNeedsPermission(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	if _, err := env.Store.WatchAccount(t.Context(), storetest.User("bob"), "ann", 10); !errors.Is(err, mailstore.ErrDenied) {
		t.Errorf("%v", err)
	}
}

// On both nodes a watcher is told what others do, and by the time they were answered.
func TestWatchersAreToldWhatOtherSessionsDo(t *testing.T) {
	ctx := context.Background()
	pair := storetest.NewPair(t, 2, mailstore.Options{})
	pair.Primary().Account(t, "ann")
	me := mailstore.Identity{Account: "ann", Service: "imap", Session: "mine"}
	for _, env := range []*storetest.Env{pair.Primary(), pair.Replica()} {
		s := env.Store
		if err := s.CatchUp(ctx, me, "ann"); err != nil {
			t.Fatal(err)
		}
		w, err := s.WatchAccount(ctx, me, "ann", 100)
		if err != nil {
			t.Fatal(err)
		}
		do := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		create := func(id mailstore.Identity, name string) event.MailboxID {
			t.Helper()
			m, err := s.CreateMailbox(ctx, id, "ann", mailstore.NewMailbox{Name: name})
			do(err)
			return m
		}
		create(me, "mine")
		do(s.Subscribe(ctx, me, "ann", "mine", true))
		if news := w.Take(); !news.IsEmpty() {
			t.Errorf("what the session did itself: %+v", news)
		}
		theirs := create(storetest.User("ann"), "theirs")
		do(s.Subscribe(ctx, storetest.User("ann"), "ann", "theirs", true))
		do(s.RenameMailbox(ctx, me, "ann", "theirs", "renamed"))
		env.Append(t, "ann", "INBOX", mail)
		do(s.RenameMailbox(ctx, storetest.User("ann"), "ann", "mine", "other"))
		do(s.DeleteMailbox(ctx, storetest.User("ann"), "ann", "other"))
		news := w.Take()
		if len(news.Mailboxes) != 3 || len(news.Subscriptions) != 1 || news.Subscriptions[0].Name != "theirs" || !news.Subscriptions[0].Subscribed {
			t.Fatalf("%+v", news)
		}
		if n := news.Mailboxes[0]; n.ID != theirs || n.Before != "" || n.Mailbox.Name != "renamed" {
			t.Errorf("what they made: %+v", n)
		}
		if n := news.Mailboxes[1]; n.Before != "INBOX" || !n.Appended || n.Flagged || n.Expunged || n.Mailbox.Messages == 0 {
			t.Errorf("INBOX: %+v", n)
		}
		if n := news.Mailboxes[2]; n.Before != "mine" || n.Mailbox != nil {
			t.Errorf("what they deleted: %+v", n)
		}
		w.Close()
		env.Append(t, "ann", "INBOX", mail)
		if news := w.Take(); !news.IsEmpty() {
			t.Errorf("after Close: %+v", news)
		}
		do(s.DeleteMailbox(ctx, me, "ann", "renamed"))
		do(s.Subscribe(ctx, me, "ann", "theirs", false))
		do(s.Subscribe(ctx, me, "ann", "mine", false))
	}
}
