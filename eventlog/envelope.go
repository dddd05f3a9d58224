package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"angarium/eventlog/event"
)

// Format is the envelope format that this program writes, and the only one it reads.
const Format = 1

// Limits of envelopes.
const (
	// HashSize is the number of bytes of the hash that ends an envelope.
	HashSize = sha256.Size
	// TargetEvents and TargetBytes are what a Writer puts into one envelope, when it has more than one unit to put there.
	TargetEvents = 512
	TargetBytes  = 1 << 20
	// MaxUnitEvents is how many events one unit, and so one envelope, can have at most.
	MaxUnitEvents = 4096
	// MaxEnvelopeBytes is the size of the largest envelope: below the 8 MiB payload above which NATS warns.
	MaxEnvelopeBytes = 6 << 20

	// maxHeaderBytes bounds what an envelope adds to its events: array heads, four integers, two hashes.
	maxHeaderBytes = 128
	// MaxUnitBytes is how many bytes the encoded events of one unit can have at most.
	MaxUnitBytes = MaxEnvelopeBytes - maxHeaderBytes
)

// Envelope is the events of one commit.
type Envelope struct {
	Position   Position
	Epoch      uint64
	FirstIndex uint64    // global index of Entries[0]
	Time       time.Time // when the primary decided on the commit, by its clock; UTC, microseconds
	PrevHash   Hash      // of the envelope before; zero for the first
	Hash       Hash
	Entries    []event.Entry // at least one
	Payload    []byte        // the envelope as it is stored
}

// State is where a reader stands after the envelope.
func (e *Envelope) State() State {
	return State{Position: e.Position, Hash: e.Hash, NextIndex: e.FirstIndex + uint64(len(e.Entries)), Epoch: e.Epoch}
}

// wire is the CBOR body of an envelope; the hash of the body follows it.
type wire struct {
	_          struct{} `cbor:",toarray"`
	Format     uint64
	Epoch      uint64
	FirstIndex uint64
	Time       int64
	PrevHash   []byte
	Events     []span
}

// span is an encoded event inside an envelope's payload, whose memory it shares.
type span []byte

// UnmarshalCBOR implements cbor.Unmarshaler.
func (s *span) UnmarshalCBOR(b []byte) error {
	*s = b
	return nil
}

// bodyMode decodes envelope bodies strictly. What is nested in an event is checked again by package event.
var bodyMode = newBodyMode()

func newBodyMode() cbor.DecMode {
	mode, err := cbor.DecOptions{
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		MaxArrayElements: 1 << 20, // of any array within, as package event has it
		MaxNestedLevels:  24,      // what package event allows, and the envelope around it
	}.DecMode()
	if err != nil {
		panic(err) // constant options
	}
	return mode
}

// Encode writes an envelope that continues a state. events holds the encoded events (event.Encode), one or more in each part,
// count of them in all. The hash is also the last bytes of the payload.
func Encode(after State, at time.Time, count int, events ...[]byte) (payload []byte, hash Hash, err error) {
	size := 0
	for _, part := range events {
		size += len(part)
	}
	if count < 1 || count > MaxUnitEvents || size > MaxUnitBytes {
		return nil, Hash{}, fmt.Errorf("encode envelope of %d events in %d bytes: %w", count, size, ErrTooLarge)
	}
	b := make([]byte, 0, maxHeaderBytes+size)
	b = appendHeader(b, after.Epoch, after.nextIndex(), at.UnixMicro(), after.Hash, count)
	for _, part := range events {
		b = append(b, part...)
	}
	hash = sha256.Sum256(b)
	return append(b, hash[:]...), hash, nil
}

// Decode reads and checks one envelope by itself; whether it continues a history is for Chain to say. An envelope of a newer
// format, or with events of unknown kinds, gives event.ErrNewer; anything else that is wrong gives ErrCorrupt.
func Decode(pos Position, payload []byte) (Envelope, error) {
	if len(payload) <= HashSize || len(payload) > MaxEnvelopeBytes {
		return Envelope{}, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(payload))
	}
	body := payload[:len(payload)-HashSize]
	hash := Hash(payload[len(body):])
	if sum := sha256.Sum256(body); Hash(sum) != hash {
		return Envelope{}, fmt.Errorf("%w: its SHA-256 is %x, not %s", ErrCorrupt, sum, hash)
	}
	return decode(pos, payload)
}

