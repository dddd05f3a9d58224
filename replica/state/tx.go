package state

import "angarium/eventlog/event"

// Reader reads rows.
type Reader interface {
	// Get gives the value of a key, nil when there is none. The value must not be changed, and is valid until the next
	// call of any method.
	Get(key []byte) ([]byte, error)
	// Scan calls fn for each key in [lo, hi) in ascending order until fn returns false. Keys and values are valid during
	// the call only; fn must not write.
	Scan(lo, hi []byte, fn func(key, value []byte) (more bool, err error)) error
}

// Tx reads and writes rows; it sees its own writes. Keys and values are copied by the callee.
type Tx interface {
	Reader
	Set(key, value []byte) error
	Delete(key []byte) error
	// DeleteRange removes all keys in [lo, hi).
	DeleteRange(lo, hi []byte) error
	// AppendBody stores a piece of an encoded body and says where it lies. What was appended in an order lies in that
	// order, on every replica at the same place.
	AppendBody(guid event.GUID, data []byte) (Extent, error)
}
