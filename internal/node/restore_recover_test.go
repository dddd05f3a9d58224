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
