package replica

import (
	"bytes"
	"context"
	"maps"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"angarium/eventlog"
)

// TestReplayGivesTheReferenceState follows a log and compares rows and bodies with the state in plain maps.
func TestReplayGivesTheReferenceState(t *testing.T) {
	noLeaks(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := newStory(t, rapid.Uint64().Draw(rt, "seed"))
		s.tell(t, rapid.IntRange(1, 60).Draw(rt, "envelopes"))
		r, err := Open(testOptions(vfs.NewMem(), s.rnd))
		if err != nil {
			rt.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, s.log) }()
		if err := r.Wait(ctx, eventlog.Position(len(s.envs))); err != nil {
			rt.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil {
			rt.Fatal(err)
		}
		if r.Applied() != s.builder.State {
			rt.Fatalf("replica is at %+v, log at %+v", r.Applied(), s.builder.State)
		}
		if err := s.verify(r); err != nil {
			rt.Fatal(err)
		}
		for guid := range s.Model.Bodies {
			raw, err := r.ReadBody(guid)
			if err != nil || !bytes.Equal(raw, s.Raw(guid)) {
				rt.Fatalf("body %s: %d bytes, %v", guid, len(raw), err)
			}
		}
		if err := r.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestInterruptedReplayIsBitForBitTheSame stops and opens a replica again on the way, and compares every row and file.
func TestInterruptedReplayIsBitForBitTheSame(t *testing.T) {
	noLeaks(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := newStory(t, rapid.Uint64().Draw(rt, "seed"))
		s.tell(t, rapid.IntRange(2, 60).Draw(rt, "envelopes"))
		opts := testOptions(vfs.NewMem(), s.rnd)
		whole := replayed(rt, s, opts)
		opts.FS = vfs.NewMem()
		parts := replayed(rt, s, opts, rapid.SliceOfN(rapid.IntRange(0, len(s.envs)), 1, 3).Draw(rt, "stops")...)
		if !maps.Equal(whole, parts) {
			rt.Fatalf("an interrupted replay differs: %s", cmp.Diff(whole, parts))
		}
	})
}

// replayed opens a replica, applies everything with stops on the way, and gives its image.
func replayed(t *rapid.T, s *story, opts Options, stops ...int) map[string]string {
	for _, to := range append(stops, len(s.envs)) {
		r, err := Open(opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.apply(r, to); err != nil {
			t.Fatal(err)
		}
		all, err := image(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if to == len(s.envs) {
			return all
		}
	}
	return nil
}

// Open starts compactions in the background, which write to the MANIFEST while the bodies are being opened.
func TestOpenOnAnIndexThatWantsCompaction(t *testing.T) {
	noLeaks(t)
	s := newStory(t, 4)
	s.tell(t, 60)
	opts := testOptions(vfs.NewMem(), s.rnd)
	for range 6 {
		r, err := Open(opts)
		if err != nil {
			t.Fatal(err)
		}
		for range 6 {
			if err := s.apply(r, min(int(r.Applied().Position)+2, len(s.envs))); err != nil {
				t.Fatal(err)
			}
			if err := r.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.verify(r); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