// decode is Decode for a payload whose hash is known to be right.
func decode(pos Position, payload []byte) (Envelope, error) {
	body := payload[:len(payload)-HashSize]
	hash := Hash(payload[len(body):])
	w, err := decodeBody(body)
	if err != nil {
		return Envelope{}, err
	}
	env := Envelope{
		Position: pos, Epoch: w.Epoch, FirstIndex: w.FirstIndex, Time: time.UnixMicro(w.Time).UTC(),
		PrevHash: Hash(w.PrevHash), Hash: hash, Payload: payload,
		Entries: make([]event.Entry, len(w.Events)),
	}
	for i, s := range w.Events {
		if env.Entries[i], err = event.Decode(s); err != nil {
			if !errors.Is(err, event.ErrNewer) {
				err = fmt.Errorf("%w: %w", ErrCorrupt, err)
			}
			return Envelope{}, fmt.Errorf("event %d of %d: %w", i+1, len(w.Events), err)
		}
	}
	return env, nil
}

func decodeBody(body []byte) (wire, error) {
	// In every format, past and to come, the body is an array of fewer than 24 elements and the first is the format.
	var format uint64
	if body[0] < 0x81 || body[0] > 0x97 {
		return wire{}, fmt.Errorf("%w: not an array", ErrCorrupt)
	}
	if _, err := bodyMode.UnmarshalFirst(body[1:], &format); err != nil {
		return wire{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if format > Format {
		return wire{}, fmt.Errorf("envelope of format %d: %w", format, event.ErrNewer)
	}
	var w wire
	if err := bodyMode.Unmarshal(body, &w); err != nil {
		return wire{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	n := len(w.Events)
	if w.Format != Format || len(w.PrevHash) != HashSize || n < 1 || n > MaxUnitEvents || w.Epoch < 1 || w.FirstIndex < 1 ||
		w.FirstIndex > 1<<63 {
		return wire{}, fmt.Errorf("%w: values out of range", ErrCorrupt)
	}
	header := appendHeader(make([]byte, 0, maxHeaderBytes), w.Epoch, w.FirstIndex, w.Time, Hash(w.PrevHash), n)
	if !bytes.HasPrefix(body, header) {
		return wire{}, fmt.Errorf("%w: not in deterministic encoding", ErrCorrupt)
	}
	return w, nil
}

// payloadHash gives the hash that a payload claims; false if it is too short for one.
func payloadHash(payload []byte) (Hash, bool) {
	if len(payload) <= HashSize {
		return Hash{}, false
	}
	return Hash(payload[len(payload)-HashSize:]), true
}

// The major types of CBOR (RFC 8949, section 3.1) that a header uses.
const (
	cborUint  = 0 << 5
	cborNeg   = 1 << 5
	cborBytes = 2 << 5
	cborArray = 4 << 5
)

func appendHeader(b []byte, epoch, firstIndex uint64, micros int64, prev Hash, count int) []byte {
	b = appendHead(b, cborArray, 6)
	b = appendHead(b, cborUint, Format)
	b = appendHead(b, cborUint, epoch)
	b = appendHead(b, cborUint, firstIndex)
	if micros >= 0 {
		b = appendHead(b, cborUint, uint64(micros))
	} else {
		b = appendHead(b, cborNeg, uint64(-1-micros))
	}
	b = appendHead(b, cborBytes, HashSize)
	b = append(b, prev[:]...)
	return appendHead(b, cborArray, uint64(count))
}

// appendHead writes a major type with its argument in the shortest form.
func appendHead(b []byte, major byte, arg uint64) []byte {
	switch {
	case arg < 24:
		return append(b, major|byte(arg))
	case arg <= 0xff:
		return append(b, major|24, byte(arg))
	case arg <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(arg))
	case arg <= 0xffffffff:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), arg)
}
