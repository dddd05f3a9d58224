package mailstore

import (
	"context"
	"fmt"
	"time"

	"angarium/eventlog/event"
)

// DropBodies drops bodies of a shard that have had no message since a time or longer, as the marks of the replica say (replica.MarkGarbage), and gives how
// many: up to event.MaxDropped of them. Writes wait meanwhile, so that no decision goes by a body that is about to go. It is for the primary to do,
// and fails with ErrUnavailable elsewhere.
func (s *Store) DropBodies(ctx context.Context, shard int, since time.Time) (int, error) {
	sh, err := s.shardAt(shard)
	if err != nil {
		return 0, fmt.Errorf("drop bodies: %w", err)
	}
	if err := s.writable(sh); err != nil {
		return 0, err
	}
	// So that writes are not kept waiting when there is nothing to do.
	if some, err := sh.Replica.Garbage(since, 1); len(some) == 0 || err != nil {
		return 0, err
	}
	wait, cancel := context.WithTimeout(ctx, checkpointPatience)
	defer cancel()
	thaw, err := s.Freeze(wait, shard)
	if err != nil {
		return 0, fmt.Errorf("drop bodies: %w", err)
	}
	w := &write{s: s, sh: sh, id: Identity{Service: "system"}, now: s.opts.Now(), unlocks: []func(){thaw}}
	if sh.Remote != nil && sh.Remote() != nil {
		w.end()
		return 0, fmt.Errorf("drop bodies: %w", errNotPrimary(shard))
	}
	guids, err := sh.Replica.Garbage(since, event.MaxDropped)
	if err != nil || len(guids) == 0 {
		w.end()
		return 0, err
	}
	if err := w.commit(ctx, &event.BodiesDropped{GUIDs: guids}); err != nil { // ends w once the outcome is known
		return 0, fmt.Errorf("drop bodies: %w", err)
	}
	return len(guids), nil
}
