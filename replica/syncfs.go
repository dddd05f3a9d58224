package replica

import (
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// syncFS calls before ahead of every write to a MANIFEST, by which Pebble makes flushed tables part of its durable state.
// The write itself matters, not the fsync after it: an operating system may write back pages at any time.
type syncFS struct {
	vfs.FS
	before func() error
}

func (fs *syncFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	if err != nil || !strings.HasPrefix(filepath.Base(name), "MANIFEST-") {
		return f, err
	}
	return &syncFile{f, fs.before}, nil
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
