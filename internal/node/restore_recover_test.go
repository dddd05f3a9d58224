package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"angarium/internal/config"
	"angarium/internal/control"
	"angarium/mailstore"
	"angarium/replica/state"
)

var discard = slog.New(slog.DiscardHandler)

// archivedNode is a node with an archive that some mail was delivered to and backed up.
func archivedNode(t *testing.T) (*Node, config.Config, control.BackupResult) {
	t.Helper()
	dir := t.TempDir()
	cfg := config.Default()
	cfg.Server.Shards, cfg.Log.MinFree, cfg.Server.Node = 2, 0, "test"
	cfg.Archive.URL = "file://" + filepath.Join(dir, "archive")
	n := openNode(t, filepath.Join(dir, "store"), cfg)
	for _, name := range []string{"ann", "ben", "cid"} {
		if _, err := n.AddAccount(t.Context(), name, "secret-password"); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			appendMail(t, n, name, "Subject: mail\r\n\r\n"+strings.Repeat("text ", 100)+"\r\n")
		}
	}
	res, err := n.archiving.backup(t.Context(), func(control.Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	return n, cfg, res
}

func openNode(t *testing.T, dir string, cfg config.Config) *Node {
	t.Helper()
	n, err := Open(t.Context(), Options{Data: dir, Config: cfg, Create: true, Serve: true, Logger: discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Lead(t.Context()); err != nil {
		t.Fatal(errors.Join(err, n.Close(context.Background())))
	}
	return n
}

func closeNode(t *testing.T, n *Node) {
	t.Helper()
	if err := n.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func appendMail(t *testing.T, n *Node, account, text string) {
	t.Helper()
	body, err := n.store.Prepare([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.store.Append(t.Context(), operator(), account, mailstore.Inbox, []mailstore.NewMessage{{Body: body}}); err != nil {
		t.Fatal(err)
	}
}

// totals sums up the states of all shards.
func totals(t *testing.T, n *Node) []state.Totals {
	t.Helper()
	var list []state.Totals
	for _, s := range n.shards {
		st, err := s.replica.Status()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, st.Totals)
	}
	return list
}

func TestARecoveryThatWasInterruptedGoesOn(t *testing.T) {
	for name, fromSnapshot := range map[string]bool{"whole history": false, "from a snapshot": true} {
		t.Run(name, func(t *testing.T) {
			n, cfg, _ := archivedNode(t)
			want := totals(t, n)
			closeNode(t, n)
			opts := RecoverOptions{
				Archive: control.ArchiveRef{URL: cfg.Archive.URL}, Data: filepath.Join(t.TempDir(), "new"), FromSnapshot: fromSnapshot, Logger: discard,
			}
			ctx, cancel := context.WithCancel(t.Context())
			if !fromSnapshot {
				defer cancel()
				stopped := opts
				stopped.Progress = progressThatCancels(cancel)
				if _, err := Recover(ctx, stopped); !errors.Is(err, context.Canceled) {
					t.Fatalf("got %v, want that it was interrupted", err)
				}
				if _, err := Open(t.Context(), Options{Data: opts.Data, Config: cfg, Create: true, Logger: discard}); !errors.Is(err, ErrNotInitialised) {
					t.Fatalf("half a recovery was opened: %v", err)
				}
			}
			cancel()
			res, err := Recover(t.Context(), opts)
			if err != nil || len(res.Shards) != 2 {
				t.Fatalf("%+v, %v", res, err)
			}
			cfg.Archive.URL = ""
			again := openNode(t, opts.Data, cfg)
			defer closeNode(t, again)
			for i, got := range totals(t, again) {
				if got.Digest != want[i].Digest || got.Messages != want[i].Messages {
					t.Errorf("shard %d: %+v, want %+v", i, got, want[i])
				}
			}
			appendMail(t, again, "ann", "Subject: after it\r\n\r\nx\r\n")
		})
	}
}

// TestARecoveredStoreGivesNoNumberThatWasLost recovers a store to a point before its end: all numbers are what they were, and what is given
// afterwards was not given in the future that was lost.
func TestARecoveredStoreGivesNoNumberThatWasLost(t *testing.T) {
	n, cfg, _ := archivedNode(t)
	row := func(n *Node) *state.Mailbox {
		m, err := n.store.Mailbox(t.Context(), operator(), "ann", mailstore.Inbox)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	then, at := row(n), time.Now().UTC()
	for row(n).UIDNext < then.UIDNext+3 {
		appendMail(t, n, "ann", "Subject: lost\r\n\r\n")
	}
	if _, err := n.archiving.backup(t.Context(), func(control.Progress) {}); err != nil {
		t.Fatal(err)
	}
	lost := row(n)
	closeNode(t, n)
	opts := RecoverOptions{
		Archive: control.ArchiveRef{URL: cfg.Archive.URL}, Data: filepath.Join(t.TempDir(), "new"), At: at.Format(time.RFC3339Nano), Logger: discard,
	}
	if _, err := Recover(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	cfg.Archive.URL = ""
	n = openNode(t, opts.Data, cfg)
	defer closeNode(t, n)
	if diff := cmp.Diff(then, row(n)); diff != "" {
		t.Fatalf("not as it was (-want +got):\n%s", diff)
	}
	knows := func(modseq uint64) bool {
		b, err := n.store.Open(t.Context(), operator(), "ann", mailstore.Inbox, true)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		ok, err := b.Knows(modseq)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !knows(then.HighestModseq) || knows(lost.HighestModseq) {
		t.Errorf("before a write: knows %d: %t, and the lost %d: %t", then.HighestModseq, knows(then.HighestModseq), lost.HighestModseq, knows(lost.HighestModseq))
	}
	appendMail(t, n, "ann", "Subject: new\r\n\r\n")
	now := row(n)
	if now.UIDNext-1 < lost.UIDNext || now.HighestModseq <= lost.HighestModseq || now.UIDValidity != then.UIDValidity {
		t.Errorf("lost %+v, now %+v", lost, now)
	}
	if !knows(then.HighestModseq) || !knows(now.HighestModseq) || knows(lost.HighestModseq) {
		t.Error("after a write another modseq is known")
	}
	appendMail(t, n, "ann", "Subject: the next\r\n\r\n")
	if again := row(n); again.UIDNext != now.UIDNext+1 || again.HighestModseq != now.HighestModseq+1 {
		t.Errorf("numbers were left out twice: %+v after %+v", again, now)
	}
}

func TestRecoverRefusesADirectoryThatIsNotEmpty(t *testing.T) {
	n, cfg, _ := archivedNode(t)
	closeNode(t, n)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mail"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Recover(t.Context(), RecoverOptions{Archive: control.ArchiveRef{URL: cfg.Archive.URL}, Data: dir, Logger: discard})
	told, ok := errors.AsType[*control.Error](err)
	if !ok || told.Code != control.CodeExists {
		t.Errorf("got %v", err)
	}
}

func TestABackupIsShownInTheStatus(t *testing.T) {
	n, _, res := archivedNode(t)
	defer closeNode(t, n)
	st, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range st.Shards {
		if a := s.Archive; a == nil || a.State != "following" || a.Shipped < res.Shards[i].Position || a.SnapshotAt != res.Shards[i].Position || a.Error != "" {
			t.Errorf("shard %d: %+v", i, a)
		}
	}
	if len(st.Alarms) > 0 {
		t.Errorf("alarms: %v", st.Alarms)
	}
}

func TestUIDsAreRead(t *testing.T) {
	for text, want := range map[string]string{"7": "7", "9,1:5,6": "1:6,9", "": "", "0": "", "5:1": "", "a": "", "1:4294967295,3": "1:4294967295"} {
		set, err := parseUIDs(text)
		if (want == "") != (err != nil) || set.String() != want {
			t.Errorf("%q: %s, %v", text, set, err)
		}
	}
}

// progressThatCancels interrupts a recovery at its first sign of life.
func progressThatCancels(cancel func()) func(control.Progress, time.Duration) {
	return func(control.Progress, time.Duration) { cancel() }
}
