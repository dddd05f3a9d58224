package event

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Limits of one event, far above what the program writes. They bound what a damaged log can make a reader allocate.
const (
	maxArrayElements = 1 << 20
	maxNestedLevels  = 16
)

// ErrNewer says that a log holds something this program does not know: the log was written by a newer one.
var ErrNewer = errors.New("this log is newer than this program: upgrade angarium on this node")

// Entry is one event as it stands in the log.
type Entry struct {
	Meta  Meta
	Event Event
}

type encoded struct {
	_    struct{} `cbor:",toarray"`
	Kind Kind
	Meta Meta
	Body span
}

// span is an encoded body inside the event's bytes. Other than cbor.RawMessage it shares their memory.
type span []byte

// UnmarshalCBOR implements cbor.Unmarshaler.
func (s *span) UnmarshalCBOR(b []byte) error {
	*s = b
	return nil
}

// arrayOf3 begins an entry (RFC 8949, section 3.1).
const arrayOf3 = 4<<5 | 3

var encMode, decMode = modes()

func modes() (cbor.UserBufferEncMode, cbor.DecMode) {
	opt := cbor.CoreDetEncOptions()
	opt.NilContainers = cbor.NilContainerAsEmpty
	enc, err := opt.UserBufferEncMode()
	if err != nil {
		panic(err) // constant options
	}
	dec, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxArrayElements:  maxArrayElements,
		MaxNestedLevels:   maxNestedLevels,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic(err) // constant options
	}
	return enc, dec
}

// Encode writes one entry. The same entry always gives the same bytes.
func Encode(e Entry) ([]byte, error) { return Append(nil, e) }

// Append appends the encoding of an entry to dst.
func Append(dst []byte, e Entry) ([]byte, error) {
	if e.Event == nil {
		return nil, errors.New("encode event: there is none")
	}
	if err := Validate(e.Event); err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.Event.Kind(), err)
	}
	buf := bytes.NewBuffer(dst)
	buf.Grow(sizeHint(e.Event))
	buf.WriteByte(arrayOf3)
	for _, part := range []any{e.Event.Kind(), e.Meta, e.Event} {
		if err := encMode.MarshalToBuffer(part, buf); err != nil {
			return nil, fmt.Errorf("encode %s: %w", e.Event.Kind(), err)
		}
	}
	return buf.Bytes(), nil
}

// sizeHint is what an event takes at most in the usual case: a body is copied once, not again and again as the buffer grows.
func sizeHint(ev Event) int {
	if c, ok := ev.(*BodyChunk); ok {
		return len(c.Data) + len(c.Structure) + 512
	}
	return 256
}

// Decode reads one entry that fills b. An unknown kind or field gives ErrNewer. A BodyChunk's Data shares b's memory, which must not be
// changed afterwards.
func Decode(b []byte) (Entry, error) {
	var raw encoded
	if err := decMode.Unmarshal(b, &raw); err != nil {
		return Entry{}, fmt.Errorf("decode event: %w", newer(err))
	}
	ev := newEvent(raw.Kind)
	if ev == nil {
		return Entry{}, fmt.Errorf("decode event of kind %d: %w", raw.Kind, ErrNewer)
	}
	if err := decodeBody(raw.Body, ev); err != nil {
		return Entry{}, fmt.Errorf("decode %s: %w", raw.Kind, newer(err))
	}
	if err := Validate(ev); err != nil {
		return Entry{}, fmt.Errorf("decode %s: %w", raw.Kind, err)
	}
	return Entry{Meta: raw.Meta, Event: ev}, nil
}

func decodeBody(b []byte, ev Event) error {
	chunk, ok := ev.(*BodyChunk)
	if !ok {
		return decMode.Unmarshal(b, ev)
	}
	var w chunkWire
	if err := decMode.Unmarshal(b, &w); err != nil {
		return err
	}
	*chunk = BodyChunk{
		GUID: w.GUID, Size: w.Size, Encoding: w.Encoding, Stored: w.Stored, Offset: w.Offset, Data: w.Data, Structure: w.Structure,
	}
	return nil
}

// chunkWire is a BodyChunk whose data is not copied: nearly all that is in a log is mail.
type chunkWire struct {
	GUID      GUID     `cbor:"1,keyasint"`
	Size      uint64   `cbor:"2,keyasint"`
	Encoding  Encoding `cbor:"3,keyasint"`
	Stored    uint64   `cbor:"4,keyasint"`
	Offset    uint64   `cbor:"5,keyasint"`
	Data      shared   `cbor:"6,keyasint"`
	Structure []byte   `cbor:"7,keyasint,omitempty"`
}

// shared is a byte string inside the event's bytes.
type shared []byte

// UnmarshalCBOR implements cbor.Unmarshaler; b is well-formed.
func (s *shared) UnmarshalCBOR(b []byte) error {
	const byteString = 2
	if b[0]>>5 != byteString {
		return errors.New("data is not a byte string")
	}
	head := 1 // and the argument behind it (RFC 8949, section 3)
	if arg := b[0] & 0x1f; arg >= 24 {
		head += 1 << (arg - 24)
	}
	*s = b[head:len(b):len(b)]
	return nil
}

func newer(err error) error {
	var unknown *cbor.UnknownFieldError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w (%w)", ErrNewer, err)
	}
	return err
}
