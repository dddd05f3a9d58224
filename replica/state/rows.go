package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"angarium/eventlog/event"
)

// Account is the row of an account. The row of a deleted account stays, so that a new account of that name goes on with
// modseq and UIDVALIDITY where the old one ended.
type Account struct {
	Name        string           `cbor:"1,keyasint"`
	Credential  event.Credential `cbor:"2,keyasint"`
	Disabled    bool             `cbor:"3,keyasint,omitempty"`
	Deleted     bool             `cbor:"4,keyasint,omitempty"`
	Modseq      uint64           `cbor:"5,keyasint,omitempty"` // the last modseq given to anything of the account
	UIDValidity uint32           `cbor:"6,keyasint,omitempty"` // the last UIDVALIDITY given to a mailbox of the account
	Mailboxes   uint32           `cbor:"7,keyasint,omitempty"`
	Created     int64            `cbor:"8,keyasint,omitempty"` // microseconds since 1970
	Skipped     []Skipped        `cbor:"9,keyasint,omitempty"` // ascending, maxSkipped at most
	// Imported is the lowest UIDVALIDITY of a mailbox that was imported with it: every one the account ever gave lies from it to UIDValidity.
	Imported uint32 `cbor:"10,keyasint,omitempty"`
}

// Skipped are modseqs that were never given in this history: After < modseq ≤ UpTo. A client that knows one has it from another future of the
// account, in which its mailboxes became something else.
type Skipped struct {
	_     struct{} `cbor:",toarray"`
	After uint64
	UpTo  uint64
	Epoch uint64 // the first one of this history that the other future knows nothing of
}

// Knows says whether a modseq that a client shows can be of this history.
func (a *Account) Knows(modseq uint64) bool {
	for _, s := range a.Skipped {
		if s.After < modseq && modseq <= s.UpTo {
			return false
		}
	}
	return true
}

// Grave is the row of a mailbox that was deleted: what has to be known should it come back.
type Grave struct {
	_           struct{} `cbor:",toarray"`
	UIDValidity uint32
	UIDNext     uint32 // the lowest UID that was never given in it
}

// Mailbox is the row of a mailbox with its summary.
type Mailbox struct {
	ID            event.MailboxID `cbor:"1,keyasint"`
	Account       string          `cbor:"2,keyasint"`
	Name          string          `cbor:"3,keyasint"`
	UIDValidity   uint32          `cbor:"4,keyasint"`
	UIDNext       uint32          `cbor:"5,keyasint"`
	HighestModseq uint64          `cbor:"6,keyasint"`
	Messages      uint32          `cbor:"7,keyasint,omitempty"`
	Unseen        uint32          `cbor:"8,keyasint,omitempty"`
	Deleted       uint32          `cbor:"9,keyasint,omitempty"`  // messages with \Deleted
	Size          uint64          `cbor:"10,keyasint,omitempty"` // bytes of all messages as received
	RecentUID     uint32          `cbor:"11,keyasint,omitempty"` // messages up to here were \Recent in some session
	Keywords      []string        `cbor:"12,keyasint,omitempty"`
	SpecialUse    []string        `cbor:"13,keyasint,omitempty"`
	Digest        uint64          `cbor:"14,keyasint,omitempty"` // of the live messages
	TombstoneFrom uint64          `cbor:"15,keyasint,omitempty"` // tombstones are complete above this modseq
	CreatedModseq uint64          `cbor:"16,keyasint,omitempty"`
	UIDFloor      uint32          `cbor:"17,keyasint,omitempty"` // above UIDNext: UIDs below it may not be given
}

// FirstUID is the lowest UID that can be given next. It is UIDNext, unless numbers have to be left out.
func (m *Mailbox) FirstUID() uint32 { return max(m.UIDNext, m.UIDFloor) }

// Message is the part of a message that never changes.
type Message struct {
	UID          uint32
	GUID         event.GUID
	Size         uint64 // bytes as received
	InternalDate int64  // seconds since 1970
	SaveDate     int64  // seconds since 1970
	Structure    []byte // parsed structure (package message)
}

// Extent is where a piece of a body lies in the replica's segment files.
type Extent struct {
	_       struct{} `cbor:",toarray"`
	Segment uint32
	Offset  uint64
	Length  uint32
}

// Body is the row of a message body.
type Body struct {
	Size      uint64         `cbor:"1,keyasint"` // bytes as received
	Encoding  event.Encoding `cbor:"2,keyasint,omitempty"`
	Stored    uint64         `cbor:"3,keyasint"`           // bytes of the encoded body
	Received  uint64         `cbor:"4,keyasint,omitempty"` // encoded bytes so far, in the row of an incomplete body
	Extents   []Extent       `cbor:"5,keyasint,omitempty"`
	Structure []byte         `cbor:"6,keyasint,omitempty"`
}

// Totals is the row of the shard as a whole.
type Totals struct {
	Epoch     uint64 `cbor:"1,keyasint,omitempty"`
	Mailboxes uint64 `cbor:"2,keyasint,omitempty"`
	Messages  uint64 `cbor:"3,keyasint,omitempty"`
	Digest    uint64 `cbor:"4,keyasint,omitempty"`
	Primary   string `cbor:"5,keyasint,omitempty"` // node that started the epoch
}

// Rows are maps with integer keys in which zero values are left out: a field that is added later leaves the encoding, and so
// the digest, of all older rows as it was.
var rowEnc, rowDec = rowModes()

func rowModes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // constant options
	}
	dec, err := cbor.DecOptions{ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxArrayElements: 1 << 20}.DecMode()
	if err != nil {
		panic(err) // constant options
	}
	return enc, dec
}

func decodeRow[T any](key, value []byte) (*T, error) {
	row := new(T)
	if err := rowDec.Unmarshal(value, row); err != nil {
		return nil, fmt.Errorf("%w: row %q: %w", ErrCorrupt, key, err)
	}
	return row, nil
}

// encodeMessage writes GUID, size, dates and then the structure as the rest.
func encodeMessage(dst []byte, m *Message) []byte {
	dst = append(dst, m.GUID[:]...)
	dst = binary.AppendUvarint(dst, m.Size)
	dst = binary.AppendVarint(dst, m.InternalDate)
	dst = binary.AppendVarint(dst, m.SaveDate)
	return append(dst, m.Structure...)
}

// decodeMessage reads what encodeMessage wrote. The structure is a part of b.
func decodeMessage(uid uint32, b []byte) (Message, error) {
	m := Message{UID: uid}
	rest := b
	ok := len(rest) >= len(m.GUID)
	if ok {
		rest = rest[copy(m.GUID[:], rest):]
		m.Size, rest, ok = uvarint(rest)
	}
	if ok {
		m.InternalDate, rest, ok = varint(rest)
	}
	if ok {
		m.SaveDate, rest, ok = varint(rest)
	}
	if !ok {
		return m, fmt.Errorf("%w: record of message %d", ErrCorrupt, uid)
	}
	m.Structure = rest
	return m, nil
}

func uvarint(b []byte) (uint64, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

func varint(b []byte) (int64, []byte, bool) {
	v, n := binary.Varint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

// Errors of this package.
var (
	// ErrDiverged says that an event does not fit the state: this replica is not what the primary had.
	ErrDiverged = errors.New("state has diverged from the log")
	// ErrCorrupt says that a row cannot be read.
	ErrCorrupt = errors.New("state is damaged")
)
