package mailstore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"angarium/eventlog"
	"angarium/replica"
)

// Limits of what one node takes from another.
const (
	maxWireElements = 1 << 20 // of one array
	maxWireLevels   = 16      // of nesting
	maxFailureText  = 1024    // bytes of the text of an error
)

// frame is a forwarded write.
type frame[Req any] struct {
	Identity Identity `cbor:"1,keyasint"`
	Request  Req      `cbor:"2,keyasint"`
}

// reply is the primary's answer.
type reply[Resp any] struct {
	Position eventlog.Position `cbor:"1,keyasint,omitempty"` // where a replica has what the write did
	Failure  *failure          `cbor:"2,keyasint,omitempty"` // why it was not done
	Result   Resp              `cbor:"3,keyasint"`
	// Epoch and Hash are those of the envelope at Position, in the answer to a request whose name has markSuffix only: nodes of before know
	// no such fields.
	Epoch uint64 `cbor:"4,keyasint,omitempty"`
	Hash  []byte `cbor:"5,keyasint,omitempty"`

	applied error // why the local replica does not have it
}

var wireEnc, wireDec = wireModes()

func wireModes() (cbor.EncMode, cbor.DecMode) {
	opt := cbor.CoreDetEncOptions()
	opt.NilContainers = cbor.NilContainerAsEmpty
	opt.Time = cbor.TimeUnix
	enc, err := opt.EncMode()
	if err != nil {
		panic(err) // constant options
	}
	dec, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxArrayElements:  maxWireElements,
		MaxNestedLevels:   maxWireLevels,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic(err) // constant options
	}
	return enc, dec
}

// errRequest says that a forwarded write makes no sense to this node. Nothing was done.
var errRequest = fmt.Errorf("%w: request of another node is not understood", ErrUnavailable)

// failure is an error on its way to another node: the errors of errorCodes that it is, and its text.
type failure struct {
	Codes []uint16 `cbor:"1,keyasint,omitempty"`
	Text  string   `cbor:"2,keyasint,omitempty"`
}

// errorCodes numbers the errors on which callers decide. A shipped number never changes its meaning.
var errorCodes = [...]struct {
	code uint16
	err  error
}{
	{1, ErrNoAccount},
	{2, ErrAccountExists},
	{3, ErrNoMailbox},
	{4, ErrMailboxExists},
	{5, ErrName},
	{6, ErrNotAllowed},
	{7, ErrDenied},
	{8, ErrSpecialUse},
	{9, ErrLimit},
	{10, ErrTooLarge},
	{11, ErrUnavailable},
	{12, ErrDamaged},
	{13, ErrNotPrimary},
	{20, ErrNumbers},
	{32, eventlog.ErrUnknown},
	{33, eventlog.ErrNoSpace},
	{34, eventlog.ErrUnavailable},
	{35, eventlog.ErrFenced},
	{36, eventlog.ErrTooLarge},
	{37, eventlog.ErrClosed},
	{38, replica.ErrHalted},
	{39, replica.ErrClosed},
}

func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	text := err.Error()
	if len(text) > maxFailureText {
		text = text[:maxFailureText]
	}
	f := &failure{Text: strings.ToValidUTF8(text, "")}
	for _, c := range errorCodes {
		if errors.Is(err, c.err) {
			f.Codes = append(f.Codes, c.code)
		}
	}
	return f
}

// err gives the error back. A code that this node does not know, of a newer one, adds nothing.
func (f *failure) err() error {
	if f == nil {
		return nil
	}
	e := &primaryError{text: f.Text}
	for _, code := range f.Codes {
		for _, c := range errorCodes {
			if c.code == code {
				e.is = append(e.is, c.err)
			}
		}
	}
	return e
}

// primaryError is an error that the primary answered.
type primaryError struct {
	text string
	is   []error
}

// Error implements error.
func (e *primaryError) Error() string { return "primary: " + e.text }

// Unwrap gives the sentinels that the primary's error was.
func (e *primaryError) Unwrap() []error { return e.is }
