package mailstore_test

import (
	"context"
	"errors"
	"testing"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

func importBoxes(t *testing.T, s *mailstore.Store, list ...mailstore.ImportedMailbox) []mailstore.ImportOutcome {
	t.Helper()
	out, err := s.ImportMailboxes(context.Background(), admin, "ann", list)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func imported(name string, validity uint32) mailstore.ImportedMailbox {
	return mailstore.ImportedMailbox{New: mailstore.NewMailbox{Name: name}, UIDValidity: validity}
}

func TestImportedMailboxesKeepTheirUIDValidity(t *testing.T) {
	ctx := context.Background()
	env := storetest.New(t, 1, mailstore.Options{DefaultMailboxes: []mailstore.NewMailbox{{Name: "Sent", SpecialUse: []string{`\Sent`}, Subscribe: true}}})
	env.Account(t, "ann")
	other := imported("Sent Items", 300)
	other.New.SpecialUse, other.Modseq = []string{`\sent`, `\Important`}, 9000
	out := importBoxes(t, env.Store, imported("INBOX", 100), imported("a", 200), imported("b", 200), other, imported("late", 3_000_000_000))
	for i, want := range []uint32{100, 200, 0, 300, 3_000_000_000} {
		if out[i].Kept != (want != 0) || (want != 0 && out[i].UIDValidity != want) || !out[i].Made {
			t.Errorf("mailbox %d: got %+v, want UIDVALIDITY %d", i, out[i], want)
		}
	}
	if out[2].UIDValidity == 200 {
		t.Error("two mailboxes have one UIDVALIDITY")
	}
	boxes, err := env.Store.Mailboxes(ctx, admin, "ann")
	if err != nil {
		t.Fatal(err)
	}
	uses := map[string]int{}
	for _, m := range boxes {
		uses[m.Name] = len(m.SpecialUse)
		if m.Name == "Sent Items" && m.HighestModseq <= 9000 {
			t.Errorf("HIGHESTMODSEQ %d is not above that of before", m.HighestModseq)
		}
	}
	if uses["Sent Items"] != 1 || uses["Sent"] != 0 {
		t.Errorf("special uses: %v", uses)
	}
	// Again: nothing changes, and what goes lower still can be kept.
	head := env.Replicas[0].Applied().Position
	out = importBoxes(t, env.Store, imported("INBOX", 100), imported("a", 200))
	if !out[0].Kept || out[0].Made || !out[1].Kept || env.Replicas[0].Applied().Position != head {
		t.Errorf("a second import: %+v", out)
	}
	if out = importBoxes(t, env.Store, imported("c", 99), imported("d", 150)); !out[0].Kept || out[1].Kept {
		t.Errorf("below and between: %+v", out)
	}
}

func TestImportKeepsNoUIDValidityThatMayHaveBeenGivenBefore(t *testing.T) {
	ctx := context.Background()
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	env.Append(t, "ann", "INBOX", mail)
	if out := importBoxes(t, env.Store, imported("INBOX", 100), imported("x", 50)); out[0].Kept || out[0].Made || !out[1].Kept {
		t.Errorf("INBOX with mail: %+v", out)
	}
	if err := env.Store.DeleteAccount(ctx, admin, "ann"); err != nil {
		t.Fatal(err)
	}
	env.Account(t, "ann")
	if out := importBoxes(t, env.Store, imported("x", 50), imported("y", 49)); out[0].Kept || !out[1].Kept {
		t.Errorf("an account that was made again: %+v", out)
	}
	env = storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	if err := env.Store.DeleteAccount(ctx, admin, "ann"); err != nil {
		t.Fatal(err)
	}
	env.Account(t, "ann")
	if out := importBoxes(t, env.Store, imported("x", 50)); out[0].Kept {
		t.Errorf("an account that was made again, whose first numbers are not known: %+v", out)
	}
}

func TestImportedMessagesKeepTheirUIDs(t *testing.T) {
	ctx := context.Background()
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	importBoxes(t, env.Store, imported("INBOX", 100))
	add := func(im mailstore.Import, uids ...uint32) error {
		im.Mailbox = "INBOX"
		for _, u := range uids {
			im.Messages = append(im.Messages, mailstore.ImportedMessage{NewMessage: mailstore.NewMessage{Body: bodyOf(t, env.Store, mail)}, UID: u})
		}
		return env.Store.ImportMessages(ctx, admin, "ann", im)
	}
	row := func() (next uint32, modseq uint64, recent uint32) {
		m, err := env.Store.Mailbox(ctx, admin, "ann", "INBOX")
		if err != nil {
			t.Fatal(err)
		}
		return m.UIDNext, m.HighestModseq, m.RecentUID
	}
	if err := add(mailstore.Import{UIDValidity: 100, UIDNext: 50, Modseq: 700}, 3, 40); err != nil {
		t.Fatal(err)
	}
	if next, modseq, recent := row(); next != 50 || modseq <= 700 || recent != 40 {
		t.Errorf("UIDNEXT %d, HIGHESTMODSEQ %d, recent up to %d", next, modseq, recent)
	}
	for name, err := range map[string]error{
		"below UIDNEXT":     add(mailstore.Import{UIDValidity: 100}, 49),
		"other UIDVALIDITY": add(mailstore.Import{UIDValidity: 101}, 60),
		"not ascending":     add(mailstore.Import{UIDValidity: 100}, 60, 60),
		"no successor":      add(mailstore.Import{UIDValidity: 100}, 1<<32-1),
	} {
		if !errors.Is(err, mailstore.ErrNumbers) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := add(mailstore.Import{UIDValidity: 100, UIDNext: 80, Modseq: 900}); err != nil {
		t.Fatal(err)
	}
	if next, modseq, _ := row(); next != 80 || modseq <= 900 {
		t.Errorf("UIDNEXT %d, HIGHESTMODSEQ %d", next, modseq)
	}
	head := env.Replicas[0].Applied().Position
	if err := add(mailstore.Import{UIDValidity: 100, UIDNext: 80, Modseq: 900}); err != nil || env.Replicas[0].Applied().Position != head {
		t.Errorf("nothing to raise: %v", err)
	}
	if err := add(mailstore.Import{UIDValidity: 100, Recent: true}, 90); err != nil {
		t.Fatal(err)
	}
	if err := add(mailstore.Import{UIDValidity: 100}, 91); err != nil {
		t.Fatal(err)
	}
	if _, _, recent := row(); recent != 40 {
		t.Errorf("recent up to %d: a message that is new lies above", recent)
	}
	b, err := env.Store.Open(ctx, admin, "ann", "INBOX", true)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var uids event.UIDSet
	for _, l := range b.Snapshot().List.All() {
		uids = uids.Add(l.UID)
	}
	if uids.String() != "3,40,90:91" {
		t.Errorf("UIDs %s", uids)
	}
	if err := env.Store.ImportMessages(ctx, ann, "ann", mailstore.Import{Mailbox: "INBOX", UIDValidity: 100}); !errors.Is(err, mailstore.ErrDenied) {
		t.Errorf("an import by the account itself: %v", err)
	}
}
