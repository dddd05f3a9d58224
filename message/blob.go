package message

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Version is the version of the encoding that Marshal writes: the first byte of a
// blob. It stands for what Parse makes of a message as well.
const Version = 1

var (
	// ErrVersion says that a blob is of another version. The message has to be
	// parsed again.
	ErrVersion = errors.New("message structure of another version")
	// ErrCorrupt says that a blob is none, or damaged.
	ErrCorrupt = errors.New("corrupt message structure")
)

// Blob is an encoded Structure:
//
//	version    1 byte
//	flags      1 byte: flagTruncated, flagSent
//	numbers    uvarint each: size, sent date and its offset in minutes (zigzag), bits of
//	           the omitted fields, then the lengths of the five sections
//	sections   envelope, bodystructure, cuts, fields, parts
//
// Its methods read one item without decoding the others and without
// copying it: what they return is part of the blob. They return ErrVersion or
// ErrCorrupt.
type Blob []byte

const (
	flagTruncated = 1 << iota
	flagSent
)

// Sections of a blob, in their order.
const (
	sectionEnvelope = iota
	sectionBodyStructure
	sectionCuts
	sectionFields
	sectionParts
	sectionCount
)

// blobIndex is what stands before the sections.
type blobIndex struct {
	flags    byte
	size     int
	sent     SentDate
	omitted  uint64
	sections [sectionCount]Extent
}

// index decodes what stands before the sections.
func (b Blob) index() (x blobIndex, err error) {
	if len(b) < 2 {
		return x, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(b))
	}
	if b[0] != Version {
		return x, fmt.Errorf("%w: %d, want %d", ErrVersion, b[0], Version)
	}
	d := decoder{rest: b[2:]}
	x.flags = b[1]
	x.size = d.int()
	x.sent = SentDate{Unix: unzigzag(d.uvarint()), OffsetMinutes: int(unzigzag(d.uvarint())), Valid: x.flags&flagSent != 0}
	x.omitted = d.uvarint()
	for i := range x.sections {
		x.sections[i].Len = d.int()
	}
	pos := len(b) - len(d.rest)
	for i := range x.sections {
		if x.sections[i].Len > len(b)-pos {
			d.bad = true
			break
		}
		x.sections[i].Start = pos
		pos += x.sections[i].Len
	}
	if d.bad || pos != len(b) || x.flags&^(flagTruncated|flagSent) != 0 {
		return x, fmt.Errorf("%w: lengths", ErrCorrupt)
	}
	return x, nil
}

func (b Blob) section(i int) ([]byte, error) {
	x, err := b.index()
	if err != nil {
		return nil, err
	}
	return x.sections[i].Of(b), nil
}

// Envelope returns the IMAP ENVELOPE, parentheses included.
func (b Blob) Envelope() ([]byte, error) { return b.section(sectionEnvelope) }

// BodyStructure returns the IMAP BODYSTRUCTURE, parentheses included.
func (b Blob) BodyStructure() ([]byte, error) { return b.section(sectionBodyStructure) }

// Body returns the IMAP BODY. It is made from BODYSTRUCTURE, hence a copy.
func (b Blob) Body() ([]byte, error) {
	x, err := b.index()
	if err != nil {
		return nil, err
	}
	return cutExtensions(x.sections[sectionBodyStructure].Of(b), x.sections[sectionCuts].Of(b)), nil
}

// CachedHeaderFields is Structure.CachedHeaderFields.
func (b Blob) CachedHeaderFields(names []string) (block []byte, ok bool, err error) {
	x, err := b.index()
	if err != nil {
		return nil, false, err
	}
	block, ok = cachedFields(x.sections[sectionFields].Of(b), x.omitted, names)
	return block, ok, nil
}

// Sent returns what the Date field says.
func (b Blob) Sent() (SentDate, error) {
	x, err := b.index()
	return x.sent, err
}

// Size returns how many bytes the message has.
func (b Blob) Size() (int, error) {
	x, err := b.index()
	return x.size, err
}

// Truncated is Structure.Truncated.
func (b Blob) Truncated() (bool, error) {
	x, err := b.index()
	return x.flags&flagTruncated != 0, err
}

// Marshal encodes s. Equal structures have equal blobs.
func (s *Structure) Marshal() Blob {
	parts := appendParts(make([]byte, 0, 32*len(s.Parts)), s.Parts)
	sections := [sectionCount][]byte{s.envelope, s.bodyStructure, s.cuts, s.fields, parts}
	total := 2 + (sectionCount+4)*binary.MaxVarintLen64
	for _, section := range sections {
		total += len(section)
	}
	var flags byte
	if s.Truncated {
		flags |= flagTruncated
	}
	if s.Sent.Valid {
		flags |= flagSent
	}
	b := append(make([]byte, 0, total), Version, flags)
	b = binary.AppendUvarint(b, uint64(s.Size))
	b = binary.AppendUvarint(b, zigzag(s.Sent.Unix))
	b = binary.AppendUvarint(b, zigzag(int64(s.Sent.OffsetMinutes)))
	b = binary.AppendUvarint(b, s.omitted)
	for _, section := range sections {
		b = binary.AppendUvarint(b, uint64(len(section)))
	}
	for _, section := range sections {
		b = append(b, section...)
	}
	return b
}

// Unmarshal decodes a blob. The result shares memory with b, which must not
// change as long as it is used. The error is ErrVersion or ErrCorrupt.
func Unmarshal(b []byte) (*Structure, error) {
	x, err := Blob(b).index()
	if err != nil {
		return nil, err
	}
	s := &Structure{
		Size: x.size, Truncated: x.flags&flagTruncated != 0, Sent: x.sent, omitted: x.omitted,
		envelope:      x.sections[sectionEnvelope].Of(b),
		bodyStructure: x.sections[sectionBodyStructure].Of(b),
		cuts:          x.sections[sectionCuts].Of(b),
		fields:        x.sections[sectionFields].Of(b),
	}
	s.Parts, err = decodeParts(x.sections[sectionParts].Of(b), x.size)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func zigzag(n int64) uint64   { return uint64(n<<1) ^ uint64(n>>63) }
func unzigzag(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }

// decoder reads numbers and strings; bad tells that one was missing.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// int reads a number that a length or offset can be.
func (d *decoder) int() int {
	n := d.uvarint()
	if n > 1<<48 {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.int()
	if n > len(d.rest) {
		d.bad, d.rest = true, nil
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}
