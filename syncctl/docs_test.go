package main

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"angarium/internal/control"
)

// documented is what each heading of docs/json-output.md describes.
var documented = map[string]any{
	"Errors":               errorOutput{},
	"syncctl status":       control.Status{},
	"syncctl account list": control.AccountList{},
	"syncctl account show": control.Account{},
	"syncctl account add, set-password, disable, enable, delete": control.AccountResult{},
	"syncctl account add --batch":                                batchOutput{},
	"syncctl verify":                                             control.VerifyResult{},
	"syncctl rebuild":                                            control.RebuildResult{},
	"syncctl log show":                                           control.LogEvent{},
	"syncctl log stat":                                           logStatOutput{},
	"syncctl channel add":                                        control.JoinToken{},
	"syncctl channel list":                                       control.ChannelList{},
	"syncctl channel set, pause, resume, remove; demote":         control.AccountResult{},
	"syncctl promote":                                            control.Promotion{},
	"syncctl resync":                                             control.ResyncResult{},
	"syncctl scrub":                                              control.ScrubStatus{},
	"syncctl verify --against":                                   control.CompareResult{},
	"syncctl diff":                                               control.CompareResult{},
	"syncctl consumer add":                                       control.Credentials{},
	"syncctl consumer list":                                      control.ConsumerList{},
	"syncctl consumer remove":                                    control.AccountResult{},
	"syncctl notify status":                                      control.NotifyStatus{},
	"syncctl backup":                                             control.BackupResult{},
	"syncctl snapshots":                                          control.SnapshotList{},
	"syncctl prune":                                              control.PruneResult{},
	"syncctl verify --archive":                                   control.VerifyArchiveResult{},
	"syncctl restore, unexpunge, undelete":                       control.RestoreResult{},
	"syncctl recover":                                            control.RecoverResult{},
	"syncctl history":                                            control.HistoryEvent{},
	"syncctl recall":                                             control.RecallResult{},
	"syncctl expire":                                             control.ExpireResult{},
	"syncctl import, export":                                     control.TransferResult{},
	"syncctl usage":                                              control.Usage{},
	"syncctl purge":                                              control.PurgeResult{},
	"syncctl compact":                                            control.CompactResult{},
	"syncctl version":                                            versionOutput{},
}

// elsewhere are the fields that what is under a heading never has.
var elsewhere = map[string]string{
	"syncctl account list": "accounts.boxes", // only of a single account
	"syncctl account add, set-password, disable, enable, delete": "error", // goes to standard error
	"syncctl channel set, pause, resume, remove; demote":         "error", // likewise
	"syncctl consumer remove":                                    "error", // likewise
	"syncctl verify --against":                                   "listed_messages",
	"syncctl diff":                                               "listed",
}

func TestDocumentedJSONIsThatOfTheTypes(t *testing.T) {
	seen := map[string]bool{}
	for heading, example := range examples(t) {
		v, ok := documented[heading]
		if !ok {
			t.Errorf("%q has an example and no type", heading)
			continue
		}
		seen[heading] = true
		p := reflect.New(reflect.TypeOf(v))
		d := json.NewDecoder(strings.NewReader(example))
		d.DisallowUnknownFields()
		if err := d.Decode(p.Interface()); err != nil {
			t.Errorf("%s: %v", heading, err)
			continue
		}
		again, err := json.Marshal(p.Interface())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(generic(t, []byte(example)), generic(t, again)); diff != "" {
			t.Errorf("%s (-example +type): %s", heading, diff)
		}
		have := map[string]bool{}
		exampleFields(have, "", generic(t, []byte(example)))
		for _, field := range typeFields(nil, "", reflect.TypeOf(v)) {
			if never := elsewhere[heading]; !have[field] && field != never && !strings.HasPrefix(field, never+".") {
				t.Errorf("%s: %s is not in the example", heading, field)
			}
		}
	}
	for heading := range documented {
		if !seen[heading] {
			t.Errorf("%q has no example", heading)
		}
	}
}

// examples gives the JSON blocks of the document by their headings.
func examples(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/json-output.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		heading, body, _ := strings.Cut(section, "\n")
		for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(body, -1) {
			if found[heading] != "" {
				t.Errorf("%q has two examples", heading)
			}
			found[heading] = m[1]
		}
	}
	return found
}

func generic(t *testing.T, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// exampleFields collects the paths of the fields of a JSON value. What a list holds counts as the list's own.
func exampleFields(into map[string]bool, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			p := strings.TrimPrefix(path+"."+name, ".")
			into[p] = true
			exampleFields(into, p, value)
		}
	case []any:
		for _, item := range v {
			exampleFields(into, path, item)
		}
	}
}

// typeFields collects the paths that a Go type can fill.
func typeFields(list []string, path string, typ reflect.Type) []string {
	switch {
	case typ == reflect.TypeFor[json.RawMessage]() || typ.Implements(reflect.TypeFor[json.Marshaler]()):
		return list
	case typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice:
		return typeFields(list, path, typ.Elem())
	case typ.Kind() != reflect.Struct:
		return list
	}
	for f := range typ.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		p := strings.TrimPrefix(path+"."+name, ".")
		list = typeFields(append(list, p), p, f.Type)
	}
	return list
}

func TestDocumentedExitCodesAreThose(t *testing.T) {
	text, err := os.ReadFile("../docs/json-output.md")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([0-9]+) \\|").FindAllStringSubmatch(string(text), -1) {
		if got[m[1]], err = strconv.Atoi(m[2]); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int{}
	for _, code := range []string{
		control.CodeUsage, control.CodeNotFound, control.CodeExists, control.CodeUnavailable, control.CodeHalted, control.CodeInternal,
		control.CodeDiffers, control.CodeNotPrimary, control.CodeHistory,
		codeData, codeUnreachable, codeViolations, codeFailed, codeInterrupted,
	} {
		want[code] = exitCode(code)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-program +document): %s", diff)
	}
	for _, code := range want {
		if !regexp.MustCompile(`\b` + strconv.Itoa(code) + ` `).MatchString(exitHelp()) {
			t.Errorf("the help text does not tell of exit code %d", code)
		}
	}
}
