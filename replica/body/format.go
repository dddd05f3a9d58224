package body

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"
)

const (
	segmentMagic      = "ANGBODY1"
	segmentHeaderSize = 24
	recordMagic       = "ABR1"
	recordHeaderSize  = 56
	recordSummedFrom  = 8 // the CRC covers a record from this byte on

	segmentPrefix = "body-"
	segmentSuffix = ".seg"
	segmentDigits = 10
	tmpSuffix     = ".tmp"
)

// RecordOverhead is what a blob costs in its segment beyond its own length, in bytes.
const RecordOverhead = recordHeaderSize

// maxBlobLimit bounds Options.MaxBlob: a length is 32 bits and a record, with its overhead, must fit an int everywhere.
const maxBlobLimit = math.MaxInt32 - RecordOverhead - segmentHeaderSize

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// GUID names a body: the SHA-256 of its decoded bytes.
type GUID = [32]byte

// Extent says where a blob is. The zero Extent is no valid one.
type Extent struct {
	Segment uint32 // number of the segment, from 1
	Offset  uint64 // of the record within the segment, in bytes
	Length  uint32 // of the blob, without the record's overhead, in bytes
}

// End returns the mark just after the blob.
func (e Extent) End() Mark {
	return Mark{Segment: e.Segment, Offset: e.Offset + RecordOverhead + uint64(e.Length)}
}

// Mark is the end of the segments at some moment. The zero Mark is the empty store.
type Mark struct {
	Segment uint32 // number of the last segment, 0 if there is none
	Offset  uint64 // size of that segment in bytes
}

func (m Mark) valid() bool {
	if m.Segment == 0 {
		return m.Offset == 0
	}
	return m.Offset >= segmentHeaderSize+RecordOverhead && m.Offset <= math.MaxInt64
}

// segmentName returns the file name of a segment, without its directory.
func segmentName(segment uint32) string {
	return fmt.Sprintf("%s%0*d%s", segmentPrefix, segmentDigits, segment, segmentSuffix)
}

// parseSegmentName is the inverse of segmentName. It accepts no other spelling of a number.
func parseSegmentName(name string) (uint32, bool) {
	digits, ok := strings.CutPrefix(name, segmentPrefix)
	if !ok {
		return 0, false
	}
	digits, ok = strings.CutSuffix(digits, segmentSuffix)
	if !ok || len(digits) != segmentDigits {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n == 0 || segmentName(uint32(n)) != name {
		return 0, false
	}
	return uint32(n), true
}

func appendSegmentHeader(b []byte, segment uint32, previousSize uint64) []byte {
	start := len(b)
	b = append(b, segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, segment)
	b = binary.LittleEndian.AppendUint64(b, previousSize)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// decodeSegmentHeader returns the size of the previous segment that the header of the given segment states.
func decodeSegmentHeader(b []byte, segment uint32) (previousSize uint64, err error) {
	const family = len(segmentMagic) - 1
	if len(b) < segmentHeaderSize {
		return 0, errors.New("segment header is incomplete")
	}
	b = b[:segmentHeaderSize]
	sum := binary.LittleEndian.Uint32(b[20:])
	switch {
	case string(b[:family]) != segmentMagic[:family]:
		return 0, errors.New("not a body segment: wrong magic")
	case string(b[:8]) != segmentMagic: // before the CRC, which another version may keep elsewhere
		return 0, fmt.Errorf("segment format version %q is not known to this program", b[family])
	case crc32.Checksum(b[:20], castagnoli) != sum:
		return 0, errors.New("segment header fails its checksum")
	case binary.LittleEndian.Uint32(b[8:]) != segment:
		return 0, fmt.Errorf("file is segment %d by its header", binary.LittleEndian.Uint32(b[8:]))
	}
	return binary.LittleEndian.Uint64(b[12:]), nil
}

// appendRecord encodes the record of a blob that will stand at the given place.
func appendRecord(b []byte, segment uint32, offset uint64, guid GUID, blob []byte) []byte {
	start := len(b)
	b = append(b, recordMagic...)
	b = append(b, 0, 0, 0, 0) // the CRC, below
	b = binary.LittleEndian.AppendUint32(b, uint32(len(blob)))
	b = binary.LittleEndian.AppendUint32(b, segment)
	b = binary.LittleEndian.AppendUint64(b, offset)
	b = append(b, guid[:]...)
	b = append(b, blob...)
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(b[start+recordSummedFrom:], castagnoli))
	return b
}

// recordHeader is a decoded record header. Nothing in it is to be believed before the CRC has been verified.
type recordHeader struct {
	magic   [4]byte
	sum     uint32
	length  uint32
	segment uint32
	offset  uint64
	guid    GUID
}

// decodeRecordHeader takes at least recordHeaderSize bytes.
func decodeRecordHeader(b []byte) (h recordHeader) {
	copy(h.magic[:], b)
	h.sum = binary.LittleEndian.Uint32(b[4:])
	h.length = binary.LittleEndian.Uint32(b[8:])
	h.segment = binary.LittleEndian.Uint32(b[12:])
	h.offset = binary.LittleEndian.Uint64(b[16:])
	copy(h.guid[:], b[24:recordHeaderSize])
	return h
}

// placed tells whether the header is that of a record at this place, or returns why not.
func (h recordHeader) placed(segment uint32, offset uint64) error {
	switch {
	case !bytes.Equal(h.magic[:], []byte(recordMagic)):
		return errors.New("no record here: wrong magic")
	case h.segment != segment:
		return fmt.Errorf("record is of segment %d by its header", h.segment)
	case h.offset != offset:
		return fmt.Errorf("record is of offset %d by its header", h.offset)
	}
	return nil
}

// verifyRecord checks that b is the whole record at ext, of the body named guid.
func verifyRecord(b []byte, ext Extent, guid GUID) error {
	h := decodeRecordHeader(b)
	if err := h.placed(ext.Segment, ext.Offset); err != nil {
		return err
	}
	switch {
	case h.length != ext.Length:
		return fmt.Errorf("record has %d bytes, not the %d of the extent", h.length, ext.Length)
	case crc32.Checksum(b[recordSummedFrom:], castagnoli) != h.sum:
		return errors.New("record fails its checksum")
	case h.guid != guid:
		return fmt.Errorf("record is of body %x", h.guid)
	}
	return nil
}
