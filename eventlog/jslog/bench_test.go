package jslog_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/jslog"
	"angarium/eventlog/logtest"
)

// fdatasyncRate is how many times a second the disk below dir syncs 4 KiB that were written.
func fdatasyncRate(b *testing.B, dir string) float64 {
	b.Helper()
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := bytes.Repeat([]byte{1}, 4096)
	n := 0
	begin := time.Now()
	for ; time.Since(begin) < 500*time.Millisecond; n++ {
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(begin).Seconds()
}

// BenchmarkAppend2KiB64Writers has 64 goroutines append events of 2 KiB, each waiting for its own. Besides events a second it reports
// how many syncs a second the same disk can do, and so how many events go into one such sync.
func BenchmarkAppend2KiB64Writers(b *testing.B) {
	ctx := testContext(b)
	dir := b.TempDir()
	rate := fdatasyncRate(b, dir)
	log := create(b, connect(b, startEmbedded(b, jslog.EmbeddedOptions{Dir: filepath.Join(dir, "store")})))
	state, err := eventlog.Fence(ctx, log, eventlog.State{}, "a")
	if err != nil {
		b.Fatal(err)
	}
	var envelopes atomic.Int64
	w := eventlog.NewWriter(log, state, eventlog.Options{
		Hooks: eventlog.Hooks{Committed: func(eventlog.Commit) { envelopes.Add(1) }},
	})
	defer w.Close(ctx)
	entry := logtest.Body(1, 2048)
	b.ReportAllocs()
	b.SetBytes(2048)
	b.SetParallelism(64 / max(1, runtime.GOMAXPROCS(0)))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.Append(ctx, entry); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	rate = (rate + fdatasyncRate(b, dir)) / 2
	events := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(events, "events/s")
	b.ReportMetric(rate, "fdatasyncs/s")
	b.ReportMetric(events/rate, "events/fdatasync")
	b.ReportMetric(float64(b.N)/float64(max(envelopes.Load(), 1)), "events/envelope")
}

// BenchmarkReplay2KiB reads envelopes of 64 events of 2 KiB, verified and decoded.
func BenchmarkReplay2KiB(b *testing.B) {
	ctx := testContext(b)
	log := create(b, connect(b, startEmbedded(b, jslog.EmbeddedOptions{Dir: b.TempDir()})))
	var builder logtest.Builder
	logtest.Fill(b, ctx, log, &builder, 1)
	const perEnvelope = 64
	for builder.State.NextIndex < uint64(b.N)+2 {
		after, payload := builder.Next(b, slices.Repeat([]event.Entry{logtest.Body(1, 2048)}, perEnvelope)...)
		if err := <-log.Append(ctx, after, payload); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(2048)
	b.ReportAllocs()
	b.ResetTimer()
	f, err := eventlog.Follow(ctx, log, eventlog.State{})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for f.State() != builder.State {
		if _, err := f.NextBatch(ctx, 4096, 8<<20); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
