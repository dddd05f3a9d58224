package body

import (
	"errors"
	"fmt"
)

var (
	// ErrCorrupt is what every *CorruptError is, by errors.Is.
	ErrCorrupt = errors.New("body segment is damaged")
	// ErrShort is what every *ShortError is, by errors.Is.
	ErrShort = errors.New("body segments are shorter than the index says")
	// ErrBadMark means that a mark cannot be one that a store has returned.
	ErrBadMark = errors.New("not a mark of body segments")
	// ErrTooLarge means that a blob exceeds Options.MaxBlob.
	ErrTooLarge = errors.New("body is too large")
	// ErrFailed means that the store has stopped taking writes for good, because it no longer knows what is on the disk.
	// Reads go on. The process must be restarted, so that the store is opened at the last durable mark.
	ErrFailed = errors.New("body store takes no more writes")
	// ErrClosed means that the store was closed.
	ErrClosed = errors.New("body store is closed")
)

// CorruptError says that the bytes on the disk are not those that were appended. It is ErrCorrupt by errors.Is.
// The blob has to come from another replica, the log or the archive.
type CorruptError struct {
	File    string // path of the segment file
	Segment uint32
	Offset  uint64 // of the record, or 0 for the segment's header; in bytes
	Err     error  // what does not hold
}

// Error names the file and the offset.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%v: %s at offset %d: %v", ErrCorrupt, e.File, e.Offset, e.Err)
}

// Is tells that the error is ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// Unwrap returns what does not hold.
func (e *CorruptError) Unwrap() error { return e.Err }

// ShortError says that the disk has lost bytes that had been synced. It is ErrShort by errors.Is. The replica must halt
// and be rebuilt: bodies that its index refers to are gone.
type ShortError struct {
	File    string // path of the segment file
	Segment uint32
	Have    uint64 // size of the file in bytes, 0 if it is missing
	Want    uint64 // size it must have at least, in bytes
	Missing bool   // the file does not exist
}

// Error names the file and both sizes.
func (e *ShortError) Error() string {
	if e.Missing {
		return fmt.Sprintf("%v: %s is missing; the disk lost synced data, rebuild this replica", ErrShort, e.File)
	}
	return fmt.Sprintf("%v: %s has %d bytes, needs %d; the disk lost synced data, rebuild this replica",
		ErrShort, e.File, e.Have, e.Want)
}

// Is tells that the error is ErrShort.
func (e *ShortError) Is(target error) bool { return target == ErrShort }
