package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"angarium/eventlog"
	"angarium/eventlog/event"
)

// record is an envelope without the bytes of the bodies in it. Together with these it is the envelope's payload, verbatim.
type record struct {
	_        struct{} `cbor:",toarray"`
	Position eventlog.Position
	Head     []byte // of the payload, up to the first event
	Events   []piece
	Hash     []byte // the end of the payload
}

// piece is an event of a record. An event that carries bytes of a body is Head, the CBOR head of a byte string of Length bytes,
// those bytes, and Tail; any other event is Head alone.
type piece struct {
	_      struct{} `cbor:",toarray"`
	Head   []byte
	Frame  uint32 // number of the frame of bodies
	Offset uint32 // in that frame
	Length uint32 // 0: no bytes are left out
	Tail   []byte
}

// minCut is the shortest data of a body that is kept apart.
const minCut = 64

// span is a CBOR item that shares the memory it was read from.
type span []byte

// UnmarshalCBOR implements cbor.Unmarshaler.
func (s *span) UnmarshalCBOR(b []byte) error {
	*s = b
	return nil
}

// payloadWire is the body of an envelope (docs/log-format.md).
type payloadWire struct {
	_                               struct{} `cbor:",toarray"`
	Format, Epoch, FirstIndex, Time span
	PrevHash                        span
	Events                          []span
}

// split makes a record of an envelope. put stores the bytes of a body and says where they are.
func split(env *eventlog.Envelope, put func(data []byte, enc event.Encoding) (frame, offset uint32, err error)) (*record, error) {
	end := len(env.Payload) - eventlog.HashSize
	var w payloadWire
	if err := decMode.Unmarshal(env.Payload[:end], &w); err != nil {
		return nil, fmt.Errorf("envelope %d: %w", env.Position, err)
	}
	size := 0
	for _, s := range w.Events {
		size += len(s)
	}
	if len(w.Events) != len(env.Entries) || size > end {
		return nil, fmt.Errorf("envelope %d: %d events, not %d", env.Position, len(w.Events), len(env.Entries))
	}
	rec := &record{Position: env.Position, Head: env.Payload[:end-size], Hash: env.Payload[end:], Events: make([]piece, len(w.Events))}
	for i, s := range w.Events {
		rec.Events[i].Head = s
		chunk, ok := env.Entries[i].Event.(*event.BodyChunk)
		if !ok || len(chunk.Data) < minCut {
			continue
		}
		head, tail, ok := cut(s, chunk.Data)
		if !ok {
			continue // an encoding this program does not write: it stays whole
		}
		frame, offset, err := put(chunk.Data, chunk.Encoding)
		if err != nil {
			return nil, err
		}
		rec.Events[i] = piece{Head: head, Frame: frame, Offset: offset, Length: uint32(len(chunk.Data)), Tail: tail}
	}
	return rec, nil
}

// cut takes data out of an event, with the CBOR head before it.
func cut(ev, data []byte) (head, tail []byte, ok bool) {
	at := bytes.Index(ev, data)
	if at < 0 {
		return nil, nil, false
	}
	head, ok = bytes.CutSuffix(ev[:at], stringHead(uint32(len(data))))
	return head, ev[at+len(data):], ok
}

// stringHead is the CBOR head of a byte string of n bytes, in its shortest form (RFC 8949, section 3).
func stringHead(n uint32) []byte {
	switch {
	case n < 24:
		return []byte{0x40 | byte(n)}
	case n <= 0xff:
		return []byte{0x58, byte(n)}
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16([]byte{0x59}, uint16(n))
	}
	return binary.BigEndian.AppendUint32([]byte{0x5a}, n)
}

var errRecord = errors.New("record larger than an envelope can be")

// payload puts an envelope together again. get gives the bytes of a body.
func (r *record) payload(get func(p *piece) ([]byte, error)) ([]byte, error) {
	size := len(r.Head) + len(r.Hash)
	for i := range r.Events {
		p := &r.Events[i]
		size += len(p.Head) + int(p.Length) + len(p.Tail) + 5
		if size > eventlog.MaxEnvelopeBytes+5*len(r.Events) {
			return nil, errRecord
		}
	}
	b := make([]byte, 0, size)
	b = append(b, r.Head...)
	for i := range r.Events {
		p := &r.Events[i]
		b = append(b, p.Head...)
		if p.Length == 0 {
			continue
		}
		data, err := get(p)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, stringHead(p.Length)...), data...), p.Tail...)
	}
	return append(b, r.Hash...), nil
}

// eventWire is an encoded event (docs/log-format.md).
type eventWire struct {
	_    struct{} `cbor:",toarray"`
	Kind event.Kind
	Meta event.Meta
	Body span
}

// isChunk says whether an event is a BodyChunk, from how its encoding begins: an array of three, and the kind.
func (p *piece) isChunk() bool {
	return len(p.Head) > 2 && p.Head[0] == 0x83 && p.Head[1] == 0x18 && p.Head[2] == byte(event.KindBodyChunk)
}

// entry decodes an event that is no BodyChunk.
func (p *piece) entry() (event.Entry, error) { return event.Decode(p.Head) }

// chunk decodes a BodyChunk. Its data is what get gives; with a nil get it is left empty.
func (p *piece) chunk(get func(p *piece) ([]byte, error)) (event.Entry, *event.BodyChunk, error) {
	b := p.Head
	var data []byte
	if p.Length > 0 {
		b = append(append(bytes.Clone(p.Head), 0x40), p.Tail...)
		if get != nil {
			var err error
			if data, err = get(p); err != nil {
				return event.Entry{}, nil, err
			}
		}
	}
	var w eventWire
	c := new(event.BodyChunk)
	err := decMode.Unmarshal(b, &w)
	if err == nil {
		err = decMode.Unmarshal(w.Body, c)
	}
	if err != nil {
		return event.Entry{}, nil, fmt.Errorf("decode BodyChunk: %w", err)
	}
	if p.Length > 0 {
		c.Data = data
	}
	return event.Entry{Meta: w.Meta, Event: c}, c, nil
}

// header is what the head of an envelope says.
type header struct {
	epoch, firstIndex uint64
	time              int64 // microseconds since 1970
}

// header reads the head of the payload: the format, the epoch, the first index and the time (docs/log-format.md).
func (r *record) header() (header, error) {
	var h header
	var format uint64
	if len(r.Head) < 1 {
		return h, errors.New("a record without a head")
	}
	rest := r.Head[1:]
	var err error
	for _, v := range []any{&format, &h.epoch, &h.firstIndex, &h.time} {
		if rest, err = decMode.UnmarshalFirst(rest, v); err != nil {
			return h, fmt.Errorf("head of an envelope: %w", err)
		}
	}
	if format != eventlog.Format {
		return h, fmt.Errorf("envelope of format %d: %w", format, event.ErrNewer)
	}
	return h, nil
}
