package eventlog

import (
	"context"
	"encoding/hex"
	"fmt"
)

// Position is the place of an envelope in a log: 1 for the first, 0 for "before the first". Positions have no gaps.
type Position uint64

// Hash is the SHA-256 that ends an envelope; the zero Hash stands before the first envelope.
type Hash [32]byte

// String gives the hash in lower-case hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Mark names one envelope of one history: two logs that hold the same mark hold the same envelopes up to it.
type Mark struct {
	Position Position
	Hash     Hash
}

// String gives the mark as "position:first eight hex digits of the hash".
func (m Mark) String() string { return fmt.Sprintf("%d:%x", m.Position, m.Hash[:4]) }

// State is where a reader or a writer stands: what an envelope has to continue. The zero State stands before the first envelope.
type State struct {
	Position  Position // of the last envelope
	Hash      Hash     // of the last envelope
	NextIndex uint64   // global index of the next event, from 1; 0 in the zero State means 1
	Epoch     uint64   // of the last envelope; 0 before the first
}

// Mark gives the position and hash of the state.
func (s State) Mark() Mark { return Mark{Position: s.Position, Hash: s.Hash} }

func (s State) nextIndex() uint64 { return max(s.NextIndex, 1) }

// Head says which positions a log holds: First to Last, without gaps. An empty log has First == Last+1.
type Head struct {
	First, Last Position
}

// Message is an envelope as it is stored, undecoded and not verified.
type Message struct {
	Position Position
	Payload  []byte
	// Own says that this is the very memory that was handed to Append: whoever did so has made or checked the hash in it.
	Own bool
}

// Log keeps the envelopes of one shard. Implementations are safe for concurrent use.
//
// Payloads are envelopes: at least HashSize bytes, of which the last HashSize are the hash. A Log reads nothing else of them; the hash of what
// it is to append must be right.
// It may keep payloads it is given and hand them out again, so neither they nor those it returns may be changed.
type Log interface {
	// Append stores payload at after.Position+1, if after is the mark of the last envelope. It returns without waiting for the
	// outcome, which is sent once on the channel: nil when the payload is on stable storage; ErrFenced when after is not the
	// last envelope; ErrNoSpace when the store has no room and the payload is not in the log; ErrUnknown when the outcome could
	// not be learned, whether the payload is in the log or will yet get there. ctx bounds the wait for the outcome.
	//
	// Appends that build on one another may be in flight together. They reach the log in the order of the calls, provided that the
	// calls come from one goroutine.
	Append(ctx context.Context, after Mark, payload []byte) <-chan error

	// Tail reads from position from (at least 1) onwards, what is there and what is to come. It fails with ErrPurged when
	// the log no longer holds from. ctx bounds the call only.
	Tail(ctx context.Context, from Position) (Tail, error)

	// Read gives one payload: ErrNotFound when there is none at pos.
	Read(ctx context.Context, pos Position) ([]byte, error)

	// Head says what the log holds.
	Head(ctx context.Context) (Head, error)

	// Close ends the tails and releases what the log holds open. Appends in flight end with ErrUnknown.
	Close() error
}

// Tail reads a log in order, for one goroutine. What it buffers is bounded in bytes.
type Tail interface {
	// Next waits for the next message. It never leaves out a position: where one is missing it fails with ErrGap, now
	// and ever after. A call that ends with ctx can be repeated.
	Next(ctx context.Context) (Message, error)

	// TryNext gives the next message if it is here already, and false if not.
	TryNext() (Message, bool, error)

	// Close ends the tail; a waiting Next returns ErrClosed.
	Close() error
}

// Purger is a Log that can forget its oldest envelopes.
type Purger interface {
	// Purge forgets the envelopes before position before, and never the last one.
	Purge(ctx context.Context, before Position) error
}
