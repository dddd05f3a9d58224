package eventlog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/logtest"
	"angarium/eventlog/memlog"
)

func TestFollowerStopsAtDamage(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for name, test := range map[string]struct {
		damage func(*memlog.Log)
		want   error
	}{
		"a hole":            {func(l *memlog.Log) { l.Drop(5) }, eventlog.ErrGap},
		"a flipped bit":     {func(l *memlog.Log) { l.FlipBit(5, 77) }, eventlog.ErrCorrupt},
		"another envelope":  {func(l *memlog.Log) { _, p := (&logtest.Builder{}).Epoch(t); l.Replace(5, p) }, eventlog.ErrHash},
		"an empty envelope": {func(l *memlog.Log) { l.Replace(5, []byte{}) }, eventlog.ErrCorrupt},
	} {
		log := memlog.New()
		defer log.Close()
		logtest.Fill(t, ctx, log, new(logtest.Builder), 8)
		test.damage(log)
		f, err := eventlog.Follow(ctx, log, eventlog.State{})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		batch, err := f.NextBatch(ctx, 100, 1<<20)
		if err != nil || len(batch) != 4 {
			t.Errorf("%s: %d envelopes, %v, want the 4 before it", name, len(batch), err)
		}
		for range 2 { // it stays so
			_, err = f.NextBatch(ctx, 100, 1<<20)
			var bad *eventlog.ChainError
			if !errors.Is(err, test.want) || !errors.As(err, &bad) || bad.Position != 5 {
				t.Errorf("%s: %v, want %v at 5", name, err, test.want)
			}
		}
	}
}

func TestNextBatchIsBounded(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	log := memlog.New()
	defer log.Close()
	logtest.Fill(t, ctx, log, new(logtest.Builder), 8)
	f, err := eventlog.Follow(ctx, log, eventlog.State{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, test := range []struct{ events, bytes, want int }{{3, 1 << 20, 3}, {100, 1, 1}, {100, 1 << 20, 4}} {
		if batch, err := f.NextBatch(ctx, test.events, test.bytes); err != nil || len(batch) != test.want {
			t.Errorf("batch of %d events and %d bytes: %d envelopes, %v, want %d", test.events, test.bytes, len(batch), err, test.want)
		}
	}
}

func TestFollowChecksWhereItStarts(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	log := memlog.New()
	defer log.Close()
	var b logtest.Builder
	logtest.Fill(t, ctx, log, &b, 3)
	wrong := b.State
	wrong.Hash[5]++
	if f, err := eventlog.Follow(ctx, log, wrong); !errors.Is(err, eventlog.ErrHash) {
		t.Errorf("%v, %v, want ErrHash", f, err)
	}
	log.Truncate(2)
	if f, err := eventlog.Follow(ctx, log, b.State); !errors.Is(err, eventlog.ErrBehind) {
		t.Errorf("%v, %v, want ErrBehind", f, err)
	}
}
