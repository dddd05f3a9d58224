package body

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	defaultSegmentSize = 256 << 20
	defaultMaxBlob     = 1 << 30
	defaultOpenFiles   = 128

	// maxSegmentSize bounds Options.SegmentSize so that no offset comes near the limits of a file.
	maxSegmentSize = 1 << 40
	// maxUnsyncedSegments bounds the segments, and with them the open descriptors, that wait for a Sync. An Append that
	// would begin one more syncs first.
	maxUnsyncedSegments = 16
	// maxScratchBytes bounds the buffer that is kept from one Append to the next.
	maxScratchBytes = 1 << 20
)

// Options configures a store. The zero value is a usable default.
type Options struct {
	// SegmentSize is the size in bytes after which the next blob begins a new segment; 0 means 256 MiB, and it is 1 TiB
	// at most. It decides where blobs go: replicas that are compared byte by byte must agree on it.
	SegmentSize uint64
	// MaxBlob is the largest blob in bytes that is appended or read; 0 means 1 GiB. Values that a record can't hold are
	// lowered to what it can.
	MaxBlob uint32
	// OpenFiles bounds the segments kept open for reading; 0 means 128.
	OpenFiles int
	// WriteBack is the number of bytes after which the operating system is asked to begin writing them; 0 leaves that to it.
	WriteBack uint64
	// Gaps are the segments that were removed. Files of them that are there still are removed by Open.
	Gaps Gaps
	// Hooks observe the store, for metrics.
	Hooks Hooks
}

// Hooks observe the store. Any may be nil. They are called without locks that readers need, by the goroutine that called
// the store, and must not call back into it.
type Hooks struct {
	// Append is called after each Append with the bytes of the record.
	Append func(bytes int, took time.Duration, err error)
	// Sync is called after each Sync that had something to do, with the number of segments.
	Sync func(segments int, took time.Duration, err error)
	// Read is called after each Read with the bytes of the record.
	Read func(bytes int, took time.Duration, err error)
}

func (o Options) withDefaults() Options {
	if o.SegmentSize == 0 {
		o.SegmentSize = defaultSegmentSize
	}
	o.SegmentSize = min(o.SegmentSize, maxSegmentSize)
	if o.MaxBlob == 0 {
		o.MaxBlob = defaultMaxBlob
	}
	o.MaxBlob = min(o.MaxBlob, maxBlobLimit)
	if o.OpenFiles <= 0 {
		o.OpenFiles = defaultOpenFiles
	}
	return o
}

// Store is an open set of segments. Its methods may be called from any goroutine. Appends are meant to come from one, as
// their order decides where blobs go; they are serialised in any case.
//
// Locks are taken in the order appendMu, syncMu, mu. Only mu is ever needed by a reader, and it is never held over I/O.
type Store struct {
	fs   vfs.FS
	dir  string
	opts Options
	read *files

	appendMu  sync.Mutex // held by Append: the placement of the next record
	scratch   []byte
	tailDirty bool // the active file may be longer than the mark, after a failed write

	syncMu sync.Mutex // held by Sync: the fsync handles of the writers

	writing    atomic.Bool // a write-back is being begun
	background sync.WaitGroup

	mu       sync.RWMutex
	ends     []uint64  // size of each segment up to its last good record, 0 of those removed; segment n is at n-1
	gaps     Gaps      // the segments that were removed
	bytes    uint64    // sum of ends
	active   *writer   // of the last segment; nil in the empty store, and after a rollback to an earlier segment
	unsynced []*writer // with bytes that no fsync has covered yet
	dirDirty bool      // names in dir that no fsync has covered yet
	failed   error     // sticky, satisfies ErrFailed
	closed   bool
}

// Mark returns the end of the last blob that was appended: what the owner commits together with the applied position.
func (s *Store) Mark() Mark {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.markLocked()
}

func (s *Store) markLocked() Mark {
	if len(s.ends) == 0 {
		return Mark{}
	}
	return Mark{Segment: uint32(len(s.ends)), Offset: s.ends[len(s.ends)-1]}
}

// Size returns the bytes in all segments up to the mark, headers included, and the number of segments.
func (s *Store) Size() (bytes uint64, segments int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	segments = len(s.ends)
	for _, gap := range s.gaps {
		segments -= int(gap.Last-gap.First) + 1
	}
	return s.bytes, segments
}

// Close releases every descriptor once the readers in flight are done with it. It does not sync: an owner that is about
// to make its index durable calls Sync first, and the index may well be at an earlier mark. Further calls of any method
// that can return an error return ErrClosed.
func (s *Store) Close() error {
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	s.background.Wait()
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.closed = true
	writers := s.unsynced
	if s.active != nil && !s.active.unsynced {
		writers = append(writers, s.active)
	}
	s.unsynced, s.active, s.scratch = nil, nil, nil
	s.mu.Unlock()

	s.read.close()
	var errs []error
	for _, w := range writers {
		errs = append(errs, w.closeData(), w.closeSync())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("body: close: %w", err)
	}
	return nil
}

// writableLocked returns why nothing may be written, if so.
func (s *Store) writableLocked() error {
	if s.closed {
		return ErrClosed
	}
	return s.failed
}

// fail makes the store refuse writes for good and returns the sticky error.
func (s *Store) fail(cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = fmt.Errorf("%w: %w", ErrFailed, cause)
	}
	return s.failed
}

func (s *Store) path(segment uint32) string {
	return s.fs.PathJoin(s.dir, segmentName(segment))
}
