package jslog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Delete removes the stream of a shard with all it holds, if it is there: for a node whose log goes on from a seed, after what no other node
// has was set aside.
func Delete(ctx context.Context, c *Conn, cfg StreamConfig) error {
	if err := cfg.check(); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := c.js.DeleteStream(bounded, cfg.name()); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("delete log %s: %w", cfg.name(), reading(ctx, err))
	}
	if c.recents != nil {
		c.recents.forget(cfg.name())
	}
	return nil
}
