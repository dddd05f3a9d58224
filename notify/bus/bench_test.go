package bus_test

import (
	"context"
	"testing"

	"angarium/eventlog/event"
	"angarium/eventlog/logtest"
	"angarium/eventlog/memlog"
	"angarium/notify"
	"angarium/notify/notifytest"
)

// BenchmarkPublish reads events back from a log and publishes them to the stream.
func BenchmarkPublish(b *testing.B) {
	const perEnvelope = 128
	s := newSite(b)
	log := memlog.New()
	var builder logtest.Builder
	ctx := context.Background()
	put := func(entries ...event.Entry) {
		after, payload := builder.Next(b, entries...)
		must(b, <-log.Append(ctx, after, payload))
	}
	put(event.Entry{Meta: event.Meta{Service: "system"}, Event: &event.EpochStarted{Epoch: 1, Node: "a"}})
	cred := event.Credential{Iterations: 1, Salt: []byte{1}, StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
	put(event.Entry{Event: &event.AccountCreated{Account: "anna", Credential: cred}})
	for n := 0; n < b.N; n += perEnvelope {
		var entries []event.Entry
		for i := range perEnvelope {
			entries = append(entries, logtest.Entry(n+i))
		}
		put(entries...)
	}
	f := notifytest.NewFollower(b, log)
	feed := notify.NewFeed(notify.FeedOptions{Host: notifytest.Host})
	f.Run(b, feed)
	f.Wait(b, builder.State.Position)
	p := s.publisher(b)
	b.ResetTimer()
	stop := run(b, p, []*notify.Feed{feed})
	waitFor(b, p.Status, func() bool { return p.Status().Delivered >= uint64(b.N) })
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	stop()
}
