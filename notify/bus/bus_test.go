package bus_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"angarium/notify"
	"angarium/notify/bus"
)

func TestMain(m *testing.M) {
	// nats-server does not wait at a shutdown for the goroutine that asks for the consumer of a source; it ends by itself some seconds later.
	var ignored []goleak.Option
	for n := range 4 {
		ignored = append(ignored, goleak.IgnoreAnyFunction(
			fmt.Sprintf("github.com/nats-io/nats-server/v2/server.(*stream).trySetupSourceConsumer.func%d", n+1)))
	}
	goleak.VerifyTestMain(m, ignored...)
}

const patience = 20 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// site is a directory with a server of consumers.
type site struct {
	dir    string
	keys   *bus.Keys
	server *bus.Server
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{dir: t.TempDir()}
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

func (s *site) start(t testing.TB) {
	t.Helper()
	keys, err := bus.OpenKeys(filepath.Join(s.dir, "keys.json"))
	must(t, err)
	s.keys = keys
	s.server, err = bus.StartServer(context.Background(), bus.ServerOptions{Dir: filepath.Join(s.dir, "store"), Keys: keys, Listen: "127.0.0.1:0"})
	must(t, err)
}

func (s *site) stop() {
	if s.server != nil {
		s.server.Shutdown()
		s.server = nil
	}
}

// consumer makes credentials.
func (s *site) consumer(t testing.TB, name, account string) string {
	t.Helper()
	creds, err := s.keys.Add(name, account, time.Now())
	must(t, err)
	path := filepath.Join(t.TempDir(), name+".creds")
	must(t, os.WriteFile(path, creds, 0o600))
	return path
}

// connect connects as any client would.
func (s *site) connect(t testing.TB, creds string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("nats://"+s.server.Addr(), nats.UserCredentials(creds), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	must(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func (s *site) publisher(t testing.TB, change ...func(*bus.Options)) *bus.Publisher {
	t.Helper()
	opts := bus.Options{Dir: filepath.Join(s.dir, "sinks"), Connect: s.server.Connect, Start: notify.StartBeginning}
	for _, c := range change {
		c(&opts)
	}
	p, err := bus.NewPublisher(opts)
	must(t, err)
	return p
}

// run runs a sink until stop.
func run(t testing.TB, p *bus.Publisher, feeds []*notify.Feed) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, feeds) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// read gives the ids of the stream's messages under a subject, up to the one called last.
func read(t testing.TB, nc *nats.Conn, subject, last string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	js, err := jetstream.New(nc)
	must(t, err)
	c, err := js.OrderedConsumer(ctx, bus.StreamName, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	must(t, err)
	m, err := c.Messages()
	must(t, err)
	defer m.Stop()
	var ids []string
	for {
		msg, err := m.Next(jetstream.NextContext(ctx))
		if err != nil {
			t.Fatalf("after %d messages, without %s: %v", len(ids), last, err)
		}
		ids = append(ids, msg.Headers().Get(jetstream.MsgIDHeader))
		if ids[len(ids)-1] == last {
			return ids
		}
	}
}
