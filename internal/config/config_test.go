package config_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"angarium/internal/config"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs; run the test with -update to accept (-want +got):\n%s", path, diff)
	}
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the golden files")
	flag.Parse()
	os.Exit(m.Run())
}

// Each testdata/bad/*.toml has a mistake, and beside it the error that Load gives.
func TestLoadErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := config.Load(file)
			if err == nil {
				t.Fatal("no error")
			}
			golden(t, filepath.Join("bad", strings.TrimSuffix(filepath.Base(file), ".toml")+".error"), []byte(filepath.ToSlash(err.Error())+"\n"))
		})
	}
}

// Each testdata/check/*.toml can be loaded, and beside it are the problems that Check finds.
func TestCheck(t *testing.T) {
	files, err := filepath.Glob("testdata/check/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cfg, err := config.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			for _, p := range cfg.Check() {
				if p.Warning {
					b.WriteString("warning: ")
				}
				b.WriteString(p.Error() + "\n")
			}
			golden(t, filepath.Join("check", strings.TrimSuffix(filepath.Base(file), ".toml")+".problems"), b.Bytes())
		})
	}
}

func TestDefaultHasNoProblems(t *testing.T) {
	if problems := config.Default().Check(); len(problems) > 0 {
		t.Errorf("Default().Check() = %v", problems)
	}
}

func TestDefaultFile(t *testing.T) {
	var b bytes.Buffer
	if err := config.Default().WriteTOML(&b, true); err != nil {
		t.Fatal(err)
	}
	golden(t, "default.toml", b.Bytes())
}

func TestLoadTypedErrors(t *testing.T) {
	_, err := config.Parse([]byte("[imap]\n\nlisen = []\n"), "a.toml")
	unknown, ok := errors.AsType[*config.UnknownKeyError](err)
	want := &config.UnknownKeyError{File: "a.toml", Line: 3, Key: "imap.lisen", Nearest: "imap.listen"}
	if !ok || *unknown != *want {
		t.Errorf("Parse = %#v; want %#v", err, want)
	}
	_, err = config.Parse([]byte("[imap]\nlisten = 1\n"), "a.toml")
	if syntax, ok := errors.AsType[*config.SyntaxError](err); !ok || syntax.Line != 2 || syntax.Key != "imap.listen" {
		t.Errorf("Parse = %#v; want a SyntaxError in line 2", err)
	}
	if _, err := config.Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load of no file: %v", err)
	}
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, bytes.Repeat([]byte("#\n"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(big); err == nil {
		t.Error("a file of 2 MiB was read")
	}
}

func TestFileOverridesOnlyWhatItNames(t *testing.T) {
	cfg, err := config.Parse([]byte("[imap]\nlisten = []\nmax_append_size = \"25MB\"\nidle_timeout = \"1h\"\n"), "a.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.IMAP.Listen = []string{}
	want.IMAP.MaxAppendSize = 25_000_000
	want.IMAP.IdleTimeout = config.Duration(time.Hour)
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Error(diff)
	}
}

func TestEveryOptionIsDocumented(t *testing.T) {
	for section := range reflect.TypeFor[config.Config]().Fields() {
		kind := section.Type
		if kind.Kind() == reflect.Slice {
			kind = kind.Elem()
		}
		for option := range kind.Fields() {
			name, doc := option.Tag.Get("toml"), option.Tag.Get("doc")
			if name == "" || name != strings.ToLower(name) || !strings.HasSuffix(doc, ".") || !slices.Contains(config.Keys(), section.Tag.Get("toml")+"."+name) {
				t.Errorf("%s.%s: toml %q, doc %q", section.Name, option.Name, name, doc)
			}
		}
	}
}

func TestWriteTOMLReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := config.Default()
		root := reflect.ValueOf(&cfg).Elem()
		for section, value := range root.Fields() {
			each := []reflect.Value{value}
			if value.Kind() == reflect.Slice {
				each = nil
				n := rapid.IntRange(0, 2).Draw(t, section.Name)
				value.Set(reflect.MakeSlice(value.Type(), n, n))
				for i := range n {
					each = append(each, value.Index(i))
				}
			}
			for _, one := range each {
				for option, v := range one.Fields() {
					fill(t, v, section.Name+"."+option.Name)
				}
			}
		}
		var b bytes.Buffer
		if err := cfg.WriteTOML(&b, rapid.Bool().Draw(t, "comments")); err != nil {
			t.Fatal(err)
		}
		got, err := config.Parse(b.Bytes(), "written")
		if err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		if diff := cmp.Diff(cfg, got); diff != "" {
			t.Fatal(diff)
		}
		got.Check() // must not panic whatever the values
	})
}

func fill(t *rapid.T, v reflect.Value, label string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(rapid.String().Draw(t, label))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, label))
	case reflect.Int:
		v.SetInt(int64(rapid.Int().Draw(t, label)))
	case reflect.Int64: // Size and Duration
		v.SetInt(rapid.Int64Min(0).Draw(t, label))
	case reflect.Slice:
		v.Set(reflect.ValueOf(rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, label)))
	default:
		t.Fatalf("%s: no generator for %s", label, v.Type())
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0": 0, "0B": 0, "1": 1, "512B": 512, "50MiB": 50 << 20, "25MB": 25e6, "1 GiB": 1 << 30, "1kb": 1000, "8tib": 8 << 40,
	} {
		var got config.Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5GB", "5 XB", "1MM", "9999999999GiB", "99999999999999999999", "1K"} {
		var got config.Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q = %d; want an error", text, got)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "30s": 30 * time.Second, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "250ms": 250 * time.Millisecond,
	} {
		var got config.Duration
		if err := got.UnmarshalText([]byte(text)); err != nil || got.Std() != want || got.String() != text {
			t.Errorf("%q = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "5", "-1s", "1d-1h", "-1d", "d", "1w", "999999d", "106751d99999999h", "106751d24h"} {
		var got config.Duration
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q = %v; want an error", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("[imap]\nlisten = [\"a:1\"]\n"))
	f.Add([]byte("[imap]\n\"a,b\\\"`\" = 1\n[[x]]\ny.z = {a = 1}\n"))
	f.Add([]byte("imap = 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := config.Parse(data, "fuzz.toml")
		if err == nil {
			cfg.Check()
		} else if !strings.Contains(err.Error(), "fuzz.toml") {
			t.Errorf("the error does not name the file: %v", err)
		}
	})
}
