package eventlog

import (
	"context"
	"errors"
	"fmt"
)

// mendWindow bounds how many appends of Mend are in flight, and so, with MaxEnvelopeBytes, what they hold in memory.
const mendWindow = 16

// Source is another copy of a log, for Mend. What it gives is not trusted.
type Source interface {
	// Name says where the copy is, for messages.
	Name() string
	// Envelope gives the payload at a position: ErrNotFound when it is not there.
	Envelope(ctx context.Context, pos Position) ([]byte, error)
}

// Mending says what Mend is to do.
type Mending struct {
	Base  State    // behind which both logs begin
	From  Log      // the damaged log; nil when nothing is left of it
	Into  Log      // a log that begins behind Base too, and holds none or the first of the envelopes
	Known Mark     // an envelope that was read from From when it was sound; the zero Mark for none
	To    Position // up to where; at least Known.Position
	Other []Source // other copies, in the order in which they are asked

	Progress func(at Position) // may be nil
}

// Mended is what Mend has done.
type Mended struct {
	State  State      // of the last envelope of Into
	Copied uint64     // envelopes that From had whole
	Healed []Position // of those that came from another source, the first maxHealed
	Count  uint64     // of all of them
}

// maxHealed bounds Mended.Healed.
const maxHealed = 100

// Mend copies a damaged log into another, envelope by envelope, and takes what is missing or damaged in it from other copies. Each envelope
// has to continue the chain, and the one at Known has to be Known: so what comes from elsewhere is what was there, or it is not taken.
// Mend may be repeated after a crash or an error: it goes on where Into ends.
//
// A *ChainError names the envelope that no copy has (ErrGap), or says that the copies are of different histories (ErrHash). Other errors are
// those of the logs.
func Mend(ctx context.Context, m Mending) (Mended, error) {
	state, err := endOf(ctx, m.Into, m.Base)
	if err != nil {
		return Mended{}, fmt.Errorf("mend log: %w", err)
	}
	w := &mender{Mending: m, chain: NewChain(state), done: Mended{State: state}}
	for pos := state.Position + 1; pos <= m.To && err == nil; pos++ {
		err = w.next(ctx, pos)
		if err == nil && m.Progress != nil {
			m.Progress(pos)
		}
	}
	err = errors.Join(err, w.settle(0))
	w.done.State = w.chain.State()
	if err != nil {
		return w.done, fmt.Errorf("mend log: %w", err)
	}
	return w.done, nil
}

// endOf gives the state of the last envelope of a log that begins behind base, which is checked by itself.
func endOf(ctx context.Context, log Log, base State) (State, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return State{}, err
	}
	switch {
	case head.First > head.Last && head.Last == base.Position:
		return base, nil
	case head.First != base.Position+1:
		return State{}, &ChainError{base.Position + 1, fmt.Errorf("%w: the log begins at %d", ErrGap, head.First)}
	}
	payload, err := log.Read(ctx, head.Last)
	if errors.Is(err, ErrNotFound) {
		return State{}, &ChainError{head.Last, fmt.Errorf("%w: %w", ErrGap, err)}
	}
	if err != nil {
		return State{}, err
	}
	env, err := Decode(head.Last, payload)
	if err != nil {
		return State{}, &ChainError{head.Last, err}
	}
	return env.State(), nil
}

type mender struct {
	Mending
	chain   *Chain
	done    Mended
	flights []<-chan error // outcomes of appends that are awaited, in order
}

// next appends the envelope at pos.
func (w *mender) next(ctx context.Context, pos Position) error {
	after := w.chain.State().Mark()
	payload, err := w.fromLog(ctx, pos)
	if err != nil {
		return err
	}
	if payload == nil {
		if payload, err = w.fromElsewhere(ctx, pos); err != nil {
			return err
		}
		if w.done.Count++; len(w.done.Healed) < maxHealed {
			w.done.Healed = append(w.done.Healed, pos)
		}
	} else {
		w.done.Copied++
	}
	if at := w.chain.State().Mark(); at.Position == w.Known.Position && at != w.Known {
		return &ChainError{pos, fmt.Errorf("%w: it is %s, and %s was read before", ErrHash, at, w.Known)}
	}
	w.flights = append(w.flights, w.Into.Append(ctx, after, payload))
	return w.settle(mendWindow)
}

// fromLog gives the envelope at pos as the damaged log has it; nil when it is missing or damaged there.
func (w *mender) fromLog(ctx context.Context, pos Position) ([]byte, error) {
	if w.From == nil {
		return nil, nil
	}
	payload, err := w.From.Read(ctx, pos)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := Decode(pos, payload); err != nil {
		return nil, nil
	}
	if _, err := w.chain.Extend(Message{Position: pos, Payload: payload}); err != nil { // whole, and of another history than the one before it
		return nil, err
	}
	return payload, nil
}

// fromElsewhere gives the envelope at pos from the first source that has one which continues the chain.
func (w *mender) fromElsewhere(ctx context.Context, pos Position) ([]byte, error) {
	why := []error{fmt.Errorf("%w: it is missing or damaged here, and no other copy gave it", ErrGap)}
	for _, source := range w.Other {
		payload, err := source.Envelope(ctx, pos)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			_, err = w.chain.Extend(Message{Position: pos, Payload: payload})
		}
		if err == nil {
			return payload, nil
		}
		why = append(why, fmt.Errorf("%s: %w", source.Name(), err))
	}
	return nil, &ChainError{pos, errors.Join(why...)}
}

// settle waits until no more than n appends are in flight.
func (w *mender) settle(n int) error {
	var errs []error
	for len(w.flights) > n {
		errs = append(errs, <-w.flights[0])
		w.flights = w.flights[1:]
	}
	return errors.Join(errs...)
}
