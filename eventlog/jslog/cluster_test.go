package jslog_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"angarium/eventlog"
	"angarium/eventlog/jslog"
	"angarium/eventlog/logtest"
)

// startCluster starts three servers that replicate, and connects to the first.
func startCluster(t *testing.T) *jslog.Conn {
	t.Helper()
	const size = 3
	var ports []int
	var routes []*url.URL
	for range size {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		ports = append(ports, port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
		l.Close()
	}
	var first *jslog.Embedded
	for i, port := range ports {
		e := startEmbedded(t, jslog.EmbeddedOptions{Dir: t.TempDir(), Name: fmt.Sprintf("node-%d", i), Configure: func(o *server.Options) {
			o.DontListen = false
			o.Host, o.Port = "127.0.0.1", server.RANDOM_PORT
			o.Cluster = server.ClusterOpts{Name: "site", Host: "127.0.0.1", Port: port}
			o.Routes = routes
		}})
		if i == 0 {
			first = e
		}
	}
	return connect(t, first)
}

func TestConformanceReplicated(t *testing.T) {
	c := startCluster(t)
	shards := 0
	logtest.Run(t, func(t *testing.T) logtest.Instance {
		shards++
		cfg := jslog.StreamConfig{Shard: fmt.Sprintf("s%d", shards), Replicas: 3}
		ctx := testContext(t)
		log, err := jslog.Create(ctx, c, cfg)
		for errors.Is(err, eventlog.ErrUnavailable) && ctx.Err() == nil { // no leader yet
			log, err = jslog.Create(ctx, c, cfg)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { log.Close() })
		return logtest.Instance{Log: log, Reopen: func(t *testing.T) eventlog.Log {
			log.Close()
			again, err := jslog.Open(testContext(t), c, cfg, eventlog.Mark{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { again.Close() })
			return again
		}}
	})
}
