package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"angarium/internal/control"
)

var archiveDescs = struct {
	shipped, lag, failing, snapshot, selfTest, selfTestOK *prometheus.Desc
}{
	prometheus.NewDesc("angarium_archive_shipped_position", "The archive holds the log up to this position.", []string{"shard"}, nil),
	prometheus.NewDesc("angarium_archive_lag_seconds", "Age of the oldest envelope that is not in the archive; 0 when all are.", []string{"shard"}, nil),
	prometheus.NewDesc("angarium_archive_failing", "1 while the archive cannot be written.", []string{"shard"}, nil),
	prometheus.NewDesc("angarium_archive_snapshot_timestamp_seconds", "When the newest snapshot was taken.", []string{"shard"}, nil),
	prometheus.NewDesc("angarium_archive_self_test_timestamp_seconds", "When the archive was last restored into a scratch directory.", nil, nil),
	prometheus.NewDesc("angarium_archive_self_test_ok", "1 when the archive was whole then.", nil, nil),
}

func describeArchive(ch chan<- *prometheus.Desc) {
	d := archiveDescs
	for _, desc := range []*prometheus.Desc{d.shipped, d.lag, d.failing, d.snapshot, d.selfTest, d.selfTestOK} {
		ch <- desc
	}
}

// collectArchive tells of the shards that this node copies to the archive.
func collectArchive(st control.Status, ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	var test *control.SelfTest
	for _, s := range st.Shards {
		a := s.Archive
		if a == nil || a.State == "idle" {
			continue
		}
		label := strconv.Itoa(s.Shard)
		gauge(archiveDescs.shipped, float64(a.Shipped), label)
		gauge(archiveDescs.lag, a.LagSeconds, label)
		gauge(archiveDescs.failing, one(a.State == "failing"), label)
		if !a.Snapshot.IsZero() {
			gauge(archiveDescs.snapshot, float64(a.Snapshot.Unix()), label)
		}
		test = a.SelfTest // that of the whole archive
	}
	if test != nil {
		gauge(archiveDescs.selfTest, float64(test.Time.Unix()))
		gauge(archiveDescs.selfTestOK, one(test.OK))
	}
}
