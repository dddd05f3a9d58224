package jslog

import (
	"sync"

	"angarium/eventlog"
)

// recentBytes bounds the payloads that are kept of each stream. A reader that is further behind reads from the server.
const recentBytes = 8 << 20

// recent holds the end of an embedded, unreplicated stream: the envelopes that were acknowledged last. Everything gets into such a
// stream through this process, so whoever follows it closely can be handed what was appended, without a trip through the server.
type recent struct {
	mu       sync.Mutex
	messages []eventlog.Message // positions without gaps, oldest first
	bytes    int                // of their payloads
	whole    bool               // messages reach to the end of the stream
	tails    map[*tail]struct{} // told of every change
}

// appended notes an envelope that was acknowledged at pos.
func (r *recent) appended(pos eventlog.Position, payload []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.messages); n > 0 && r.messages[n-1].Position+1 != pos {
		r.messages, r.bytes = nil, 0
	}
	r.messages = append(r.messages, eventlog.Message{Position: pos, Payload: payload, Own: true})
	r.bytes += len(payload)
	for r.bytes > recentBytes && len(r.messages) > 1 {
		r.bytes -= len(r.messages[0].Payload)
		r.messages[0] = eventlog.Message{}
		r.messages = r.messages[1:]
	}
	r.whole = true
	r.tellLocked()
}

// lost notes that an append was not acknowledged: something may be in the stream that is not here.
func (r *recent) lost() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.whole = false
	r.tellLocked()
}

func (r *recent) tellLocked() {
	for t := range r.tails {
		signal(t.more)
	}
}

// get gives the envelope at pos if it is here. known is false when the server has to be asked for it.
func (r *recent) get(pos eventlog.Position) (m eventlog.Message, here, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.messages) == 0 {
		return m, false, false
	}
	first := r.messages[0].Position
	switch end := first + eventlog.Position(len(r.messages)); {
	case pos >= first && pos < end:
		return r.messages[pos-first], true, true
	case pos == end:
		return m, false, r.whole
	default:
		return m, false, false
	}
}

func (r *recent) add(t *tail) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tails[t] = struct{}{}
}

func (r *recent) remove(t *tail) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tails, t)
}

// recents has the recent envelopes of each stream of a server. The zero value is ready.
type recents struct {
	mu      sync.Mutex
	streams map[string]*recent
}

func (s *recents) of(stream string) *recent {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.streams[stream]
	if r == nil {
		if s.streams == nil {
			s.streams = map[string]*recent{}
		}
		r = &recent{tails: map[*tail]struct{}{}}
		s.streams[stream] = r
	}
	return r
}

// forget drops what is kept of a stream, when one of that name is made.
func (s *recents) forget(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, stream)
}
