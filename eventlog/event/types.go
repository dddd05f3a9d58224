package event

import (
	"encoding/hex"
	"fmt"
)

// MailboxID names a mailbox for good: 128 random bits chosen when it is created. It survives a rename and is never reused
// (RFC 8474, section 4.1).
type MailboxID [16]byte

// String gives the id in lower-case hex.
func (id MailboxID) String() string { return hex.EncodeToString(id[:]) }

// IsZero says whether the id was never set.
func (id MailboxID) IsZero() bool { return id == MailboxID{} }

// ParseMailboxID reads what String wrote.
func ParseMailboxID(s string) (MailboxID, error) {
	var id MailboxID
	return id, parseHex(id[:], s, "mailbox id")
}

// GUID names a message body: the SHA-256 of its bytes as they were received.
type GUID [32]byte

// String gives the GUID in lower-case hex.
func (g GUID) String() string { return hex.EncodeToString(g[:]) }

// ParseGUID reads what String wrote.
func ParseGUID(s string) (GUID, error) {
	var g GUID
	return g, parseHex(g[:], s, "GUID")
}

func parseHex(dst []byte, s, what string) error {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(dst) {
		return fmt.Errorf("%q is no %s: want %d hex digits", s, what, 2*len(dst))
	}
	copy(dst, b)
	return nil
}

// Encoding says how the bytes of a body are stored.
type Encoding uint8

// The encodings of bodies. A shipped number never changes its meaning.
const (
	Raw  Encoding = 0 // as received
	Zstd Encoding = 1 // one Zstandard frame (RFC 8878)
	S2   Encoding = 2 // one S2 block (a superset of Snappy's block format)
)

// String names the encoding.
func (e Encoding) String() string {
	switch e {
	case Raw:
		return "raw"
	case Zstd:
		return "zstd"
	case S2:
		return "s2"
	}
	return fmt.Sprintf("encoding(%d)", uint8(e))
}

// Credential is a SCRAM-SHA-256 verifier (RFC 5802, RFC 7677): what is needed to check a password, not the password.
type Credential struct {
	Iterations uint32 `cbor:"1,keyasint"`
	Salt       []byte `cbor:"2,keyasint"`
	StoredKey  []byte `cbor:"3,keyasint"`
	ServerKey  []byte `cbor:"4,keyasint"`
}

// Meta says when an event was decided, and by whom.
type Meta struct {
	_ struct{} `cbor:",toarray"`

	Time    int64  // microseconds since 1970-01-01T00:00:00Z, by the primary's clock
	Actor   string // account that asked for it, or "" for the system itself
	Service string // "lmtp", "imap", "syncctl", "system"
	Session string // id of the session, as in the server's own log lines; may be empty
	Client  string // network address of the client; may be empty
}

// UIDRange is an inclusive range of UIDs, First ≤ Last, First > 0.
type UIDRange struct{ First, Last uint32 }

// UIDSet is a set of UIDs: ascending ranges that neither overlap nor touch.
type UIDSet []UIDRange
