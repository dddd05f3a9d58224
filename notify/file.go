package notify

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"angarium/internal/durable"
)

const (
	defaultFileBytes = 64 << 20
	defaultFileKeep  = 4
	fileBuffer       = 64 << 10
)

// FileOptions configures a file of events. Zero values mean the defaults named here.
type FileOptions struct {
	Path     string
	MaxBytes int64 // a file that has about so many is rotated: PATH becomes PATH.1, that PATH.2 … [64 MiB]
	Keep     int   // files that are kept beside PATH [4]
}

// File is a Target that writes events to a file as lines of JSON. Together with Delivery it writes each event exactly once: after a crash the
// file is cut back to where the position stands.
type File struct {
	opts FileOptions
	f    *os.File
	w    *bufio.Writer
	size int64
}

// NewFile makes the target.
func NewFile(opts FileOptions) (*File, error) {
	if opts.Path == "" {
		return nil, errors.New("file of events: no path")
	}
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = defaultFileBytes
	}
	if opts.Keep <= 0 {
		opts.Keep = defaultFileKeep
	}
	return &File{opts: opts}, nil
}

// Kind implements Target.
func (t *File) Kind() string { return "file" }

// Resume implements Target. A file that is shorter than mark was rotated or removed: it is continued as it is.
func (t *File) Resume(mark int64) error {
	f, err := os.OpenFile(t.opts.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("file of events: %w", err)
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err == nil && mark >= 0 && mark < end {
		if err = f.Truncate(mark); err == nil {
			end, err = f.Seek(mark, io.SeekStart)
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("file of events %s: %w", t.opts.Path, err), f.Close())
	}
	t.f, t.w, t.size = f, bufio.NewWriterSize(f, fileBuffer), end
	return nil
}

// Deliver implements Target. After an error the lines that were begun are taken back.
func (t *File) Deliver(_ context.Context, events []*Event) error {
	begin := t.size
	for _, e := range events {
		n, err := t.w.Write(e.JSON())
		if err == nil {
			err = t.w.WriteByte('\n')
		}
		if err != nil {
			return t.takeBack(begin, err)
		}
		t.size += int64(n) + 1
	}
	if err := t.w.Flush(); err != nil {
		return t.takeBack(begin, err)
	}
	return nil
}

func (t *File) takeBack(to int64, cause error) error {
	t.size = to
	err := t.f.Truncate(to)
	if err == nil {
		_, err = t.f.Seek(to, io.SeekStart)
	}
	t.w.Reset(t.f)
	return errors.Join(fmt.Errorf("write %s: %w", t.opts.Path, cause), err)
}

// Mark implements Target.
func (t *File) Mark() (int64, error) {
	if t.f == nil {
		return NoMark, nil
	}
	if err := t.f.Sync(); err != nil {
		return 0, fmt.Errorf("sync file of events: %w", err)
	}
	return t.size, nil
}

// Rotate begins a new file when this one is full.
func (t *File) Rotate() (bool, error) {
	if t.size < t.opts.MaxBytes {
		return false, nil
	}
	err := t.f.Close()
	t.f = nil
	for i := t.opts.Keep - 1; i >= 0 && err == nil; i-- {
		if e := os.Rename(t.name(i), t.name(i+1)); !errors.Is(e, os.ErrNotExist) {
			err = e
		}
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(t.opts.Path))
	}
	if err != nil {
		return false, fmt.Errorf("rotate file of events: %w", err)
	}
	return true, t.Resume(NoMark)
}

func (t *File) name(i int) string {
	if i == 0 {
		return t.opts.Path
	}
	return t.opts.Path + "." + strconv.Itoa(i)
}

// Close implements Target.
func (t *File) Close() error {
	if t.f == nil {
		return nil
	}
	f := t.f
	t.f = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("close file of events: %w", err)
	}
	return nil
}
