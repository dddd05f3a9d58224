package compare

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/fxamacker/cbor/v2"
)

// maxItemBytes bounds one encoded item of a stream.
const maxItemBytes = 256 << 10

// itemDec decodes items strictly.
var itemDec = newItemDec()

func newItemDec() cbor.DecMode {
	dec, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxArrayElements:  1 << 10,
		MaxNestedLevels:   4,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic(err) // constant options
	}
	return dec
}

// ErrStream says that what comes from another node is not a stream of digests or records.
var ErrStream = errors.New("malformed stream")

// Write sends a stream: each item as its length in four bytes, big-endian, and its CBOR; a length of 0 at the end. When the stream
// ends with an error, or w fails, there is no such end, and the reader knows that something is missing.
func Write[T Digest | Record](w io.Writer, s iter.Seq2[T, error]) error {
	out := bufio.NewWriter(w)
	for v, err := range s {
		if err != nil {
			return err
		}
		b, err := rowEnc.Marshal(v)
		if err == nil && len(b) > maxItemBytes {
			err = fmt.Errorf("item of %d bytes exceeds %d", len(b), maxItemBytes)
		}
		if err == nil {
			err = frame(out, b)
		}
		if err != nil {
			return fmt.Errorf("write stream: %w", err)
		}
	}
	if err := errors.Join(frame(out, nil), out.Flush()); err != nil {
		return fmt.Errorf("write stream: %w", err)
	}
	return nil
}

func frame(w *bufio.Writer, b []byte) error {
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(b)))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// Read yields what Write sent; it can be gone through once. A stream that breaks off ends with io.ErrUnexpectedEOF, and one that is
// something else with ErrStream.
func Read[T Digest | Record](r io.Reader) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		in := bufio.NewReader(r)
		for {
			var v T
			end, err := readItem(in, &v)
			if end || !yield(v, err) || err != nil {
				return
			}
		}
	}
}

func readItem(in io.Reader, v any) (end bool, err error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return false, broken(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 {
		return true, nil
	}
	if n > maxItemBytes {
		return false, fmt.Errorf("%w: item of %d bytes", ErrStream, n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(in, b); err != nil {
		return false, broken(err)
	}
	if err := itemDec.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("%w: %w", ErrStream, err)
	}
	return false, nil
}

func broken(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read stream: %w", err)
}
