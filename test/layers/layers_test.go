// Package layers holds the test of the direction of imports.
package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// allowed says which of our packages each package may import, beside its own subfolders' rules. A package that is not named may
// not be imported by one that is: a new one has to find its place here.
var allowed = map[string][]string{
	"eventlog/event":     {},
	"eventlog":           {"eventlog/event"},
	"eventlog/memlog":    {"eventlog", "eventlog/event"},
	"eventlog/jslog":     {"eventlog", "eventlog/event", "internal/natslog"},
	"internal/codec":     {"eventlog/event"},
	"message":            {},
	"replica/state":      {"eventlog/event"},
	"replica/body":       {},
	"replica/view":       {"eventlog/event", "replica/state"},
	"replica":            {"eventlog", "eventlog/event", "internal/codec", "replica/state", "replica/body", "replica/view"},
	"mailstore":          {"eventlog", "eventlog/event", "internal/codec", "message", "replica", "replica/state", "replica/view"},
	"mailstore/salvage":  {"eventlog", "eventlog/event", "internal/codec", "mailstore", "replica", "replica/state"},
	"mailstore/expire":   {"eventlog/event", "mailstore", "replica/state"},
	"replica/compare":    {"replica/state", "eventlog/event"},
	"channel":            {"internal/durable", "eventlog", "eventlog/event"},
	"notify":             {"internal/durable", "eventlog", "eventlog/event", "replica/state", "message"},
	"notify/bus":         {"internal/natslog", "notify"},
	"eventlog/archive":   {"internal/durable", "eventlog", "eventlog/event", "internal/codec", "replica/state"},
	"restore":            {"eventlog", "eventlog/archive", "eventlog/event", "mailstore", "message", "replica", "replica/state"},
	"transfer":           {"eventlog/event", "imapd/wire", "internal/durable", "mailstore", "replica/state"},
	"internal/durable":   {},
	"internal/natslog":   {},
	"internal/auth":      {},
	"internal/config":    {},
	"internal/obs":       {},
	"imapd/wire":         {},
	"imapd":              {"eventlog/event", "imapd/wire", "internal/auth", "mailstore", "message", "replica", "replica/state", "replica/view"},
	"lmtpd/address":      {"internal/auth", "mailstore"},
	"lmtpd":              {"internal/auth", "lmtpd/address", "mailstore"},
	"socketmap":          {"internal/auth", "lmtpd/address", "mailstore"},
	"internal/control":   {"replica/state"},
	"internal/buildinfo": {},
	"syncctl":            {"eventlog", "internal/buildinfo", "internal/config", "internal/control", "internal/node", "replica", "replica/state"},
}

// foreign is what a package may not import although it is not ours.
var foreign = map[string][]string{
	"imapd":         {"github.com/nats-io", "github.com/cockroachdb/pebble"},
	"lmtpd":         {"github.com/nats-io", "github.com/cockroachdb/pebble"},
	"mailstore":     {"github.com/nats-io", "github.com/cockroachdb/pebble"},
	"eventlog":      {"github.com/nats-io", "github.com/cockroachdb/pebble"},
	"replica/state": {"time", "context", "math/rand", "crypto/rand", "os", "net", "log", "log/slog"},
}

func TestImportsRunOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "angarium/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, "angarium/")
		may, ruled := allowed[name]
		for _, imp := range p.Imports {
			if ours, ok := strings.CutPrefix(imp, "angarium/"); ok && ruled && !contains(may, ours) {
				t.Errorf("%s imports %s", name, ours)
			}
			for _, bad := range foreign[name] {
				if imp == bad || strings.HasPrefix(imp, bad+"/") {
					t.Errorf("%s imports %s", name, imp)
				}
			}
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
