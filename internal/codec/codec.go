// Package codec encodes message bodies for storage and decodes them. It imports eventlog/event only.
package codec

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"angarium/eventlog/event"
)

// MaxSize bounds the size of a decoded body in bytes, whatever a damaged row claims.
const MaxSize = 1 << 30

// Policy says how bodies are encoded.
type Policy uint8

// The policies. Whatever is asked for, a body that would not become smaller is left raw.
const (
	None Policy = iota // raw
	Zstd
	S2
	Auto // S2 where that saves much, as with text; an attachment, which would shrink by a quarter at best, stays as it is
)

// A body of at least sampledSize bytes is sampled by Auto: samples pieces of sampleSize bytes, evenly spread, must shrink to worth of their size.
const (
	sampledSize = 16 << 10
	samples     = 4
	sampleSize  = 2 << 10
	worth       = 0.65
)

// Codec encodes and decodes bodies. It is safe for concurrent use.
type Codec struct {
	encoders sync.Pool // *encoder
	decoder  *zstd.Decoder
}

// encoder is what one encoding needs: an output buffer too, of which the caller gets a copy that is no larger than it has to be.
type encoder struct {
	zstd   *zstd.Encoder
	out    []byte
	sample []byte
}

// maxKept bounds the output buffer that is kept between two encodings, in bytes.
const maxKept = 1 << 20

// New makes a codec.
func New() (*Codec, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(MaxSize))
	if err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	return &Codec{decoder: dec}, nil
}

// Encode encodes a body as the policy says. The result may share raw's memory.
func (c *Codec) Encode(policy Policy, raw []byte) (event.Encoding, []byte, error) {
	if policy == None {
		return event.Raw, raw, nil
	}
	enc, err := c.encoder()
	if err != nil {
		return 0, nil, err
	}
	defer c.keep(enc)
	if policy == Auto && len(raw) >= sampledSize && !enc.shrinks(raw) {
		return event.Raw, raw, nil
	}
	as := event.S2
	if policy == Zstd {
		as = event.Zstd
		enc.out = enc.zstd.EncodeAll(raw, enc.out[:0])
	} else {
		enc.out = s2.Encode(enc.out[:cap(enc.out)], raw)
	}
	if len(enc.out) >= len(raw) {
		return event.Raw, raw, nil
	}
	return as, bytes.Clone(enc.out), nil
}

// shrinks says whether a sample of a body becomes small.
func (e *encoder) shrinks(raw []byte) bool {
	e.sample = e.sample[:0]
	step := len(raw) / samples
	for off := (step - sampleSize) / 2; off+sampleSize <= len(raw); off += step {
		e.sample = append(e.sample, raw[off:off+sampleSize]...)
	}
	e.out = s2.Encode(e.out[:cap(e.out)], e.sample)
	return float64(len(e.out)) <= worth*float64(len(e.sample))
}

func (c *Codec) keep(enc *encoder) {
	if cap(enc.out) <= maxKept {
		c.encoders.Put(enc)
	}
}

func (c *Codec) encoder() (*encoder, error) {
	if enc, ok := c.encoders.Get().(*encoder); ok {
		return enc, nil
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("zstd encoder: %w", err)
	}
	return &encoder{zstd: enc}, nil
}

// Decode gives the body back. size is what it must come to. The result may share data's memory.
func (c *Codec) Decode(enc event.Encoding, size uint64, data []byte) ([]byte, error) {
	if size > MaxSize {
		return nil, fmt.Errorf("body of %d bytes exceeds the limit of %d", size, MaxSize)
	}
	var out []byte
	var err error
	switch enc {
	case event.Raw:
		out = data
	case event.Zstd:
		out, err = c.decoder.DecodeAll(data, make([]byte, 0, size))
	case event.S2:
		if n, lerr := s2.DecodedLen(data); lerr != nil || uint64(n) != size {
			return nil, fmt.Errorf("s2 body has not the size of %d bytes", size)
		}
		out, err = s2.Decode(make([]byte, size), data)
	default:
		err = fmt.Errorf("unknown encoding %d", enc)
	}
	if err != nil {
		return nil, fmt.Errorf("decode %s body: %w", enc, err)
	}
	if uint64(len(out)) != size {
		return nil, fmt.Errorf("decode %s body: %d bytes, want %d", enc, len(out), size)
	}
	return out, nil
}
