package replica

import (
	"sync"

	"angarium/replica/state"
)

// maxAbsent bounds the keys that are remembered as absent.
const maxAbsent = 4096

// absent remembers which bodies the index was asked for and did not have. Every new body is asked for twice, before it is written to the
// log and when it is applied, and to find that a key is nowhere is the most expensive kind of look. The zero value is ready.
type absent struct {
	mu      sync.Mutex
	asked   uint64
	keys    map[string]probe
	written map[string]struct{} // by the batch that is not yet committed
}

// probe is one look into the index. While it goes on, the key may be written.
type probe struct {
	number uint64
	ended  bool // the key was not there
}

// begin notes that a key is about to be looked up.
func (a *absent) begin(key []byte) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.keys == nil || len(a.keys) >= maxAbsent {
		a.keys = map[string]probe{}
	}
	a.asked++
	a.keys[string(key)] = probe{number: a.asked}
	return a.asked
}

// end notes that the look that begin numbered found nothing. It counts if the key was not written meanwhile.
func (a *absent) end(key []byte, number uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, written := a.written[string(key)]; !written && a.keys[string(key)].number == number {
		a.keys[string(key)] = probe{number: number, ended: true}
	}
}

// has says that a key is certainly not there.
func (a *absent) has(key []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keys[string(key)].ended
}

// wrote notes that the batch under way has written a key.
func (a *absent) wrote(key []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.written == nil {
		a.written = map[string]struct{}{}
	}
	a.written[string(key)] = struct{}{}
	delete(a.keys, string(key))
}

// settle notes that the batch was committed, or given up.
func (a *absent) settle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key := range a.written {
		delete(a.keys, key) // of looks that began when it was not committed
	}
	clear(a.written)
}

// probing is a reader whose looks for bodies are remembered.
type probing struct {
	reader
	absent *absent
}

// Get implements state.Reader.
func (p probing) Get(key []byte) ([]byte, error) {
	if !state.IsBodyKey(key) {
		return p.reader.Get(key)
	}
	number := p.absent.begin(key)
	v, err := p.reader.Get(key)
	if v == nil && err == nil {
		p.absent.end(key, number)
	}
	return v, err
}
