package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"angarium/internal/durable"
)

// Dir is a target in a directory of a file system.
type Dir struct {
	root string
}

// tempPrefix begins the names of files that are being written. No object's name has a part that begins with a dot.
const tempPrefix = ".put-"

// staleAfter is the age at which a file that is being written is taken for one that an interrupted Put left.
const staleAfter = time.Hour

// OpenDir opens a directory as a target. It is made with the first object. What interrupted Puts left there long ago is removed.
func OpenDir(path string) (*Dir, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("archive directory: %w", err)
	}
	d := &Dir{root}
	if err := d.removeStale(time.Now().Add(-staleAfter)); err != nil {
		return nil, fmt.Errorf("archive directory: %w", err)
	}
	return d, nil
}

func (d *Dir) removeStale(before time.Time) error {
	return filepath.WalkDir(d.root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.HasPrefix(e.Name(), tempPrefix) {
			var st fs.FileInfo
			if st, err = e.Info(); err == nil && st.ModTime().Before(before) {
				err = os.Remove(path)
			}
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) { // a reader need not be able to tidy up
			return nil
		}
		return err
	})
}

// String implements Target.
func (d *Dir) String() string { return "file://" + filepath.ToSlash(d.root) }

func (d *Dir) path(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	return filepath.Join(d.root, filepath.FromSlash(name)), nil
}

// Put implements Target. The object is written and synced under another name, and linked to its own, which fails if that is taken.
func (d *Dir) Put(ctx context.Context, name string, data []byte) error {
	if err := d.put(ctx, name, data); err != nil {
		return fmt.Errorf("archive %s: put %s: %w", d, name, err)
	}
	return nil
}

func (d *Dir) put(ctx context.Context, name string, data []byte) error {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return ErrExists
	}
	dir := filepath.Dir(path)
	if err := makeDirs(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		if err = os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
			err = ErrExists
		}
	}
	if rmErr := os.Remove(f.Name()); err == nil {
		err = rmErr
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// makeDirs makes a directory with those above it, and syncs the entries that are new.
func makeDirs(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDirs(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.SyncDir(parent)
}

// Get implements Target.
func (d *Dir) Get(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	data, err := d.get(ctx, name, offset, length)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("archive %s: get %s: %w", d, name, err)
	}
	return data, nil
}

func (d *Dir) get(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if length < 0 {
		length = st.Size() - offset
	}
	if offset < 0 || length < 0 || offset+length > st.Size() {
		return nil, fmt.Errorf("%d bytes at %d of an object of %d: %w", length, offset, st.Size(), io.ErrUnexpectedEOF)
	}
	data := make([]byte, length)
	if _, err := f.ReadAt(data, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data, nil
}

// List implements Target.
func (d *Dir) List(ctx context.Context, prefix string) ([]Info, error) {
	var list []Info
	err := filepath.WalkDir(d.root, func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile, or nothing was ever put
				return nil
			}
			return err
		}
		rel, err := filepath.Rel(d.root, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		switch {
		case rel == ".":
			return nil
		case strings.HasPrefix(e.Name(), "."), e.IsDir() && !strings.HasPrefix(name+"/", prefix) && !strings.HasPrefix(prefix, name+"/"):
			if e.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case e.IsDir() || !strings.HasPrefix(name, prefix):
			return nil
		}
		st, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		list = append(list, Info{Name: name, Size: st.Size()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("archive %s: list %s: %w", d, prefix, err)
	}
	slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Delete implements Target.
func (d *Dir) Delete(ctx context.Context, name string) error {
	path, err := d.path(name)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = os.Remove(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("archive %s: delete %s: %w", d, name, err)
	}
	return nil
}
