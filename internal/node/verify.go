package node

import (
	"context"
	"errors"
	"fmt"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/internal/control"
	"angarium/replica"
	"angarium/replica/state"
)

// verify checks every replica and, if deep, every body and the whole log.
func (n *Node) verify(ctx context.Context, deep bool, violation func(state.Violation), progress func(control.Progress)) (control.VerifyResult, error) {
	var res control.VerifyResult
	report := func(v state.Violation) {
		res.Violations++
		violation(v)
	}
	for _, s := range n.shards {
		if st, err := s.replica.Status(); err != nil {
			return res, err
		} else if st.State == replica.Halted {
			report(state.Violation{Kind: "halted", Detail: fmt.Sprintf("shard %d: %s", s.number, st.Reason)})
		}
		before := res
		sum, err := s.replica.Check(ctx, replica.CheckOptions{Deep: deep, Progress: func(c state.CheckSummary) {
			progress(control.Progress{What: "verify", Done: before.Messages + c.Messages, Unit: "messages"})
		}}, report)
		if err != nil {
			return res, err
		}
		res.Accounts += sum.Accounts
		res.Mailboxes += sum.Mailboxes
		res.Messages += sum.Messages
		res.Bodies += sum.Bodies
		res.Bytes += sum.Bytes
		res.Shards = append(res.Shards, control.VerifiedShard{Shard: s.number, Position: uint64(sum.Position), Digest: digestText(sum.Digest)})
		if deep {
			envelopes, err := s.verifyLog(ctx, report, progress)
			if err != nil {
				return res, err
			}
			res.Envelopes += envelopes
		}
	}
	res.OK = res.Violations == 0
	return res, nil
}

// verifyLog reads the log of a shard whole and checks that it begins where it should, and its chain.
func (s *shard) verifyLog(ctx context.Context, report func(state.Violation), progress func(control.Progress)) (uint64, error) {
	n := uint64(0)
	head, err := s.log.Head(ctx)
	if err == nil {
		err = s.anchored(ctx, head)
	}
	if err == nil {
		n, err = s.verifyChain(ctx, progress)
	}
	var chain *eventlog.ChainError
	if errors.As(err, &chain) {
		report(state.Violation{Kind: "log", Detail: fmt.Sprintf("shard %d: %v", s.number, chain)})
		return n, nil
	}
	return n, err
}

// verifyChain reads the log of a shard and gives the envelopes that it has read.
func (s *shard) verifyChain(ctx context.Context, progress func(control.Progress)) (n uint64, err error) {
	err = s.eachEnvelope(ctx, 1, 0, func(_ *eventlog.Envelope, head eventlog.Position) error {
		n++
		progress(control.Progress{What: "verify log", Done: n, Total: uint64(head), Unit: "envelopes"})
		return nil
	})
	return n, err
}

// eachEnvelope reads the log of a shard from position from, or from where it begins, up to position to (0: to where it ends now). The
// chain is checked from the second envelope on, and at the first one if that is where the log begins.
func (s *shard) eachEnvelope(ctx context.Context, from, to eventlog.Position, fn func(env *eventlog.Envelope, head eventlog.Position) error) error {
	head, err := s.log.Head(ctx)
	if err != nil {
		return err
	}
	from = max(from, head.First, 1)
	if to == 0 || to > head.Last {
		to = head.Last
	}
	if from > to {
		return nil
	}
	after := eventlog.State{}
	if from > 1 {
		if after, err = s.stateBefore(ctx, from); err != nil {
			return err
		}
	}
	f, err := eventlog.Follow(ctx, s.log, after)
	if err != nil {
		return err
	}
	defer f.Close()
	for f.State().Position < to {
		env, err := f.Next(ctx)
		if err != nil {
			return err
		}
		if err := fn(&env, head.Last); err != nil {
			return err
		}
	}
	return nil
}

// stateBefore takes the state before an envelope from what the envelope itself says.
func (s *shard) stateBefore(ctx context.Context, pos eventlog.Position) (eventlog.State, error) {
	payload, err := s.log.Read(ctx, pos)
	if err != nil {
		return eventlog.State{}, &eventlog.ChainError{Position: pos, Err: err}
	}
	env, err := eventlog.Decode(pos, payload)
	if err != nil {
		return eventlog.State{}, &eventlog.ChainError{Position: pos, Err: err}
	}
	st := eventlog.State{Position: pos - 1, Hash: env.PrevHash, NextIndex: env.FirstIndex, Epoch: env.Epoch}
	if _, starts := env.Entries[0].Event.(*event.EpochStarted); starts {
		st.Epoch--
	}
	return st, nil
}
