package runbooks

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRunbooks walks through every runbook with programs built from this tree.
func TestRunbooks(t *testing.T) {
	for _, program := range []string{"bash", "python3", "timeout"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is missing", program)
		}
	}
	if testing.Short() {
		t.Skip("starts servers")
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "angarium/cmd/angarium", "angarium/syncctl")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, script := range scripts(t) {
		t.Run(script, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "./"+script)
			cmd.Env = append(os.Environ(), "BIN="+bin)
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it ends its nodes
			cmd.WaitDelay = 90 * time.Second                                         // a command of the script may take a minute
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// scripts names the scripts that walk through runbooks.
func scripts(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("*.sh")
	if err != nil {
		t.Fatal(err)
	}
	list = slices.DeleteFunc(list, func(s string) bool { return s == "lib.sh" || s == "run.sh" })
	if len(list) == 0 {
		t.Fatal("there are no runbooks")
	}
	return list
}

func TestTheDocumentNamesEveryScript(t *testing.T) {
	doc, err := os.ReadFile("../../docs/backup.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts(t) {
		if !strings.Contains(string(doc), "`"+script+"`") {
			t.Errorf("docs/backup.md does not name %s", script)
		}
	}
}
