package node

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"angarium/channel"
	"angarium/eventlog"
	"angarium/internal/config"
	"angarium/mailstore"
	"angarium/replica"
)

func TestWriteLooksForThePrimaryAgainWhileItChanges(t *testing.T) {
	tests := []struct {
		name  string
		do    func(*site)
		again bool
	}{
		{"no primary", func(*site) {}, false},
		{"this node is being promoted", func(s *site) { s.setTaking(true) }, true},
		{"this node has handed over", func(s *site) { s.pledged = time.Now().Add(time.Minute) }, true},
		{"this node handed over long ago", func(s *site) { s.pledged = time.Now().Add(-time.Minute) }, false},
		{"this node leads by now", func(s *site) { s.node.shards[0].writer.Store(new(eventlog.Writer)) }, true},
		{"this node's replica is replaced", func(s *site) { s.busy = true; s.setTaking(true) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			hub, err := channel.New(newcomer{"east"}, channel.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := hub.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}()
			s := &site{node: &Node{name: "east", shards: []*shard{{}}}, hub: hub}
			tt.do(s)
			_, err = forwarder{s, 0}.Forward(t.Context(), 0, "append", nil)
			again := errors.Is(err, mailstore.ErrNotPrimary)
			if again != tt.again || !again && !errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrUnknown) {
				t.Errorf("got %v, want that it is looked for again: %t", err, tt.again)
			}
		})
	}
}

func TestDeposedPrimaryWaitsForNoAcknowledgement(t *testing.T) {
	hub, err := channel.New(newcomer{"east"}, channel.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close(t.Context())
	if _, err := hub.Admit("west", "127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	if err := hub.SetAck("west", ackReplica); err != nil {
		t.Fatal(err)
	}
	r, err := replica.Open(replica.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Channel.AckTimeout, cfg.Channel.AckPolicy = config.Duration(time.Hour), "degrade"
	s := &site{node: &Node{name: "east", opts: Options{Config: cfg}}, hub: hub, log: slog.New(slog.DiscardHandler)}
	s.crown()
	s.depose()
	if err := s.acknowledged(t.Context(), &shard{replica: r}, 1); err == nil {
		t.Error("a write of a deposed primary was acknowledged")
	}
	if !s.degraded.IsZero() {
		t.Error("a deposed primary goes on alone")
	}
	s.crown()
	if s.reign.Err() != nil {
		t.Error("a node that leads again waits for no acknowledgement")
	}
}
