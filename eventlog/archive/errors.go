package archive

import (
	"errors"
	"fmt"
)

// What callers decide on.
var (
	// ErrExists says that a target has an object of this name already. Objects never change, so nothing was written.
	ErrExists = errors.New("object exists")
	// ErrNotFound says that a target has no such object.
	ErrNotFound = errors.New("no such object")
	// ErrDamaged says that an object is not what was written. The error names the object, and the place in it.
	ErrDamaged = errors.New("archive object is damaged")
	// ErrMissing says that the archive does not hold what was asked for: a position, a snapshot, a body.
	ErrMissing = errors.New("not in the archive")
	// ErrForeign says that the archive holds another history than the log: it belongs to another store, or the log lost what was archived.
	ErrForeign = errors.New("the archive holds another history")
	// ErrKey says that an archive is encrypted and the key is missing or another, or that it is not and there is one.
	ErrKey = errors.New("wrong archive key")
	// ErrNotArchive says that a target holds no archive.
	ErrNotArchive = errors.New("no archive here")
	// ErrNewer says that an archive was written by a newer program.
	ErrNewer = errors.New("this archive is newer than this program")
)

// DamageError is what is wrong with one object of an archive. It is an ErrDamaged.
type DamageError struct {
	Object string // its name
	Offset int64  // where in the object, in bytes; -1 for the object as a whole
	Err    error
}

// Error implements error.
func (e *DamageError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("%v: %s: %v", ErrDamaged, e.Object, e.Err)
	}
	return fmt.Sprintf("%v: %s at byte %d: %v", ErrDamaged, e.Object, e.Offset, e.Err)
}

// Unwrap gives ErrDamaged and the cause.
func (e *DamageError) Unwrap() []error { return []error{ErrDamaged, e.Err} }
