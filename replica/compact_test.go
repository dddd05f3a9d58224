package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// wasteful makes a story in which many bodies lose their messages and are dropped.
func wasteful(tb testing.TB, seed uint64, envelopes int) *story {
	s := newStory(tb, seed)
	s.BodyBytes = 1500
	s.Weights[event.KindBodyChunk] = 60
	s.Weights[event.KindMessagesExpunged] = 25
	s.Weights[event.KindBodiesDropped] = 10
	s.tell(tb, envelopes)
	return s
}

// marksHold says whether a marked body has a message.
func marksHold(r *Replica) error {
	marked := map[event.GUID]bool{}
	if err := r.scanMarks(func(guid event.GUID, _ time.Time) bool { marked[guid] = true; return true }); err != nil {
		return err
	}
	return state.ScanReferenced(r.Reader(), func(guid event.GUID) (bool, error) {
		if marked[guid] {
			return false, fmt.Errorf("body %s is marked as garbage and has a message", guid)
		}
		return true, nil
	})
}

// tidy does one of the chores of a replica.
func tidy(rnd *rand.Rand, now time.Time) func(*Replica) error {
	return func(r *Replica) error {
		if rnd.IntN(2) == 0 {
			_, err := r.MarkGarbage(context.Background(), now)
			return errors.Join(err, marksHold(r))
		}
		_, err := r.Compact(context.Background(), CompactOptions{Share: []float64{0.05, 0.3, 0.5}[rnd.IntN(3)]})
		return err
	}
}

