package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"angarium/eventlog/event"
)

// Options of a Writer. The zero value of each field stands for its default.
type Options struct {
	InFlight   int              // envelopes sent and not yet answered; default 1, at most 16
	QueueBytes int              // encoded bytes of units not yet answered; default 64 MiB, at least MaxUnitBytes
	QueueUnits int              // units not yet answered; default 16384
	AckTimeout time.Duration    // how long to wait for the log's answer before its outcome is unknown; default 10 s
	RetryDelay time.Duration    // longest pause between attempts to reach a log that does not answer; default 1 s
	Now        func() time.Time // clock for the time in envelopes; default time.Now
	Logger     *slog.Logger     // default: none
	Hooks      Hooks
}

// Hooks are called by the committing goroutine: they must be quick. A nil hook is not called.
type Hooks struct {
	Committed func(Commit)      // an envelope is in the log
	Retry     func(err error)   // an envelope was not answered as it should, and is looked for or sent again
	Down      func(cause error) // the log became unavailable; nil: it is back
}

// Commit describes an envelope that is in the log.
type Commit struct {
	Position Position
	Units    int
	Events   int
	Bytes    int           // of the payload
	Latency  time.Duration // from sending the envelope to its acknowledgement
}

const (
	defaultInFlight   = 1
	maxInFlight       = 16
	defaultQueueBytes = 64 << 20
	defaultQueueUnits = 16384
	defaultAckTimeout = 10 * time.Second
	defaultRetryDelay = time.Second
	firstRetryDelay   = 10 * time.Millisecond
)

func (o Options) withDefaults() Options {
	if o.InFlight <= 0 {
		o.InFlight = defaultInFlight
	}
	o.InFlight = min(o.InFlight, maxInFlight)
	if o.QueueBytes <= 0 {
		o.QueueBytes = defaultQueueBytes
	}
	o.QueueBytes = max(o.QueueBytes, MaxUnitBytes)
	if o.QueueUnits <= 0 {
		o.QueueUnits = defaultQueueUnits
	}
	if o.AckTimeout <= 0 {
		o.AckTimeout = defaultAckTimeout
	}
	if o.RetryDelay <= 0 {
		o.RetryDelay = defaultRetryDelay
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Receipt says where the events of a unit are in the log.
type Receipt struct {
	Position   Position // of the envelope that has them all
	FirstIndex uint64   // global index of the unit's first event; the others follow
}

// Writer appends units of events to a log of which it is the primary (see Fence). Units that wait while an envelope is on its way
// go into the next one together. It is safe for concurrent use.
type Writer struct {
	log   Log
	opt   Options
	queue queue

	ctx    context.Context // ends when the writer gives up what is unfinished
	cancel context.CancelFunc
	done   chan struct{} // closed when the committing goroutine has ended

	mu    sync.Mutex
	state State // after the last envelope known to be in the log
	err   error // why the writer is dead

	down atomic.Pointer[error] // why the log is unavailable
}

// NewWriter starts a writer behind state, which Fence returned. Close ends it.
func NewWriter(log Log, state State, opt Options) *Writer {
	opt = opt.withDefaults()
	state.NextIndex = state.nextIndex()
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{log: log, opt: opt, ctx: ctx, cancel: cancel, done: make(chan struct{}), state: state}
	w.queue.init(opt.QueueBytes, opt.QueueUnits)
	go w.run()
	return w
}

// Append puts all events of a unit into one envelope and waits until that is on stable storage. It waits for room in the queue
// first.
//
// The outcome is certain but in one case: an error that is ErrUnknown means that the unit may be in the log or get there yet, because
// ctx ended while its envelope was on its way, or because the writer was closed then. In detail:
//
//   - ErrFenced: the writer is dead, somebody else is the primary. Nothing was appended.
//   - ErrUnavailable: the log cannot be reached. Nothing was appended, unless it is ErrUnknown as well. The writer recovers by itself.
//   - ErrNoSpace: the log's store is full; likewise.
//   - ErrTooLarge: the unit has more than MaxUnitEvents events or MaxUnitBytes bytes.
//   - ErrClosed: the writer was closed.
//   - a *ChainError: the log lost what it had acknowledged, and the writer is dead.
func (w *Writer) Append(ctx context.Context, unit ...event.Entry) (Receipt, error) {
	u, err := newUnit(unit)
	if err != nil {
		return Receipt{}, fmt.Errorf("append: %w", err)
	}
	if down := w.down.Load(); down != nil {
		return Receipt{}, fmt.Errorf("append: %w", *down)
	}
	if err := w.queue.push(ctx, u); err != nil {
		return Receipt{}, fmt.Errorf("append: %w", w.withCause(err))
	}
	select {
	case r := <-u.answer:
		return r.receipt, r.wrapped()
	case <-ctx.Done():
	}
	if w.queue.withdraw(u) {
		return Receipt{}, fmt.Errorf("append: %w", w.withCause(ctx.Err()))
	}
	select {
	case r := <-u.answer: // it came at the same time
		return r.receipt, r.wrapped()
	default:
		return Receipt{}, fmt.Errorf("append: %w: %w", ErrUnknown, w.withCause(ctx.Err()))
	}
}

// withCause adds to the end of a context that the log is unavailable, if it is.
func (w *Writer) withCause(err error) error {
	if down := w.down.Load(); down != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return fmt.Errorf("%w: %w", *down, err)
	}
	return err
}

// State is where the log stands as far as the writer knows: after its last acknowledged envelope.
func (w *Writer) State() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// Queued says how many units wait for an envelope.
func (w *Writer) Queued() int {
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	return len(w.queue.units)
}

// Done is closed when the writer has ended: because it was closed, or died.
func (w *Writer) Done() <-chan struct{} { return w.done }

// Err says why the writer died: ErrFenced, or a *ChainError. It is nil while it lives, and after Close.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close refuses further units, waits until those accepted are in the log, and ends the writer. When ctx ends before, what is
// on its way ends with ErrUnknown and what was not sent with ErrClosed. It does not close the log.
func (w *Writer) Close(ctx context.Context) error {
	w.queue.close(ErrClosed)
	defer w.cancel()
	select {
	case <-w.done:
		return w.Err()
	case <-ctx.Done():
	}
	w.cancel()
	<-w.done
	return fmt.Errorf("close log writer: %w", ctx.Err())
}
