package eventlog

import (
	"context"
	"fmt"
)

// Follower reads the envelopes of a log in order, decoded and verified. It is for one goroutine; Close may come from another.
type Follower struct {
	tail  Tail
	chain *Chain
	err   error // a *ChainError, for good
}

// Follow reads a log from behind a state. It fails as Check does when the log does not continue that state.
func Follow(ctx context.Context, log Log, after State) (*Follower, error) {
	if err := Check(ctx, log, after.Mark()); err != nil {
		return nil, err
	}
	tail, err := log.Tail(ctx, after.Position+1)
	if err != nil {
		return nil, fmt.Errorf("follow log from %d: %w", after.Position+1, err)
	}
	return &Follower{tail: tail, chain: NewChain(after)}, nil
}

// State is where the follower stands: after the last envelope that it gave.
func (f *Follower) State() State { return f.chain.State() }

// Next waits for the next envelope. A *ChainError is final: the follower gives it again on every further call. Other errors
// (of ctx, or the log's) leave it where it was.
func (f *Follower) Next(ctx context.Context) (Envelope, error) {
	if f.err != nil {
		return Envelope{}, f.err
	}
	m, err := f.tail.Next(ctx)
	if err != nil {
		return Envelope{}, f.fail(err)
	}
	return f.extend(m)
}

// NextBatch waits for the next envelope and takes those that are here already, until they hold maxEvents events or maxBytes
// bytes of payload: always at least one, and the last one may exceed the bounds. An error behind the first envelope is kept for
// the next call.
func (f *Follower) NextBatch(ctx context.Context, maxEvents, maxBytes int) ([]Envelope, error) {
	env, err := f.Next(ctx)
	if err != nil {
		return nil, err
	}
	batch := []Envelope{env}
	events, size := len(env.Entries), len(env.Payload)
	for events < maxEvents && size < maxBytes {
		m, ok, err := f.tail.TryNext()
		if err != nil || !ok {
			return batch, nil // a tail repeats its error
		}
		if env, err = f.extend(m); err != nil {
			return batch, nil // kept in f.err
		}
		batch = append(batch, env)
		events += len(env.Entries)
		size += len(env.Payload)
	}
	return batch, nil
}

// Close ends the follower; a waiting Next returns ErrClosed.
func (f *Follower) Close() error { return f.tail.Close() }

func (f *Follower) extend(m Message) (Envelope, error) {
	env, err := f.chain.Extend(m)
	if err != nil {
		return Envelope{}, f.fail(err)
	}
	return env, nil
}

func (f *Follower) fail(err error) error {
	if isChainError(err) {
		f.err = err
	}
	return err
}
