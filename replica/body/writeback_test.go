package body

import (
	"errors"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// writeBackFS notes how far files were asked to be written back, and fails with err.
type writeBackFS struct {
	vfs.FS
	mu  sync.Mutex
	to  []int64
	err error
}

func (fs *writeBackFS) OpenReadWrite(name string, d vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, d, o...)
	return &writeBackFile{f, fs}, err
}

type writeBackFile struct {
	vfs.File
	fs *writeBackFS
}

func (f *writeBackFile) SyncTo(length int64) (bool, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.fs.to = append(f.fs.to, length)
	return false, f.fs.err
}

func TestWhatIsAppendedIsWrittenBack(t *testing.T) {
	fs := &writeBackFS{FS: vfs.NewMem()}
	s := mustOpen(t, fs, testDir, Mark{}, Options{WriteBack: 5000})
	samples := newSamples(21, 100, 1000)
	var exts []Extent
	for _, b := range samples {
		exts = append(exts, mustAppend(t, s, b)...)
		s.background.Wait() // so that each is begun
	}
	last := int64(0)
	for _, to := range fs.to {
		if to-last < 5000 || to-last > 5000+1000+recordHeaderSize {
			t.Errorf("written back up to %d, and then up to %d", last, to)
		}
		last = to
	}
	if end := int64(exts[len(exts)-1].End().Offset); len(fs.to) == 0 || end-last > 5000 {
		t.Errorf("written back up to %d of %d", last, end)
	}
}

func TestAFailedWriteBackIsAFailedSync(t *testing.T) {
	fs := &writeBackFS{FS: vfs.NewMem(), err: errors.New("medium error")}
	s := mustOpen(t, fs, testDir, Mark{}, Options{WriteBack: 1})
	b := newSamples(22, 2, 100)
	mustAppend(t, s, b[0]) // begins a segment
	if _, err := s.Append(b[1].guid, b[1].blob); err != nil {
		t.Fatal(err)
	}
	s.background.Wait()
	if err := s.Sync(); !errors.Is(err, ErrFailed) || !errors.Is(err, fs.err) {
		t.Errorf("sync: %v", err)
	}
}
