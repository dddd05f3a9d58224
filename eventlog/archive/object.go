package archive

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/zstd"
)

// Format is the archive format that this program writes, and the only one it reads.
const Format = 1

// Limits of objects.
const (
	// MaxObjectBytes bounds an object: what a reader may have to hold in memory.
	MaxObjectBytes = 160 << 20
	// maxFrameBytes bounds what a frame holds before it is compressed: the index of a segment is the largest.
	maxFrameBytes = 64 << 20
	// maxElements bounds any array in a frame.
	maxElements = 4 << 20
)

// The kinds of object, as in their header.
const (
	kindSegment  = 'S' // envelopes, sealed or an open tail
	kindSnapshot = 'N' // the last part of a snapshot, which completes it
	kindRows     = 'R' // rows of a snapshot
	kindPack     = 'P' // bodies of envelopes that were pruned
)

// The types of frame.
const (
	frameRecords  = 'E' // records of envelopes, without the bytes of bodies
	frameBodies   = 'B' // bytes of bodies
	frameAccounts = 'A' // index by account
	frameGUIDs    = 'G' // index by body
	frameRows     = 'R' // rows of a snapshot
	frameFooter   = 'F'
)

// Parts of an object. All integers of header, frame heads and trailer are little-endian.
const (
	magicHead    = "ANGARCH1"
	magicEnd     = "ANGAREND"
	idSize       = 16
	headSize     = 8 + 4 + idSize + 8  // magic; kind, cipher, format; id; checksum
	frameHead    = 20                  // type, codec, 0, 0; raw length; stored length; checksum
	trailerSize  = 8 + idSize + 32 + 8 // offset of the footer; id; SHA-256 of all before it; magic
	codecRaw     = 0
	codecZstd    = 1
	cipherNone   = 0
	cipherChaCha = 1
)

// frameRef says where a frame lies in its object.
type frameRef struct {
	_      struct{} `cbor:",toarray"`
	Type   uint8
	Offset uint64 // of its head
	Raw    uint32 // bytes before compression
	Stored uint32 // bytes behind the head
}

var encMode, decMode = modes()

func modes() (cbor.EncMode, cbor.DecMode) {
	opt := cbor.CoreDetEncOptions()
	opt.NilContainers = cbor.NilContainerAsEmpty
	enc, err := opt.EncMode()
	if err != nil {
		panic(err) // constant options
	}
	dec, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxArrayElements: maxElements, MaxNestedLevels: 24,
	}.DecMode()
	if err != nil {
		panic(err) // constant options
	}
	return enc, dec
}

// compressor makes and reads zstd frames. It is for one goroutine.
type compressor struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCompressor() (*compressor, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("zstd encoder: %w", err)
	}
	dec, err := newDecoder()
	if err != nil {
		return nil, err
	}
	return &compressor{enc, dec}, nil
}

func newDecoder() (*zstd.Decoder, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrameBytes))
	if err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	return dec, nil
}

// objectWriter builds one object in memory.
type objectWriter struct {
	kind   byte
	key    *Key
	zip    *compressor
	id     [idSize]byte
	buf    []byte
	frames []frameRef
	counts [256]int // frames of each type
}

// newObjectWriter begins an object. buf is memory to use for it, or nil.
func newObjectWriter(kind byte, key *Key, zip *compressor, buf []byte) *objectWriter {
	w := &objectWriter{kind: kind, key: key, zip: zip}
	_, _ = rand.Read(w.id[:]) // never fails (crypto/rand)
	w.buf = appendHead(buf[:0], kind, key, w.id)
	return w
}

func appendHead(b []byte, kind byte, key *Key, id [idSize]byte) []byte {
	c := byte(cipherNone)
	if key != nil {
		c = cipherChaCha
	}
	b = append(append(b, magicHead...), kind, c, Format, 0)
	b = append(b, id[:]...)
	return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b))
}

// size is how many bytes the object has so far.
func (w *objectWriter) size() int { return len(w.buf) }

// add appends a frame and gives its number among those of its type.
func (w *objectWriter) add(typ byte, raw []byte, compress bool) (int, error) {
	if len(raw) > maxFrameBytes {
		return 0, fmt.Errorf("frame of %d bytes, limit %d", len(raw), maxFrameBytes)
	}
	offset, codec, stored := len(w.buf), byte(codecRaw), raw
	if compress {
		if z := w.zip.enc.EncodeAll(raw, nil); len(z) < len(raw) {
			codec, stored = codecZstd, z
		}
	}
	if w.key != nil {
		stored = w.key.seal(stored, frameBinding(w.id, typ, uint64(offset)))
	}
	head := []byte{typ, codec, 0, 0}
	head = binary.LittleEndian.AppendUint32(head, uint32(len(raw)))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(stored)))
	head = binary.LittleEndian.AppendUint64(head, frameSum(w.id, uint64(offset), head, stored))
	w.buf = append(append(w.buf, head...), stored...)
	w.frames = append(w.frames, frameRef{Type: typ, Offset: uint64(offset), Raw: uint32(len(raw)), Stored: uint32(len(stored))})
	n := w.counts[typ]
	w.counts[typ]++
	return n, nil
}

