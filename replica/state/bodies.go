package state

import (
	"fmt"

	"angarium/eventlog/event"
)

// ScanReferenced yields the body of each live message, in no useful order and as often as messages refer to it.
func ScanReferenced(r Reader, fn func(guid event.GUID) (bool, error)) error {
	return r.Scan([]byte{tableMessage}, []byte{tableMessage + 1}, func(k, v []byte) (bool, error) {
		m, err := decodeMessage(uidOfKey(k), v)
		if err != nil {
			return false, err
		}
		return fn(m.GUID)
	})
}

// ScanBodies yields the bodies that are known, and then those that are not complete yet, each by ascending GUID. A body can be both.
func ScanBodies(r Reader, fn func(guid event.GUID, b *Body, complete bool) (bool, error)) error {
	for _, table := range []byte{tableBody, tablePartial} {
		more := true
		err := scanRows([]byte{table}, r, func(k []byte, b *Body) (bool, error) {
			var guid event.GUID
			copy(guid[:], k[1:])
			var err error
			more, err = fn(guid, b, table == tableBody)
			return more, err
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// MoveBody gives the pieces of a known body their places anew: move is called for each and gives where it lies from now on. It says whether anything
// changed. Where bodies lie is each replica's own affair and in no digest. A body that is not known is left alone.
func MoveBody(tx Tx, guid event.GUID, move func(Extent) (Extent, error)) (bool, error) {
	b, err := GetBody(tx, guid)
	if b == nil || err != nil {
		return false, err
	}
	changed := false
	for i, e := range b.Extents {
		to, err := move(e)
		if err != nil {
			return false, fmt.Errorf("move body %s: %w", guid, err)
		}
		changed = changed || to != e
		b.Extents[i] = to
	}
	if !changed {
		return false, nil
	}
	v, err := rowEnc.Marshal(b)
	if err != nil {
		return false, fmt.Errorf("encode row: %w", err)
	}
	return true, tx.Set(keyBody(tableBody, guid), v)
}
