package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"angarium/channel"
	"angarium/eventlog/event"
)

// callBody asks a peer for a body.
const callBody = "body"

// healTime bounds how long a peer is waited for that is to give a body.
const healTime = 20 * time.Second

type bodyCall struct {
	Shard int        `cbor:"1,keyasint"`
	GUID  event.GUID `cbor:"2,keyasint"`
}

// bodyElsewhere gives a body from the first peer that has it undamaged.
func (n *Node) bodyElsewhere(shard int, guid event.GUID) ([]byte, error) {
	if n.site == nil || n.site.hub == nil {
		return nil, errors.New("there is no other node to ask")
	}
	req, err := cbor.Marshal(bodyCall{shard, guid})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), healTime)
	defer cancel()
	var errs []error
	for _, p := range n.site.hub.Peers() {
		raw, err := p.Call(ctx, callBody, req)
		if err == nil {
			n.site.healed.Add(1)
			return raw, nil
		}
		errs = append(errs, fmt.Errorf("node %s: %w", p.Name(), err))
	}
	return nil, errors.Join(append(errs, errors.New("no other node gave it"))...)
}

func (s *site) answerBody(_ context.Context, _ string, data []byte) ([]byte, error) {
	var req bodyCall
	if err := decodeCall(data, &req); err != nil {
		return nil, err
	}
	if req.Shard < 0 || req.Shard >= len(s.node.shards) {
		return nil, channel.Errorf(channel.CodeNoShard, "no shard %d", req.Shard)
	}
	return s.node.shards[req.Shard].replica.ReadBodyHere(req.GUID)
}
