package memlog

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"angarium/eventlog"
)

type tail struct {
	log    *Log
	next   eventlog.Position
	once   sync.Once
	closed chan struct{}
}

// Tail implements eventlog.Log. It buffers nothing.
func (l *Log) Tail(ctx context.Context, from eventlog.Position) (eventlog.Tail, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	if from < l.first {
		return nil, fmt.Errorf("tail from %d: %w", from, eventlog.ErrPurged)
	}
	return &tail{log: l, next: from, closed: make(chan struct{})}, nil
}

// Next implements eventlog.Tail.
func (t *tail) Next(ctx context.Context) (eventlog.Message, error) {
	for {
		m, changed, err := t.poll()
		if err != nil || changed == nil {
			return m, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return eventlog.Message{}, ctx.Err()
		case <-t.closed:
			return eventlog.Message{}, eventlog.ErrClosed
		case <-t.log.done:
			return eventlog.Message{}, eventlog.ErrClosed
		}
	}
}

// TryNext implements eventlog.Tail.
func (t *tail) TryNext() (eventlog.Message, bool, error) {
	m, changed, err := t.poll()
	return m, err == nil && changed == nil, err
}

// poll gives the next message, or what to wait for until there is one.
func (t *tail) poll() (eventlog.Message, <-chan struct{}, error) {
	l := t.log
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-t.closed:
		return eventlog.Message{}, nil, eventlog.ErrClosed
	default:
	}
	switch {
	case l.closed:
		return eventlog.Message{}, nil, eventlog.ErrClosed
	case t.next > l.last() || l.down != nil:
		return eventlog.Message{}, l.changed, nil
	case t.next < l.first || l.msgs[t.next-l.first] == nil:
		return eventlog.Message{}, nil, &eventlog.ChainError{Position: t.next, Err: eventlog.ErrGap}
	}
	m := eventlog.Message{Position: t.next, Payload: bytes.Clone(l.msgs[t.next-l.first])}
	t.next++
	return m, nil, nil
}

// Close implements eventlog.Tail.
func (t *tail) Close() error {
	t.once.Do(func() { close(t.closed) })
	return nil
}