// finish appends footer and trailer and gives the object.
func (w *objectWriter) finish(f *footer) ([]byte, error) {
	f.Frames = w.frames
	b, err := encMode.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode footer: %w", err)
	}
	at := len(w.buf)
	if _, err := w.add(frameFooter, b, true); err != nil {
		return nil, err
	}
	if len(w.buf)+trailerSize > MaxObjectBytes {
		return nil, fmt.Errorf("object of %d bytes, limit %d", len(w.buf)+trailerSize, MaxObjectBytes)
	}
	w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(at))
	w.buf = append(w.buf, w.id[:]...)
	sum := sha256.Sum256(w.buf)
	w.buf = append(append(w.buf, sum[:]...), magicEnd...)
	return w.buf, nil
}

// frameBinding is what an encrypted frame is authenticated with: it cannot be put in another place.
func frameBinding(id [idSize]byte, typ byte, offset uint64) []byte {
	b := make([]byte, 0, idSize+9)
	b = append(append(b, id[:]...), typ)
	return binary.LittleEndian.AppendUint64(b, offset)
}

// frameSum is the checksum of a frame: of its object, place, head (without the checksum) and stored bytes.
func frameSum(id [idSize]byte, offset uint64, head, stored []byte) uint64 {
	d := xxhash.New()
	_, _ = d.Write(frameBinding(id, head[0], offset)) // a hash never fails
	_, _ = d.Write(head[:12])
	_, _ = d.Write(stored)
	return d.Sum64()
}

// trailer is the end of an object.
type trailer struct {
	footer uint64
	id     [idSize]byte
	sum    [32]byte
}

func parseTrailer(b []byte, size int64) (t trailer, err error) {
	if len(b) != trailerSize || string(b[trailerSize-8:]) != magicEnd {
		return t, errors.New("it has no end: cut short, or not of an archive")
	}
	t.footer = binary.LittleEndian.Uint64(b)
	copy(t.id[:], b[8:])
	copy(t.sum[:], b[8+idSize:])
	if t.footer < headSize || size < headSize+frameHead+trailerSize || t.footer > uint64(size)-frameHead-trailerSize {
		return t, errors.New("its trailer points out of it")
	}
	return t, nil
}

// parseHead checks the head of an object and gives its kind, and whether it is encrypted.
func parseHead(b []byte, id [idSize]byte) (kind byte, encrypted bool, err error) {
	if len(b) < headSize || string(b[:8]) != magicHead {
		return 0, false, errors.New("it does not begin as an archive object")
	}
	if binary.LittleEndian.Uint64(b[headSize-8:]) != xxhash.Sum64(b[:headSize-8]) {
		return 0, false, errors.New("checksum of its header")
	}
	if b[10] != Format {
		return 0, false, fmt.Errorf("%w: format %d", ErrNewer, b[10])
	}
	if [idSize]byte(b[12:12+idSize]) != id {
		return 0, false, errors.New("header and trailer are of two objects")
	}
	return b[8], b[9] != cipherNone, nil
}

// frameReader decodes frames of one object.
type frameReader struct {
	id  [idSize]byte
	key *Key
	dec *zstd.Decoder
}

// parse checks and decodes the frame whose head is at the beginning of b, which lies at offset of the object. rest is what follows.
func (r *frameReader) parse(b []byte, offset uint64, want byte) (raw, rest []byte, err error) {
	if len(b) < frameHead {
		return nil, nil, errors.New("a frame is cut short")
	}
	head := b[:frameHead]
	rawLen, storedLen := binary.LittleEndian.Uint32(head[4:]), binary.LittleEndian.Uint32(head[8:])
	switch {
	case head[0] != want || head[2] != 0 || head[3] != 0:
		return nil, nil, fmt.Errorf("a frame of type %q where %q is due", head[0], want)
	case rawLen > maxFrameBytes || uint64(storedLen) > uint64(len(b)-frameHead):
		return nil, nil, errors.New("a frame reaches out of its object")
	}
	stored, rest := b[frameHead:frameHead+storedLen], b[frameHead+storedLen:]
	if binary.LittleEndian.Uint64(head[12:]) != frameSum(r.id, offset, head, stored) {
		return nil, nil, errors.New("checksum of a frame")
	}
	if r.key != nil {
		if stored, err = r.key.open(stored, frameBinding(r.id, want, offset)); err != nil {
			return nil, nil, err
		}
	}
	switch head[1] {
	case codecRaw:
		raw = stored
	case codecZstd:
		if raw, err = r.dec.DecodeAll(stored, make([]byte, 0, rawLen)); err != nil {
			return nil, nil, fmt.Errorf("decompress a frame: %w", err)
		}
	default:
		return nil, nil, fmt.Errorf("%w: frame with codec %d", ErrNewer, head[1])
	}
	if len(raw) != int(rawLen) {
		return nil, nil, fmt.Errorf("a frame of %d bytes, not of %d", len(raw), rawLen)
	}
	return raw, rest, nil
}
