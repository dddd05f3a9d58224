package runbooks

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
		t.Skip("starts a dozen servers")
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "angarium/cmd/angarium", "angarium/syncctl")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	python, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Skipf("python3 does not run: %v", err)
	}
	env := append(os.Environ(), "BIN="+bin, "PYTHON="+strings.TrimSpace(string(python)))
	for _, script := range scripts(t) {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			run(t, script, env)
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

// run runs a script and holds that it succeeds in time. Its nodes end with it.
func run(t *testing.T, script string, env []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "./"+script)
	cmd.Env = env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 90 * time.Second // a command of the script may take a minute
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestDocument holds that docs/replication.md names every script, every setting, and what is really there.
func TestDocument(t *testing.T) {
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	doc := read("../../docs/replication.md")
	for _, script := range scripts(t) {
		if !strings.Contains(doc, "*test/runbooks/"+script+"*") {
			t.Errorf("%s is not named", script)
		}
	}
	for _, m := range regexp.MustCompile(`test/runbooks/(\w+\.sh)`).FindAllStringSubmatch(doc, -1) {
		if _, err := os.Stat(m[1]); err != nil {
			t.Error(err)
		}
	}
	_, section, found := strings.Cut(read("../../internal/config/testdata/default.toml"), "\n[channel]\n")
	if !found {
		t.Fatal("the default configuration has no section [channel]")
	}
	section, _, _ = strings.Cut(section, "\n[")
	keys := regexp.MustCompile(`(?m)^(\w+) = (.*)$`).FindAllStringSubmatch(section, -1)
	if len(keys) == 0 {
		t.Error("the section [channel] has no keys")
	}
	for _, key := range keys {
		if row := "| `" + key[1] + "` | `" + key[2] + "` |"; !strings.Contains(doc, row) {
			t.Errorf("no row that begins with %s", row)
		}
	}
	for _, m := range regexp.MustCompile(`\]\(#([\w-]+)\)`).FindAllStringSubmatch(doc, -1) {
		if !regexp.MustCompile(`(?mi)^#+ ` + strings.ReplaceAll(m[1], "-", " ") + `$`).MatchString(doc) {
			t.Errorf("no heading for #%s", m[1])
		}
	}
}
