package body

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Append stores a blob and returns where it is. It is readable at once, and on the disk after the next Sync.
//
// A blob larger than Options.MaxBlob is ErrTooLarge. When the write fails, for example with syscall.ENOSPC on a full disk,
// the error wraps the cause, the mark stands and the segment is cut back to it; if even that fails, the next Append does
// it. So an Append that is repeated once there is room succeeds, without a restart and at the same place. An Append that
// returns ErrFailed is not to be repeated: a Sync has failed.
func (s *Store) Append(guid GUID, blob []byte) (Extent, error) {
	begin := s.begin(s.opts.Hooks.Append != nil)
	ext, err := s.append(guid, blob)
	if err != nil {
		err = fmt.Errorf("body: append %x: %w", guid[:8], err)
	}
	if hook := s.opts.Hooks.Append; hook != nil {
		hook(recordHeaderSize+len(blob), time.Since(begin), err)
	}
	return ext, err
}

// begin returns the time if somebody wants to know.
func (s *Store) begin(wanted bool) time.Time {
	if !wanted {
		return time.Time{}
	}
	return time.Now()
}

func (s *Store) append(guid GUID, blob []byte) (Extent, error) {
	if uint64(len(blob)) > uint64(s.opts.MaxBlob) {
		return Extent{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(blob), s.opts.MaxBlob)
	}
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	s.mu.RLock()
	err, mark := s.writableLocked(), s.markLocked()
	s.mu.RUnlock()
	if err != nil {
		return Extent{}, err
	}
	if err := s.cutTail(mark); err != nil {
		return Extent{}, err
	}
	if err := s.openActive(mark); err != nil {
		return Extent{}, err
	}
	size := recordHeaderSize + uint64(len(blob))
	if mark.Segment == 0 || mark.Offset+size > s.opts.SegmentSize {
		return s.appendToNew(mark, guid, blob)
	}

	ext := Extent{Segment: mark.Segment, Offset: mark.Offset, Length: uint32(len(blob))}
	record := appendRecord(s.scratch[:0], ext.Segment, ext.Offset, guid, blob)
	s.keepScratch(record)
	if err := writeAt(s.active.data, record, ext.Offset); err != nil {
		s.tailDirty = true
		// Frees what a torn write has taken; should it fail, the next Append begins with it.
		_ = s.cutTail(mark)
		return Extent{}, fmt.Errorf("write %s at offset %d: %w", s.path(ext.Segment), ext.Offset, err)
	}
	s.mu.Lock()
	s.ends[ext.Segment-1] += size
	s.bytes += size
	s.markUnsyncedLocked(s.active)
	s.mu.Unlock()
	s.writeBack(s.active, ext.Offset+size)
	return ext, nil
}

// appendToNew begins the segment after the mark with a blob. The old segment is left only once the new one has its first
// record: a failure changes nothing, and the next try decides as a replica opened at the same mark would.
func (s *Store) appendToNew(mark Mark, guid GUID, blob []byte) (Extent, error) {
	if err := s.boundUnsynced(); err != nil {
		return Extent{}, err
	}
	ext := Extent{Segment: mark.Segment + 1, Offset: segmentHeaderSize, Length: uint32(len(blob))}
	if ext.Segment == 0 {
		return Extent{}, fmt.Errorf("segment numbers are used up")
	}
	path := s.path(ext.Segment)
	// Left by a try that failed, or by a rollback, that could not clean up.
	if err := s.fs.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Extent{}, fmt.Errorf("remove %s: %w", path, err)
	}
	s.read.drop(ext.Segment)
	w, err := openWriter(s.fs, path, ext.Segment)
	if err != nil {
		return Extent{}, err
	}
	b := appendSegmentHeader(s.scratch[:0], ext.Segment, mark.Offset)
	b = appendRecord(b, ext.Segment, ext.Offset, guid, blob)
	s.keepScratch(b)
	if err := writeAt(w.data, b, 0); err != nil {
		_, _, _ = w.closeData(), w.closeSync(), s.fs.Remove(path) // best effort: the next try removes it too
		return Extent{}, fmt.Errorf("write %s: %w", path, err)
	}
	s.mu.Lock()
	left := s.active
	s.active = w
	s.ends = append(s.ends, uint64(len(b)))
	s.bytes += uint64(len(b))
	s.dirDirty = true
	s.markUnsyncedLocked(w)
	if left != nil {
		left.sealed = true
		s.markUnsyncedLocked(left) // so that the next Sync closes its descriptor
	}
	s.mu.Unlock()
	if left != nil {
		_ = left.closeData() // its sync descriptor still reports every error of writing
	}
	return ext, nil
}

func (s *Store) markUnsyncedLocked(w *writer) {
	if !w.unsynced {
		w.unsynced = true
		s.unsynced = append(s.unsynced, w)
	}
}

// boundUnsynced syncs when as many segments wait for it as may.
func (s *Store) boundUnsynced() error {
	s.mu.RLock()
	n := len(s.unsynced)
	s.mu.RUnlock()
	if n < maxUnsyncedSegments {
		return nil
	}
	return s.Sync()
}

// keepScratch keeps the buffer for the next Append unless it is a large one.
func (s *Store) keepScratch(b []byte) {
	if cap(b) <= maxScratchBytes {
		s.scratch = b[:0]
	}
}

// openActive opens the last segment for writing, if it is not: after a rollback.
func (s *Store) openActive(mark Mark) error {
	if s.active != nil || mark.Segment == 0 {
		return nil
	}
	w, err := openWriter(s.fs, s.path(mark.Segment), mark.Segment)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.active = w
	s.mu.Unlock()
	return nil
}

// cutTail removes what a failed write or a rollback may have left beyond the mark.
func (s *Store) cutTail(mark Mark) error {
	if !s.tailDirty {
		return nil
	}
	if err := s.openActive(mark); err != nil {
		return err
	}
	if t, ok := s.active.data.(truncater); ok {
		if err := t.Truncate(int64(mark.Offset)); err != nil {
			return fmt.Errorf("cut %s back to %d bytes: %w", s.path(mark.Segment), mark.Offset, err)
		}
	} else if err := s.replaceActive(mark); err != nil {
		return fmt.Errorf("cut %s back to %d bytes: %w", s.path(mark.Segment), mark.Offset, err)
	}
	s.mu.Lock()
	s.markUnsyncedLocked(s.active) // for the size of the file
	s.mu.Unlock()
	s.tailDirty = false
	return nil
}

// replaceActive is cutTail for file systems without truncation.
func (s *Store) replaceActive(mark Mark) error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	path := s.path(mark.Segment)
	if err := replaceWithPrefix(s.fs, path, mark.Offset); err != nil {
		return err
	}
	s.mu.Lock()
	s.dirDirty = true
	s.mu.Unlock()
	w, err := openWriter(s.fs, path, mark.Segment)
	if err != nil {
		return s.fail(err) // the writer's descriptors are those of the file that was replaced
	}
	_, _ = s.active.closeData(), s.active.closeSync() // of a file that has no name any more
	s.active.data, s.active.sync = w.data, w.sync
	s.read.drop(mark.Segment)
	return nil
}
