package main

import (
	"testing"

	"angarium/internal/control"
)

func TestWhatWouldBeLostIsToldOfTheBestNode(t *testing.T) {
	shard := func(position uint64, channels ...control.ChannelShard) control.ShardStatus {
		return control.ShardStatus{Position: position, Channels: channels}
	}
	follower := func(name string, position, lag uint64) control.ChannelShard {
		return control.ChannelShard{Name: name, Direction: directionSend, Position: position, LagEvents: lag}
	}
	followed := func(name string, lag uint64) control.ChannelShard {
		return control.ChannelShard{Name: name, Direction: directionReceive, LagEvents: lag}
	}
	for name, test := range map[string]struct {
		primary string
		shards  []control.ShardStatus
		want    string
	}{
		"the smallest sum over the shards": {
			"here", []control.ShardStatus{shard(9, follower("a", 9, 0), follower("b", 7, 2)), shard(9, follower("a", 5, 8), follower("b", 8, 1))},
			"if here died now: 3 events would be lost, with b in its place",
		},
		"a node without one of the shards cannot take over": {
			"here", []control.ShardStatus{shard(9, follower("a", 9, 0)), shard(9, followed("a", 0))},
			"if here died now: all would be lost; no other node follows every shard",
		},
		"envelopes count when their events cannot be counted": {
			"here", []control.ShardStatus{shard(9, follower("a", 2, 0))}, "if here died now: 7 events would be lost, with a in its place",
		},
		"on a replica": {
			"a", []control.ShardStatus{shard(9, followed("a", 1), followed("b", 5))},
			"if a died now: 1 event that this node knows of would be lost, with here in its place",
		},
		"on a replica that does not follow": {
			"", []control.ShardStatus{shard(9, followed("a", 1))},
			"if the primary died now: it is not known what would be lost; this node does not follow it in every shard",
		},
	} {
		if got := lossText(control.Status{Node: "here", Primary: test.primary, Shards: test.shards}); got != test.want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
