package eventlog

import (
	"errors"
	"fmt"
)

// What a caller of a log decides on.
var (
	// ErrFenced says that another envelope is where this append was to go: somebody else is the primary.
	ErrFenced = errors.New("fenced: the log has another last envelope")
	// ErrUnknown says that the outcome of an append is unknown: it may be in the log, or may yet get there.
	ErrUnknown = errors.New("outcome of the append unknown")
	// ErrUnavailable says that the log cannot be reached or does not answer. Without ErrUnknown, nothing was appended.
	ErrUnavailable = errors.New("log unavailable")
	// ErrNoSpace says that the store of the log is full.
	ErrNoSpace = errors.New("no space left for the log")
	// ErrTooLarge says that a unit exceeds MaxUnitEvents or MaxEnvelopeBytes.
	ErrTooLarge = errors.New("too large for one envelope")
	// ErrNotFound says that the log has no envelope at a position.
	ErrNotFound = errors.New("no envelope at this position")
	// ErrPurged says that the log no longer holds the envelopes from a position on.
	ErrPurged = errors.New("the log no longer reaches back to this position")
	// ErrClosed says that the log, tail, follower or writer was closed.
	ErrClosed = errors.New("closed")
)

// What is wrong with a log, as the Err of a ChainError. Decoding can also give event.ErrNewer.
var (
	// ErrGap says that a position is missing.
	ErrGap = errors.New("gap in the log")
	// ErrCorrupt says that the bytes of an envelope are not those that were written, or never were an envelope.
	ErrCorrupt = errors.New("damaged envelope")
	// ErrHash says that an envelope does not continue the one before it: history was changed.
	ErrHash = errors.New("envelope of another history")
	// ErrIndexJump says that the event index of an envelope does not follow from the one before it.
	ErrIndexJump = errors.New("event index jumps")
	// ErrEpoch says that an epoch changes without EpochStarted, or not by one.
	ErrEpoch = errors.New("bad change of epoch")
	// ErrBehind says that a log ends before a position that was already read from it.
	ErrBehind = errors.New("the log ends before what was already read from it")
)

// ChainError is what stops a reader for good. It names the position that cannot be read.
type ChainError struct {
	Position Position
	Err      error
}

// Error implements error.
func (e *ChainError) Error() string { return fmt.Sprintf("log position %d: %v", e.Position, e.Err) }

// Unwrap gives the cause.
func (e *ChainError) Unwrap() error { return e.Err }

// Refusal is why a log is not opened. Err is a sentinel of the package that refuses, or of this one.
type Refusal struct {
	Err    error
	Detail string // what was found
	Hint   string // what a person can do about it
}

// Error implements error.
func (e *Refusal) Error() string {
	msg := e.Err.Error()
	if e.Detail != "" {
		msg += ": " + e.Detail
	}
	if e.Hint != "" {
		msg += " (hint: " + e.Hint + ")"
	}
	return msg
}

// Unwrap gives the cause.
func (e *Refusal) Unwrap() error { return e.Err }

func isChainError(err error) bool {
	var chain *ChainError
	return errors.As(err, &chain)
}
