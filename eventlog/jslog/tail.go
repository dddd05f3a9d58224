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

// tail takes what was appended last from memory, where the log has it there, and reads the rest from the server.
type tail struct {
	log    *Log
	next   eventlog.Position
	err    error // a *eventlog.ChainError, for good
	closed chan struct{}
	more   chan struct{} // has an element when there may be more; capacity 1

	mu   sync.Mutex
	from *source // nil while memory has what comes next
	shut bool
}

// source reads with an ordered consumer on a connection of its own. The consumer resumes by itself when the connection or the server
// comes back; that nothing was left out is checked by the tail.
type source struct {
	nc     *nats.Conn
	cons   jetstream.ConsumeContext
	once   sync.Once
	closed chan struct{}
	more   chan<- struct{} // the tail's

	mu    sync.Mutex
	items []eventlog.Message // received, not yet taken
	bytes int                // of items
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
	t := &tail{log: l, next: from, closed: make(chan struct{}), more: make(chan struct{}, 1)}
	if !l.add(t) {
		return nil, fmt.Errorf("tail %s: %w", l.cfg.name(), eventlog.ErrClosed)
	}
	if _, _, known := t.remembered(); known {
		return t, nil
	}
	if _, err := t.source(ctx); err != nil {
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
	if l.recent != nil {
		l.recent.add(t)
	}
	return true
}

// remembered gives the next envelope if it is in memory; known is false when the server has to be asked for it.
func (t *tail) remembered() (m eventlog.Message, here, known bool) {
	if t.log.recent == nil {
		return m, false, false
	}
	return t.log.recent.get(t.next)
}

// open begins to read from the server, at the next position.
func (t *tail) open(ctx context.Context) (*source, error) {
	s := &source{closed: make(chan struct{}), more: t.more, room: make(chan struct{}, 1)}
	log := t.log.conn.log
	nc, js, err := t.log.conn.dial()
	if err != nil {
		return nil, err
	}
	s.nc = nc
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	cons, err := js.OrderedConsumer(bounded, t.log.cfg.name(), jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   uint64(t.next),
	})
	if err == nil {
		s.cons, err = cons.Consume(s.receive, jetstream.PullMaxBytes(tailBytes), jetstream.ConsumeErrHandler(
			func(_ jetstream.ConsumeContext, err error) { log.Debug("log tail", "error", err) }))
	}
	if err != nil {
		s.close()
		return nil, reading(ctx, err)
	}
	return s, nil
}

func (s *source) close() {
	s.once.Do(func() { close(s.closed) })
	if s.cons != nil {
		s.cons.Stop()
	}
	s.nc.Close()
}

// receive is called by nats.go, one message at a time; while it blocks, no more is asked for than tailBytes.
func (s *source) receive(m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		return // not a message of the stream; what is missing then shows as a gap
	}
	item := eventlog.Message{Position: eventlog.Position(meta.Sequence.Stream), Payload: m.Data()}
	for {
		s.mu.Lock()
		if s.bytes == 0 || s.bytes+len(item.Payload) <= tailBytes {
			s.items = append(s.items, item)
			s.bytes += len(item.Payload)
			s.mu.Unlock()
			signal(s.more)
			return
		}
		s.mu.Unlock()
		select {
		case <-s.room:
		case <-s.closed:
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
		m, ok, err := t.take()
		switch {
		case err != nil || !ok:
			return m, false, err
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

// take gives what comes next, from memory if it is there. Whoever has caught up with memory needs the server no longer, and whoever falls
// behind it needs it again.
func (t *tail) take() (eventlog.Message, bool, error) {
	m, here, known := t.remembered()
	if here {
		t.forgetSource()
	}
	if here || known && !t.reading() {
		return m, here, nil
	}
	from, err := t.source(context.Background())
	if err != nil {
		return m, false, err
	}
	m, here = from.take()
	return m, here, nil
}

// source gives what reads from the server, and begins to if need be.
func (t *tail) source(ctx context.Context) (*source, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shut {
		return nil, eventlog.ErrClosed
	}
	if t.from != nil {
		return t.from, nil
	}
	from, err := t.open(ctx)
	t.from = from
	return from, err
}

func (t *tail) reading() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.from != nil
}

func (t *tail) forgetSource() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.from != nil {
		t.from.close()
		t.from = nil
	}
}

func (s *source) take() (eventlog.Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.items) == 0 {
		return eventlog.Message{}, false
	}
	m := s.items[0]
	s.items[0] = eventlog.Message{}
	s.items = s.items[1:]
	s.bytes -= len(m.Payload)
	signal(s.room)
	return m, true
}

// Close implements eventlog.Tail.
func (t *tail) Close() error {
	t.mu.Lock()
	if t.shut {
		t.mu.Unlock()
		return nil
	}
	t.shut = true
	close(t.closed)
	t.mu.Unlock()
	t.forgetSource()
	if t.log.recent != nil {
		t.log.recent.remove(t)
	}
	t.log.mu.Lock()
	defer t.log.mu.Unlock()
	delete(t.log.tails, t)
	return nil
}
