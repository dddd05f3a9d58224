package message

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// GUID names a message by its content: the SHA-256 of its bytes.
type GUID [sha256.Size]byte

// Sum returns the GUID of the message raw.
func Sum(raw []byte) GUID { return sha256.Sum256(raw) }

// String returns g as 64 lower-case hexadecimal digits.
func (g GUID) String() string { return hex.EncodeToString(g[:]) }

// IsZero reports whether g is unset. No message has that GUID in practice.
func (g GUID) IsZero() bool { return g == GUID{} }

// ParseGUID reads what String wrote, in either case.
func ParseGUID(s string) (GUID, error) {
	var g GUID
	if len(s) != hex.EncodedLen(len(g)) {
		return GUID{}, fmt.Errorf("parse GUID: %d characters, want %d", len(s), hex.EncodedLen(len(g)))
	}
	if _, err := hex.Decode(g[:], []byte(s)); err != nil {
		return GUID{}, fmt.Errorf("parse GUID: %w", err)
	}
	return g, nil
}
