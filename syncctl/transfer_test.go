package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"angarium/internal/config"
	"angarium/internal/control"
	"angarium/internal/node"
)

func TestAccountsComeInAndGoOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	n, err := node.Open(t.Context(), node.Options{Data: dir, Config: config.Default(), Create: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	do := func(code int, stdin string, args ...string) (res control.TransferResult, text string) {
		t.Helper()
		var out, errs bytes.Buffer
		g := &globals{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs, offline: node.OfflineHandler}
		if got := run(t.Context(), g, append(args, "--data", dir)); got != code {
			t.Fatalf("%s: exit code %d, want %d: %s", args, got, code, &errs)
		}
		if slices.Contains(args, "--json") {
			decode(t, out.String(), &res)
		}
		return res, out.String() + errs.String()
	}
	mail := filepath.Join(t.TempDir(), "Maildir")
	for _, d := range []string{"cur", ".Old/cur"} {
		if err := os.MkdirAll(filepath.Join(mail, d), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(mail, d, "1.x:2,S"), []byte("Subject: "+d+"\n\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for d, list := range map[string]string{"": "3 V77 N12\n9 :1.x\n", ".Old": "3 V78 N12\n9 :1.x\n"} {
		if err := os.WriteFile(filepath.Join(mail, d, "dovecot-uidlist"), []byte(list), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	res, _ := do(exitError, "", "import", "dovecot", "--maildir", mail, "--account", "ann", "--json")
	if len(res.Listed) != 1 || res.Listed[0].Error == nil || res.Listed[0].Error.Code != control.CodeNotFound {
		t.Errorf("an account that is not there: %+v", res)
	}
	if res, _ = do(exitOK, "", "import", "dovecot", "--maildir", mail, "--account", "ann", "--create", "--dry-run", "--json"); res.Messages != 2 || !res.DryRun {
		t.Errorf("dry run: %+v", res)
	}
	if res, _ = do(exitOK, mail+",,ann,secret\n", "import", "maildir", "--keep-uids", "--accounts", "-", "--json"); res.Messages != 2 || !res.Listed[0].Created || res.Listed[0].Kept != 2 {
		t.Errorf("import: %+v", res)
	}
	if _, text := do(exitOK, "", "import", "dovecot", "--maildir", mail, "--account", "ann"); !strings.Contains(text, "0 messages copied, 2 there already") {
		t.Errorf("second import: %s", text)
	}
	for _, format := range []string{"archive", "maildir", "mbox"} {
		to := filepath.Join(t.TempDir(), format)
		if res, _ = do(exitOK, "", "export", format, to, "--account", "ann", "--json"); res.Messages != 2 {
			t.Errorf("export: %+v", res)
		}
		res, _ = do(exitOK, "", "import", format, to, "--keep-uids", "--account", "again-"+format, "--create", "--json")
		if res.Messages != 2 || res.Listed[0].Kept < 2 {
			t.Errorf("import: %+v", res)
		}
	}
	if res, _ = do(exitOK, "", "export", "archive", filepath.Join(t.TempDir(), "all"), "--all", "--json"); res.Accounts != 4 || res.Messages != 8 {
		t.Errorf("export: %+v", res)
	}
	for _, args := range [][]string{
		{"import", "maildir", mail}, {"import", "imap", "--account", "ann"}, {"import", "maildir", mail, "--accounts", "-"},
		{"import", "maildir", mail, "--account", "ann", "--rate", "fast"}, {"export", "mbox", mail}, {"export", "mbox", mail, "--all", "--account", "ann"},
		{"import", "imap", "h", "--account", "ann"}, {"import", "dovecot", "h", "--maildir", mail, "--account", "ann"},
	} {
		do(exitUsage, "", args...)
	}
	do(exitUsage, "a,b\n", "import", "imap", "h", "--accounts", "-")
	do(exitUsage, "a,b,c\nd,e,c\n", "import", "imap", "h", "--accounts", "-")
	do(exitNotFound, "", "export", "mbox", mail, "--account", "nobody")
}
