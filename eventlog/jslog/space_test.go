package jslog_test

import (
	"errors"
	"math"
	"testing"

	"angarium/eventlog"
	"angarium/eventlog/jslog"
	"angarium/eventlog/logtest"
)

// TestFullLogRefusesAndRecovers fills a stream up to its limit: units are refused for certain and at once, and appends go on
// when there is room.
func TestFullLogRefusesAndRecovers(t *testing.T) {
	ctx := testContext(t)
	c := connect(t, startEmbedded(t, jslog.EmbeddedOptions{Dir: t.TempDir()}))
	log, err := jslog.Create(ctx, c, jslog.StreamConfig{Shard: shard, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	state, err := eventlog.Fence(ctx, log, eventlog.State{}, "a")
	if err != nil {
		t.Fatal(err)
	}
	w := eventlog.NewWriter(log, state, eventlog.Options{})
	defer w.Close(ctx)
	stored := 0
	for err == nil {
		if _, err = w.Append(ctx, logtest.Body(1, 100<<10)); err == nil {
			stored++
		}
	}
	if !errors.Is(err, eventlog.ErrNoSpace) || errors.Is(err, eventlog.ErrUnknown) || stored < 5 {
		t.Fatalf("after %d units: %v, want ErrNoSpace", stored, err)
	}
	if _, err := w.Append(ctx, logtest.Body(1, 100<<10)); !errors.Is(err, eventlog.ErrNoSpace) {
		t.Errorf("still full: %v, want ErrNoSpace", err)
	}
	if err := log.Purge(ctx, w.State().Position); err != nil {
		t.Fatal(err)
	}
	r, err := w.Append(ctx, logtest.Body(1, 100<<10))
	if want := (eventlog.Receipt{Position: state.Position + eventlog.Position(stored) + 1, FirstIndex: state.NextIndex + uint64(stored)}); err != nil || r != want {
		t.Errorf("append after the purge: %+v, %v, want %+v", r, err, want)
	}
}

func TestDiskSpaceIsKeptFree(t *testing.T) {
	ctx := testContext(t)
	dir := t.TempDir()
	c := connect(t, startEmbedded(t, jslog.EmbeddedOptions{Dir: dir, MinFreeBytes: math.MaxInt64 / 2}))
	log := create(t, c)
	after, payload := new(logtest.Builder).Epoch(t)
	if err := <-log.Append(ctx, after, payload); !errors.Is(err, eventlog.ErrNoSpace) || errors.Is(err, eventlog.ErrUnknown) {
		t.Errorf("append to a full disk: %v, want ErrNoSpace", err)
	}
}
