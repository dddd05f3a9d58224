package body

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// copyChunkBytes is the unit in which a file is copied where it can't be truncated.
const copyChunkBytes = 1 << 20

// truncater is what vfs.File lacks. The files of vfs.Default have it; those of test and wrapping file systems do not.
type truncater interface {
	Truncate(size int64) error
}

// writer is one segment open for writing. It has two descriptors, so that an fsync runs beside writes within the contract
// of vfs.File, and so that the one that syncs is older than every write: it will be told of each write-back error.
type writer struct {
	segment uint32
	data    vfs.File // guarded by Store.appendMu; nil once the segment has been left
	sync    vfs.File // guarded by Store.syncMu

	begun    uint64 // up to where writing back was begun; guarded by Store.appendMu
	unsynced bool   // is in Store.unsynced; guarded by Store.mu
	sealed   bool   // the segment has been left; guarded by Store.mu
}

// openWriter opens a segment for writing, creating the file if needed.
func openWriter(fs vfs.FS, path string, segment uint32) (*writer, error) {
	data, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	sync, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open segment: %w", err), data.Close())
	}
	return &writer{segment: segment, data: data, sync: sync}, nil
}

func (w *writer) closeData() error {
	if w.data == nil {
		return nil
	}
	f := w.data
	w.data = nil
	return f.Close()
}

func (w *writer) closeSync() error {
	if w.sync == nil {
		return nil
	}
	f := w.sync
	w.sync = nil
	return f.Close()
}

// writeAt writes all of b or returns an error.
func writeAt(f io.WriterAt, b []byte, offset uint64) error {
	n, err := f.WriteAt(b, int64(offset))
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// cutFile makes a file that nobody has open for writing size bytes long and syncs it. Where files can't be truncated it
// is replaced by a copy of its beginning, and the caller must sync the directory.
func cutFile(fs vfs.FS, path string, size uint64) error {
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	t, ok := f.(truncater)
	if !ok {
		return errors.Join(f.Close(), replaceWithPrefix(fs, path, size))
	}
	if err := t.Truncate(int64(size)); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}

// replaceWithPrefix puts a synced copy of the first size bytes of a file in its place.
func replaceWithPrefix(fs vfs.FS, path string, size uint64) error {
	tmp := path + tmpSuffix
	if err := copyPrefix(fs, path, tmp, size); err != nil {
		return err
	}
	return fs.Rename(tmp, path)
}

func copyPrefix(fs vfs.FS, from, to string, size uint64) (err error) {
	src, err := fs.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // only read from
	dst, err := fs.Create(to, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	n, err := io.CopyBuffer(struct{ io.Writer }{dst}, io.LimitReader(src, int64(size)), make([]byte, min(copyChunkBytes, max(size, 1))))
	if err != nil {
		return err
	}
	if uint64(n) != size {
		return io.ErrUnexpectedEOF
	}
	return dst.Sync()
}

// syncDir makes the names in a directory durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open directory %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}
