package body

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const dirMode os.FileMode = 0o700

// Open opens the store in dir, creating the directory if needed, and cuts it to the mark that the index holds: bytes and
// segments beyond it are removed, durably. The zero mark empties the store.
//
// A missing or short file, or one that is shorter than its successor says, is a *ShortError; a damaged segment header is
// a *CorruptError; a mark that no store returns is ErrBadMark. In these cases nothing has been changed.
func Open(fs vfs.FS, dir string, mark Mark, opts Options) (*Store, error) {
	s := &Store{fs: fs, dir: dir, opts: opts.withDefaults()}
	s.read = newFiles(fs, s.path, s.opts.OpenFiles)
	if err := s.recover(mark); err != nil {
		return nil, fmt.Errorf("body: open %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) recover(mark Mark) error {
	if !mark.valid() || !s.opts.Gaps.valid(mark) {
		return fmt.Errorf("%w: segment %d, offset %d, gaps %v", ErrBadMark, mark.Segment, mark.Offset, s.opts.Gaps)
	}
	if err := makeDir(s.fs, s.dir); err != nil {
		return err
	}
	ends, size, err := s.survey(mark)
	if err != nil {
		return err
	}
	if err := s.removeBeyond(mark); err != nil {
		return err
	}
	if size > mark.Offset {
		if err := cutFile(s.fs, s.path(mark.Segment), mark.Offset); err != nil {
			return fmt.Errorf("cut %s to %d bytes: %w", s.path(mark.Segment), mark.Offset, err)
		}
	}
	// Even if nothing was changed: a process that died before this one may have replaced a file without syncing its name.
	if err := syncDir(s.fs, s.dir); err != nil {
		return err
	}
	if mark.Segment > 0 {
		if s.active, err = openWriter(s.fs, s.path(mark.Segment), mark.Segment); err != nil {
			return err
		}
	}
	s.ends, s.gaps = ends, s.opts.Gaps
	for _, end := range ends {
		s.bytes += end
	}
	return nil
}

// survey verifies the headers and sizes of all segments up to the mark. It returns where each ends, and the size of the
// last one's file, which may be larger than the mark.
func (s *Store) survey(mark Mark) (ends []uint64, size uint64, err error) {
	for n := uint32(1); n <= mark.Segment && n != 0; n++ {
		if gap, gone := s.opts.Gaps.has(n); gone {
			if n == gap.First && n > 1 {
				if size < gap.Before {
					return nil, 0, &ShortError{File: s.path(n - 1), Segment: n - 1, Have: size, Want: gap.Before}
				}
				ends[n-2] = gap.Before
			}
			ends, size = append(ends, 0), 0
			continue
		}
		path := s.path(n)
		var header []byte
		header, fileSize, err := readStart(s.fs, path)
		if errors.Is(err, os.ErrNotExist) {
			return nil, 0, &ShortError{File: path, Segment: n, Want: segmentHeaderSize, Missing: true}
		}
		if err != nil {
			return nil, 0, fmt.Errorf("read header of %s: %w", path, err)
		}
		if fileSize < segmentHeaderSize {
			return nil, 0, &ShortError{File: path, Segment: n, Have: fileSize, Want: segmentHeaderSize}
		}
		previous, err := decodeSegmentHeader(header, n)
		if err != nil {
			return nil, 0, &CorruptError{File: path, Segment: n, Err: err}
		}
		if _, gone := s.opts.Gaps.has(n - 1); n > 1 && !gone {
			if size < previous {
				return nil, 0, &ShortError{File: s.path(n - 1), Segment: n - 1, Have: size, Want: previous}
			}
			ends[n-2] = previous
		}
		ends, size = append(ends, fileSize), fileSize
	}
	if mark.Segment == 0 {
		return nil, 0, nil
	}
	if size < mark.Offset {
		return nil, 0, &ShortError{File: s.path(mark.Segment), Segment: mark.Segment, Have: size, Want: mark.Offset}
	}
	ends[mark.Segment-1] = mark.Offset
	return ends, size, nil
}

// readStart returns the size of a file and as much of a segment header as it has.
func readStart(fs vfs.FS, path string) (header []byte, size uint64, err error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }() // only read from
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	header = make([]byte, segmentHeaderSize)
	n, err := f.ReadAt(header, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	return header[:n], uint64(info.Size()), nil
}

// removeBeyond removes the segments after the mark, last one first so that no gap is left by a crash, and left-overs.
func (s *Store) removeBeyond(mark Mark) error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return fmt.Errorf("list directory: %w", err)
	}
	var doomed []string
	for _, n := range slices.Backward(segmentNumbers(names)) {
		if _, gone := s.opts.Gaps.has(n); gone || n > mark.Segment {
			doomed = append(doomed, segmentName(n))
		}
	}
	for _, name := range names {
		if base, tmp := strings.CutSuffix(name, tmpSuffix); tmp && isSegmentName(base) {
			doomed = append(doomed, name)
		}
	}
	for _, name := range doomed {
		if err := s.fs.Remove(s.fs.PathJoin(s.dir, name)); err != nil {
			return fmt.Errorf("remove %s: %w", name, err)
		}
	}
	return nil
}

// segmentNumbers returns the numbers of the segments among the names of a directory, in order.
func segmentNumbers(names []string) (numbers []uint32) {
	for _, name := range names {
		if n, ok := parseSegmentName(name); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

func isSegmentName(name string) bool {
	_, ok := parseSegmentName(name)
	return ok
}

// makeDir creates dir and makes its name, and those of the parents it had to create, durable. The name of a directory
// that exists already is synced too: an earlier process may have died before it did so.
func makeDir(fs vfs.FS, dir string) error {
	parents := []string{fs.PathDir(dir)}
	for d := parents[0]; ; {
		_, err := fs.Stat(d)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("stat %s: %w", d, err)
		}
		up := fs.PathDir(d)
		if up == d {
			break
		}
		parents = append(parents, up)
		d = up
	}
	if err := fs.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	for _, parent := range parents {
		if err := syncDir(fs, parent); err != nil {
			return err
		}
	}
	return nil
}
