package channel

import (
	"encoding/binary"
	"fmt"
	"io"
)

// protocolVersion is what this program speaks behind the hello.
const protocolVersion = 1

// hello is the first thing on a connection, from the joiner.
type hello struct {
	Protocol uint64 `cbor:"1,keyasint"`
	Name     string `cbor:"2,keyasint"` // of the joiner
	Secret   []byte `cbor:"3,keyasint"`
	Session  []byte `cbor:"4,keyasint"`           // what the two connections of a link have in common
	Reverse  bool   `cbor:"5,keyasint,omitempty"` // the joiner serves on this connection
	Version  string `cbor:"6,keyasint,omitempty"` // of the joiner's program
}

// welcome is the answer of the listener. With a code, it closes the connection.
type welcome struct {
	Protocol uint64 `cbor:"1,keyasint"`
	Code     string `cbor:"2,keyasint,omitempty"`
	Text     string `cbor:"3,keyasint,omitempty"`
	Name     string `cbor:"4,keyasint,omitempty"` // of the listener's node
	Version  string `cbor:"5,keyasint,omitempty"` // of the listener's program
}

// sessionID is what the two connections of a link have in common.
type sessionID [16]byte

// writeMessage writes a message with its length before it, in one piece.
func writeMessage(w io.Writer, v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	if len(b) > maxHelloBytes {
		return fmt.Errorf("%w: %T of %d bytes", ErrProtocol, v, len(b))
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b))), b...))
	return err
}

// readMessage reads what writeMessage wrote, and not a byte more.
func readMessage(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxHelloBytes {
		return fmt.Errorf("%w: a message of %d bytes", ErrProtocol, n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	return decode(b, v)
}

// check says whether a hello can be answered at all.
func (m *hello) check() error {
	switch {
	case len(m.Session) != len(sessionID{}):
		return fmt.Errorf("%w: a session of %d bytes", ErrProtocol, len(m.Session))
	case len(m.Secret) != SecretBytes:
		return fmt.Errorf("%w: a secret of %d bytes", ErrProtocol, len(m.Secret))
	}
	return checkName(m.Name)
}
