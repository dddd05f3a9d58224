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
	// remove removes a shard's log, if it is there, and the copy that was being made of it.
	remove(ctx context.Context, shard int) error
}

// streams are logs that are JetStream streams.
type streams struct{ node *Node }

func streamConfig(shard int) jslog.StreamConfig {
	return jslog.StreamConfig{Shard: strconv.Itoa(shard)}
}

// streamConfig is that of the stream in which the log of a shard is now.
func (n *Node) streamConfig(shard int) jslog.StreamConfig {
	return copiedStream(shard, n.layout.Streams[shard])
}

// copiedStream is the stream in which the log of a shard is when it was copied so often.
func copiedStream(shard, copies int) jslog.StreamConfig {
	cfg := streamConfig(shard)
	if copies > 0 {
		cfg.Shard += "-" + strconv.Itoa(copies)
	}
	return cfg
}

func (s streams) open(ctx context.Context, shard int, known eventlog.Mark) (eventlog.Log, error) {
	return opened(jslog.Open(ctx, s.node.conn, s.node.streamConfig(shard), known))
}

func (s streams) create(ctx context.Context, shard int, after eventlog.State) (eventlog.Log, error) {
	cfg := s.node.streamConfig(shard)
	cfg.First = after.Position + 1
	return opened(jslog.Create(ctx, s.node.conn, cfg))
}

func (s streams) remove(ctx context.Context, shard int) error {
	if err := jslog.Delete(ctx, s.node.conn, s.node.streamConfig(shard)); err != nil {
		return err
	}
	return jslog.Delete(ctx, s.node.conn, copiedStream(shard, s.node.layout.Streams[shard]+1))
}

// opened makes a log that could not be opened a nil one.
func opened(log *jslog.Log, err error) (eventlog.Log, error) {
	if err != nil {
		return nil, err
	}
	return log, nil
}
