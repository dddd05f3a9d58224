package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"angarium/internal/control"
	"angarium/replica"
)

// Status says how the node does.
func (n *Node) Status(ctx context.Context) (control.Status, error) {
	st := control.Status{Node: n.name, Version: n.opts.Version, Started: n.started.UTC().Truncate(time.Second), Online: n.Restart != nil}
	for _, s := range n.shards {
		one, err := s.status(ctx)
		if err != nil {
			return st, fmt.Errorf("status of shard %d: %w", s.number, err)
		}
		st.Shards = append(st.Shards, one)
	}
	if n.Sessions != nil {
		st.Sessions = n.Sessions()
	}
	return st, nil
}

func (s *shard) status(ctx context.Context) (control.ShardStatus, error) {
	r, err := s.replica.Status()
	if err != nil {
		return control.ShardStatus{}, err
	}
	st := control.ShardStatus{
		Shard: s.number, Role: "replica", State: r.State, Reason: r.Reason, HaltPosition: uint64(r.Halt),
		Epoch: r.Applied.Epoch, Position: uint64(r.Applied.Position), Applied: uint64(r.Applied.Position),
		HeadHash: r.Applied.Hash.String(), NextIndex: max(r.Applied.NextIndex, 1), Digest: digestText(r.Totals.Digest),
		Mailboxes: r.Totals.Mailboxes, Messages: r.Totals.Messages, BodyBytes: r.Bodies,
	}
	head, err := s.log.Head(ctx)
	if err == nil {
		st.Position, st.FirstHeld = uint64(head.Last), uint64(head.First)
	} else if st.Reason == "" {
		st.State, st.Reason = replica.Stalled, err.Error()
	}
	if st.Position > st.Applied && !r.Time.IsZero() {
		st.LagSeconds = time.Since(r.Time).Seconds()
	}
	if w := s.writer.Load(); w != nil {
		if err := w.Err(); err != nil {
			st.State, st.Reason = "deposed", err.Error()
			return st, nil
		}
		st.Role = "primary"
		if st.State == replica.Following {
			st.State = "serving"
		}
	}
	return st, nil
}

func digestText(d uint64) string { return fmt.Sprintf("%016x", d) }

// Ready says whether the node does all it should: nil, or what is wrong.
func (n *Node) Ready(context.Context) error {
	for _, s := range n.shards {
		if err := s.replica.Err(); err != nil {
			return fmt.Errorf("shard %d: %w", s.number, err)
		}
		w := s.writer.Load()
		if w == nil {
			return fmt.Errorf("shard %d: this node does not lead it", s.number)
		}
		if err := w.Err(); err != nil {
			return fmt.Errorf("shard %d: %w", s.number, err)
		}
	}
	return nil
}

// Shards counts the shards.
func (n *Node) Shards() int { return len(n.shards) }

// Checkpoint appends to the log of every shard what its replicas must have.
func (n *Node) Checkpoint(ctx context.Context) error {
	var errs []error
	for i := range n.shards {
		if err := n.store.Checkpoint(ctx, i); err != nil {
			errs = append(errs, fmt.Errorf("checkpoint of shard %d: %w", i, err))
		}
	}
	return errors.Join(errs...)
}
