package channel

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"

	"angarium/eventlog"
)

// A batch is what a sender writes to a follower: a head of fixed size, all numbers big-endian,
//
//	kind      1 byte   batchKind
//	encoding  1 byte   encodingRaw or encodingS2
//	first     8 bytes  position of the first envelope; the others follow without gaps
//	count     4 bytes  number of envelopes, at least 1
//	raw       4 bytes  length of the body before compression
//	wire      4 bytes  length of the body as it follows
//
// and a body, which is for each envelope its length as an unsigned varint and its bytes.
const (
	batchKind     = 1
	batchHeadSize = 22

	encodingRaw = 0
	encodingS2  = 1
)

// maxBatchBytes is the size of the largest body: what is there when the last envelope is added, and that.
const maxBatchBytes = batchTargetBytes + eventlog.MaxEnvelopeBytes + maxBatchEnvelopes*binary.MaxVarintLen32

// batchWriter makes batches. Its buffers are used again for the next one.
type batchWriter struct {
	first eventlog.Position
	count int
	raw   []byte // batchHeadSize bytes, then the body
	wire  []byte // batchHeadSize bytes, then the compressed body
}

// maxKeptBuffer is the largest buffer that is kept for the next batch.
const maxKeptBuffer = 2 * batchTargetBytes

func (b *batchWriter) reset() {
	if cap(b.raw) > maxKeptBuffer {
		b.raw, b.wire = nil, nil
	}
	if b.raw == nil {
		b.raw = make([]byte, batchHeadSize, batchTargetBytes/4)
	}
	b.count, b.raw = 0, b.raw[:batchHeadSize]
}

// add takes an envelope into the batch. They come in order.
func (b *batchWriter) add(m eventlog.Message) {
	if b.count == 0 {
		b.first = m.Position
	}
	b.count++
	b.raw = binary.AppendUvarint(b.raw, uint64(len(m.Payload)))
	b.raw = append(b.raw, m.Payload...)
}

// full says whether the batch is to be sent before another envelope is added.
func (b *batchWriter) full() bool {
	return b.count >= maxBatchEnvelopes || len(b.raw)-batchHeadSize >= batchTargetBytes
}

// bytes gives the batch, compressed if that makes it smaller by more than a sixteenth. It is valid until the next reset.
func (b *batchWriter) bytes() []byte {
	body := b.raw[batchHeadSize:]
	if len(body) >= minCompressBytes {
		if need := batchHeadSize + s2.MaxEncodedLen(len(body)); cap(b.wire) < need {
			b.wire = make([]byte, need)
		}
		packed := s2.Encode(b.wire[batchHeadSize:cap(b.wire)], body)
		if len(packed) < len(body)-len(body)/16 {
			b.wire = b.wire[:batchHeadSize+len(packed)]
			b.head(b.wire, encodingS2, len(body), len(packed))
			return b.wire
		}
	}
	b.head(b.raw, encodingRaw, len(body), len(body))
	return b.raw
}

func (b *batchWriter) head(out []byte, encoding byte, raw, wire int) {
	out[0], out[1] = batchKind, encoding
	binary.BigEndian.PutUint64(out[2:], uint64(b.first))
	binary.BigEndian.PutUint32(out[10:], uint32(b.count))
	binary.BigEndian.PutUint32(out[14:], uint32(raw))
	binary.BigEndian.PutUint32(out[18:], uint32(wire))
}

// readBatch reads one batch. The envelopes share one buffer, which is theirs. The error is io.EOF when nothing comes any more, and
// ErrProtocol when what comes is no batch; nothing larger than a batch can be is taken into memory.
func readBatch(r io.Reader) ([]eventlog.Message, error) {
	var head [batchHeadSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	first, count := binary.BigEndian.Uint64(head[2:]), binary.BigEndian.Uint32(head[10:])
	raw, wire := binary.BigEndian.Uint32(head[14:]), binary.BigEndian.Uint32(head[18:])
	switch {
	case head[0] != batchKind || head[1] > encodingS2:
		return nil, fmt.Errorf("%w: batch of kind %d, encoding %d", ErrProtocol, head[0], head[1])
	case raw > maxBatchBytes || wire > raw || head[1] == encodingRaw && wire != raw:
		return nil, fmt.Errorf("%w: batch of %d bytes in %d", ErrProtocol, raw, wire)
	case count < 1 || count > maxBatchEnvelopes || first < 1 || first > 1<<63:
		return nil, fmt.Errorf("%w: batch of %d envelopes from %d", ErrProtocol, count, first)
	}
	body := make([]byte, wire)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	if head[1] == encodingS2 {
		if n, err := s2.DecodedLen(body); err != nil || n != int(raw) {
			return nil, fmt.Errorf("%w: batch of %d bytes unpacks to %d: %w", ErrProtocol, raw, n, err)
		}
		unpacked, err := s2.Decode(make([]byte, raw), body)
		if err != nil {
			return nil, fmt.Errorf("%w: unpack batch: %w", ErrProtocol, err)
		}
		body = unpacked
	}
	return splitBatch(body, eventlog.Position(first), int(count))
}

func splitBatch(body []byte, first eventlog.Position, count int) ([]eventlog.Message, error) {
	out := make([]eventlog.Message, count)
	for i := range out {
		size, n := binary.Uvarint(body)
		if n <= 0 || size <= eventlog.HashSize || size > eventlog.MaxEnvelopeBytes || size > uint64(len(body)-n) {
			return nil, fmt.Errorf("%w: envelope %d of %d in a batch has a wrong size", ErrProtocol, i+1, count)
		}
		end := n + int(size)
		out[i] = eventlog.Message{Position: first + eventlog.Position(i), Payload: body[n:end:end]}
		body = body[end:]
	}
	if len(body) > 0 {
		return nil, fmt.Errorf("%w: %d bytes behind a batch", ErrProtocol, len(body))
	}
	return out, nil
}
