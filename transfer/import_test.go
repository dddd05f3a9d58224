package transfer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"angarium/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dovecot writes a Maildir++ as Dovecot does.
func dovecot(t *testing.T) string {
	root := t.TempDir()
	letter(t, filepath.Join(root, "cur"), "1.host,S=22,W=25:2,Sa", "one", 1000)
	letter(t, filepath.Join(root, "new"), "2.host", "two", 2000)
	letter(t, filepath.Join(root, ".Entw&APw-rfe.Old", "cur"), "3.host:2,DFT", "three", 3000)
	write(t, "3 V777 N50 Gabc\n7 :1.host,S=22,W=25\n9 W25 :2.host\n", root, "dovecot-uidlist")
	write(t, "3 V778 N60 Gabc\n5 :3.host\n", root, ".Entw&APw-rfe.Old", "dovecot-uidlist")
	write(t, "0 Work\n", root, "dovecot-keywords")
	write(t, "V\t2\n\nEntw&APw-rfe\tOld\n", root, "subscriptions")
	return root
}

func maildir(t *testing.T, root string) *transfer.Maildir {
	m, err := transfer.OpenMaildir(root, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMaildirKeepsItsNumbers(t *testing.T) {
	env, root := newStore(t), dovecot(t)
	opts := transfer.Options{Ledgers: t.TempDir(), Source: root, Keep: true}
	rep := run(t, env.Store, maildir(t, root), opts)
	if rep.Messages != 3 || rep.Kept != 2 || rep.Failed != 0 || len(rep.Problems) != 0 {
		t.Errorf("report %+v", rep)
	}
	row, lines := look(t, env.Store, "ann", "INBOX")
	want := []string{
		`7 1000 [Work \Seen] "Subject: one\r\n\r\nhello\r\n"`, `9 2000 [] "Subject: two\r\n\r\nhello\r\n"`,
	}
	if diff := cmp.Diff(want, lines); diff != "" || row.UIDValidity != 777 || row.UIDNext != 50 || row.RecentUID != 7 {
		t.Errorf("INBOX: %+v %s", row, diff)
	}
	row, lines = look(t, env.Store, "ann", "Entwürfe/Old")
	want = []string{`5 3000 [\Deleted \Draft \Flagged] "Subject: three\r\n\r\nhello\r\n"`}
	if diff := cmp.Diff(want, lines); diff != "" || row.UIDValidity != 778 || row.UIDNext != 60 {
		t.Errorf("Entwürfe/Old: %+v %s", row, diff)
	}
	subs, err := env.Store.Subscriptions(context.Background(), admin, "ann")
	if diff := cmp.Diff([]string{"Entwürfe/Old", "Sent"}, subs); err != nil || diff != "" {
		t.Error(err, diff)
	}
	head := env.Replicas[0].Applied().Position
	if rep = run(t, env.Store, maildir(t, root), opts); rep.Known != 3 || rep.Messages+rep.Made != 0 || env.Replicas[0].Applied().Position != head {
		t.Errorf("a second run: %+v", rep)
	}
	opts.Ledgers = t.TempDir()
	if rep = run(t, env.Store, maildir(t, root), opts); rep.Known != 3 || rep.Messages != 0 {
		t.Errorf("without the ledger: %+v", rep)
	}
}

func TestUIDsThatAreInUseAreNotGivenAgain(t *testing.T) {
	env, root := newStore(t), dovecot(t)
	opts := transfer.Options{Ledgers: t.TempDir(), Source: root, Keep: true}
	run(t, env.Store, maildir(t, root), opts)
	env.Append(t, "ann", "INBOX", "Subject: local\r\n\r\n") // gets UID 50
	letter(t, filepath.Join(root, "cur"), "4.host:2,", "four", 4000)
	write(t, "3 V777 N51 Gabc\n7 :1.host,S=22,W=25\n9 W25 :2.host\n50 :4.host\n", root, "dovecot-uidlist")
	rep := run(t, env.Store, maildir(t, root), opts)
	_, lines := look(t, env.Store, "ann", "INBOX")
	if rep.Messages != 1 || len(lines) != 4 || !strings.HasPrefix(lines[2], "50 ") || !strings.Contains(lines[2], "local") || !strings.HasPrefix(lines[3], "51 4000") {
		t.Errorf("%+v\n%s", rep, strings.Join(lines, "\n"))
	}
	if rep = run(t, env.Store, maildir(t, root), opts); rep.Messages != 0 {
		t.Errorf("a second run: %+v", rep)
	}
}

func TestImportFromAServerIsIncremental(t *testing.T) {
	env, srv := newStore(t), newMemServer(t)
	for _, f := range []string{"Sent", "Lists/a b", "Entwürfe"} {
		if err := srv.user.Create(f, nil); err != nil {
			t.Fatal(err)
		}
	}
	srv.append(t, "INBOX", "Subject: a\r\n\r\n1\r\n", 1000, imap.FlagSeen, "work")
	srv.append(t, "INBOX", "Subject: b\r\n\r\n2\r\n", 2000)
	srv.append(t, "INBOX", "Subject: a\r\n\r\n1\r\n", 1000) // the same again is another message
	srv.append(t, "Lists/a b", "Subject: c\r\n\r\n3\r\n", 3000)
	srv.append(t, "Entwürfe", "Subject: large\r\n\r\n"+strings.Repeat("x", 1<<20), 3000)
	opts := transfer.Options{Ledgers: t.TempDir(), Source: srv.open(t).Name()}
	rep := run(t, env.Store, srv.open(t), transfer.Options{Ledgers: opts.Ledgers, Source: opts.Source, DryRun: true})
	if rep.Messages != 4 || rep.Failed != 1 {
		t.Errorf("dry run: %+v", rep)
	}
	if _, lines := look(t, env.Store, "ann", "INBOX"); len(lines) != 0 {
		t.Errorf("a dry run has copied %v", lines)
	}
	rep = run(t, env.Store, srv.open(t), opts)
	if rep.Messages != 4 || rep.Failed != 1 || len(rep.Problems) != 1 || rep.Problems[0].Mailbox != "Entwürfe" {
		t.Errorf("first run: %+v", rep)
	}
	_, before := look(t, env.Store, "ann", "INBOX")
	if len(before) != 3 || before[0] != `1 1000 [\Seen work] "Subject: a\r\n\r\n1\r\n"` {
		t.Errorf("INBOX: %v", before)
	}
	srv.append(t, "INBOX", "Subject: d\r\n\r\n4\r\n", 4000)
	if rep = run(t, env.Store, srv.open(t), opts); rep.Messages != 1 || rep.Known != 4 || rep.Flags != 0 {
		t.Errorf("second run: %+v", rep)
	}
	// Without the ledger the messages are recognised.
	opts.Ledgers = t.TempDir()
	if rep = run(t, env.Store, srv.open(t), opts); rep.Messages != 0 || rep.Known != 5 {
		t.Errorf("without the ledger: %+v", rep)
	}
}

func TestFlagsAndExpungesOfTheSource(t *testing.T) {
	env, root := newStore(t), dovecot(t)
	opts := transfer.Options{Ledgers: t.TempDir(), Source: root}
	run(t, env.Store, maildir(t, root), opts)
	cur := filepath.Join(root, "cur")
	if err := os.Rename(filepath.Join(cur, "1.host,S=22,W=25:2,Sa"), filepath.Join(cur, "1.host,S=22,W=25:2,RS")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "new", "2.host")); err != nil {
		t.Fatal(err)
	}
	if rep := run(t, env.Store, maildir(t, root), opts); rep.Flags != 1 || rep.Expunged != 0 {
		t.Errorf("report %+v", rep)
	}
	_, lines := look(t, env.Store, "ann", "INBOX")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], `1 1000 [\Answered \Seen]`) {
		t.Errorf("%v", lines)
	}
	opts.Delete = true
	if rep := run(t, env.Store, maildir(t, root), opts); rep.Expunged != 1 {
		t.Errorf("report %+v", rep)
	}
	if _, lines = look(t, env.Store, "ann", "INBOX"); len(lines) != 1 {
		t.Errorf("%v", lines)
	}
}

