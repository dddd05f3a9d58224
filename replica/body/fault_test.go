package body

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"
)

func TestAFullDiskIsRecoverableWithoutARestart(t *testing.T) {
	backends(t, func(t *testing.T, below vfs.FS, dir string) {
		samples := newSamples(5, 100, 700)
		opts := Options{SegmentSize: 2500}
		want := vfs.NewMem()
		wantExts := mustAppend(t, mustOpen(t, want, dir, Mark{}, opts), samples...)

		disk := &fullDisk{FS: below}
		s := mustOpen(t, disk, dir, Mark{}, opts)
		rng := rand.New(rand.NewPCG(5, 5))
		failures := 0
		for i, b := range samples {
			mark := s.Mark()
			for {
				ext, err := s.Append(b.guid, b.blob)
				if err == nil {
					if ext != wantExts[i] {
						t.Fatalf("body %d is at %v, want %v", i, ext, wantExts[i])
					}
					break
				}
				failures++
				if !errors.Is(err, syscall.ENOSPC) {
					t.Fatal(err)
				}
				if s.Mark() != mark {
					t.Fatalf("a failed append moved the mark from %v to %v", mark, s.Mark())
				}
				mustSync(t, s)
				mustRead(t, s, wantExts[:i], samples[:i])
				disk.setRoom(rng.IntN(4000)) // enough, now and then, to cut a segment by copying it
			}
		}
		if failures < 20 {
			t.Fatalf("the disk was full only %d times", failures)
		}
		mustBeClean(t, below, dir, s.Mark())
		if diff := cmp.Diff(content(t, want, dir), content(t, below, dir)); diff != "" {
			t.Fatalf("files differ from those of an unhindered replica:\n%s", diff)
		}
	})
}

func TestAnythingThatFailsOnceIsReportedAndLosesNothing(t *testing.T) {
	samples := newSamples(6, 12, 600)
	opts := Options{SegmentSize: 1500, OpenFiles: 1}
	seen := map[errorfs.OpKind]bool{}
	for at := 0; ; at++ {
		n, injected := 0, errors.New("not injected")
		inj := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if n++; n-1 != at {
				return nil
			}
			seen[op.Kind] = true
			injected = fmt.Errorf("injected at operation %d", at)
			return injected
		})
		if failOnce(t, errorfs.Wrap(vfs.NewCrashableMem(), inj), opts, samples, &injected); n <= at {
			if at < 50 {
				t.Fatalf("only %d operations", at)
			}
			break
		}
	}
	for _, kind := range []errorfs.OpKind{errorfs.OpFileWriteAt, errorfs.OpFileSyncData, errorfs.OpFileSync, errorfs.OpOpen,
		errorfs.OpFileReadAt, errorfs.OpFileStat, errorfs.OpList, errorfs.OpMkdirAll, errorfs.OpOpenDir, errorfs.OpRename,
		errorfs.OpRemove, errorfs.OpCreate, errorfs.OpFileRead, errorfs.OpFileWrite} {
		if !seen[kind] {
			t.Errorf("operations of kind %v never failed", kind)
		}
	}
}

// failOnce lives through one failure: everything is tried again, except what is final, after which the store is reopened
// at the last durable mark.
func failOnce(t *testing.T, fs *errorfs.FS, opts Options, samples []sample, injected *error) {
	t.Helper()
	var durable Mark
	reported := false
	check := func(err error) bool {
		if err != nil && (reported || !errors.Is(err, *injected)) && !errors.Is(err, ErrFailed) {
			t.Fatalf("error is %v, injected was %v", err, *injected)
		}
		reported = reported || err != nil
		return err != nil
	}
	open := func() *Store {
		for {
			if s, err := Open(fs, testDir, durable, opts); !check(err) {
				return s
			}
		}
	}
	read := func(s *Store, exts []Extent) {
		for i, ext := range exts {
			if _, err := s.Read(ext, samples[i].guid, nil); check(err) {
				mustRead(t, s, exts[i:i+1], samples[i:i+1])
			}
		}
	}
	exts := make([]Extent, len(samples))
	kept := 0
	s := open()
	for i := 0; i < len(samples); {
		ext, err := s.Append(samples[i].guid, samples[i].blob)
		final := errors.Is(err, ErrFailed)
		if !check(err) {
			if exts[i] != (Extent{}) && exts[i] != ext {
				t.Fatalf("body %d went to %v, then to %v", i, exts[i], ext)
			}
			exts[i] = ext
			i++
			read(s, exts[:i])
		}
		if i%4 == 3 && !final {
			err := s.Sync()
			if final = check(err); !final {
				durable, kept = s.Mark(), i
			} else if again := s.Sync(); !errors.Is(again, ErrFailed) || !errors.Is(again, *injected) {
				t.Fatalf("after a failed sync another one gives %v", again)
			} else if _, again := s.Append(GUID{}, nil); !errors.Is(again, ErrFailed) {
				t.Fatalf("after a failed sync an append gives %v", again)
			}
		}
		if final {
			read(s, exts[:i]) // reads go on
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s, i = open(), kept
		}
	}
	if s.Mark() != exts[len(exts)-1].End() {
		t.Fatalf("mark is %v", s.Mark())
	}
	// A restart that has segments to remove and a tail to cut.
	durable = exts[len(exts)/2].End()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	read(s, exts[:len(exts)/2+1])
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustBeClean(t, fs.Unwrap(), testDir, durable)
}

