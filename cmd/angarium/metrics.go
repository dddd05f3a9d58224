package main

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"angarium/eventlog"
	"angarium/imapd"
	"angarium/internal/node"
	"angarium/internal/obs"
)

// metrics is what /metrics tells beside the Go runtime's own.
type metrics struct {
	registry *prometheus.Registry
	open     atomic.Int64 // IMAP connections

	appendSeconds, batchEvents, batchBytes *prometheus.HistogramVec
	applySeconds, bodySyncSeconds          *prometheus.HistogramVec
	bodySyncErrors                         *prometheus.CounterVec
	imapRefused, imapLogins                *prometheus.CounterVec
	imapCommands                           *prometheus.HistogramVec
	imapBytes                              *prometheus.CounterVec
	lmtpDeliveries                         *prometheus.CounterVec
	lmtpSeconds                            prometheus.Histogram
	lmtpBytes                              prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{registry: obs.NewRegistry()}
	latency := prometheus.ExponentialBuckets(0.0001, 2, 18) // 0.1 ms to 13 s
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "angarium_" + name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(h)
		return h
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "angarium_" + name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	m.appendSeconds = histogram("log_append_seconds", "Time from sending an envelope to its acknowledgement: one fsync.", latency, "shard")
	m.batchEvents = histogram("log_envelope_events", "Events in an envelope.", prometheus.ExponentialBuckets(1, 2, 12), "shard")
	m.batchBytes = histogram("log_envelope_bytes", "Bytes of an envelope.", prometheus.ExponentialBuckets(256, 4, 8), "shard")
	m.applySeconds = histogram("replica_apply_seconds", "Time to apply a batch of envelopes.", latency, "shard")
	m.bodySyncSeconds = histogram("replica_body_sync_seconds", "Time to sync body segments.", latency, "shard")
	m.bodySyncErrors = counter("replica_body_sync_errors_total", "Failed syncs of body segments.", "shard")
	sessions := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "angarium_imap_sessions", Help: "Open IMAP connections."},
		func() float64 { return float64(m.open.Load()) })
	m.imapRefused = counter("imap_refused_total", "IMAP connections that were not served.", "reason")
	m.imapLogins = counter("imap_logins_total", "Attempts to log in by IMAP.", "mechanism", "result")
	m.imapCommands = histogram("imap_command_seconds", "Time from the first octet of an IMAP command to its reply.", latency, "command", "result")
	m.imapBytes = counter("imap_bytes_total", "Bytes on IMAP connections, without TLS.", "direction")
	m.lmtpDeliveries = counter("lmtp_deliveries_total", "Deliveries by result: one for each recipient.", "result")
	m.lmtpSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "angarium_lmtp_delivery_seconds", Help: "Time from the end of a message to its replies.", Buckets: latency,
	})
	m.lmtpBytes = prometheus.NewCounter(prometheus.CounterOpts{Name: "angarium_lmtp_bytes_total", Help: "Bytes of messages delivered, once for all recipients."})
	m.registry.MustRegister(sessions, m.lmtpSeconds, m.lmtpBytes)
	return m
}

func (m *metrics) nodeHooks() node.Hooks {
	return node.Hooks{
		Committed: func(shard int, c eventlog.Commit) {
			label := strconv.Itoa(shard)
			m.appendSeconds.WithLabelValues(label).Observe(c.Latency.Seconds())
			m.batchEvents.WithLabelValues(label).Observe(float64(c.Events))
			m.batchBytes.WithLabelValues(label).Observe(float64(c.Bytes))
		},
		Applied: func(shard, _, _, _ int, took time.Duration) {
			m.applySeconds.WithLabelValues(strconv.Itoa(shard)).Observe(took.Seconds())
		},
		Synced: func(shard, _ int, took time.Duration, err error) {
			m.bodySyncSeconds.WithLabelValues(strconv.Itoa(shard)).Observe(took.Seconds())
			if err != nil {
				m.bodySyncErrors.WithLabelValues(strconv.Itoa(shard)).Inc()
			}
		},
	}
}

func (m *metrics) imapHooks() imapd.Hooks {
	read, written := m.imapBytes.WithLabelValues("in"), m.imapBytes.WithLabelValues("out")
	return imapd.Hooks{
		Opened:  func() { m.open.Add(1) },
		Closed:  func() { m.open.Add(-1) },
		Refused: func(reason string) { m.imapRefused.WithLabelValues(reason).Inc() },
		Login:   func(mechanism, result string) { m.imapLogins.WithLabelValues(mechanism, result).Inc() },
		Command: func(name, result string, took time.Duration) {
			m.imapCommands.WithLabelValues(name, result).Observe(took.Seconds())
		},
		Read:    func(n int) { read.Add(float64(n)) },
		Written: func(n int) { written.Add(float64(n)) },
	}
}

// shardCollector reads the state of the shards when it is asked.
type shardCollector struct {
	node *node.Node
	log  *slog.Logger
}

var shardDescs = map[string]*prometheus.Desc{
	"head":     prometheus.NewDesc("angarium_log_head_position", "Position of the last envelope in the log.", []string{"shard"}, nil),
	"applied":  prometheus.NewDesc("angarium_replica_applied_position", "Position of the last envelope applied.", []string{"shard"}, nil),
	"lag":      prometheus.NewDesc("angarium_replica_lag_seconds", "Age of the last envelope applied while others wait; 0 when none do.", []string{"shard"}, nil),
	"halted":   prometheus.NewDesc("angarium_replica_halted", "1 when the replica met what it cannot apply.", []string{"shard"}, nil),
	"epoch":    prometheus.NewDesc("angarium_log_epoch", "Epoch of the log.", []string{"shard"}, nil),
	"messages": prometheus.NewDesc("angarium_messages", "Live messages.", []string{"shard"}, nil),
	"boxes":    prometheus.NewDesc("angarium_mailboxes", "Mailboxes.", []string{"shard"}, nil),
	"bodies":   prometheus.NewDesc("angarium_body_bytes", "Bytes of body segments.", []string{"shard"}, nil),
}

// Describe implements prometheus.Collector.
func (c shardCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range shardDescs {
		ch <- d
	}
	describeChannels(ch)
	describeArchive(ch)
	describeRetention(ch)
	describeScrub(ch)
}

// Collect implements prometheus.Collector.
func (c shardCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	st, err := c.node.Status(ctx)
	if err != nil {
		c.log.Warn("metrics: status of the shards", "error", err)
		return
	}
	for _, s := range st.Shards {
		for name, v := range map[string]float64{
			"head": float64(s.Position), "applied": float64(s.Applied), "lag": s.LagSeconds, "halted": one(s.State == "halted"), "epoch": float64(s.Epoch),
			"messages": float64(s.Messages), "boxes": float64(s.Mailboxes), "bodies": float64(s.BodyBytes),
		} {
			ch <- prometheus.MustNewConstMetric(shardDescs[name], prometheus.GaugeValue, v, strconv.Itoa(s.Shard))
		}
	}
	c.collectChannels(ctx, st, ch)
	collectArchive(st, ch)
	c.collectRetention(ctx, st, ch)
	collectScrub(st, ch)
}
