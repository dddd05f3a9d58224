package body

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Read returns the blob of the body named guid at ext. It reuses the memory of dst, whatever its length, if its capacity
// is at least ext.Length + RecordOverhead; the result begins where dst begins. dst may be nil. After an error dst's
// content is undefined.
//
// Whatever is not exactly the record that Append wrote for this GUID and returned this extent for is a *CorruptError, be
// it that the bytes have changed or that the extent is wrong. Errors of the disk are returned as such.
func (s *Store) Read(ext Extent, guid GUID, dst []byte) ([]byte, error) {
	begin := s.begin(s.opts.Hooks.Read != nil)
	blob, err := s.readBlob(ext, guid, dst)
	if err != nil {
		err = fmt.Errorf("body: read %x: %w", guid[:8], err)
	}
	if hook := s.opts.Hooks.Read; hook != nil {
		hook(recordHeaderSize+int(ext.Length), time.Since(begin), err)
	}
	return blob, err
}

func (s *Store) readBlob(ext Extent, guid GUID, dst []byte) ([]byte, error) {
	corrupt := func(err error) error {
		return &CorruptError{File: s.path(ext.Segment), Segment: ext.Segment, Offset: ext.Offset, Err: err}
	}
	if err := s.within(ext); err != nil {
		if errors.Is(err, ErrClosed) {
			return nil, err
		}
		return nil, corrupt(err)
	}
	h, err := s.read.acquire(ext.Segment)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, corrupt(errors.New("segment file is missing"))
		}
		return nil, fmt.Errorf("open %s: %w", s.path(ext.Segment), err)
	}
	defer s.read.release(h)

	size := recordHeaderSize + int(ext.Length)
	record := slices.Grow(dst[:0], size)[:size]
	n, err := h.ReadAt(record, int64(ext.Offset))
	if n < size {
		if err == nil || errors.Is(err, io.EOF) {
			return nil, corrupt(fmt.Errorf("segment file ends after %d of %d bytes of the record", n, size))
		}
		return nil, fmt.Errorf("read %s at offset %d: %w", s.path(ext.Segment), ext.Offset, err)
	}
	if err := verifyRecord(record, ext, guid); err != nil {
		return nil, corrupt(err)
	}
	// Moving the blob to the front costs a small part of its checksum, and lets callers use one buffer again and again.
	return record[:copy(record, record[recordHeaderSize:])], nil
}

// within tells that an extent lies inside the segments, before anything is allocated for it.
func (s *Store) within(ext Extent) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.closed:
		return ErrClosed
	case ext.Segment == 0 || uint64(ext.Segment) > uint64(len(s.ends)):
		return fmt.Errorf("no such segment among %d", len(s.ends))
	case ext.Length > s.opts.MaxBlob:
		return fmt.Errorf("extent of %d bytes, at most %d can be", ext.Length, s.opts.MaxBlob)
	}
	end := s.ends[ext.Segment-1]
	if ext.Offset < segmentHeaderSize || ext.Offset > end || end-ext.Offset < recordHeaderSize+uint64(ext.Length) {
		return fmt.Errorf("extent of %d bytes is not within the %d bytes of the segment", ext.Length, end)
	}
	return nil
}
