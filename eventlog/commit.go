package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// flight is an envelope that was sent and is not settled.
type flight struct {
	units   []*unit
	events  int
	payload []byte
	before  State
	after   State
	sent    time.Time
	ack     <-chan error
	release context.CancelFunc

	err      error // of the last attempt
	unknown  bool  // an attempt ended with its outcome unknown: the payload may yet reach the log
	answered bool  // the units were told; only the outcome is still of interest
	fenced   int   // attempts refused although nothing was in the way
}

// maxFenced is how often the log may refuse an envelope that its head has room for. It can happen when the head is read from a
// server that lags behind.
const maxFenced = 5

// run is the committing goroutine: it sends what waits, up to InFlight envelopes, and settles them in order.
func (w *Writer) run() {
	defer close(w.done)
	var flights []*flight
	tip := w.State() // after the last envelope sent
	for {
		ended := false
		for len(flights) < w.opt.InFlight && !ended {
			// While one envelope is on its way, the next one waits until it is as large: every envelope costs a sync, and
			// half as many at full load carry twice as much each. An idle log is never waited for.
			atLeast := 0
			if len(flights) > 0 {
				atLeast = flights[len(flights)-1].events
			}
			var units []*unit
			if units, ended = w.queue.take(atLeast); len(units) == 0 {
				break
			}
			f, err := w.prepare(tip, units)
			if err != nil {
				w.settle(units, err)
				continue
			}
			w.send(f)
			tip = f.after
			flights = append(flights, f)
		}
		if ended && len(flights) == 0 {
			return
		}
		var err error
		if flights, err = w.step(flights); err != nil {
			w.end(flights, err)
			return
		}
		if len(flights) == 0 {
			tip = w.State()
		}
	}
}

// step waits for the answer to the first flight, or for more to send.
func (w *Writer) step(flights []*flight) ([]*flight, error) {
	var ack <-chan error
	if len(flights) > 0 {
		ack = flights[0].ack
	}
	select {
	case <-w.queue.wake:
		return flights, nil
	case err := <-ack:
		if err == nil {
			w.commit(flights[0])
			return flights[1:], nil
		}
		flights[0].fail(err)
		return w.recover(flights)
	case <-w.ctx.Done():
		return flights, ErrClosed
	}
}

func (w *Writer) prepare(before State, units []*unit) (*flight, error) {
	f := &flight{units: units, before: before}
	parts := make([][]byte, len(units))
	for i, u := range units {
		parts[i] = u.events
		f.events += u.count
	}
	payload, hash, err := Encode(before, w.opt.Now(), f.events, parts...)
	if err != nil {
		return nil, err
	}
	f.payload = payload
	f.after = State{Position: before.Position + 1, Hash: hash, NextIndex: before.NextIndex + uint64(f.events), Epoch: before.Epoch}
	return f, nil
}

func (w *Writer) send(f *flight) {
	ctx, cancel := context.WithTimeout(w.ctx, w.opt.AckTimeout)
	f.release, f.sent = cancel, time.Now()
	f.ack = w.log.Append(ctx, f.before.Mark(), f.payload)
}

// fail notes how an attempt ended.
func (f *flight) fail(err error) {
	f.release()
	f.err = err
	if errors.Is(err, ErrFenced) {
		f.fenced++
	}
	definite := false
	for _, known := range []error{ErrFenced, ErrNoSpace, ErrTooLarge, ErrUnavailable} {
		definite = definite || errors.Is(err, known)
	}
	if !definite || errors.Is(err, ErrUnknown) {
		f.unknown = true
	}
}

// commit settles a flight that is in the log.
func (w *Writer) commit(f *flight) {
	f.release()
	w.mu.Lock()
	w.state = f.after
	w.mu.Unlock()
	w.setDown(nil)
	if !f.answered {
		index := f.before.NextIndex
		w.queue.settle(f.units, func(u *unit) answer {
			r := Receipt{Position: f.after.Position, FirstIndex: index}
			index += uint64(u.count)
			return answer{receipt: r}
		})
	}
	if hook := w.opt.Hooks.Committed; hook != nil {
		hook(Commit{
			Position: f.after.Position, Units: len(f.units), Events: f.events, Bytes: len(f.payload), Latency: time.Since(f.sent),
		})
	}
}

func (w *Writer) settle(units []*unit, err error) {
	w.queue.settle(units, func(*unit) answer { return answer{err: err} })
}

