package body

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"
)

func TestReadersSyncsAndChecksBesideAppends(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	backends(t, func(t *testing.T, fs vfs.FS, dir string) {
		const appends, readers = 400, 4
		samples := newSamples(10, appends, 2000)
		s := mustOpen(t, fs, dir, Mark{}, Options{SegmentSize: 8000, OpenFiles: 3})
		exts := make([]Extent, appends)
		var ready atomic.Int64
		var wg sync.WaitGroup
		for r := range readers {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(11, uint64(r)))
				var buf []byte
				for n := 0; n < appends; {
					if n = int(ready.Load()); n == 0 {
						continue
					}
					i := rng.IntN(n)
					got, err := s.Read(exts[i], samples[i].guid, buf)
					if err != nil || !bytes.Equal(got, samples[i].blob) {
						t.Errorf("body %d: %v", i, err)
						return
					}
					buf = got
				}
			})
		}
		wg.Go(func() {
			for ready.Load() < appends {
				if err := s.Sync(); err != nil {
					t.Error(err)
					return
				}
				_, err := s.Check(t.Context(), nil, func(v Violation) error { return errors.New(v.String()) })
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
		for i, b := range samples {
			exts[i] = mustAppend(t, s, b)[0]
			ready.Store(int64(i + 1))
		}
		wg.Wait()
		mustSync(t, s)
		mustRead(t, s, exts, samples)
		mustBeClean(t, fs, dir, s.Mark())
	})
}

// A slow fsync holds up neither appends nor reads, and covers only what came before it.
func TestAppendDoesNotWaitForSync(t *testing.T) {
	syncing, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	mem := vfs.NewCrashableMem()
	s := mustOpen(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData {
			once.Do(func() {
				close(syncing)
				<-goOn
			})
		}
		return nil
	})), testDir, Mark{}, Options{SegmentSize: 3000})
	samples := newSamples(12, 20, 1000)
	exts := mustAppend(t, s, samples[:2]...)
	covered := s.Mark()
	done := make(chan error)
	go func() { done <- s.Sync() }()
	<-syncing
	exts = append(exts, mustAppend(t, s, samples[2:]...)...) // rolls over while the fsync runs
	mustRead(t, s, exts, samples)
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	after := mem.CrashClone(vfs.CrashCloneCfg{})
	mustRead(t, mustOpen(t, after, testDir, covered, Options{SegmentSize: 3000}), exts[:2], samples)
	mustSync(t, s)
	after = mem.CrashClone(vfs.CrashCloneCfg{})
	mustRead(t, mustOpen(t, after, testDir, s.Mark(), Options{SegmentSize: 3000}), exts, samples)
}

// countingFS counts open descriptors.
type countingFS struct {
	vfs.FS
	open, most atomic.Int64
}

func (c *countingFS) count(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	n := c.open.Add(1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	return &countedFile{f, c}, nil
}

func (c *countingFS) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	return c.count(c.FS.Open(name, o...))
}

func (c *countingFS) OpenReadWrite(name string, d vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return c.count(c.FS.OpenReadWrite(name, d, o...))
}

type countedFile struct {
	vfs.File
	fs *countingFS
}

func (f *countedFile) Close() error {
	f.fs.open.Add(-1)
	return f.File.Close()
}

func TestDescriptorsAreBoundedAndAllClosed(t *testing.T) {
	const limit = 4
	fs := &countingFS{FS: vfs.NewMem()}
	samples := newSamples(13, 100, 300)
	s := mustOpen(t, fs, testDir, Mark{}, Options{SegmentSize: 1, OpenFiles: limit}) // one record to a segment
	exts := mustAppend(t, s, samples...)
	if most := fs.most.Load(); most > maxUnsyncedSegments+4 {
		t.Fatalf("%d descriptors were open while appending without a sync", most)
	}
	mustSync(t, s)
	if err := s.Rollback(exts[89].End()); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, samples[90:]...)
	mustRead(t, s, exts, samples)
	mustSync(t, s)
	if n := fs.open.Load(); n > limit+2 {
		t.Fatalf("%d descriptors are open", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := fs.open.Load(); n != 0 {
		t.Fatalf("%d descriptors are left open", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	body := newSamples(14, 1, 0)[0]
	body.blob = make([]byte, 20<<10)
	s := mustOpen(b, vfs.Default, b.TempDir(), Mark{}, Options{})
	b.SetBytes(int64(len(body.blob)))
	for b.Loop() {
		if _, err := s.Append(body.guid, body.blob); err != nil {
			b.Fatal(err)
		}
		if s.Mark().Segment > 2 { // keeps the files small
			if err := s.Rollback(Mark{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{4 << 10, 20 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s := mustOpen(b, vfs.Default, b.TempDir(), Mark{}, Options{})
			body := sample{blob: make([]byte, size)}
			exts := mustAppend(b, s, body, body, body, body)
			b.SetBytes(int64(size))
			b.RunParallel(func(pb *testing.PB) {
				var buf []byte
				for i := 0; pb.Next(); i++ {
					got, err := s.Read(exts[i%len(exts)], body.guid, buf)
					if err != nil {
						b.Error(err)
						return
					}
					buf = got
				}
			})
		})
	}
}
