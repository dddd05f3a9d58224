package body

import (
	"fmt"
	"slices"
)

// Rollback takes back every Append after mark, which Mark returned since the store was opened: what a batch appended that
// the owner could not commit. No index entry may refer to those blobs. What is appended next goes to the place where it
// would have gone without them.
//
// A mark that is not at or before the current one is ErrBadMark. Other than that, and for a store that takes no more
// writes, Rollback does not fail: what the disk does not let it remove now is removed by a later Append, or by Open.
func (s *Store) Rollback(mark Mark) error {
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	s.syncMu.Lock()
	dropped, err := s.forget(mark)
	s.syncMu.Unlock()
	if err != nil {
		return fmt.Errorf("body: roll back: %w", err)
	}
	for _, n := range slices.Backward(dropped) {
		_ = s.fs.Remove(s.path(n)) // or by the Append that begins this segment again
		s.read.drop(n)
	}
	_ = s.cutTail(mark) // or by the next Append
	return nil
}

// forget sets the end of the store back, and returns the segments that are none any more.
func (s *Store) forget(mark Mark) (dropped []uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writableLocked(); err != nil {
		return nil, err
	}
	last := s.markLocked()
	switch {
	case mark == last:
		return nil, nil
	case !mark.valid() || mark.Segment > last.Segment || (mark.Segment > 0 && mark.Offset > s.ends[mark.Segment-1]):
		return nil, fmt.Errorf("%w of this store: segment %d, offset %d", ErrBadMark, mark.Segment, mark.Offset)
	}
	for n := last.Segment; n > mark.Segment; n-- {
		dropped = append(dropped, n)
		s.bytes -= s.ends[n-1]
	}
	s.ends = s.ends[:mark.Segment]
	if mark.Segment > 0 {
		s.bytes -= s.ends[mark.Segment-1] - mark.Offset
		s.ends[mark.Segment-1] = mark.Offset
	}
	if s.active != nil && s.active.segment > mark.Segment {
		s.discard(s.active)
		s.active = nil // opened again by the next Append
	}
	s.unsynced = slices.DeleteFunc(s.unsynced, func(w *writer) bool {
		if w.segment <= mark.Segment {
			return false
		}
		s.discard(w)
		return true
	})
	s.tailDirty = mark.Segment > 0
	slices.Reverse(dropped)
	return dropped, nil
}

// discard closes the descriptors of a segment that is going to be removed; nothing that was written matters any more.
func (s *Store) discard(w *writer) {
	_, _ = w.closeData(), w.closeSync()
}
