package event

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
)

// addGolden writes the files of new samples. It never changes a file: what was shipped stays.
var addGolden = flag.Bool("add-golden", false, "write golden files for samples that have none")

// golden is one file of the corpus.
type golden struct {
	Kind       string `json:"kind"`
	CBOR       string `json:"cbor"`       // of the event, in hex
	Diagnostic string `json:"diagnostic"` // the same in CBOR's diagnostic notation (RFC 8949, section 8)
	Entry      any    `json:"entry"`      // what it decodes to: names as in Go, bytes in hex
}

const goldenDir = "testdata/golden"

func describe(t *testing.T, e Entry) golden {
	t.Helper()
	b, err := Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	diagnostic, err := cbor.Diagnose(b)
	if err != nil {
		t.Fatal(err)
	}
	return golden{
		Kind: e.Event.Kind().String(), CBOR: hex.EncodeToString(b), Diagnostic: diagnostic,
		Entry: map[string]any{"meta": plain(reflect.ValueOf(e.Meta)), "event": plain(reflect.ValueOf(e.Event).Elem())},
	}
}

// plain turns a value into what JSON can show. A number or bool that may be absent and is zero is left out: it can have been added later.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Struct:
		m := map[string]any{}
		for i := range v.NumField() {
			f, later := v.Type().Field(i), false
			if strings.HasSuffix(f.Tag.Get("cbor"), ",omitempty") && f.Type.Kind() != reflect.Slice {
				later = v.Field(i).IsZero()
			}
			if f.IsExported() && !later {
				m[f.Name] = plain(v.Field(i))
			}
		}
		return m
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, v.Len())
			reflect.Copy(reflect.ValueOf(b), v)
			return hex.EncodeToString(b)
		}
		list := []any{}
		for i := range v.Len() {
			list = append(list, plain(v.Index(i)))
		}
		return list
	}
	return fmt.Sprint(v.Interface())
}

func TestGoldenCorpus(t *testing.T) {
	for name, entry := range samples() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(goldenDir, name+".json")
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && *addGolden {
				add(t, path, describe(t, entry))
			}
			file := load(t, path)
			if got := describe(t, entry); got.CBOR != file.CBOR {
				t.Errorf("the sample encodes differently now:\n got %s\nwant %s", got.CBOR, file.CBOR)
			}
			if diff := cmp.Diff(entry, decodeHex(t, file.CBOR), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
				t.Errorf("the file decodes to another entry (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEveryGoldenFileStillReads takes the files alone: whatever was shipped has to be read, and mean the same.
func TestEveryGoldenFileStillReads(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(goldenDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, path := range paths {
		file := load(t, path)
		seen[file.Kind] = true
		told := describe(t, decodeHex(t, file.CBOR))
		forgetNew(told.Entry, file.Entry)
		got, err := json.Marshal(told)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s reads differently now:\n got %s\nwant %s", path, got, want)
		}
	}
	for _, kind := range Kinds() {
		if !seen[kind.String()] {
			t.Errorf("no golden file of kind %s: add a sample and run the test with -add-golden", kind)
		}
	}
}

// forgetNew leaves out of an entry the fields that there were not when the file was written, if they say nothing.
func forgetNew(told, file any) {
	now, _ := told.(map[string]any)["event"].(map[string]any)
	then, _ := file.(map[string]any)["event"].(map[string]any)
	for name, v := range now {
		if _, ok := then[name]; !ok && (v == "0" || v == "" || v == "false") {
			delete(now, name)
		}
	}
}

func decodeHex(t *testing.T, s string) Entry {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func load(t *testing.T, path string) golden {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func add(t *testing.T, path string, g golden) {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(g); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(goldenDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
