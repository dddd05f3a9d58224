package eventlog

import (
	"context"
	"fmt"
	"sync"

	"angarium/eventlog/event"
)

// unit is events that enter the log together or not at all.
type unit struct {
	events []byte // encoded, concatenated
	count  int
	answer chan answer // gets exactly one, unless the unit is withdrawn
	taken  bool        // guarded by queue.mu: in an envelope, or withdrawn
}

type answer struct {
	receipt Receipt
	err     error
}

func (a answer) wrapped() error {
	if a.err == nil {
		return nil
	}
	return fmt.Errorf("append: %w", a.err)
}

func newUnit(entries []event.Entry) (*unit, error) {
	if len(entries) == 0 {
		return nil, fmt.Errorf("unit without events")
	}
	if len(entries) > MaxUnitEvents {
		return nil, fmt.Errorf("%d events: %w", len(entries), ErrTooLarge)
	}
	u := &unit{count: len(entries), answer: make(chan answer, 1)}
	for _, entry := range entries {
		if _, ok := entry.Event.(*event.EpochStarted); ok {
			return nil, fmt.Errorf("only Fence starts an epoch")
		}
		var err error
		if u.events, err = event.Append(u.events, entry); err != nil {
			return nil, err
		}
		if len(u.events) > MaxUnitBytes {
			return nil, fmt.Errorf("%d bytes: %w", len(u.events), ErrTooLarge)
		}
	}
	return u, nil
}

// queue holds the units that wait for an envelope. It is bounded by the bytes and the number of all units not yet answered,
// those on their way included.
type queue struct {
	wake chan struct{} // has an element when units or closed changed; capacity 1

	mu        sync.Mutex
	units     []*unit
	freeBytes int
	freeUnits int
	freed     chan struct{} // closed and replaced when there is more room
	closed    error
}

func (q *queue) init(maxBytes, maxUnits int) {
	q.wake = make(chan struct{}, 1)
	q.freed = make(chan struct{})
	q.freeBytes, q.freeUnits = maxBytes, maxUnits
}

func (q *queue) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// push waits until there is room for a unit.
func (q *queue) push(ctx context.Context, u *unit) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		freed, err := q.tryPush(u)
		if err != nil || freed == nil {
			return err
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tryPush gives what to wait for when there is no room.
func (q *queue) tryPush(u *unit) (<-chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return nil, q.closed
	}
	if q.freeUnits < 1 || q.freeBytes < len(u.events) {
		return q.freed, nil
	}
	q.freeUnits--
	q.freeBytes -= len(u.events)
	q.units = append(q.units, u)
	q.notify()
	return nil, nil
}

// withdraw takes a unit back that is in no envelope yet; false if it is.
func (q *queue) withdraw(u *unit) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if u.taken {
		return false
	}
	u.taken = true
	for i, other := range q.units {
		if other == u {
			q.units = append(q.units[:i], q.units[i+1:]...)
			break
		}
	}
	q.release(1, len(u.events))
	q.notify()
	return true
}

// take gives the units for the next envelope, none if they have fewer than atLeast events and would leave room in it; and
// whether the queue is at its end.
func (q *queue) take(atLeast int) (units []*unit, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, events, size := 0, 0, 0
	for _, u := range q.units {
		if n > 0 && (events+u.count > TargetEvents || size+len(u.events) > TargetBytes) {
			break
		}
		n, events, size = n+1, events+u.count, size+len(u.events)
	}
	if n == len(q.units) && events < min(atLeast, TargetEvents) && size < TargetBytes {
		return nil, false
	}
	units = append(units, q.units[:n]...)
	for _, u := range units {
		u.taken = true
	}
	rest := copy(q.units, q.units[n:])
	clear(q.units[rest:])
	q.units = q.units[:rest]
	return units, n == 0 && q.closed != nil
}

// close refuses further units with err.
func (q *queue) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed == nil {
		q.closed = err
	}
	q.release(0, 0)
	q.notify()
}

// settle answers a unit that was taken and makes room.
func (q *queue) settle(units []*unit, reply func(*unit) answer) {
	size := 0
	for _, u := range units {
		size += len(u.events)
		u.answer <- reply(u)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release(len(units), size)
}

// release is called with mu held.
func (q *queue) release(units, bytes int) {
	q.freeUnits += units
	q.freeBytes += bytes
	close(q.freed)
	q.freed = make(chan struct{})
}
