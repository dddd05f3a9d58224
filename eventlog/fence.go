package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"angarium/eventlog/event"
)

// fenceRetryDelay is the pause between attempts of Fence to reach a log that does not answer.
const fenceRetryDelay = 50 * time.Millisecond

// Fence makes node the primary: it reads the log from behind state to its end, verifying the chain, and appends EpochStarted there.
// From then on the appends of the primary before fail with ErrFenced. The state it returns is for NewWriter; a replica has to apply
// what is in the log up to it before it decides anything.
//
// It tries again when the primary before appends meanwhile, and as long as ctx allows when its append is not answered. ErrFenced
// means that another node started an epoch meanwhile. After ErrUnknown the epoch may yet start: that only costs another Fence.
func Fence(ctx context.Context, log Log, state State, node string) (State, error) {
	for {
		end, err := readToEnd(ctx, log, state)
		if err != nil {
			return State{}, fmt.Errorf("fence: %w", err)
		}
		next, err := startEpoch(ctx, log, end, node)
		switch {
		case err == nil:
			return next, nil
		case !errors.Is(err, ErrFenced):
			return State{}, fmt.Errorf("fence: %w", err)
		}
		now, err := readToEnd(ctx, log, end)
		if err != nil {
			return State{}, fmt.Errorf("fence: %w", err)
		}
		if now.Epoch != end.Epoch {
			return State{}, fmt.Errorf("fence: %w: epoch %d was started meanwhile", ErrFenced, now.Epoch)
		}
		state = now
	}
}

// readToEnd verifies the log from behind state to where it ends at the moment.
func readToEnd(ctx context.Context, log Log, state State) (State, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return State{}, err
	}
	follower, err := Follow(ctx, log, state)
	if err != nil {
		return State{}, err
	}
	defer follower.Close()
	for follower.State().Position < head.Last {
		if _, err := follower.Next(ctx); err != nil {
			return State{}, err
		}
	}
	return follower.State(), nil
}

// startEpoch appends EpochStarted behind end, and finds out whether it is in the log.
func startEpoch(ctx context.Context, log Log, end State, node string) (State, error) {
	now := time.Now()
	start := State{Position: end.Position, Hash: end.Hash, NextIndex: end.nextIndex(), Epoch: end.Epoch + 1}
	encoded, err := event.Encode(event.Entry{
		Meta:  event.Meta{Time: now.UnixMicro(), Service: "system"},
		Event: &event.EpochStarted{Epoch: start.Epoch, Node: node},
	})
	if err != nil {
		return State{}, err
	}
	payload, hash, err := Encode(start, now, 1, encoded)
	if err != nil {
		return State{}, err
	}
	next := State{Position: end.Position + 1, Hash: hash, NextIndex: start.NextIndex + 1, Epoch: start.Epoch}
	for {
		err := appendWithin(ctx, log, end.Mark(), payload)
		if err == nil {
			return next, nil
		}
		if !errors.Is(err, ErrFenced) && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrUnavailable) {
			return State{}, err
		}
		found, lookErr := inLog(ctx, log, end.Position, payload)
		switch {
		case found:
			return next, nil
		case errors.Is(lookErr, ErrFenced) || isChainError(lookErr):
			return State{}, lookErr
		case errors.Is(err, ErrFenced) && lookErr == nil:
			return State{}, err
		}
		select {
		case <-time.After(fenceRetryDelay):
		case <-ctx.Done():
			return State{}, fmt.Errorf("%w: %w", err, ctx.Err()) // EpochStarted may yet reach the log
		}
	}
}

func appendWithin(ctx context.Context, log Log, after Mark, payload []byte) error {
	ctx, cancel := context.WithTimeout(ctx, defaultAckTimeout)
	defer cancel()
	return <-log.Append(ctx, after, payload)
}
