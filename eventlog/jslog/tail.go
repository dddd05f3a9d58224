package jslog

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"angarium/eventlog"
)

// tailBytes bounds what one request lets the server send ahead. It has to be more than the largest message; nats.go asks for more
// when half of it is used up, and the tail's own buffer holds as much again.
const tailBytes = 16 << 20

// tail reads with an ordered consumer on a connection of its own. The consumer resumes by itself when the connection or the server
// comes back; that nothing was left out is checked here.
type tail struct {
	log  *Log
	nc   *nats.Conn
	cons jetstream.ConsumeContext
	next eventlog.Position
	err  error // a *eventlog.ChainError, for good

	once   sync.Once
	closed chan struct{}

	mu    sync.Mutex
	items []eventlog.Message // received, not yet taken
	bytes int                // of items
	more  chan struct{}      // has an element when items grew; capacity 1
	room  chan struct{}      // has an element when items shrank; capacity 1
}

// Tail implements eventlog.Log.
func (l *Log) Tail(ctx context.Context, from eventlog.Position) (eventlog.Tail, error) {
	head, err := l.Head(ctx)
	if err != nil {
		return nil, err
	}
	from = max(from, 1)
	if from < head.First {
		return nil, fmt.Errorf("tail %s from %d: %w", l.cfg.name(), from, eventlog.ErrPurged)
	}
	t := &tail{log: l, next: from, closed: make(chan struct{}), more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	if !l.add(t) {
		return nil, fmt.Errorf("tail %s: %w", l.cfg.name(), eventlog.ErrClosed)
	}
	if err := t.start(ctx, from); err != nil {
		t.Close()
		return nil, fmt.Errorf("tail %s from %d: %w", l.cfg.name(), from, err)
	}
	return t, nil
}

func (l *Log) add(t *tail) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return false
	}
	l.tails[t] = struct{}{}
	return true
}

func (t *tail) start(ctx context.Context, from eventlog.Position) error {
	nc, js, err := t.log.conn.dial()
	if err != nil {
		return err
	}
	t.nc = nc
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	cons, err := js.OrderedConsumer(bounded, t.log.cfg.name(), jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   uint64(from),
	})
	if err != nil {
		return reading(ctx, err)
	}
	t.cons, err = cons.Consume(t.receive, jetstream.PullMaxBytes(tailBytes), jetstream.ConsumeErrHandler(
		func(_ jetstream.ConsumeContext, err error) { t.log.conn.log.Debug("log tail", "error", err) }))
	return reading(ctx, err)
}

// receive is called by nats.go, one message at a time; while it blocks, no more is asked for than tailBytes.
func (t *tail) receive(m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		return // not a message of the stream; what is missing then shows as a gap
	}
	item := eventlog.Message{Position: eventlog.Position(meta.Sequence.Stream), Payload: m.Data()}
	for {
		t.mu.Lock()
		if t.bytes == 0 || t.bytes+len(item.Payload) <= tailBytes {
			t.items = append(t.items, item)
			t.bytes += len(item.Payload)
			t.mu.Unlock()
			signal(t.more)
			return
		}
		t.mu.Unlock()
		select {
		case <-t.room:
		case <-t.closed:
			return
		}
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Next implements eventlog.Tail.
func (t *tail) Next(ctx context.Context) (eventlog.Message, error) {
	for {
		m, ok, err := t.TryNext()
		if ok || err != nil {
			return m, err
		}
		select {
		case <-t.more:
		case <-ctx.Done():
			return eventlog.Message{}, ctx.Err()
		case <-t.closed:
			return eventlog.Message{}, eventlog.ErrClosed
		}
	}
}

// TryNext implements eventlog.Tail.
func (t *tail) TryNext() (eventlog.Message, bool, error) {
	select {
	case <-t.closed:
		return eventlog.Message{}, false, eventlog.ErrClosed
	default:
	}
	for t.err == nil {
		m, ok := t.take()
		switch {
		case !ok:
			return m, false, nil
		case m.Position < t.next:
			continue // delivered again by a consumer that resumed
		case m.Position > t.next:
			t.err = &eventlog.ChainError{
				Position: t.next, Err: fmt.Errorf("%w: position %d came instead", eventlog.ErrGap, m.Position),
			}
			continue
		}
		t.next++
		return m, true, nil
	}
	return eventlog.Message{}, false, t.err
}

func (t *tail) take() (eventlog.Message, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.items) == 0 {
		return eventlog.Message{}, false
	}
	m := t.items[0]
	t.items[0] = eventlog.Message{}
	t.items = t.items[1:]
	t.bytes -= len(m.Payload)
	signal(t.room)
	return m, true
}

// Close implements eventlog.Tail.
func (t *tail) Close() error {
	t.once.Do(func() {
		close(t.closed)
		if t.cons != nil {
			t.cons.Stop()
		}
		if t.nc != nil {
			t.nc.Close()
		}
		t.log.mu.Lock()
		defer t.log.mu.Unlock()
		delete(t.log.tails, t)
	})
	return nil
}
