package body

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	checkChunkBytes    = 1 << 20 // memory that a check takes at most
	progressEveryBytes = 1 << 20
)

// ViolationKind says what is wrong with a part of a segment.
type ViolationKind string

// The kinds of violations, as they are shown.
const (
	MissingSegment ViolationKind = "missing segment"    // the file does not exist
	ShortSegment   ViolationKind = "short segment"      // the file ends before the segment does
	BadSegment     ViolationKind = "bad segment header" // the header can't be decoded; its records are checked all the same
	BadRecord      ViolationKind = "bad record header"  // no record where one should begin
	BadChecksum    ViolationKind = "bad checksum"       // a record that fails its CRC
	Trailing       ViolationKind = "trailing bytes"     // bytes beyond the end; after the mark they are harmless, Open cuts them
	Unreadable     ViolationKind = "unreadable"         // the disk reported an error; the rest of the segment was not checked
)

// Violation is one finding of a check.
type Violation struct {
	Kind    ViolationKind
	File    string // path of the segment file
	Segment uint32
	Offset  uint64 // where the affected bytes begin; a record begins here if it is one
	Length  uint64 // how many bytes are affected
	Detail  string // for people
}

// String names the file, the place and what is wrong.
func (v Violation) String() string {
	return fmt.Sprintf("%s: %s at offset %d, %d bytes: %s", v.File, v.Kind, v.Offset, v.Length, v.Detail)
}

// CheckStats is what a check has seen.
type CheckStats struct {
	Segments int    // that exist
	Records  uint64 // that are intact
	Bytes    uint64 // of all segments, read or skipped
}

// Check verifies every record up to the current mark, beside appends and reads. See the function Check.
func (s *Store) Check(ctx context.Context, progress func(done, total uint64), found func(Violation) error) (CheckStats, error) {
	s.mu.RLock()
	mark, gaps, total, closed := s.markLocked(), s.gaps, s.bytes, s.closed
	s.mu.RUnlock()
	if closed {
		return CheckStats{}, fmt.Errorf("body: check: %w", ErrClosed)
	}
	c := &checker{fs: s.fs, dir: s.dir, mark: mark, gaps: gaps, live: true, total: total, progress: progress, found: found}
	return c.run(ctx)
}

// Check verifies every record of a store that is not open, up to the mark of its index, and changes nothing.
//
// found is called for each violation in the order of the files; an error from it ends the check and is returned. progress,
// if not nil, is called every MiB or so with bytes. The error is nil when the check came to its end, whatever it has found.
func Check(ctx context.Context, fs vfs.FS, dir string, mark Mark, gaps Gaps, progress func(done, total uint64),
	found func(Violation) error) (CheckStats, error) {
	if !mark.valid() || !gaps.valid(mark) {
		return CheckStats{}, fmt.Errorf("body: check: %w: segment %d, offset %d", ErrBadMark, mark.Segment, mark.Offset)
	}
	c := &checker{fs: fs, dir: dir, mark: mark, gaps: gaps, progress: progress, found: found}
	beyond, err := c.surveyDir()
	if err != nil {
		return CheckStats{}, fmt.Errorf("body: check: list %s: %w", dir, err)
	}
	stats, err := c.run(ctx)
	if err != nil {
		return stats, err
	}
	for _, v := range beyond {
		if err := found(v); err != nil {
			return stats, err
		}
	}
	return stats, nil
}

type checker struct {
	fs       vfs.FS
	dir      string
	mark     Mark
	gaps     Gaps
	live     bool // the last segment may grow meanwhile
	total    uint64
	progress func(done, total uint64)
	found    func(Violation) error

	stats    CheckStats
	reported uint64 // of stats.Bytes, to progress
	buf      []byte
}

func (c *checker) path(segment uint32) string { return c.fs.PathJoin(c.dir, segmentName(segment)) }

// surveyDir adds up the sizes of the segments, and returns those beyond the mark in order.
func (c *checker) surveyDir() (beyond []Violation, err error) {
	names, err := c.fs.List(c.dir)
	if err != nil {
		return nil, err
	}
	for _, n := range segmentNumbers(names) {
		info, err := c.fs.Stat(c.path(n))
		if err != nil {
			return nil, err
		}
		if _, gone := c.gaps.has(n); n <= c.mark.Segment && !gone {
			c.total += uint64(info.Size())
			continue
		}
		beyond = append(beyond, Violation{Kind: Trailing, File: c.path(n), Segment: n, Length: uint64(info.Size()),
			Detail: "segment is beyond the mark, or was removed"})
	}
	return beyond, nil
}

func (c *checker) run(ctx context.Context) (CheckStats, error) {
	c.buf = make([]byte, min(checkChunkBytes, max(c.total, segmentHeaderSize+recordHeaderSize)))
	for n := uint32(1); n <= c.mark.Segment && n != 0; n++ {
		if _, gone := c.gaps.has(n); gone {
			continue
		}
		if err := c.segment(ctx, n); err != nil {
			return c.stats, err
		}
	}
	if c.progress != nil {
		c.progress(c.stats.Bytes, max(c.total, c.stats.Bytes))
	}
	return c.stats, nil
}

// end returns where a segment ends: at the mark, or where its successor says. Without either it is as long as its file.
func (c *checker) end(segment uint32, fileSize uint64) uint64 {
	if segment == c.mark.Segment {
		return c.mark.Offset
	}
	if gap, gone := c.gaps.has(segment + 1); gone {
		return gap.Before
	}
	header, _, err := readStart(c.fs, c.path(segment+1))
	if err != nil {
		return fileSize // which is reported when it is the successor's turn
	}
	previous, err := decodeSegmentHeader(header, segment+1)
	if err != nil {
		return fileSize
	}
	return previous
}

func (c *checker) segment(ctx context.Context, n uint32) error {
	v := Violation{File: c.path(n), Segment: n}
	f, err := c.fs.Open(v.File)
	if err != nil {
		v.Kind, v.Detail = Unreadable, err.Error()
		if errors.Is(err, os.ErrNotExist) {
			v.Kind = MissingSegment
		}
		return c.found(v)
	}
	defer func() { _ = f.Close() }() // only read from
	c.stats.Segments++
	info, err := f.Stat()
	if err != nil {
		v.Kind, v.Detail = Unreadable, err.Error()
		return c.found(v)
	}
	size := uint64(info.Size())
	end := c.end(n, size)
	if size < end {
		v.Kind, v.Offset, v.Length = ShortSegment, size, end-size
		v.Detail = fmt.Sprintf("file has %d of %d bytes", size, end)
		if err := c.found(v); err != nil {
			return err
		}
	}
	w := &segmentWalk{c: c, f: f, segment: n, end: min(size, end)}
	if err := w.walk(ctx); err != nil {
		return err
	}
	if size > end && !(c.live && n == c.mark.Segment) {
		v.Kind, v.Offset, v.Length = Trailing, end, size-end
		v.Detail = fmt.Sprintf("segment ends at %d", end)
		return c.found(v)
	}
	return nil
}

// advance counts bytes and reports them.
func (c *checker) advance(n uint64) {
	c.stats.Bytes += n
	if c.progress != nil && c.stats.Bytes-c.reported >= progressEveryBytes {
		c.reported = c.stats.Bytes
		c.progress(c.stats.Bytes, max(c.total, c.stats.Bytes))
	}
}