func TestRollbackLeavesNoTrace(t *testing.T) {
	backends(t, func(t *testing.T, fs vfs.FS, dir string) {
		samples, junk := newSamples(7, 30, 600), newSamples(8, 20, 900)
		opts := Options{SegmentSize: 2000}
		clean := vfs.NewMem()
		wantExts := mustAppend(t, mustOpen(t, clean, dir, Mark{}, opts), samples...)
		s := mustOpen(t, fs, dir, Mark{}, opts)
		for i := range samples {
			mark := s.Mark()
			mustAppend(t, s, junk[:i%len(junk)]...)
			if i%3 == 0 {
				mustSync(t, s)
			}
			if err := s.Rollback(mark); err != nil {
				t.Fatal(err)
			}
			mustBeClean(t, fs, dir, mark)
			if got := mustAppend(t, s, samples[i])[0]; got != wantExts[i] {
				t.Fatalf("body %d is at %v, want %v", i, got, wantExts[i])
			}
		}
		mustSync(t, s)
		mustRead(t, s, wantExts, samples)
		if diff := cmp.Diff(content(t, clean, dir), content(t, fs, dir)); diff != "" {
			t.Fatal(diff)
		}
		size, _ := s.Size()
		if err := s.Rollback(Mark{}); err != nil {
			t.Fatal(err)
		}
		if again, n := s.Size(); size == 0 || again != 0 || n != 0 {
			t.Fatalf("%d bytes in %d segments are left", again, n)
		}
	})
}

func TestRollbackRefusesMarksAhead(t *testing.T) {
	s := mustOpen(t, vfs.NewMem(), testDir, Mark{}, Options{})
	mustAppend(t, s, sample{GUID{1}, []byte("x")})
	mark := s.Mark()
	for _, bad := range []Mark{{1, mark.Offset + 1}, {2, mark.Offset}, {1, 3}, {0, 5}} {
		if err := s.Rollback(bad); !errors.Is(err, ErrBadMark) || s.Mark() != mark {
			t.Errorf("%v: error is %v, mark %v", bad, err, s.Mark())
		}
	}
}

// Rollback succeeds on a disk that refuses everything, and what follows goes to the right place once the disk is back.
func TestRollbackOnADiskThatFails(t *testing.T) {
	mem := vfs.NewMem()
	broken := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(errorfs.Op) error { return syscall.EIO })}
	s := mustOpen(t, errorfs.Wrap(mem, broken), testDir, Mark{}, Options{SegmentSize: 500})
	samples := newSamples(9, 8, 300)
	exts := mustAppend(t, s, samples[:2]...)
	mark := s.Mark()
	want := mustAppend(t, s, samples[2:]...)
	broken.On()
	if err := s.Rollback(mark); err != nil || s.Mark() != mark {
		t.Fatalf("error is %v, mark %v", err, s.Mark())
	}
	if _, err := s.Append(samples[2].guid, samples[2].blob); !errors.Is(err, syscall.EIO) {
		t.Fatalf("error is %v", err)
	}
	broken.Off()
	if diff := cmp.Diff(want, mustAppend(t, s, samples[2:]...)); diff != "" {
		t.Fatal(diff)
	}
	mustRead(t, s, append(exts, want...), samples)
	mustSync(t, s)
	mustBeClean(t, mem, testDir, s.Mark())
}
