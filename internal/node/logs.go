package node

import (
	"context"
	"strconv"

	"angarium/eventlog"
	"angarium/eventlog/jslog"
)

// logs keeps the logs of a node's shards. Opening one that is not there fails with jslog.ErrMissing.
type logs interface {
	// open opens a shard's log, of which the envelope known was read before.
	open(ctx context.Context, shard int, known eventlog.Mark) (eventlog.Log, error)
	// create makes a shard's log, which goes on behind after.
	create(ctx context.Context, shard int, after eventlog.State) (eventlog.Log, error)
	// remove removes a shard's log, if it is there.
	remove(ctx context.Context, shard int) error
}

// streams are logs that are JetStream streams.
type streams struct{ conn *jslog.Conn }

func streamConfig(shard int) jslog.StreamConfig {
	return jslog.StreamConfig{Shard: strconv.Itoa(shard)}
}

func (s streams) open(ctx context.Context, shard int, known eventlog.Mark) (eventlog.Log, error) {
	return opened(jslog.Open(ctx, s.conn, streamConfig(shard), known))
}

func (s streams) create(ctx context.Context, shard int, after eventlog.State) (eventlog.Log, error) {
	cfg := streamConfig(shard)
	cfg.First = after.Position + 1
	return opened(jslog.Create(ctx, s.conn, cfg))
}

func (s streams) remove(ctx context.Context, shard int) error {
	return jslog.Delete(ctx, s.conn, streamConfig(shard))
}

// opened makes a log that could not be opened a nil one.
func opened(log *jslog.Log, err error) (eventlog.Log, error) {
	if err != nil {
		return nil, err
	}
	return log, nil
}
