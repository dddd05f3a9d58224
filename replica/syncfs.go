package replica

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// syncFS calls before ahead of every write to a MANIFEST, by which Pebble makes flushed tables part of its durable state.
// The write itself matters, not the fsync after it: an operating system may write back pages at any time.
//
// It also syncs the directory ahead of the marker that names a new MANIFEST. Pebble does so only behind both, so that a power cut
// could leave the marker without the file where names reach the disk in any order.
type syncFS struct {
	vfs.FS
	before func() error
	table  func() // called ahead of each new table
}

func (fs *syncFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(filepath.Base(name), "marker.manifest.") {
		if err := syncDir(fs.FS, fs.PathDir(name)); err != nil {
			return nil, err
		}
	}
	if strings.HasSuffix(name, ".sst") {
		fs.table()
	}
	f, err := fs.FS.Create(name, category)
	if err != nil || !strings.HasPrefix(filepath.Base(name), "MANIFEST-") {
		return f, err
	}
	return &syncFile{f, fs.before}, nil
}

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

type syncFile struct {
	vfs.File
	before func() error
}

func (f *syncFile) Write(p []byte) (int, error) {
	if err := f.before(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}
