package main

import (
	"context"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"angarium/internal/control"
)

var channelDescs = struct {
	role, degraded, acksWanted, acksPresent, connected, lagEvents, lagBytes, lagSeconds *prometheus.Desc
}{
	prometheus.NewDesc("angarium_shard_role", "1 for the role that this node has in the shard, 0 for the other.", []string{"shard", "role"}, nil),
	prometheus.NewDesc("angarium_site_degraded", "1 while writes are acknowledged without the replicas that should have them.", nil, nil),
	prometheus.NewDesc("angarium_site_acks_wanted", "Replicas that have to have each write before it is acknowledged, when this node leads.", nil, nil),
	prometheus.NewDesc("angarium_site_acks_present", "Replicas that follow this node now, of those whose acknowledgements count.", nil, nil),
	prometheus.NewDesc("angarium_channel_connected", "1 while the link to the node is up.", []string{"peer"}, nil),
	prometheus.NewDesc("angarium_channel_lag_events", "Events that the following end of the channel lacks.", []string{"peer", "shard"}, nil),
	prometheus.NewDesc("angarium_channel_lag_bytes", "About how many bytes they have; told by the node that is followed.", []string{"peer", "shard"}, nil),
	prometheus.NewDesc("angarium_channel_lag_seconds", "Time since the oldest of them was committed; on the following end, since the last that it has was.",
		[]string{"peer", "shard"}, nil),
}

func describeChannels(ch chan<- *prometheus.Desc) {
	d := channelDescs
	for _, desc := range []*prometheus.Desc{d.role, d.degraded, d.acksWanted, d.acksPresent, d.connected, d.lagEvents, d.lagBytes, d.lagSeconds} {
		ch <- desc
	}
}

// collectChannels tells of the site: roles always, the rest when there are channels.
func (c shardCollector) collectChannels(ctx context.Context, st control.Status, ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range st.Shards {
		for _, role := range []string{"primary", "replica"} {
			gauge(channelDescs.role, one(s.Role == role), strconv.Itoa(s.Shard), role)
		}
	}
	list, err := control.NewClient(c.node.Handler()).Channels(ctx)
	if err != nil { // this node is alone
		return
	}
	gauge(channelDescs.degraded, one(!st.Degraded.IsZero()))
	gauge(channelDescs.acksWanted, float64(st.AcksWanted))
	gauge(channelDescs.acksPresent, float64(st.AcksPresent))
	for _, peer := range list.Channels {
		gauge(channelDescs.connected, one(peer.Connected), peer.Name)
		for shard, s := range laggings(peer) {
			label := strconv.Itoa(shard)
			gauge(channelDescs.lagEvents, float64(s.LagEvents), peer.Name, label)
			gauge(channelDescs.lagSeconds, s.LagSeconds, peer.Name, label)
			if s.Direction == "send" {
				gauge(channelDescs.lagBytes, float64(s.LagBytes), peer.Name, label)
			}
		}
	}
}

// laggings gives what is told of each shard of a channel. Where this node follows the other, what the other once acknowledged tells nothing.
func laggings(peer control.Channel) map[int]control.ChannelShard {
	shards := map[int]control.ChannelShard{}
	for _, s := range peer.Shards {
		if before, ok := shards[s.Shard]; !ok || before.Direction == "send" {
			shards[s.Shard] = s
		}
	}
	return shards
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
