package archive_test

import (
	"bytes"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"angarium/eventlog/archive"
)

// newS3 starts an S3 server in memory and gives a bucket of it.
func newS3(t testing.TB) archive.Target {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("mail"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	target, err := archive.OpenTarget("s3://mail/some/where?tls=false&path-style=true&region=us-east-1&endpoint=" + strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// TestTargets is what every target has to do.
func TestTargets(t *testing.T) {
	for name, open := range map[string]func(testing.TB) archive.Target{
		"dir": func(t testing.TB) archive.Target { return newDir(t) },
		"s3":  newS3,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			target := open(t)
			if list, err := target.List(ctx, ""); err != nil || len(list) != 0 {
				t.Fatalf("an empty target lists %v, %v", list, err)
			}
			if _, err := target.Get(ctx, "a/b", 0, -1); !errors.Is(err, archive.ErrNotFound) {
				t.Errorf("Get of nothing: %v", err)
			}
			data := bytes.Repeat([]byte("0123456789"), 10_000)
			for _, n := range []string{"b/2", "a/1.seg", "b/10", "a/c/3"} {
				if err := target.Put(ctx, n, data); err != nil {
					t.Fatal(err)
				}
			}
			if err := target.Put(ctx, "b/2", []byte("other")); !errors.Is(err, archive.ErrExists) {
				t.Errorf("second Put: %v", err)
			}
			for _, r := range []struct{ off, n int64 }{{0, -1}, {0, 1}, {0, 100}, {17, 33}, {99_990, 10}, {0, 100_000}} {
				want := data
				if r.n >= 0 {
					want = data[r.off : r.off+r.n]
				}
				if got, err := target.Get(ctx, "b/2", r.off, r.n); err != nil || !bytes.Equal(got, want) {
					t.Errorf("Get(%d, %d): %d bytes, %v", r.off, r.n, len(got), err)
				}
			}
			if got, err := target.Get(ctx, "b/2", 99_990, 11); err == nil {
				t.Errorf("Get beyond the end gave %d bytes", len(got))
			}
			if err := target.Delete(ctx, "a/c/3"); err != nil {
				t.Error(err)
			}
			if err := target.Delete(ctx, "a/c/3"); err != nil {
				t.Errorf("Delete of nothing: %v", err)
			}
			for prefix, want := range map[string][]string{"": {"a/1.seg", "b/10", "b/2"}, "b/": {"b/10", "b/2"}, "b/1": {"b/10"}, "c": nil} {
				list, err := target.List(ctx, prefix)
				var names []string
				for _, info := range list {
					names = append(names, info.Name)
					if info.Size != int64(len(data)) {
						t.Errorf("%s has %d bytes", info.Name, info.Size)
					}
				}
				if diff := cmp.Diff(want, names); err != nil || diff != "" {
					t.Errorf("List(%q): %v (-want +got):\n%s", prefix, err, diff)
				}
			}
			for _, bad := range []string{"", "/a", "../a", "a/../b", "a//b", ".a", "a/", "a b", "a\x00"} {
				if err := target.Put(ctx, bad, nil); err == nil {
					t.Errorf("the name %q was taken", bad)
				}
			}
		})
	}
}

func TestWhatAnInterruptedPutLeftIsRemoved(t *testing.T) {
	root := t.TempDir()
	old, fresh, object := filepath.Join(root, ".put-1"), filepath.Join(root, ".put-2"), filepath.Join(root, "a.seg")
	for _, path := range []string{old, fresh, object} {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-2 * time.Hour)
	for _, path := range []string{old, object} {
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	target, err := archive.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{old: false, fresh: true, object: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if list, err := target.List(testContext(t), ""); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestTargetURLs(t *testing.T) {
	for url, want := range map[string]string{
		"file:///var/backup":          "file:///var/backup",
		"file://localhost/var/backup": "file:///var/backup",
		"s3://bucket":                 "s3://bucket",
		"s3://bucket/a/b/?region=eu&tls=true&path-style=true": "s3://bucket/a/b",
		"file://host/x":                       "",
		"ftp://x":                             "",
		"s3://":                               "",
		"s3://bucket?tls=perhaps":             "",
		"s3://bucket?colour=red":              "",
		"s3://bucket?ca-file=/does/not/exist": "",
		"/var/backup":                         "",
	} {
		target, err := archive.OpenTarget(url)
		if want == "" {
			if err == nil {
				t.Errorf("%s was opened: %s", url, target)
			}
			continue
		}
		if err != nil || target.String() != want {
			t.Errorf("%s: %v, %v", url, target, err)
		}
	}
}
