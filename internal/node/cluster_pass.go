package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nuid"

	"angarium/channel"
	"angarium/eventlog"
	"angarium/mailstore"
)

// What a cluster's node asks of a shard's primary beside writes.
const (
	opFreeze = "node.freeze" // stop the writes for a moment
	opThaw   = "node.thaw"
)

// passPause is the pause between two looks for the primary of a write that came from outside.
const passPause = 100 * time.Millisecond

// maxThaws bounds the freezes of a node that others have asked for.
const maxThaws = 64

// pass carries out a write of a node outside the cluster, wherever its primary is. While the lead moves it waits, as a write of this node does.
func (c *cluster) pass(ctx context.Context, req mailCall) ([]byte, error) {
	deadline := time.Now().Add(clusterForwardWait)
	for {
		if c.node.shards[req.Shard].writer.Load() != nil {
			return c.node.store.Serve(ctx, req.Shard, req.Op, req.Data)
		}
		answer, err := clusterForwarder{c.node}.Forward(ctx, req.Shard, req.Op, req.Data)
		if err == nil {
			return answer, nil
		}
		refused := errors.Is(err, mailstore.ErrNotPrimary) && !errors.Is(err, eventlog.ErrUnknown)
		if refused && !c.closing.Load() && time.Now().Before(deadline) {
			select {
			case <-time.After(passPause):
				continue
			case <-ctx.Done():
			}
		}
		switch {
		case refused:
			return nil, channel.Errorf(codeNotPrimary, "%v", err)
		case errors.Is(err, eventlog.ErrUnknown):
			return nil, err
		}
		return nil, channel.Errorf(channel.CodeBusy, "%v", err) // nothing was done
	}
}

// serve answers what another node of the cluster asks.
func (c *cluster) serve(ctx context.Context, shard int, op string, data []byte) ([]byte, error) {
	switch op {
	case opFreeze:
		at, thaw, err := c.node.shards[shard].freeze(ctx)
		if err != nil {
			return nil, err
		}
		return json.Marshal(frozen{ID: c.thaws.keep(thaw), At: uint64(at)})
	case opThaw:
		c.thaws.thaw(string(data))
		return nil, nil
	}
	return c.node.store.Serve(ctx, shard, op, data)
}

// frozen says that the writes of a shard have stopped.
type frozen struct {
	ID string `json:"id"`
	At uint64 `json:"at"`
}

// freeze stops the writes of a shard at the node of the cluster that leads it.
func (c *cluster) freeze(ctx context.Context, shard int) (eventlog.Position, func(), error) {
	data, err := clusterForwarder{c.node}.Forward(ctx, shard, opFreeze, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("stop the writes for a moment: %w", err)
	}
	var f frozen
	if err := json.Unmarshal(data, &f); err != nil {
		return 0, nil, fmt.Errorf("stop the writes for a moment: %w", err)
	}
	thaw := sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), leaseAsk)
		defer cancel()
		if _, err := (clusterForwarder{c.node}).Forward(ctx, shard, opThaw, []byte(f.ID)); err != nil {
			c.log.Debug("writes go on by themselves", "shard", shard, "error", err)
		}
	})
	return eventlog.Position(f.At), thaw, nil
}

// thaws are the ends of freezes that other nodes have asked for. Each comes by itself in the end.
type thaws struct {
	mu   sync.Mutex
	open map[string]func()
}

// keep keeps a function that thaws, and gives its name. With too many of them it is called at once: whoever asked finds that writes went on.
func (t *thaws) keep(thaw func()) string {
	id := nuid.Next()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) >= maxThaws {
		thaw()
		return id
	}
	if t.open == nil {
		t.open = map[string]func(){}
	}
	t.open[id] = thaw
	time.AfterFunc(freezeTime, func() { t.thaw(id) })
	return id
}

func (t *thaws) thaw(id string) {
	t.mu.Lock()
	thaw := t.open[id]
	delete(t.open, id)
	t.mu.Unlock()
	if thaw != nil {
		thaw()
	}
}
