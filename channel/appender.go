package channel

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"

	"angarium/eventlog"
)

// appender appends received envelopes to a log, several at a time, and acknowledges in order what the log has on stable storage.
type appender struct {
	log     eventlog.Log
	cancel  context.CancelCauseFunc // ends receiving when an append failed
	pending chan pendingAppend      // capacity maxAppendsInFlight

	durable atomic.Uint64 // the last position that the log has, and all before it
	signal  chan struct{} // has an element when durable grew; capacity 1
	settled chan struct{} // closed when all appends are settled
	told    chan struct{} // closed when nothing is acknowledged any more
	err     error         // of the first append that failed; once settled is closed
}

type pendingAppend struct {
	position eventlog.Position
	outcome  <-chan error
	release  context.CancelFunc
}

func startAppender(ctx context.Context, cancel context.CancelCauseFunc, log eventlog.Log, acks *io.PipeWriter) *appender {
	a := &appender{
		log: log, cancel: cancel, pending: make(chan pendingAppend, maxAppendsInFlight),
		signal: make(chan struct{}, 1), settled: make(chan struct{}), told: make(chan struct{}),
	}
	go a.settle()
	go a.acknowledge(ctx, acks)
	return a
}

// append starts an append, and waits first if too many are in flight. The outcome shows in finish; ctx ends when one fails.
func (a *appender) append(ctx context.Context, after eventlog.Mark, m eventlog.Message) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// An append that was begun is waited for even when the link breaks: what the log holds must be known before following again.
	bounded, release := context.WithTimeout(context.WithoutCancel(ctx), appendTimeout)
	p := pendingAppend{position: m.Position, outcome: a.log.Append(bounded, after, m.Payload), release: release}
	a.pending <- p // settle takes them whatever becomes of ctx
	return nil
}

func (a *appender) settle() {
	defer close(a.settled)
	defer close(a.signal)
	for p := range a.pending {
		err := <-p.outcome
		p.release()
		switch {
		case a.err != nil: // those behind one that failed fail too
		case err != nil:
			a.err = fmt.Errorf("append %d: %w", p.position, err)
			a.cancel(a.err)
		default:
			a.durable.Store(uint64(p.position))
			select {
			case a.signal <- struct{}{}:
			default:
			}
		}
	}
}

// acknowledge tells the sender. While it waits for the link, several appends become one acknowledgement.
func (a *appender) acknowledge(ctx context.Context, w *io.PipeWriter) {
	defer close(a.told)
	stop := context.AfterFunc(ctx, func() { w.CloseWithError(context.Cause(ctx)) })
	defer stop()
	for range a.signal {
		b := binary.BigEndian.AppendUint64(make([]byte, 0, ackBytes), a.durable.Load())
		if _, err := w.Write(b); err != nil {
			a.cancel(fmt.Errorf("%w: acknowledge: %w", ErrLost, err))
			return
		}
	}
}

// finish waits until all appends are settled, and gives the error of the first that failed.
func (a *appender) finish() error {
	close(a.pending)
	<-a.settled
	a.cancel(nil)
	<-a.told
	return a.err
}
