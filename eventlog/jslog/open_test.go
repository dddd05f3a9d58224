package jslog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"angarium/eventlog"
	"angarium/eventlog/jslog"
	"angarium/eventlog/logtest"
)

// wantRefusal also holds that a refusal tells a person what to do.
func wantRefusal(t *testing.T, what string, err, want error) {
	t.Helper()
	var r *eventlog.Refusal
	if !errors.Is(err, want) || !errors.As(err, &r) || r.Hint == "" {
		t.Errorf("%s: %v, want a refusal with a hint because of %q", what, err, want)
	}
}

func TestCreateNeverReplaces(t *testing.T) {
	c := connect(t, startEmbedded(t, jslog.EmbeddedOptions{Dir: t.TempDir()}))
	create(t, c)
	_, err := jslog.Create(testContext(t), c, jslog.StreamConfig{Shard: shard})
	wantRefusal(t, "Create over a log", err, jslog.ErrExists)
}

func TestOpenRefusesAnotherLogThanWasRead(t *testing.T) {
	ctx := testContext(t)
	c := connect(t, startEmbedded(t, jslog.EmbeddedOptions{Dir: t.TempDir()}))
	cfg := jslog.StreamConfig{Shard: shard}
	_, err := jslog.Open(ctx, c, cfg, eventlog.Mark{})
	wantRefusal(t, "no stream", err, jslog.ErrMissing)
	_, err = jslog.Open(ctx, c, cfg, eventlog.Mark{Position: 5})
	wantRefusal(t, "no stream, though it was read", err, jslog.ErrMissing)

	var b logtest.Builder
	log := create(t, c)
	logtest.Fill(t, ctx, log, &b, 5)
	known := b.State.Mark()
	open(t, c, known)
	_, err = jslog.Open(ctx, c, cfg, eventlog.Mark{Position: 6, Hash: known.Hash})
	wantRefusal(t, "the stream ends before", err, eventlog.ErrBehind)
	_, err = jslog.Open(ctx, c, cfg, eventlog.Mark{Position: 5, Hash: eventlog.Hash{1}})
	wantRefusal(t, "another history", err, eventlog.ErrHash)
	if err := log.Purge(ctx, 5); err != nil {
		t.Fatal(err)
	}
	open(t, c, eventlog.Mark{Position: 4, Hash: eventlog.Hash{1}}) // the next envelope will tell
	_, err = jslog.Open(ctx, c, cfg, eventlog.Mark{Position: 3})
	wantRefusal(t, "purged", err, eventlog.ErrPurged)
}

func TestOpenRefusesStreamsThatAreNoLogs(t *testing.T) {
	good := jetstream.StreamConfig{
		Name: "LOG_main", Subjects: []string{"angarium.log.main"}, Storage: jetstream.FileStorage,
		Discard: jetstream.DiscardNew, DenyDelete: true,
	}
	for name, change := range map[string]func(*jetstream.StreamConfig){
		"memory":       func(s *jetstream.StreamConfig) { s.Storage = jetstream.MemoryStorage },
		"discard old":  func(s *jetstream.StreamConfig) { s.Discard = jetstream.DiscardOld },
		"max age":      func(s *jetstream.StreamConfig) { s.MaxAge = time.Hour },
		"max messages": func(s *jetstream.StreamConfig) { s.MaxMsgs = 1000 },
		"per subject":  func(s *jetstream.StreamConfig) { s.MaxMsgsPerSubject = 1000 },
		"small":        func(s *jetstream.StreamConfig) { s.MaxMsgSize = 1 << 20 },
		"interest":     func(s *jetstream.StreamConfig) { s.Retention = jetstream.InterestPolicy },
		"subjects":     func(s *jetstream.StreamConfig) { s.Subjects = append(s.Subjects, "other") },
		"no ack":       func(s *jetstream.StreamConfig) { s.NoAck = true },
		"deletes":      func(s *jetstream.StreamConfig) { s.DenyDelete = false },
		"rollups":      func(s *jetstream.StreamConfig) { s.AllowRollup = true },
		"TTLs":         func(s *jetstream.StreamConfig) { s.AllowMsgTTL = true },
		"mirror": func(s *jetstream.StreamConfig) {
			s.Subjects, s.Mirror, s.Discard = nil, &jetstream.StreamSource{Name: "ORIGIN"}, jetstream.DiscardOld
		},
		"sources": func(s *jetstream.StreamConfig) { s.Sources = []*jetstream.StreamSource{{Name: "ORIGIN"}} },
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			c := connect(t, startEmbedded(t, jslog.EmbeddedOptions{Dir: t.TempDir()}))
			js, err := jetstream.New(c.NATS())
			if err != nil {
				t.Fatal(err)
			}
			cfg := good
			change(&cfg)
			if _, err := js.CreateStream(ctx, cfg); err != nil {
				t.Fatal(err)
			}
			_, err = jslog.Open(ctx, c, jslog.StreamConfig{Shard: shard}, eventlog.Mark{})
			wantRefusal(t, name, err, jslog.ErrConfig)
		})
	}
}

func TestServerWithSmallPayloadsIsRefused(t *testing.T) {
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("server not ready")
	}
	c, err := jslog.Connect(jslog.ConnectOptions{URL: srv.ClientURL(), Sync: jslog.SyncAlways})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = jslog.Create(testContext(t), c, jslog.StreamConfig{Shard: shard})
	wantRefusal(t, "max_payload of 1 MB", err, jslog.ErrServerLimit)
}

func TestLogThatContinuesAnother(t *testing.T) {
	ctx := testContext(t)
	c := connect(t, startEmbedded(t, jslog.EmbeddedOptions{Dir: t.TempDir()}))
	var b logtest.Builder
	for range 3 {
		if b.State.Position == 0 {
			b.Epoch(t)
		} else {
			b.Small(t)
		}
	}
	log, err := jslog.Create(ctx, c, jslog.StreamConfig{Shard: shard, First: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	from := b.State
	logtest.Fill(t, ctx, log, &b, 3)
	follower, err := eventlog.Follow(ctx, log, from)
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	for follower.State() != b.State {
		if _, err := follower.Next(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadShardNames(t *testing.T) {
	c := connect(t, startEmbedded(t, jslog.EmbeddedOptions{Dir: t.TempDir()}))
	for _, name := range []string{"", "a.b", "a b", "*", "ü"} {
		if _, err := jslog.Create(context.Background(), c, jslog.StreamConfig{Shard: name}); err == nil {
			t.Errorf("Create of shard %q succeeded", name)
		}
	}
}
