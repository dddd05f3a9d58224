package notify

import (
	"time"

	"angarium/eventlog"
)

// ring keeps the events of the newest envelopes, within its bounds.
type ring struct {
	first, next eventlog.Position // the envelopes first ≤ position < next are in entries
	entries     []ringEntry
	events      int
	bytes       int
}

// ringEntry is the events of one envelope; there may be none.
type ringEntry struct {
	position eventlog.Position
	time     time.Time
	events   []*Event
	bytes    int
}

func entryOf(env *eventlog.Envelope, events []*Event) ringEntry {
	e := ringEntry{position: env.Position, time: env.Time, events: events}
	for _, ev := range events {
		e.bytes += len(ev.encoded) + eventOverhead
	}
	return e
}

// reset empties the ring; the entry of position next comes next.
func (r *ring) reset(next eventlog.Position) { *r = ring{first: next, next: next} }

// add takes in the entry that comes next. The newest entry stays, however large it is.
func (r *ring) add(e ringEntry) {
	if e.position != r.next {
		r.reset(e.position)
	}
	r.entries = append(r.entries, e)
	r.next++
	r.events += len(e.events)
	r.bytes += e.bytes
	for len(r.entries) > 1 && (r.events > maxRingEvents || r.bytes > maxRingBytes || len(r.entries) > maxRingEvents) {
		old := r.entries[0]
		r.entries[0] = ringEntry{}
		r.entries = r.entries[1:]
		r.first++
		r.events -= len(old.events)
		r.bytes -= old.bytes
	}
}

// from gives entries from a position that is in the ring on, of about so many events.
func (r *ring) from(position eventlog.Position, events int) []ringEntry {
	list := r.entries[position-r.first:]
	for i, n := 0, 0; i < len(list); i++ {
		if n += len(list[i].events); n >= events {
			return list[: i+1 : i+1]
		}
	}
	return list[:len(list):len(list)]
}
