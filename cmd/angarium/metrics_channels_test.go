package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"angarium/internal/config"
	"angarium/internal/control"
)

// startPair starts two nodes, of which west follows east.
func startPair(t *testing.T, change func(*config.Config)) (east, west *server) {
	t.Helper()
	dir := t.TempDir()
	node := func(name string, change func(*config.Config)) *server {
		cfg := testConfig(filepath.Join(dir, name))
		cfg.Server.Node = name
		change(&cfg)
		cfg.LMTP.Listen = []string{"unix:" + filepath.Join(dir, name+".sock")} // the directory has to be empty to join
		s := start(t, cfg)
		t.Cleanup(func() { stop(t, s) })
		return s
	}
	east = node("east", func(c *config.Config) {
		c.Channel.Listen = []string{"127.0.0.1:0"}
		change(c)
	})
	token, err := dial(t, east).AddChannel(context.Background(), control.NewChannel{Name: "west"})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte(token.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	return east, node("west", func(c *config.Config) { c.Channel.JoinFile = file })
}

// scrape gives the metrics of a node.
func scrape(t *testing.T, s *server) string {
	t.Helper()
	res, err := http.Get("http://" + s.addrs["http"].String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", res.Status, b, err)
	}
	return string(b)
}

// metricsBecome waits until a node tells all of the lines.
func metricsBecome(t *testing.T, s *server, lines ...string) {
	t.Helper()
	end := time.Now().Add(20 * time.Second)
	for {
		text, missing := "\n"+scrape(t, s), ""
		for _, l := range lines {
			if !strings.Contains(text, "\n"+l+"\n") {
				missing = l
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("node %s does not come to tell %q:\n%s", s.node.Name(), missing, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestMetricsOfChannels(t *testing.T) {
	east, west := startPair(t, func(c *config.Config) {
		c.Channel.AckTimeout, c.Channel.AckPolicy = config.Duration(100*time.Millisecond), "degrade"
	})
	ctx := context.Background()
	metricsBecome(t, east, `angarium_channel_connected{peer="west"} 1`, `angarium_channel_lag_events{peer="west",shard="0"} 0`,
		`angarium_channel_lag_bytes{peer="west",shard="0"} 0`, `angarium_channel_lag_seconds{peer="west",shard="0"} 0`,
		`angarium_shard_role{role="primary",shard="0"} 1`, `angarium_shard_role{role="replica",shard="0"} 0`, `angarium_site_degraded 0`)
	metricsBecome(t, west, `angarium_channel_connected{peer="east"} 1`, `angarium_channel_lag_events{peer="east",shard="0"} 0`,
		`angarium_shard_role{role="primary",shard="0"} 0`, `angarium_shard_role{role="replica",shard="0"} 1`)

	paused, acked := true, "replica"
	if err := dial(t, east).ChangeChannel(ctx, "west", control.ChangeChannel{Paused: &paused, Ack: &acked}); err != nil {
		t.Fatal(err)
	}
	if _, err := east.node.AddAccount(ctx, "ann", "secret"); err != nil { // two events
		t.Fatal(err)
	}
	metricsBecome(t, east, `angarium_channel_lag_events{peer="west",shard="0"} 2`, `angarium_site_degraded 1`)

	paused = false
	if err := dial(t, east).ChangeChannel(ctx, "west", control.ChangeChannel{Paused: &paused}); err != nil {
		t.Fatal(err)
	}
	metricsBecome(t, east, `angarium_channel_lag_events{peer="west",shard="0"} 0`)
	if _, err := east.node.AddAccount(ctx, "ben", "secret"); err != nil {
		t.Fatal(err)
	}
	metricsBecome(t, east, `angarium_site_degraded 0`)

	if _, err := dial(t, west).Promote(ctx, control.PromoteRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	// East follows now; what west once acknowledged to it must not be told as a lag.
	metricsBecome(t, east, `angarium_shard_role{role="replica",shard="0"} 1`, `angarium_channel_lag_events{peer="west",shard="0"} 0`)
	metricsBecome(t, west, `angarium_shard_role{role="primary",shard="0"} 1`, `angarium_channel_lag_events{peer="east",shard="0"} 0`)
	if strings.Contains(scrape(t, east), "angarium_channel_lag_bytes{") {
		t.Error("a replica tells how many bytes it lacks")
	}
}