func TestFoldersAreChosenByPatterns(t *testing.T) {
	env, root := newStore(t), t.TempDir()
	for _, f := range []string{"cur/1", "a/cur/1", "a/b/cur/1", "a/b/c/cur/1", "d/cur/1"} {
		letter(t, filepath.Join(root, filepath.Dir(f)), "1", f, 1)
	}
	opts := transfer.Options{Ledgers: t.TempDir(), Source: root, Include: []string{"a/%", "D"}, Exclude: []string{"*c"}, Into: "Old"}
	if rep := run(t, env.Store, maildir(t, root), opts); rep.Mailboxes != 2 || rep.Messages != 2 {
		t.Errorf("report %+v", rep)
	}
	for _, name := range []string{"Old/a/b", "Old/d"} {
		if _, lines := look(t, env.Store, "ann", name); len(lines) != 1 {
			t.Errorf("%s: %v", name, lines)
		}
	}
}

func TestLoginThatIsRefusedIsNotTriedAgain(t *testing.T) {
	srv := newMemServer(t)
	_, err := transfer.OpenIMAP(context.Background(), transfer.IMAPOptions{
		Address: srv.addr, TLS: transfer.Plaintext, User: "bob", Password: "wrong", Pause: time.Hour,
	})
	if !errors.Is(err, transfer.ErrLogin) {
		t.Error(err)
	}
}
