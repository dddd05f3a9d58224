package bus_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"angarium/notify"
	"angarium/notify/bus"
	"angarium/notify/notifytest"
)

// byShard sorts ids into their shards.
func byShard(list []string) map[string][]string {
	m := map[string][]string{}
	for _, id := range list {
		shard, _, _ := strings.Cut(id, ":")
		m[shard] = append(m[shard], id)
	}
	return m
}

// faults is what befalls a publisher between two runs.
var faults = []struct {
	name string
	do   func(t *testing.T, s *site, before []byte)
}{
	{"stopped", func(*testing.T, *site, []byte) {}},
	{"killed before it saved its position", func(t *testing.T, s *site, before []byte) {
		if before != nil {
			must(t, os.WriteFile(s.statePath(), before, 0o600))
		}
	}},
	{"moved to another node", func(t *testing.T, s *site, _ []byte) { must(t, os.RemoveAll(filepath.Join(s.dir, "sinks"))) }},
	{"server restarted", func(t *testing.T, s *site, _ []byte) { s.stop(); s.start(t) }},
	{"power cut: the stream ends earlier than the position says", func(t *testing.T, s *site, _ []byte) {
		s.stop()
		store := filepath.Join(s.dir, "store")
		if _, err := os.Stat(store + ".old"); err == nil {
			must(t, os.RemoveAll(store))
			must(t, os.Rename(store+".old", store))
		}
		s.start(t)
	}},
	{"server stopped, and its store copied", func(t *testing.T, s *site, _ []byte) {
		s.stop()
		store := filepath.Join(s.dir, "store")
		must(t, os.RemoveAll(store+".old"))
		must(t, os.CopyFS(store+".old", os.DirFS(store)))
		s.start(t)
	}},
}

func (s *site) statePath() string { return filepath.Join(s.dir, "sinks", "jetstream.json") }

func TestEveryEventIsPublishedOnce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	s := newSite(t)
	env := notifytest.New(t, 2)
	feeds := env.Feeds(t)
	var accounts []string
	for i := range 6 {
		accounts = append(accounts, fmt.Sprintf("user%d", i))
		env.Account(t, accounts[i])
	}
	written, stopWriting := write(t, env, accounts)
	defer stopWriting()
	for round := range 18 {
		before, _ := os.ReadFile(s.statePath()) // none at first
		var mu sync.Mutex
		var conn *nats.Conn
		p := s.publisher(t, func(o *bus.Options) {
			o.Connect = func() (*nats.Conn, error) {
				nc, err := s.server.Connect()
				mu.Lock()
				defer mu.Unlock()
				conn = nc
				return nc, err
			}
			o.Filter.ExcludeFlags = []string{"$Work"} // some events are passed over
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		t.Cleanup(cancel)
		go func() { done <- p.Run(ctx, feeds) }()
		waitFor(t, p.Status, func() bool { return p.Status().Delivered > rnd.Uint64N(200) || caughtUp(p, feeds) })
		if rnd.IntN(2) == 0 { // cut off with messages on their way
			mu.Lock()
			conn.Close()
			mu.Unlock()
			if err := <-done; err == nil {
				t.Error("a publisher whose connection is gone does not say so")
			}
			cancel()
		} else {
			cancel()
			must(t, <-done)
		}
		fault := faults[rnd.IntN(len(faults))]
		t.Logf("round %d: %s after %d events", round, fault.name, p.Status().Delivered)
		fault.do(t, s, before)
		<-written // goes on only when something was written meanwhile
	}
	stopWriting()

	run(t, s.publisher(t, func(o *bus.Options) { o.Filter.ExcludeFlags = []string{"$Work"} }), feeds)
	want := byShard(wanted(t, env, feeds))
	audit := s.connect(t, s.consumer(t, "audit", ""))
	for shard, list := range want {
		got := byShard(read(t, audit, "mail.notify.>", list[len(list)-1]))
		same(t, "shard "+shard, got[shard], list)
	}
}

// wanted gives the ids of the events that a filter without $Work lets pass.
func wanted(t *testing.T, env *notifytest.Env, feeds []*notify.Feed) []string {
	t.Helper()
	filter := notify.Filter{ExcludeFlags: []string{"$Work"}}
	sieve := filter.Sieve()
	var list []string
	env.Settle(t)
	for i, f := range feeds {
		head, err := env.Logs[i].Head(context.Background())
		must(t, err)
		c := f.Cursor(notify.Place{})
		for at := (notify.Place{}); at.Position <= head.Last; {
			b, err := c.Next(context.Background())
			must(t, err)
			for _, e := range b.Events {
				if e = sieve.Apply(e, f.ReadBody); e != nil {
					list = append(list, e.ID())
				}
			}
			at = b.Next
		}
		c.Close()
	}
	return list
}

func caughtUp(p *bus.Publisher, feeds []*notify.Feed) bool {
	places := p.Status().Places
	for _, f := range feeds {
		if at, ok := places[f.Shard()]; !ok || at.Position <= f.Head() {
			return false
		}
	}
	return true
}

// waitFor asks until cond is true.
func waitFor(t testing.TB, status func() notify.SinkStatus, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(patience); !cond(); <-ticker.C {
		if time.Now().After(end) {
			t.Fatalf("it does not come to that: %+v", status())
		}
	}
}
