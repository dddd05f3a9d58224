package main

import (
	"context"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"angarium/internal/control"
)

var (
	descLogFirst = prometheus.NewDesc("angarium_log_first_position", "Position of the first envelope in the log.", []string{"shard"}, nil)
	descPurged   = prometheus.NewDesc("angarium_log_purged_positions_total", "Positions purged from the log since the start.", []string{"shard"}, nil)
	descDropped  = prometheus.NewDesc("angarium_bodies_dropped_total", "Bodies without messages dropped since the start.", []string{"shard"}, nil)
	descMoved    = prometheus.NewDesc("angarium_body_moved_bytes_total", "Bytes of bodies written anew by compactions since the start.", []string{"shard"}, nil)
	descFreed    = prometheus.NewDesc("angarium_body_freed_bytes_total", "Bytes of body segments removed since the start.", []string{"shard"}, nil)
)

func describeRetention(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descLogFirst, descPurged, descDropped, descMoved, descFreed} {
		ch <- d
	}
}

// collectRetention tells what the logs hold, and what was given back.
func (c shardCollector) collectRetention(ctx context.Context, st control.Status, ch chan<- prometheus.Metric) {
	for _, s := range st.Shards {
		shard := strconv.Itoa(s.Shard)
		if first, err := c.node.FirstPosition(ctx, s.Shard); err == nil {
			ch <- prometheus.MustNewConstMetric(descLogFirst, prometheus.GaugeValue, float64(first), shard)
		}
		t := c.node.RetentionTotals(s.Shard)
		for _, m := range []struct {
			desc  *prometheus.Desc
			value uint64
		}{{descPurged, t.Purged}, {descDropped, t.Dropped}, {descMoved, t.Moved}, {descFreed, t.Freed}} {
			ch <- prometheus.MustNewConstMetric(m.desc, prometheus.CounterValue, float64(m.value), shard)
		}
	}
}
