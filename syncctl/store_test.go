package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"angarium/internal/config"
	"angarium/internal/control"
	"angarium/internal/node"
)

// The commands on a data directory that no server has open.
func TestCommandsOnAStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	cfg := config.Default()
	cfg.Server.Shards = 2
	n, err := node.Open(t.Context(), node.Options{Data: dir, Config: cfg, Create: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	do := func(code int, stdin string, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		g := &globals{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs, offline: node.OfflineHandler}
		if got := run(t.Context(), g, append(args, "--data", dir)); got != code {
			t.Fatalf("%s: exit code %d, want %d: %s", args, got, code, &errs)
		}
		return out.String()
	}
	var accounts strings.Builder
	for i := range 20 {
		fmt.Fprintf(&accounts, "user%d@example.org password %d\n", i, i)
	}
	do(exitOK, accounts.String(), "account", "add", "--batch", "-")
	do(exitError, accounts.String()+"new@example.org x\n", "account", "add", "--batch", "-")
	do(exitExists, "x", "account", "add", "NEW@example.org", "--password-stdin")
	do(exitOK, "", "account", "delete", "user3@example.org", "--yes")
	do(exitNotFound, "", "account", "show", "user3@example.org")
	do(exitOK, "", "account", "disable", "user4@example.org")
	do(exitUsage, "", "account", "show", "..")

	var list control.AccountList
	decode(t, do(exitOK, "", "account", "list", "--json"), &list)
	if len(list.Accounts) != 20 {
		t.Errorf("%d accounts, want 20", len(list.Accounts))
	}
	var before, after control.Status
	decode(t, do(exitOK, "", "status", "--json"), &before)
	var rebuilt control.RebuildResult
	decode(t, do(exitOK, "", "rebuild", "--json"), &rebuilt)
	for _, s := range rebuilt.Shards {
		if !s.Same {
			t.Errorf("rebuilt shard differs: %+v", s)
		}
	}
	decode(t, do(exitOK, "", "status", "--json"), &after)
	if len(before.Shards) != 2 || len(after.Shards) != 2 || before.Shards[1].Digest != after.Shards[1].Digest {
		t.Errorf("before %+v, after %+v", before.Shards, after.Shards)
	}
	var verified control.VerifyResult
	decode(t, do(exitOK, "", "verify", "--deep", "--json"), &verified)
	if !verified.OK || verified.Mailboxes != 20 {
		t.Errorf("got %+v", verified)
	}
	if out := do(exitOK, "", "log", "show", "--account", "user3@example.org"); strings.Count(out, "\n") != 3 || !strings.Contains(out, "AccountDeleted") {
		t.Errorf("got %s", out)
	}
	var stat logStatOutput
	decode(t, do(exitOK, "", "log", "stat", "--json"), &stat)
	if len(stat.Shards) != 2 || stat.Shards[0].Kinds["AccountCreated"]+stat.Shards[1].Kinds["AccountCreated"] != 21 {
		t.Errorf("got %+v", stat)
	}
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}
