package mailstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Freeze waits until no write to a shard is between its decision and its being applied, and keeps further ones waiting until thaw is
// called, which may be called more than once. Reads go on. What is decided while a shard is frozen, as its change of primary, is
// seen by every write that comes after. Of a write whose caller gave up, a piece of a body may still be on its way to the log; closing the
// log's writer waits for that.
func (s *Store) Freeze(ctx context.Context, shard int) (thaw func(), err error) {
	sh, err := s.shardAt(shard)
	if err != nil {
		return nil, err
	}
	if err := sh.gate.Acquire(ctx, allWrites); err != nil {
		return nil, fmt.Errorf("freeze shard %d: writes are under way that do not end: %w", shard, err)
	}
	return sync.OnceFunc(func() { sh.gate.Release(allWrites) }), nil
}

func (s *Store) shardAt(number int) (*shard, error) {
	if number < 0 || number >= len(s.shards) {
		return nil, fmt.Errorf("there is no shard %d: this node has %d", number, len(s.shards))
	}
	return s.shards[number], nil
}

// checkpointPatience bounds how long a checkpoint waits for writes to end, and others for it.
const checkpointPatience = 10 * time.Second

// Checkpoint appends to a shard's log what every replica must have at this point. Writes wait meanwhile. It is for the primary
// to do, and fails with ErrUnavailable elsewhere.
func (s *Store) Checkpoint(ctx context.Context, shard int) error {
	sh, err := s.shardAt(shard)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := s.writable(sh); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkpointPatience)
	defer cancel()
	thaw, err := s.Freeze(ctx, shard)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer thaw()
	if sh.Remote != nil && sh.Remote() != nil {
		return fmt.Errorf("checkpoint: %w", errNotPrimary(shard))
	}
	t, err := state.GetTotals(sh.Replica.Reader())
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	w := &write{s: s, sh: sh, id: Identity{Service: "system"}, now: s.opts.Now()}
	cp := &event.Checkpoint{Mailboxes: t.Mailboxes, Messages: t.Messages, Digest: t.Digest}
	return sh.append(ctx, w.entries([]event.Event{cp})) // should it come later, it is true at its place all the same
}
