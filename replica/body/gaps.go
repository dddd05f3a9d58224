package body

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// Gap is a run of segments that were removed: nothing refers to a blob in them any more. The owner keeps the gaps beside the mark.
type Gap struct {
	First, Last uint32
	// Before is the size of the segment before First, which the header of First said; 0 when First is 1.
	Before uint64
}

// Gaps are ascending and do not touch.
type Gaps []Gap

// has says whether a segment was removed, and by which gap.
func (g Gaps) has(segment uint32) (Gap, bool) {
	i, found := slices.BinarySearchFunc(g, segment, func(gap Gap, n uint32) int {
		switch {
		case gap.Last < n:
			return -1
		case gap.First > n:
			return 1
		}
		return 0
	})
	if !found {
		return Gap{}, false
	}
	return g[i], true
}

// valid says whether gaps are what Without gives for a store that ends at a mark.
func (g Gaps) valid(mark Mark) bool {
	next := uint64(1)
	for _, gap := range g {
		if uint64(gap.First) < next || gap.Last < gap.First || gap.Last >= mark.Segment || (gap.First == 1) != (gap.Before == 0) {
			return false
		}
		next = uint64(gap.Last) + 2
	}
	return true
}

// Without gives the gaps of the store once a segment is removed, too; the store itself stays as it is. The last segment cannot be removed: it is
// ErrBadMark.
func (s *Store) Without(gaps Gaps, segment uint32) (Gaps, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if segment == 0 || uint64(segment) >= uint64(len(s.ends)) {
		return nil, fmt.Errorf("body: remove segment %d of %d: %w", segment, len(s.ends), ErrBadMark)
	}
	if _, ok := gaps.has(segment); ok {
		return gaps, nil
	}
	one := Gap{First: segment, Last: segment}
	if segment > 1 {
		one.Before = s.ends[segment-2]
	}
	i, _ := slices.BinarySearchFunc(gaps, segment, func(gap Gap, n uint32) int { return int(int64(gap.First) - int64(n)) })
	out := slices.Insert(slices.Clone(gaps), i, one)
	if i+1 < len(out) && out[i].Last+1 == out[i+1].First {
		out[i].Last = out[i+1].Last
		out = slices.Delete(out, i+1, i+2)
	}
	if i > 0 && out[i-1].Last+1 == out[i].First {
		out[i-1].Last = out[i].Last
		out = slices.Delete(out, i, i+1)
	}
	return out, nil
}

// Remove removes the segments of gaps that are there still. It is for an owner whose index holds these gaps on stable storage, and no extent in them: a
// crash before Remove is made good by Open. Who reads from one of these files just now goes on.
func (s *Store) Remove(gaps Gaps) error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	s.mu.Lock()
	if err := s.writableLocked(); err != nil {
		s.mu.Unlock()
		return fmt.Errorf("body: remove segments: %w", err)
	}
	if !gaps.valid(s.markLocked()) {
		s.mu.Unlock()
		return fmt.Errorf("body: remove segments: %w: gaps beyond the mark", ErrBadMark)
	}
	var gone []uint32
	for _, gap := range gaps {
		for n := gap.First; n <= gap.Last; n++ {
			if s.ends[n-1] > 0 {
				gone = append(gone, n)
				s.bytes -= s.ends[n-1]
				s.ends[n-1] = 0
			}
		}
	}
	s.gaps = gaps
	s.mu.Unlock()
	var errs []error
	for _, n := range gone {
		s.read.drop(n)
		if err := s.fs.Remove(s.path(n)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("body: remove %s: %w", s.path(n), err)) // Open tries again
		}
	}
	return errors.Join(errs...)
}

// Ends gives the size of each segment, 0 for those that were removed; segment n is at n-1.
func (s *Store) Ends() []uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.ends)
}
