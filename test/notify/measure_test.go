package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// measure skips what takes long and says nothing of right or wrong: the section "Notification" of docs/benchmarks.md.
func measure(t *testing.T) {
	t.Helper()
	if os.Getenv("NOTIFY_MEASURE") == "" {
		t.Skip("NOTIFY_MEASURE is not set")
	}
}

func accounts(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("user%d@example.org", i)
	}
	return list
}

// body makes a message 10 KiB long.
var body = strings.Repeat(strings.Repeat("x", 76)+"\r\n", 10<<10/78)

// deliverAll delivers messages over connections, each to rcpts accounts, at about rate a second (0: as fast as it goes), and gives how long it took.
// acked is told of each that was taken.
func (s *site) deliverAll(n, conns, rcpts, rate int, to []string, acked func(id string)) time.Duration {
	var next atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range conns {
		l, err := s.dialLMTP()
		must(s.t, err)
		wg.Go(func() {
			defer l.Close()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if rate > 0 {
					time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				}
				var who []string
				for k := range rcpts {
					who = append(who, to[(i*rcpts+k)%len(to)])
				}
				id := fmt.Sprintf("<%d@notify.test>", i)
				if err := send(l, "Message-ID: "+id+"\r\nSubject: measured\r\n\r\n"+body, who...); err != nil {
					s.t.Error(err)
					return
				}
				acked(id)
			}
		})
	}
	wg.Wait()
	return time.Since(begin)
}

func percentiles(list []time.Duration) string {
	slices.Sort(list)
	at := func(p int) time.Duration { return list[min(len(list)*p/100, len(list)-1)].Round(10 * time.Microsecond) }
	return fmt.Sprintf("p50 %v, p90 %v, p99 %v, max %v of %d", at(50), at(90), at(99), list[len(list)-1].Round(10*time.Microsecond), len(list))
}

func TestMeasureLatency(t *testing.T) {
	measure(t)
	to := accounts(50)
	s := newSite(t, "", to...)
	nc := s.connect(s.consumer("all"))
	const n, rate = 6000, 300
	var mu sync.Mutex
	arrived, taken := map[string]time.Time{}, map[string]time.Time{}
	decided := []time.Duration{}
	_, err := nc.Subscribe("mail.notify.*.MessageNew", func(m *nats.Msg) {
		now := time.Now()
		var e struct {
			Timestamp time.Time `json:"timestamp"`
			IDs       []string  `json:"vnd.cmu.midset"`
		}
		if err := json.Unmarshal(m.Data, &e); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		arrived[e.IDs[0]] = now
		decided = append(decided, now.Sub(e.Timestamp))
	})
	must(t, err)
	must(t, nc.Flush())
	took := s.deliverAll(n, 8, 1, rate, to, func(id string) {
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		taken[id] = now
	})
	await(t, "not all arrives", func() bool { mu.Lock(); defer mu.Unlock(); return len(arrived) == n })
	mu.Lock()
	defer mu.Unlock()
	var after []time.Duration
	for id, at := range arrived {
		after = append(after, max(at.Sub(taken[id]), 0))
	}
	t.Logf("%.0f messages/s on %d cores", float64(n)/took.Seconds(), runtime.NumCPU())
	t.Logf("250 to arrival: %s", percentiles(after))
	t.Logf("decision to arrival: %s", percentiles(decided))
}

func TestMeasureThroughput(t *testing.T) {
	measure(t)
	to := accounts(50)
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a request that breaks off comes again
	}))
	defer web.Close()
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/secret", []byte(secret), 0o600))
	sinks := fmt.Sprintf("[[sink]]\nname = \"hook\"\nkind = \"webhook\"\nurl = %q\nsecret_file = %q\n", web.URL, dir+"/secret")
	must(t, os.WriteFile(dir+"/sinks.toml", []byte(sinks), 0o600))
	variants := []struct {
		name   string
		site   *site
		settle []string
		rates  []float64
		cpu    time.Duration
	}{
		{name: "nobody receives events", site: newSiteAt(t, "", "", to...)},
		{name: "--nats", site: newSite(t, "", to...), settle: []string{"jetstream"}},
		{
			name: "--nats and a webhook", settle: []string{"jetstream", "hook"},
			site: newSite(t, fmt.Sprintf("[notify]\nsinks_file = %q\n", dir+"/sinks.toml"), to...),
		},
	}
	const n, rounds = 1500, 5
	for round := range rounds + 1 { // the first warms up
		for i := range variants {
			v := &variants[i]
			before := v.site.cpu()
			took := v.site.deliverAll(n, 8, 1, 0, to, func(string) {})
			v.site.settle(v.settle...)
			if round > 0 {
				v.rates = append(v.rates, float64(n)/took.Seconds())
				v.cpu += v.site.cpu() - before
			}
		}
	}
	for _, v := range variants {
		t.Logf("%s: %.0f messages/s; server CPU %.2f ms a message", v.name, v.rates, 1000*v.cpu.Seconds()/(n*rounds))
		slices.Sort(v.rates)
		t.Logf("%s: median %.0f", v.name, v.rates[rounds/2])
	}
}

// cpu is the processor time that the server has taken (proc(5)).
func (s *site) cpu() time.Duration {
	s.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	must(s.t, err)
	var user, system int64
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	must(s.t, err)
	return time.Duration(user+system) * time.Second / 100
}

func TestMeasureReplay(t *testing.T) {
	measure(t)
	to := accounts(50)
	s := newSite(t, "", to...)
	creds := s.consumer("all")
	const messages = 4200
	took := s.deliverAll(messages, 4, len(to), 0, to, func(string) {})
	t.Logf("filled at %.0f deliveries/s", messages*float64(len(to))/took.Seconds())
	await(t, "the stream is behind", func() bool { return s.sinks()["jetstream"].Behind == 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	for range 3 {
		js, err := jetstream.New(s.connect(creds))
		must(t, err)
		c, err := js.OrderedConsumer(ctx, "MAIL_NOTIFY", jetstream.OrderedConsumerConfig{})
		must(t, err)
		pending := c.CachedInfo().NumPending
		done := make(chan struct{})
		begin, events, bytes := time.Now(), uint64(0), 0
		reading, err := c.Consume(func(m jetstream.Msg) {
			bytes += len(m.Data())
			if events++; events == pending {
				close(done)
			}
		}, jetstream.PullMaxMessages(10_000))
		must(t, err)
		select {
		case <-done:
		case <-ctx.Done():
			t.Fatal("not all comes")
		}
		took := time.Since(begin).Seconds()
		reading.Stop()
		t.Logf("%d events of %d bytes on average in %.1f s: %.0f/s", pending, bytes/int(pending), took, float64(pending)/took)
	}
}
