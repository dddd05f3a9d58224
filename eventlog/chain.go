package eventlog

import (
	"context"
	"errors"
	"fmt"

	"angarium/eventlog/event"
)

// Chain verifies that envelopes continue one another, wherever they come from.
type Chain struct {
	state State
}

// NewChain starts behind a state.
func NewChain(after State) *Chain {
	after.NextIndex = after.nextIndex()
	return &Chain{state: after}
}

// State is where the chain stands: after the last envelope that Extend accepted.
func (c *Chain) State() State { return c.state }

// Extend decodes an envelope and checks that it comes next. If it does not, the chain stays where it is and the error is a
// *ChainError with one of ErrGap, ErrCorrupt, ErrHash, ErrIndexJump, ErrEpoch or event.ErrNewer in it.
func (c *Chain) Extend(m Message) (Envelope, error) {
	if m.Position != c.state.Position+1 {
		return Envelope{}, &ChainError{c.state.Position + 1, fmt.Errorf("%w: position %d came instead", ErrGap, m.Position)}
	}
	env, err := m.decode()
	if err == nil {
		err = c.follows(&env)
	}
	if err != nil {
		return Envelope{}, &ChainError{m.Position, err}
	}
	c.state = env.State()
	return env, nil
}

func (m Message) decode() (Envelope, error) {
	if m.Own && len(m.Payload) > HashSize {
		return decode(m.Position, m.Payload)
	}
	return Decode(m.Position, m.Payload)
}

func (c *Chain) follows(env *Envelope) error {
	if env.PrevHash != c.state.Hash {
		return fmt.Errorf("%w: it continues %s, not %s", ErrHash, env.PrevHash, c.state.Hash)
	}
	if env.FirstIndex != c.state.NextIndex {
		return fmt.Errorf("%w: to %d, where %d is next", ErrIndexJump, env.FirstIndex, c.state.NextIndex)
	}
	return c.checkEpoch(env)
}

// checkEpoch holds that an epoch starts with EpochStarted, as the first event of its first envelope, and nowhere else.
func (c *Chain) checkEpoch(env *Envelope) error {
	epoch := c.state.Epoch
	for i, entry := range env.Entries {
		started, ok := entry.Event.(*event.EpochStarted)
		if !ok {
			continue
		}
		if i > 0 {
			return fmt.Errorf("%w: EpochStarted is event %d of its envelope", ErrEpoch, i+1)
		}
		if epoch++; started.Epoch != epoch {
			return fmt.Errorf("%w: EpochStarted of %d after %d", ErrEpoch, started.Epoch, c.state.Epoch)
		}
	}
	if env.Epoch != epoch {
		return fmt.Errorf("%w: an envelope of %d after %d, where %d is due", ErrEpoch, env.Epoch, c.state.Epoch, epoch)
	}
	return nil
}

// Check says whether a log continues a state: that it reaches back to it, does not end before it, and has the same envelope there.
// The error is a *ChainError with ErrPurged, ErrBehind, ErrHash or ErrGap in it, or the log's own.
func Check(ctx context.Context, log Log, at Mark) error {
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("check log: %w", err)
	}
	switch {
	case head.Last < at.Position:
		return &ChainError{at.Position, fmt.Errorf("%w: it ends at %d", ErrBehind, head.Last)}
	case head.First > at.Position+1:
		return &ChainError{at.Position + 1, fmt.Errorf("%w: it begins at %d", ErrPurged, head.First)}
	case at.Position == 0 || head.First > at.Position:
		return nil
	}
	payload, err := log.Read(ctx, at.Position)
	if errors.Is(err, ErrNotFound) {
		return &ChainError{at.Position, fmt.Errorf("%w: %w", ErrGap, err)}
	}
	if err != nil {
		return fmt.Errorf("check log: %w", err)
	}
	if hash, ok := payloadHash(payload); !ok || hash != at.Hash {
		return &ChainError{at.Position, fmt.Errorf("%w: the log has %s here, %s was read before", ErrHash, hash, at.Hash)}
	}
	return nil
}