func TestCompactionKeepsEveryBodyAndFreesTheRest(t *testing.T) {
	noLeaks(t)
	ctx := context.Background()
	removed := uint64(0)
	for seed := range uint64(12) {
		s := wasteful(t, seed, 120)
		opts := testOptions(vfs.NewMem(), s.rnd)
		r := mustOpen(t, opts)
		chore := tidy(s.rnd, time.Unix(1, 0))
		for int(r.Applied().Position) < len(s.envs) {
			if err := errors.Join(s.apply(r, min(int(r.Applied().Position)+10, len(s.envs))), chore(r), s.verify(r), marksHold(r)); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		before, err := r.BodyUse(ctx, 0.3)
		if err != nil {
			t.Fatal(err)
		}
		done, err := r.Compact(ctx, CompactOptions{Share: 0.3})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		after, err := r.BodyUse(ctx, 0.3)
		if err != nil {
			t.Fatal(err)
		}
		if after.Candidate != 0 || after.Live != before.Live || done.Segments < before.Candidate || done.Held || before.Bytes+done.Moved < done.Freed {
			t.Errorf("seed %d: %+v, compaction %+v, then %+v", seed, before, done, after)
		}
		removed += done.Segments
		if err := errors.Join(s.verify(r), r.Flush()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if before.Candidate > 0 { // the files are gone, and it opens without them
			names, _ := opts.FS.List(bodyDir(opts.FS, opts.Dir))
			if len(names) != after.Segments {
				t.Errorf("seed %d: %d files of %d segments", seed, len(names), after.Segments)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		again := mustOpen(t, opts)
		if err := errors.Join(s.verify(again), marksHold(again)); err != nil {
			t.Fatalf("seed %d: opened again: %v", seed, err)
		}
	}
	if removed == 0 {
		t.Error("no segment was ever compacted")
	}
}

// TestPowerCutsDuringCompaction cuts the power at every kind of operation while bodies are marked, moved and removed.
func TestPowerCutsDuringCompaction(t *testing.T) {
	noLeaks(t)
	const lives = 25
	cuts := 0
	for seed := uint64(1000); cuts < powerCuts/8*simFactor(t)/slowdown; seed++ {
		m := newMachine(t, seed, Open)
		m.story = wasteful(t, seed, 60)
		m.opts.SegmentSize = 1000 + m.rnd.Uint64N(3000)
		m.chore = tidy(m.rnd, time.Unix(1, 0))
		for life := range lives {
			if err := m.live(); err != nil {
				t.Fatalf("seed %d, life %d: %v", seed, life, err)
			}
			cuts++
		}
		m.opts.FS = m.disk
		r, err := Open(m.opts)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := errors.Join(m.apply(r, len(m.envs)), m.chore(r), m.verify(r), marksHold(r), r.Close()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	t.Logf("%d power cuts", cuts)
}

func TestWhoReadsKeepsTheSegmentsThatHeReads(t *testing.T) {
	s := wasteful(t, 3, 150)
	opts := testOptions(vfs.NewMem(), s.rnd)
	opts.SegmentSize = 2000
	r := mustOpen(t, opts)
	if err := s.apply(r, len(s.envs)); err != nil {
		t.Fatal(err)
	}
	release := r.pins.take()
	use, err := r.BodyUse(t.Context(), 0.1)
	if err != nil || use.Candidate == 0 {
		t.Fatalf("%+v, %v: want something to compact", use, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // ends the compaction once it waits for the pin
		for waits := false; !waits && ctx.Err() == nil; runtime.Gosched() {
			r.pins.mu.Lock()
			waits = r.pins.changed != nil
			r.pins.mu.Unlock()
		}
		cancel()
	}()
	if done, err := r.Compact(ctx, CompactOptions{Share: 0.1}); !errors.Is(err, context.Canceled) || !done.Held {
		t.Fatalf("compaction: %+v, %v", done, err)
	}
	if names, _ := opts.FS.List(bodyDir(opts.FS, opts.Dir)); len(names) < use.Segments {
		t.Errorf("%d of %d segments are left while they are read", len(names), use.Segments)
	}
	release()
	if done, err := r.Compact(t.Context(), CompactOptions{Share: 0.1}); err != nil || done.Segments == 0 || done.Held {
		t.Errorf("%+v, %v", done, err)
	}
	if err := s.verify(r); err != nil {
		t.Error(err)
	}
}

func TestACheckpointOfACompactedReplicaIsWhole(t *testing.T) {
	s := wasteful(t, 5, 150)
	opts := testOptions(vfs.NewMem(), s.rnd)
	opts.SegmentSize = 2000
	r := mustOpen(t, opts)
	if err := s.apply(r, len(s.envs)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.MarkGarbage(t.Context(), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if done, err := r.Compact(t.Context(), CompactOptions{Share: 0.1}); err != nil || done.Segments == 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if err := opts.FS.MkdirAll("copy", 0o700); err != nil {
		t.Fatal(err)
	}
	at, err := r.Checkpoint("copy")
	if err != nil || at != r.Applied() {
		t.Fatalf("%+v, %v", at, err)
	}
	opts.Dir = "copy"
	cp := mustOpen(t, opts)
	if err := errors.Join(s.verify(cp), marksHold(cp)); err != nil {
		t.Error(err)
	}
}

func TestMarksTellSinceWhenABodyHasNoMessage(t *testing.T) {
	s := wasteful(t, 7, 100)
	r := mustOpen(t, testOptions(vfs.NewMem(), s.rnd))
	if err := s.apply(r, len(s.envs)); err != nil {
		t.Fatal(err)
	}
	want := s.Model.Unreferenced()
	if len(want) == 0 {
		t.Fatal("all bodies have messages")
	}
	for _, at := range []int64{100, 200} { // the first time stays
		if _, err := r.MarkGarbage(t.Context(), time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if early, err := r.Garbage(time.Unix(99, 0), 1<<20); err != nil || len(early) != 0 {
		t.Errorf("before the time of the marks: %d, %v", len(early), err)
	}
	got, err := r.Garbage(time.Unix(100, 0), 1<<20)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("marked %d bodies (%v), want %d", len(got), err, len(want))
	}
	if some, err := r.Garbage(time.Unix(100, 0), 1); err != nil || len(some) != 1 {
		t.Errorf("at most one: %d, %v", len(some), err)
	}
	if n, oldest, err := r.Marks(); err != nil || n != len(want) || !oldest.Equal(time.Unix(100, 0)) {
		t.Errorf("%d marks since %s, %v", n, oldest, err)
	}
}
