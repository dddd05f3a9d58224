package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"angarium/notify"
)

// Limits bound a stream: the oldest events go first. Zero values mean the defaults named here.
type Limits struct {
	MaxAge   time.Duration // [7 days]; <0: none
	MaxBytes int64         // [1 GiB]; <0: none
	Replicas int           // in a cluster [1]
}

const (
	defaultMaxAge   = 7 * 24 * time.Hour
	defaultMaxBytes = 1 << 30
	// dedupeWindow is short: a message finds its place by the sequence that it has to follow, and the ids of the window are kept in memory.
	dedupeWindow = 2 * time.Second
	// accountShare is the part of the limit that the stream of one mail account may use: there can be a thousand of them.
	accountShare = 16
)

// config is the configuration of the stream with the events of a mail account, of all when account is "".
func (l Limits) config(account string) jetstream.StreamConfig {
	limit := func(v, otherwise int64) int64 {
		switch {
		case v == 0:
			return otherwise
		case v < 0:
			return -1
		}
		return v
	}
	description, bytes := "angarium: events", limit(l.MaxBytes, defaultMaxBytes)
	if account != "" {
		description += " of " + account
		if bytes > 0 {
			bytes = max(bytes/accountShare, 1)
		}
	}
	return jetstream.StreamConfig{
		Name:        StreamName,
		Description: description,
		Subjects:    []string{eventsOf(notify.SubjectPrefix, account)},
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		Storage:     jetstream.FileStorage,
		MaxAge:      time.Duration(max(limit(int64(l.MaxAge), int64(defaultMaxAge)), 0)),
		MaxBytes:    bytes,
		Replicas:    max(l.Replicas, 1),
		Duplicates:  dedupeWindow,
		AllowDirect: true,
		DenyDelete:  true, // nor may anybody purge it, who may read it
		DenyPurge:   true,
	}
}

// ensure makes a stream, or gives one that is there the limits of cfg.
func ensure(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	if cfg.MaxAge > 0 && cfg.MaxAge < cfg.Duplicates {
		cfg.Duplicates = cfg.MaxAge
	}
	s, err := js.CreateOrUpdateStream(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", cfg.Name, err)
	}
	return s, nil
}
