package channel

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"angarium/eventlog"
)

// What a caller decides on.
var (
	// ErrUnreachable says that the peer could not be asked: the request was certainly not executed.
	ErrUnreachable = errors.New("peer not reachable")
	// ErrLost says that the link broke, or the context ended, while an answer was awaited: the request may have been executed or may
	// yet be.
	ErrLost = errors.New("answer of the peer lost")
	// ErrRefused says that the listener does not accept the joiner's name and secret, or that the certificate is not the pinned one.
	ErrRefused = errors.New("channel refused")
	// ErrToken says that a text is no join token.
	ErrToken = errors.New("not a join token")
	// ErrProtocol says that a peer sent what it must not.
	ErrProtocol = errors.New("channel protocol violated")
	// ErrUnknownPeer says that there is no channel of a name.
	ErrUnknownPeer = errors.New("no such channel")
	// ErrExists says that there is a channel of a name already.
	ErrExists = errors.New("channel exists already")
	// ErrClosed says that the hub was closed.
	ErrClosed = errors.New("channels closed")
	// ErrBusy says that a bound was reached.
	ErrBusy = errors.New("too many at one time")
	// ErrChecksum says that a file of a seed is not what the peer sent.
	ErrChecksum = errors.New("checksum of a seed's file is wrong")
	// ErrNoCommon says that the logs do not reach back to a mark that both hold.
	ErrNoCommon = errors.New("no common history within what both logs hold")
)

// Why a peer does not send its envelopes, for errors.Is on a *RemoteError.
var (
	// ErrDiverged says that the sender's log has another envelope at the receiver's last position.
	ErrDiverged = errors.New("logs have diverged")
	// ErrBehind says that the sender's log ends before the receiver's.
	ErrBehind = errors.New("the peer's log is behind")
	// ErrPurged says that the sender's log no longer reaches back to the receiver's end: it needs a seed.
	ErrPurged = errors.New("the peer's log no longer reaches back")
	// ErrPaused says that the channel is paused at the other end.
	ErrPaused = errors.New("channel paused")
)

// Codes of errors that cross a link. Handlers of a node may use further ones.
const (
	CodeInternal   = "internal"    // anything else
	CodeNoOp       = "no-op"       // no handler of this name
	CodeNoShard    = "no-shard"    // the node has no log of this shard
	CodeTooLarge   = "too-large"   // a request or answer exceeds MaxCallBytes
	CodeProtocol   = "protocol"    // a request cannot be read
	CodeNotFound   = "not-found"   // no envelope at this position
	CodeCanceled   = "canceled"    // the deadline passed, or the peer is closing
	CodeDiverged   = "diverged"    // ErrDiverged
	CodeBehind     = "behind"      // ErrBehind
	CodePurged     = "purged"      // ErrPurged
	CodePaused     = "paused"      // ErrPaused
	CodeDamaged    = "damaged"     // the log has a gap or a damaged envelope there
	CodeNoSeed     = "no-seed"     // the checkpoint is no longer kept
	CodeBusy       = "busy"        // ErrBusy
	codeRefused    = "refused"     // of a hello: name or secret
	codeOldVersion = "old-version" // of a hello: no common version of the protocol
)

// RemoteError is an error that the peer answered with: the link works.
type RemoteError struct {
	Code string
	Text string
	Mark eventlog.Mark // with CodeDiverged: what the peer has at the position it was asked for
}

// errorWire is how a RemoteError crosses a link.
type errorWire struct {
	Code     string `cbor:"1,keyasint"`
	Text     string `cbor:"2,keyasint"`
	Position uint64 `cbor:"3,keyasint,omitempty"`
	Hash     []byte `cbor:"4,keyasint,omitempty"`
}

// Error implements error.
func (e *RemoteError) Error() string { return "peer: " + e.Text }

// Is makes a RemoteError one of the errors above, by its code.
func (e *RemoteError) Is(target error) bool {
	switch e.Code {
	case CodeDiverged:
		return target == ErrDiverged
	case CodeBehind:
		return target == ErrBehind
	case CodePurged:
		return target == ErrPurged
	case CodePaused:
		return target == ErrPaused
	case CodeBusy:
		return target == ErrBusy
	case CodeNotFound:
		return target == eventlog.ErrNotFound
	}
	return false
}

// Errorf makes an error with a code for a handler to return.
func Errorf(code, format string, args ...any) error {
	return &RemoteError{Code: code, Text: fmt.Sprintf(format, args...)}
}

// remote gives the form in which an error of a handler goes to the peer.
func remote(err error) *RemoteError {
	var e *RemoteError
	if errors.As(err, &e) {
		return e
	}
	return &RemoteError{Code: codeOf(err), Text: err.Error()}
}

func encodeError(err error) ([]byte, error) {
	e := remote(err)
	w := errorWire{Code: e.Code, Text: cut(e.Text)}
	if e.Mark != (eventlog.Mark{}) {
		w.Position, w.Hash = uint64(e.Mark.Position), e.Mark.Hash[:]
	}
	return encode(w)
}

// decodeError gives the *RemoteError that a peer sent, or ErrProtocol.
func decodeError(b []byte) error {
	var w errorWire
	if err := decode(b, &w); err != nil {
		return err
	}
	e := &RemoteError{Code: w.Code, Text: cut(w.Text)}
	if len(w.Hash) == eventlog.HashSize {
		e.Mark = eventlog.Mark{Position: eventlog.Position(w.Position), Hash: eventlog.Hash(w.Hash)}
	}
	return e
}

func codeOf(err error) string {
	switch {
	case errors.Is(err, eventlog.ErrNotFound):
		return CodeNotFound
	case errors.Is(err, eventlog.ErrPurged):
		return CodePurged
	case errors.Is(err, eventlog.ErrBehind):
		return CodeBehind
	case errors.Is(err, ErrBusy):
		return CodeBusy
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrClosed):
		return CodeCanceled
	}
	return CodeInternal
}

// cut holds a text to its bound, without a torn character at its end.
func cut(text string) string {
	if len(text) > maxErrorBytes {
		text = text[:maxErrorBytes]
	}
	return strings.ToValidUTF8(text, "")
}
