package archive

import (
	"errors"
	"fmt"

	"angarium/eventlog"
)

// footer is what an object says of itself, at its end.
type footer struct {
	Kind   uint8             `cbor:"1,keyasint"`
	Shard  uint32            `cbor:"2,keyasint"`
	First  eventlog.Position `cbor:"3,keyasint"` // of a segment: of its first envelope; of a snapshot: where it stands
	Last   eventlog.Position `cbor:"4,keyasint"`
	Frames []frameRef        `cbor:"5,keyasint"` // in order, without the footer's own

	// Of segments, and, with PrevHash, PrevIndex and PrevEpoch left out, of snapshots.
	PrevHash  []byte `cbor:"6,keyasint,omitempty"` // of the envelope before First
	PrevEpoch uint64 `cbor:"7,keyasint,omitempty"`
	PrevIndex uint64 `cbor:"8,keyasint,omitempty"` // global index of the first event
	Hash      []byte `cbor:"9,keyasint,omitempty"` // of the envelope Last
	Epoch     uint64 `cbor:"10,keyasint,omitempty"`
	NextIndex uint64 `cbor:"11,keyasint,omitempty"`
	FirstTime int64  `cbor:"12,keyasint,omitempty"` // of the envelope First, microseconds since 1970
	LastTime  int64  `cbor:"13,keyasint,omitempty"` // of the envelope Last
	MaxTime   int64  `cbor:"14,keyasint,omitempty"` // the latest of all
	Envelopes uint64 `cbor:"15,keyasint,omitempty"`
	Events    uint64 `cbor:"16,keyasint,omitempty"`
	Payload   uint64 `cbor:"17,keyasint,omitempty"` // bytes of the envelopes

	// Of snapshots and their rows.
	Rows   uint64    `cbor:"18,keyasint,omitempty"`
	Keys   [][]byte  `cbor:"19,keyasint,omitempty"` // the first key of each frame of rows
	Parts  []partRef `cbor:"20,keyasint,omitempty"`
	GUIDs  uint64    `cbor:"21,keyasint,omitempty"` // bodies known at the snapshot, complete or not
	Digest uint64    `cbor:"22,keyasint,omitempty"` // of the state (replica/state)
}

// partRef names an object with rows of a snapshot.
type partRef struct {
	_    struct{} `cbor:",toarray"`
	Name string
	Key  []byte // its first
}

// before is where a log stands before a segment.
func (f *footer) before() eventlog.State {
	s := eventlog.State{Position: f.First - 1, NextIndex: f.PrevIndex, Epoch: f.PrevEpoch}
	copy(s.Hash[:], f.PrevHash)
	return s
}

// after is where a log stands behind a segment, or at a snapshot.
func (f *footer) after() eventlog.State {
	s := eventlog.State{Position: f.Last, NextIndex: f.NextIndex, Epoch: f.Epoch}
	copy(s.Hash[:], f.Hash)
	return s
}

func (f *footer) setBefore(s eventlog.State) {
	f.PrevHash, f.PrevEpoch, f.PrevIndex = s.Hash[:], s.Epoch, max(s.NextIndex, 1)
}

func (f *footer) setAfter(s eventlog.State) {
	f.Last, f.Hash, f.Epoch, f.NextIndex = s.Position, s.Hash[:], s.Epoch, s.NextIndex
}

// refs gives the frames of one type, in order.
func (f *footer) refs(typ byte) []frameRef {
	var list []frameRef
	for _, r := range f.Frames {
		if r.Type == typ {
			list = append(list, r)
		}
	}
	return list
}

// parseFooter reads a footer and checks that its frames fill the object up to the footer.
func parseFooter(b []byte, at uint64) (*footer, error) {
	f := new(footer)
	if err := decMode.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	next := uint64(headSize)
	for _, r := range f.Frames {
		if r.Offset != next || r.Raw > maxFrameBytes {
			return nil, errors.New("footer: its frames do not follow one another")
		}
		next += frameHead + uint64(r.Stored)
	}
	if next != at {
		return nil, errors.New("footer: its frames do not fill the object")
	}
	if f.First > f.Last || (f.Kind == kindSegment && (f.First < 1 || len(f.PrevHash) != eventlog.HashSize || len(f.Hash) != eventlog.HashSize)) {
		return nil, errors.New("footer: values out of range")
	}
	if n := len(f.refs(frameRows)); len(f.Keys) != n {
		return nil, errors.New("footer: frames of rows without their keys")
	}
	return f, nil
}
