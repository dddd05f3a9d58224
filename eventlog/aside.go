package eventlog

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
)

// asideMagic begins a file of envelopes that were set aside. The version is its last byte.
const asideMagic = "angarium aside \x01"

// WriteAside writes envelopes that are taken out of a log, so that ReadAside gives them back: each as its position and the length of its
// payload, in eight and four bytes, big-endian, and the payload.
func WriteAside(w io.Writer, messages iter.Seq2[Message, error]) (count int, err error) {
	b := bufio.NewWriter(w)
	if _, err := b.WriteString(asideMagic); err != nil {
		return 0, fmt.Errorf("set envelopes aside: %w", err)
	}
	for m, err := range messages {
		if err == nil {
			head := binary.BigEndian.AppendUint64(nil, uint64(m.Position))
			head = binary.BigEndian.AppendUint32(head, uint32(len(m.Payload)))
			_, err = b.Write(append(head, m.Payload...))
		}
		if err != nil {
			return count, fmt.Errorf("set envelopes aside: %w", err)
		}
		count++
	}
	if err := b.Flush(); err != nil {
		return count, fmt.Errorf("set envelopes aside: %w", err)
	}
	return count, nil
}

// ReadAside gives the envelopes of a file that WriteAside wrote. ErrCorrupt ends them where one is damaged, cut short, or does not continue
// the one before.
func ReadAside(r io.Reader) iter.Seq2[Envelope, error] {
	return func(yield func(Envelope, error) bool) {
		b := bufio.NewReader(r)
		magic := make([]byte, len(asideMagic))
		if _, err := io.ReadFull(b, magic); err != nil || string(magic) != asideMagic {
			yield(Envelope{}, fmt.Errorf("%w: not a file of envelopes that were set aside", ErrCorrupt))
			return
		}
		var last Envelope
		for {
			env, err := readAside(b)
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil && last.Position > 0 && (env.Position != last.Position+1 || env.PrevHash != last.Hash) {
				err = fmt.Errorf("%w: the envelope at %d does not continue the one at %d", ErrCorrupt, env.Position, last.Position)
			}
			last = env
			if !yield(env, err) || err != nil {
				return
			}
		}
	}
}

func readAside(r io.Reader) (Envelope, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return Envelope{}, err
		}
		return Envelope{}, fmt.Errorf("%w: cut short", ErrCorrupt)
	}
	size := binary.BigEndian.Uint32(head[8:])
	if size > MaxEnvelopeBytes {
		return Envelope{}, fmt.Errorf("%w: an envelope of %d bytes", ErrCorrupt, size)
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return Envelope{}, fmt.Errorf("%w: cut short", ErrCorrupt)
	}
	return Decode(Position(binary.BigEndian.Uint64(head[:])), payload)
}
