package statetest

import (
	"bytes"
	"maps"
	"slices"

	"angarium/eventlog/event"
)

// Unreferenced lists the bodies, known or begun, that no message refers to, in ascending order.
func (m *Model) Unreferenced() []event.GUID {
	set := map[event.GUID]bool{}
	for guid := range m.Bodies {
		set[guid] = true
	}
	for guid := range m.Uploads {
		set[guid] = true
	}
	for _, b := range m.Mailboxes {
		for _, msg := range b.Messages {
			delete(set, msg.GUID)
		}
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b event.GUID) int { return bytes.Compare(a[:], b[:]) })
}

// bodiesDropped drops some of the bodies that no message refers to.
func (h *History) bodiesDropped() event.Event {
	var drop []event.GUID
	for _, guid := range h.Model.Unreferenced() {
		if h.rnd.IntN(2) == 0 {
			drop = append(drop, guid)
			delete(h.pending, guid) // its upload was given up
		}
	}
	if len(drop) == 0 {
		return nil
	}
	return &event.BodiesDropped{GUIDs: drop}
}
