package memlog

import (
	"angarium/eventlog"
)

// Fault is what goes wrong with one append. The zero Fault is none.
type Fault struct {
	Refuse  error           // answered instead of storing
	Lose    bool            // ErrUnknown is answered, whatever became of the append
	Hold    <-chan struct{} // waited for before storing; the appends behind wait too
	HoldAck <-chan struct{} // waited for before answering
}

// Hook decides on the fault of an append. It is called in the order of the appends and must not call the log.
type Hook func(after eventlog.Mark, payload []byte) Fault

// SetHook has a hook asked on every append from now on; nil for none.
func (l *Log) SetHook(h Hook) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hook = h
}

// SetDown cuts the log off, as a lost connection does: appends end with ErrUnknown, Read and Head with ErrUnavailable, tails wait.
// nil mends it.
func (l *Log) SetDown(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = err
	l.wake()
}

// Truncate forgets everything behind position last, as a store does that lost what it had acknowledged.
func (l *Log) Truncate(last eventlog.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last < l.last() {
		l.msgs = l.msgs[:last+1-l.first]
	}
}

// Drop makes a hole at pos.
func (l *Log) Drop(pos eventlog.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.msgs[pos-l.first] = nil
}

// FlipBit flips a bit of the payload at pos.
func (l *Log) FlipBit(pos eventlog.Position, bit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.msgs[pos-l.first][bit/8] ^= 1 << (bit % 8)
}

// Replace puts another payload at pos.
func (l *Log) Replace(pos eventlog.Position, payload []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.msgs[pos-l.first] = payload
}