// recover is called when the first flight was not acknowledged. It waits for the answers to the others, and then looks into the log
// for what became of each, sending the same bytes with the same condition again until each is in the log, or certainly is not
// and never will be. Sending again is safe at any time: the condition lets an envelope in once, and only at its place.
func (w *Writer) recover(flights []*flight) ([]*flight, error) {
	for _, f := range flights[1:] {
		select {
		case err := <-f.ack:
			if err != nil {
				f.fail(err)
			}
		case <-w.ctx.Done():
			return flights, ErrClosed
		}
	}
	delay := min(firstRetryDelay, w.opt.RetryDelay)
	for len(flights) > 0 {
		f := flights[0]
		if hook := w.opt.Hooks.Retry; hook != nil {
			hook(f.err)
		}
		found, err := w.lookup(f)
		switch {
		case found:
			w.commit(f)
			flights, delay = flights[1:], min(firstRetryDelay, w.opt.RetryDelay)
			continue
		case isChainError(err) || errors.Is(err, ErrFenced):
			return flights, err
		case err == nil && !f.unknown && (errors.Is(f.err, ErrNoSpace) || errors.Is(f.err, ErrTooLarge)):
			// Not in the log, and it will never be; neither will those behind it, which continue it.
			for _, behind := range flights {
				w.giveUp(behind, f.err)
			}
			w.setDown(nil) // the log answers; the next unit finds out whether there is room by then
			return nil, nil
		case err == nil && f.fenced >= maxFenced:
			return flights, f.err
		case err == nil:
			if err = w.resend(f); err == nil {
				w.commit(f)
				flights, delay = flights[1:], min(firstRetryDelay, w.opt.RetryDelay)
				continue
			}
		}
		if w.ctx.Err() != nil {
			return flights, ErrClosed
		}
		w.unavailable(err)
		if !w.pause(delay) {
			return flights, ErrClosed
		}
		delay = min(2*delay, w.opt.RetryDelay)
	}
	return nil, nil
}

// lookup says whether a flight is in the log. ErrFenced: something else is in its place. A *ChainError: the log lost what it had
// acknowledged. Other errors: the log could not be read.
func (w *Writer) lookup(f *flight) (bool, error) {
	ctx, cancel := context.WithTimeout(w.ctx, w.opt.AckTimeout)
	defer cancel()
	return inLog(ctx, w.log, f.before.Position, f.payload)
}

func inLog(ctx context.Context, log Log, after Position, payload []byte) (bool, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return false, err
	}
	if head.Last < after {
		return false, &ChainError{after, fmt.Errorf("%w: it ends at %d", ErrBehind, head.Last)}
	}
	if head.Last == after {
		return false, nil
	}
	there, err := log.Read(ctx, after+1)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(there, payload) {
		return false, fmt.Errorf("%w: another envelope is at %d", ErrFenced, after+1)
	}
	return true, nil
}

// resend tries a flight again and waits for the answer.
func (w *Writer) resend(f *flight) error {
	w.send(f)
	select {
	case err := <-f.ack:
		if err != nil {
			f.fail(err)
		}
		return err
	case <-w.ctx.Done():
		return ErrClosed
	}
}

// giveUp answers the units of a flight, once.
func (w *Writer) giveUp(f *flight, err error) {
	f.release()
	if !f.answered {
		f.answered = true
		w.settle(f.units, err)
	}
}

// unavailable makes the writer refuse new units until the log is back.
func (w *Writer) unavailable(cause error) {
	// What is refused from here on was certainly not appended: ErrUnknown must not be in its error.
	if errors.Is(cause, ErrNoSpace) {
		w.setDown(fmt.Errorf("%w: %w", ErrUnavailable, ErrNoSpace))
	} else {
		w.setDown(fmt.Errorf("%w: %v", ErrUnavailable, cause))
	}
}

func (w *Writer) setDown(cause error) {
	before := w.down.Load()
	switch {
	case cause == nil && before == nil:
		return
	case cause == nil:
		w.down.Store(nil)
		w.opt.Logger.Info("log available again")
	default:
		w.down.Store(&cause)
		if before == nil {
			w.opt.Logger.Warn("log unavailable", "error", cause)
		}
	}
	if hook := w.opt.Hooks.Down; hook != nil && (before == nil) != (cause == nil) {
		hook(cause)
	}
}

func (w *Writer) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.ctx.Done():
		return false
	}
}

// end settles everything when the writer dies or is closed.
func (w *Writer) end(flights []*flight, err error) {
	sent := err
	if errors.Is(err, ErrClosed) {
		sent = fmt.Errorf("%w: %w", ErrUnknown, err)
	} else {
		w.mu.Lock()
		w.err = err
		w.mu.Unlock()
		w.opt.Logger.Error("log writer stopped", "error", err)
	}
	w.queue.close(err)
	w.down.Store(nil) // from here on, the queue tells why
	for _, f := range flights {
		f.release()
		w.giveUp(f, sent)
	}
	for {
		units, ended := w.queue.take(0)
		w.settle(units, err)
		if ended {
			return
		}
	}
}
