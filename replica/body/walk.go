package body

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// segmentWalk goes through the records of one segment.
type segmentWalk struct {
	c       *checker
	f       vfs.File
	segment uint32
	end     uint64
	pos     uint64
}

// diskError is an error of reading, which a check reports and steps over, unlike those that end it.
type diskError struct{ error }

func (w *segmentWalk) walk(ctx context.Context) error {
	err := w.records(ctx)
	var disk diskError
	if !errors.As(err, &disk) {
		return err
	}
	length := w.end - min(w.pos, w.end)
	w.c.advance(length)
	return w.report(Unreadable, w.pos, length, disk.Error())
}

func (w *segmentWalk) records(ctx context.Context) error {
	if err := w.header(); err != nil {
		return err
	}
	for w.pos < w.end {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("body: check: %w", err)
		}
		if err := w.record(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *segmentWalk) header() error {
	b := w.c.buf[:min(segmentHeaderSize, w.end)]
	if err := w.readAt(b, 0); err != nil {
		return err
	}
	w.pos = uint64(len(b))
	w.c.advance(w.pos)
	if _, err := decodeSegmentHeader(b, w.segment); err != nil {
		return w.report(BadSegment, 0, w.pos, err.Error())
	}
	return nil
}

// record verifies the record at pos and moves to the next. Where there is none, or where a broken one does not lead to
// another, the next is searched for.
func (w *segmentWalk) record(ctx context.Context) error {
	start := w.pos
	h, bad, err := w.headerAt(start)
	if err != nil {
		return err
	}
	if bad != nil {
		next, err := w.search(ctx, start+1)
		if err != nil {
			return err
		}
		w.moveTo(next)
		return w.report(BadRecord, start, next-start, bad.Error())
	}
	sum, err := w.sum(ctx, start, h)
	if err != nil {
		return err
	}
	next := start + recordHeaderSize + uint64(h.length)
	if sum == h.sum {
		w.c.stats.Records++
		w.moveTo(next)
		return nil
	}
	if next < w.end {
		// The length itself may be what is broken.
		_, bad, err := w.headerAt(next)
		if err != nil {
			return err
		}
		if bad != nil {
			if next, err = w.search(ctx, start+1); err != nil {
				return err
			}
		}
	}
	w.moveTo(next)
	return w.report(BadChecksum, start, next-start, fmt.Sprintf("record of body %x fails its checksum", h.guid))
}

func (w *segmentWalk) moveTo(pos uint64) {
	w.c.advance(pos - w.pos)
	w.pos = pos
}

// headerAt decodes the header of the record at pos. bad says why there is none that could be right.
func (w *segmentWalk) headerAt(pos uint64) (h recordHeader, bad, err error) {
	if w.end-pos < recordHeaderSize {
		return h, fmt.Errorf("%d bytes are too few for a record", w.end-pos), nil
	}
	var b [recordHeaderSize]byte
	if err := w.readAt(b[:], pos); err != nil {
		return h, nil, err
	}
	h = decodeRecordHeader(b[:])
	return h, w.plausible(h, pos), nil
}

func (w *segmentWalk) plausible(h recordHeader, pos uint64) error {
	if err := h.placed(w.segment, pos); err != nil {
		return err
	}
	if uint64(h.length) > w.end-pos-recordHeaderSize {
		return fmt.Errorf("record of %d bytes would go beyond the end of the segment", h.length)
	}
	return nil
}

// sum computes the CRC of a record.
func (w *segmentWalk) sum(ctx context.Context, start uint64, h recordHeader) (uint32, error) {
	var sum uint32
	from, to := start+recordSummedFrom, start+recordHeaderSize+uint64(h.length)
	for from < to {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("body: check: %w", err)
		}
		b := w.c.buf[:min(uint64(len(w.c.buf)), to-from)]
		if err := w.readAt(b, from); err != nil {
			return 0, err
		}
		sum = crc32.Update(sum, castagnoli, b)
		from += uint64(len(b))
	}
	return sum, nil
}

// search returns the first position from pos on at which a record could begin, or the end. A header states its own place,
// so that other bytes are hardly ever taken for one.
func (w *segmentWalk) search(ctx context.Context, pos uint64) (uint64, error) {
	for pos+recordHeaderSize <= w.end {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("body: check: %w", err)
		}
		b := w.c.buf[:min(uint64(len(w.c.buf)), w.end-pos)]
		if err := w.readAt(b, pos); err != nil {
			return 0, err
		}
		for i := 0; i+recordHeaderSize <= len(b); i++ {
			j := bytes.Index(b[i:], []byte(recordMagic))
			if j < 0 || i+j+recordHeaderSize > len(b) {
				break
			}
			i += j
			if w.plausible(decodeRecordHeader(b[i:]), pos+uint64(i)) == nil {
				return pos + uint64(i), nil
			}
		}
		pos += uint64(len(b) - recordHeaderSize + 1) // a header may lie across the boundary
	}
	return w.end, nil
}

func (w *segmentWalk) readAt(b []byte, pos uint64) error {
	n, err := w.f.ReadAt(b, int64(pos))
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return diskError{fmt.Errorf("read at offset %d: %w", pos, err)}
}

func (w *segmentWalk) report(kind ViolationKind, offset, length uint64, detail string) error {
	return w.c.found(Violation{Kind: kind, File: w.c.path(w.segment), Segment: w.segment, Offset: offset, Length: length,
		Detail: detail})
}
