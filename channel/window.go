package channel

import (
	"context"
	"fmt"
	"sync"

	"angarium/eventlog"
)

// window holds a sender to what a follower may have been sent and not yet have acknowledged. One goroutine sends, another takes the
// acknowledgements.
type window struct {
	room chan struct{} // has an element when something was acknowledged; capacity 1

	mu        sync.Mutex
	batches   []sentBatch // not acknowledged whole, in order; at most followWindowEnvelopes
	bytes     int         // of their envelopes
	envelopes int         // in them
	last      eventlog.Position
}

type sentBatch struct {
	last      eventlog.Position
	bytes     int
	envelopes int
}

func newWindow(after eventlog.Position) *window {
	return &window{room: make(chan struct{}, 1), last: after}
}

// wait waits until there is room for another batch.
func (w *window) wait(ctx context.Context) error {
	for {
		w.mu.Lock()
		ok := w.bytes < followWindowBytes && w.envelopes < followWindowEnvelopes
		w.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-w.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sent notes a batch, before it is written: its acknowledgement may be here before the write returns.
func (w *window) sent(last eventlog.Position, envelopes, bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.batches = append(w.batches, sentBatch{last, bytes, envelopes})
	w.bytes += bytes
	w.envelopes += envelopes
	w.last = last
}

// ack notes that the follower has everything up to position, and gives the bytes that this makes room for.
func (w *window) ack(position eventlog.Position) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if position > w.last {
		return 0, fmt.Errorf("%w: position %d acknowledged, sent until %d", ErrProtocol, position, w.last)
	}
	freed, n := 0, 0
	for _, b := range w.batches {
		if b.last > position {
			break
		}
		freed += b.bytes
		w.envelopes -= b.envelopes
		n++
	}
	w.bytes -= freed
	w.batches = append(w.batches[:0], w.batches[n:]...)
	if n > 0 {
		select {
		case w.room <- struct{}{}:
		default:
		}
	}
	return freed, nil
}

// unacked says what was sent last, and how many bytes are not yet acknowledged.
func (w *window) unacked() (last eventlog.Position, bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last, w.bytes
}
