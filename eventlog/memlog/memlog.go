package memlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"angarium/eventlog"
)

// Log is a log in memory. Its zero value is not usable: call New.
type Log struct {
	mu      sync.Mutex
	before  eventlog.Hash     // of the envelope in front of the first
	first   eventlog.Position // of msgs[0]
	msgs    [][]byte          // nil where a message was dropped
	changed chan struct{}     // closed and replaced when there is more to read
	closed  bool
	down    error
	hook    Hook
	queue   chan struct{} // closed when the last append that was started is stored or refused
	done    chan struct{} // closed by Close
}

var _ interface {
	eventlog.Log
	eventlog.Purger
} = (*Log)(nil)

// New makes an empty log.
func New() *Log { return NewBehind(eventlog.Mark{}) }

// NewBehind makes an empty log that goes on behind an envelope of another.
func NewBehind(last eventlog.Mark) *Log {
	ready := make(chan struct{})
	close(ready)
	return &Log{before: last.Hash, first: last.Position + 1, changed: make(chan struct{}), queue: ready, done: make(chan struct{})}
}

// Clone makes a log that holds what this one holds now: what is left when the process that has it open is killed. Hooks and faults are
// not part of it.
func (l *Log) Clone() *Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := NewBehind(eventlog.Mark{Position: l.first - 1, Hash: l.before})
	c.msgs = slices.Clone(l.msgs)
	return c
}

// Append implements eventlog.Log.
func (l *Log) Append(ctx context.Context, after eventlog.Mark, payload []byte) <-chan error {
	l.mu.Lock()
	var fault Fault
	if l.hook != nil {
		fault = l.hook(after, payload)
	}
	before, mine := l.queue, make(chan struct{})
	l.queue = mine
	l.mu.Unlock()

	ack := make(chan error, 1)
	stored := make(chan error, 1)
	go func() {
		defer close(mine)
		stored <- l.store(before, fault, after, payload)
	}()
	go func() {
		select {
		case err := <-stored:
			ack <- l.answer(ctx, fault, err)
		case <-ctx.Done():
			ack <- unknown(ctx.Err())
		case <-l.done:
			ack <- unknown(eventlog.ErrClosed)
		}
	}()
	return ack
}

func unknown(cause error) error { return fmt.Errorf("%w: %w", eventlog.ErrUnknown, cause) }

// store waits for the appends before and puts the payload into the log.
func (l *Log) store(before <-chan struct{}, fault Fault, after eventlog.Mark, payload []byte) error {
	for _, wait := range []<-chan struct{}{before, fault.Hold} {
		if wait == nil {
			continue
		}
		select {
		case <-wait:
		case <-l.done:
			return unknown(eventlog.ErrClosed)
		}
	}
	if fault.Refuse != nil {
		return fault.Refuse
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return unknown(eventlog.ErrClosed)
	}
	if l.down != nil {
		return unknown(l.down)
	}
	if l.last() != after.Position || !l.endsIn(after.Hash) {
		return fmt.Errorf("%w: it ends at %d", eventlog.ErrFenced, l.last())
	}
	l.msgs = append(l.msgs, bytes.Clone(payload))
	l.wake()
	return nil
}

func (l *Log) answer(ctx context.Context, fault Fault, err error) error {
	if fault.HoldAck != nil {
		select {
		case <-fault.HoldAck:
		case <-ctx.Done():
			return unknown(ctx.Err())
		case <-l.done:
			return unknown(eventlog.ErrClosed)
		}
	}
	if fault.Lose {
		return unknown(errors.New("the answer was lost"))
	}
	return err
}

// last and endsIn are called with mu held.
func (l *Log) last() eventlog.Position { return l.first + eventlog.Position(len(l.msgs)) - 1 }

func (l *Log) endsIn(hash eventlog.Hash) bool {
	if len(l.msgs) == 0 {
		return hash == l.before
	}
	return bytes.HasSuffix(l.msgs[len(l.msgs)-1], hash[:])
}

func (l *Log) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Read implements eventlog.Log.
func (l *Log) Read(ctx context.Context, pos eventlog.Position) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	if pos < l.first || pos > l.last() || l.msgs[pos-l.first] == nil {
		return nil, fmt.Errorf("read %d: %w", pos, eventlog.ErrNotFound)
	}
	return bytes.Clone(l.msgs[pos-l.first]), nil
}

// Head implements eventlog.Log.
func (l *Log) Head(ctx context.Context) (eventlog.Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(ctx); err != nil {
		return eventlog.Head{}, err
	}
	return eventlog.Head{First: l.first, Last: l.last()}, nil
}

func (l *Log) usable(ctx context.Context) error {
	switch {
	case l.closed:
		return eventlog.ErrClosed
	case l.down != nil:
		return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, l.down)
	}
	return ctx.Err()
}

// Purge implements eventlog.Purger.
func (l *Log) Purge(ctx context.Context, before eventlog.Position) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(ctx); err != nil {
		return err
	}
	if before = min(before, l.last()); before > l.first {
		l.msgs = slices.Delete(l.msgs, 0, int(before-l.first))
		l.first = before
	}
	return nil
}

// Close implements eventlog.Log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.done)
	}
	return nil
}
