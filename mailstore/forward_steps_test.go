package mailstore_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

var (
	ann   = storetest.User("ann")
	admin = storetest.Admin
	cred  = event.Credential{Iterations: 1, Salt: []byte("salt"), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
)

// step is one call of a method that writes. Its result is compared between a store that decides itself and one that forwards.
type writeStep struct {
	method string
	op     string // under which it is forwarded
	call   func(ctx context.Context, t *testing.T, s *mailstore.Store) (any, error)
}

// inBox makes a step of a call on INBOX of ann.
func inBox(call func(context.Context, *mailstore.Mailbox) (any, error)) func(context.Context, *testing.T, *mailstore.Store) (any, error) {
	return func(ctx context.Context, t *testing.T, s *mailstore.Store) (any, error) {
		box, err := s.Open(ctx, ann, "ann", "INBOX", false)
		if err != nil {
			t.Fatal(err)
		}
		defer box.Close()
		return call(ctx, box)
	}
}

func bodyOf(t *testing.T, s *mailstore.Store, raw string) *mailstore.Body {
	t.Helper()
	b, err := s.Prepare([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func withoutIDs(list []mailstore.Delivered) []mailstore.Delivered {
	for i := range list {
		list[i].Mailbox = event.MailboxID{} // is random
	}
	return list
}

// writeSteps calls every method that writes, in ways that succeed and in ways that fail.
var writeSteps = []writeStep{
	{"CreateAccount", "account.create", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.CreateAccount(ctx, admin, "bob", cred)
	}},
	{"CreateAccount", "account.create", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.CreateAccount(ctx, admin, "ann", cred)
	}},
	{"SetCredential", "account.credential", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.SetCredential(ctx, admin, "ann", cred)
	}},
	{"DisableAccount", "account.disable", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.DisableAccount(ctx, admin, "bob", true)
	}},
	{"DisableAccount", "account.disable", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.DisableAccount(ctx, admin, "nobody", true)
	}},
	{"Deliver", "deliver", func(ctx context.Context, t *testing.T, s *mailstore.Store) (any, error) {
		to := []mailstore.Recipient{{Account: "ann"}, {Account: "nobody"}, {Account: "bob", Mailbox: "x"}, {Account: "ann"}}
		return withoutIDs(s.Deliver(ctx, admin, bodyOf(t, s, mail), to)), nil
	}},
	{"Append", "append", func(ctx context.Context, t *testing.T, s *mailstore.Store) (any, error) {
		a, err := s.Append(ctx, ann, "ann", "inbox", []mailstore.NewMessage{
			{Body: bodyOf(t, s, mail), Flags: []string{`\Seen`, "Work"}, InternalDate: time.Unix(86400, 5)},
			{Body: bodyOf(t, s, "Subject: other\r\n\r\n"), Flags: []string{`\Deleted`}},
		})
		a.Mailbox = event.MailboxID{}
		return a, err
	}},
	{"Append", "append", func(ctx context.Context, t *testing.T, s *mailstore.Store) (any, error) {
		return s.Append(ctx, ann, "ann", "not there", []mailstore.NewMessage{{Body: bodyOf(t, s, mail)}})
	}},
	{"Append", "append", func(ctx context.Context, t *testing.T, s *mailstore.Store) (any, error) {
		return s.Append(ctx, ann, "ann", "INBOX", []mailstore.NewMessage{{Body: bodyOf(t, s, mail), Flags: []string{`\Nonsense`}}})
	}},
	{"Stash", "stash", func(ctx context.Context, t *testing.T, s *mailstore.Store) (any, error) {
		b := bodyOf(t, s, "Subject: stashed\r\n\r\n"+strings.Repeat("x\r\n", 1<<20))
		if err := s.Stash(ctx, ann, "ann", b); err != nil {
			return nil, err
		}
		a, err := s.Append(ctx, ann, "ann", "INBOX", []mailstore.NewMessage{{Body: b}})
		return a.First, err
	}},
	{"CreateMailbox", "mailbox.create", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		id, err := s.CreateMailbox(ctx, ann, "ann", mailstore.NewMailbox{Name: "Box/", SpecialUse: []string{`\Sent`}, Subscribe: true})
		return id.IsZero(), err
	}},
	{"CreateMailbox", "mailbox.create", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return s.CreateMailbox(ctx, ann, "ann", mailstore.NewMailbox{Name: "Box"})
	}},
	{"CreateMailbox", "mailbox.create", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return s.CreateMailbox(ctx, ann, "ann", mailstore.NewMailbox{Name: "Other", SpecialUse: []string{`\Sent`}})
	}},
	{"StoreFlags", "flags", inBox(func(ctx context.Context, b *mailstore.Mailbox) (any, error) {
		since := b.Snapshot().Mailbox.HighestModseq - 1
		return b.StoreFlags(ctx, mailstore.FlagUpdate{
			UIDs: event.UIDsOf(1, 2, 3, 4, 9), Op: mailstore.AddFlags, Flags: []string{`\Deleted`, "work"}, UnchangedSince: &since,
		})
	})},
	{"StoreFlags", "flags", inBox(func(ctx context.Context, b *mailstore.Mailbox) (any, error) {
		return b.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: event.UIDsOf(77), Op: mailstore.RemoveFlags, Flags: []string{`\Seen`}})
	})},
	{"Copy", "copy", inBox(func(ctx context.Context, b *mailstore.Mailbox) (any, error) {
		return b.Copy(ctx, event.UIDsOf(1, 2), "Box")
	})},
	{"Copy", "copy", inBox(func(ctx context.Context, b *mailstore.Mailbox) (any, error) {
		return b.Copy(ctx, event.UIDsOf(1), "none")
	})},
	{"Move", "move", inBox(func(ctx context.Context, b *mailstore.Mailbox) (any, error) {
		return b.Move(ctx, event.UIDsOf(2), "Box")
	})},
	{"Move", "move", inBox(func(ctx context.Context, b *mailstore.Mailbox) (any, error) {
		return b.Move(ctx, event.UIDsOf(1), "INBOX")
	})},
	{"Expunge", "expunge", inBox(func(ctx context.Context, b *mailstore.Mailbox) (any, error) {
		uids, modseq, err := b.Expunge(ctx, event.UIDSet{})
		return []any{uids.String(), modseq}, err
	})},
	{"Expunge", "expunge", inBox(func(ctx context.Context, b *mailstore.Mailbox) (any, error) {
		uids, modseq, err := b.Expunge(ctx, nil)
		return []any{uids.String(), modseq}, err
	})},
	{"KeepRecent", "recent", inBox(func(ctx context.Context, b *mailstore.Mailbox) (any, error) {
		b.TakeRecent(b.Snapshot())
		err := b.KeepRecent(ctx)
		return b.Snapshot().Mailbox.RecentUID, err
	})},
	{"Append", "append", func(ctx context.Context, t *testing.T, s *mailstore.Store) (any, error) {
		b, err := s.Prepare([]byte("Subject: to be removed\r\n\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.Append(ctx, ann, "ann", "INBOX", []mailstore.NewMessage{{Body: b}})
		return res.First, err
	}},
	{"Remove", "expunge", inBox(func(ctx context.Context, b *mailstore.Mailbox) (any, error) {
		uids, modseq, err := b.Remove(ctx, event.UIDSet{{First: 1, Last: 1000}})
		return []any{uids.String(), modseq}, err
	})},
	{"Subscribe", "mailbox.subscribe", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.Subscribe(ctx, ann, "ann", "inbox", true)
	}},
	{"SetSpecialUse", "mailbox.use", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.SetSpecialUse(ctx, ann, "ann", "Box", []string{`\Archive`, `\Junk`})
	}},
	{"SetSpecialUse", "mailbox.use", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.SetSpecialUse(ctx, ann, "ann", "Box", []string{`\Nonsense`})
	}},
	{"RenameMailbox", "mailbox.rename", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.RenameMailbox(ctx, ann, "ann", "Box", "Sub/Box")
	}},
	{"RenameMailbox", "mailbox.rename", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.RenameMailbox(ctx, ann, "ann", "INBOX", "Old")
	}},
	{"RenameMailbox", "mailbox.rename", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.RenameMailbox(ctx, ann, "ann", "INBOX", "Old")
	}},
	{"DeleteMailbox", "mailbox.delete", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.DeleteMailbox(ctx, ann, "ann", "Old")
	}},
	{"DeleteMailbox", "mailbox.delete", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.DeleteMailbox(ctx, ann, "ann", "INBOX")
	}},
	{"CatchUp", "account.catchup", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.CatchUp(ctx, ann, "ann")
	}},
	{"ImportMailboxes", "import.mailboxes", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		out, err := s.ImportMailboxes(ctx, admin, "ann", []mailstore.ImportedMailbox{
			{New: mailstore.NewMailbox{Name: "From"}, UIDValidity: 1234567, Modseq: 7000}, {New: mailstore.NewMailbox{Name: "inbox"}, UIDValidity: 7},
		})
		for i := range out {
			out[i].Mailbox = event.MailboxID{} // is random
		}
		return out, err
	}},
	{"ImportMessages", "import.messages", func(ctx context.Context, t *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.ImportMessages(ctx, admin, "ann", mailstore.Import{Mailbox: "From", UIDValidity: 1234567, UIDNext: 99, Modseq: 8000, Messages: []mailstore.ImportedMessage{
			{NewMessage: mailstore.NewMessage{Body: bodyOf(t, s, mail)}, UID: 7}, {NewMessage: mailstore.NewMessage{Body: bodyOf(t, s, mail)}, UID: 70},
		}})
	}},
	{"ImportMessages", "import.messages", func(ctx context.Context, t *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.ImportMessages(ctx, admin, "ann", mailstore.Import{Mailbox: "From", UIDValidity: 1234567, Messages: []mailstore.ImportedMessage{
			{NewMessage: mailstore.NewMessage{Body: bodyOf(t, s, mail)}, UID: 98},
		}})
	}},
	{"DeleteAccount", "account.delete", func(ctx context.Context, _ *testing.T, s *mailstore.Store) (any, error) {
		return nil, s.DeleteAccount(ctx, admin, "bob")
	}},
}
