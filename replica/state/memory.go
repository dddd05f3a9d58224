package state

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"angarium/eventlog/event"
)

// Memory is a Tx over plain maps: the reference that stores are compared with, and a scratch state for those who fold a part
// of the log. It is for one goroutine.
type Memory struct {
	Rows   map[string][]byte
	Bodies map[Extent][]byte
	end    uint64
}

// NewMemory makes an empty state.
func NewMemory() *Memory {
	return &Memory{Rows: map[string][]byte{}, Bodies: map[Extent][]byte{}}
}

// Get implements Reader.
func (m *Memory) Get(key []byte) ([]byte, error) { return m.Rows[string(key)], nil }

// Scan implements Reader.
func (m *Memory) Scan(lo, hi []byte, fn func(key, value []byte) (bool, error)) error {
	for _, k := range m.within(lo, hi) {
		if more, err := fn([]byte(k), m.Rows[k]); !more || err != nil {
			return err
		}
	}
	return nil
}

func (m *Memory) within(lo, hi []byte) []string {
	var keys []string
	for k := range maps.Keys(m.Rows) {
		if k >= string(lo) && k < string(hi) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, strings.Compare)
	return keys
}

// Set implements Tx.
func (m *Memory) Set(key, value []byte) error {
	m.Rows[string(key)] = append([]byte{}, value...)
	return nil
}

// Delete implements Tx.
func (m *Memory) Delete(key []byte) error {
	delete(m.Rows, string(key))
	return nil
}

// DeleteRange implements Tx.
func (m *Memory) DeleteRange(lo, hi []byte) error {
	for _, k := range m.within(lo, hi) {
		delete(m.Rows, k)
	}
	return nil
}

// AppendBody implements Tx. All bodies lie in one segment.
func (m *Memory) AppendBody(_ event.GUID, data []byte) (Extent, error) {
	e := Extent{Offset: m.end, Length: uint32(len(data))}
	m.end += uint64(len(data))
	m.Bodies[e] = slices.Clone(data)
	return e, nil
}

// ReadBody gives the encoded bytes of a body.
func (m *Memory) ReadBody(guid event.GUID, b *Body) ([]byte, error) {
	var data []byte
	for _, e := range b.Extents {
		piece, ok := m.Bodies[e]
		if !ok {
			return nil, fmt.Errorf("%w: body %s is missing", ErrCorrupt, guid)
		}
		data = append(data, piece...)
	}
	return data, nil
}
