package archive

import (
	"slices"
	"strings"

	"angarium/eventlog/event"
)

// accountIndex says in which frames of records, by number, events of an account are.
type accountIndex struct {
	_       struct{} `cbor:",toarray"`
	Account string
	Frames  []uint32 // ascending
}

// guidIndex says in which frames of records chunks of a body are.
type guidIndex struct {
	_      struct{} `cbor:",toarray"`
	GUID   event.GUID
	Frames []uint32 // ascending
}

// indexes are the indexes of a segment while they are made.
type indexes struct {
	byName map[string][]uint32
	byGUID map[event.GUID][]uint32
}

func newIndexes() *indexes {
	return &indexes{byName: map[string][]uint32{}, byGUID: map[event.GUID][]uint32{}}
}

// add notes that an event stands in a frame of records.
func (x *indexes) add(e event.Entry, frame uint32) {
	if c, ok := e.Event.(*event.BodyChunk); ok {
		x.byGUID[c.GUID] = addFrame(x.byGUID[c.GUID], frame)
	} else if name := e.Event.AccountName(); name != "" {
		x.byName[name] = addFrame(x.byName[name], frame)
	}
}

func addFrame(list []uint32, frame uint32) []uint32 {
	if n := len(list); n > 0 && list[n-1] == frame {
		return list
	}
	return append(list, frame)
}

func (x *indexes) accounts() []accountIndex {
	list := make([]accountIndex, 0, len(x.byName))
	for name, frames := range x.byName {
		list = append(list, accountIndex{Account: name, Frames: frames})
	}
	slices.SortFunc(list, func(a, b accountIndex) int { return strings.Compare(a.Account, b.Account) })
	return list
}

func (x *indexes) guids() []guidIndex {
	list := make([]guidIndex, 0, len(x.byGUID))
	for guid, frames := range x.byGUID {
		list = append(list, guidIndex{GUID: guid, Frames: frames})
	}
	slices.SortFunc(list, func(a, b guidIndex) int { return slices.Compare(a.GUID[:], b.GUID[:]) })
	return list
}
