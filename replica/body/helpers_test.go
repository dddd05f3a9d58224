package body

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const testDir = "/data/shard/bodies"

// sample is a blob and its name. Blobs are stored under the hash of themselves here; the store does not care.
type sample struct {
	guid GUID
	blob []byte
}

func newSample(rng *rand.Rand, size int) sample {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return sample{sha256.Sum256(b), b}
}

func newSamples(seed uint64, n, maxSize int) []sample {
	rng := rand.New(rand.NewPCG(seed, 0))
	samples := make([]sample, n)
	for i := range samples {
		samples[i] = newSample(rng, rng.IntN(maxSize+1))
	}
	return samples
}

func mustOpen(t testing.TB, fs vfs.FS, dir string, mark Mark, opts Options) *Store {
	t.Helper()
	s, err := Open(fs, dir, mark, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

func mustAppend(t testing.TB, s *Store, samples ...sample) []Extent {
	t.Helper()
	exts := make([]Extent, len(samples))
	for i, b := range samples {
		ext, err := s.Append(b.guid, b.blob)
		if err != nil {
			t.Fatal(err)
		}
		if s.Mark() != ext.End() {
			t.Fatalf("mark is %v after an append to %v", s.Mark(), ext)
		}
		exts[i] = ext
	}
	return exts
}

func mustRead(t testing.TB, s *Store, exts []Extent, samples []sample) {
	t.Helper()
	var buf []byte
	for i, ext := range exts {
		got, err := s.Read(ext, samples[i].guid, buf)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, samples[i].blob) {
			t.Fatalf("body %d at %v: got %d other bytes", i, ext, len(got))
		}
		buf = got
	}
}

func mustSync(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
}

// violations checks a store that may be open, by its files alone.
func violations(t testing.TB, fs vfs.FS, dir string, mark Mark) []Violation {
	t.Helper()
	var vs []Violation
	_, err := Check(context.Background(), fs, dir, mark, nil, nil, func(v Violation) error {
		vs = append(vs, v)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return vs
}

func mustBeClean(t testing.TB, fs vfs.FS, dir string, mark Mark) {
	t.Helper()
	for _, v := range violations(t, fs, dir, mark) {
		t.Errorf("violation: %v", v)
	}
}

func readFile(t testing.TB, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if n, err := f.ReadAt(b, 0); n != len(b) {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, fs vfs.FS, path string, b []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Clone(b)); err != nil { // a vfs.File may change what it is given, and does so with -race
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// content returns the names and bytes of all files in a directory.
func content(t testing.TB, fs vfs.FS, dir string) map[string][]byte {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, name := range names {
		files[name] = readFile(t, fs, fs.PathJoin(dir, name))
	}
	return files
}

// fullDisk is a file system with room for so many more bytes. A write that does not fit is torn, as on a real disk. It
// passes truncation on, if the files below have it.
type fullDisk struct {
	vfs.FS
	mu   sync.Mutex
	room int
}

func (d *fullDisk) setRoom(bytes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = bytes
}

func (d *fullDisk) take(want int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	got := min(want, d.room)
	d.room -= got
	return got
}

func (d *fullDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.wrap(d.FS.Create(name, c))
}

func (d *fullDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return d.wrap(d.FS.OpenReadWrite(name, c, o...))
}

func (d *fullDisk) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	if t, ok := f.(truncater); ok {
		return &truncatableFullFile{fullFile{f, d}, t}, nil
	}
	return &fullFile{f, d}, nil
}

type fullFile struct {
	vfs.File
	disk *fullDisk
}

type truncatableFullFile struct {
	fullFile
	truncater
}

func (f *fullFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b[:f.disk.take(len(b))])
	if err == nil && n < len(b) {
		err = syscall.ENOSPC
	}
	return n, err
}

func (f *fullFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(b[:f.disk.take(len(b))], off)
	if err == nil && n < len(b) {
		err = syscall.ENOSPC
	}
	return n, err
}

// backends are the file systems that differ for this package: with truncation, and without.
func backends(t *testing.T, run func(t *testing.T, fs vfs.FS, dir string)) {
	t.Run("memory", func(t *testing.T) { run(t, vfs.NewMem(), testDir) })
	t.Run("disk", func(t *testing.T) { run(t, vfs.Default, vfs.Default.PathJoin(t.TempDir(), "shard", "bodies")) })
}
