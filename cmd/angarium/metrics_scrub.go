package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"angarium/internal/control"
)

var scrubDescs = struct {
	healed, running, lastPass, bytes, found, unhealed *prometheus.Desc
}{
	prometheus.NewDesc("angarium_healed_total", "What was damaged on this node and came whole from another one, since the data directory was made.", []string{"what"}, nil),
	prometheus.NewDesc("angarium_scrub_running", "1 while all that is stored is being read.", nil, nil),
	prometheus.NewDesc("angarium_scrub_last_pass_timestamp_seconds", "When the last whole pass ended; absent before the first.", nil, nil),
	prometheus.NewDesc("angarium_scrub_bytes", "Bytes read in the pass that runs, or in the last one.", nil, nil),
	prometheus.NewDesc("angarium_scrub_found", "What was found damaged in that pass.", nil, nil),
	prometheus.NewDesc("angarium_scrub_unhealed", "What of it is not healed.", nil, nil),
}

func describeScrub(ch chan<- *prometheus.Desc) {
	d := scrubDescs
	for _, desc := range []*prometheus.Desc{d.healed, d.running, d.lastPass, d.bytes, d.found, d.unhealed} {
		ch <- desc
	}
}

// collectScrub tells of what was healed, and of the reading that finds it.
func collectScrub(st control.Status, ch chan<- prometheus.Metric) {
	for what, n := range map[string]uint64{"envelope": st.Healed.Envelopes, "body": st.Healed.Bodies} {
		ch <- prometheus.MustNewConstMetric(scrubDescs.healed, prometheus.CounterValue, float64(n), what)
	}
	s := st.Scrub
	if s == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	gauge(scrubDescs.running, one(s.State == "running"))
	if !s.LastPass.IsZero() {
		gauge(scrubDescs.lastPass, float64(s.LastPass.Unix()))
	}
	gauge(scrubDescs.bytes, float64(s.Bytes))
	gauge(scrubDescs.found, float64(s.Found))
	gauge(scrubDescs.unhealed, float64(s.Found-s.Healed))
}
