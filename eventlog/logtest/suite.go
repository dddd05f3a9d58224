package logtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
)

// Instance is a log under test.
type Instance struct {
	Log eventlog.Log
	// Reopen closes the log and opens the same one again, after a restart of its server if it has one of its own.
	Reopen func(t *testing.T) eventlog.Log
}

// patience is how long anything in the suite may take before it counts as hung.
const patience = 30 * time.Second

// Run tests the contract of eventlog.Log, and of Writer, Follower and Fence on top of it. make gives a new, empty log; it cleans up by
// t.Cleanup.
func Run(t *testing.T, make func(t *testing.T) Instance) {
	tests := []struct {
		name string
		run  func(*testing.T, context.Context, Instance)
	}{
		{"EmptyLog", testEmpty},
		{"WhatIsAppendedIsRead", testAppendRead},
		{"AppendBehindAnotherEnvelopeIsFenced", testConflict},
		{"PipelinedAppendsKeepTheirOrder", testPipeline},
		{"PipelinedAppendsOfADeposedWriterAreAllFenced", testDeposedPipeline},
		{"LargestEnvelope", testLargest},
		{"TailResumesAnywhere", testTailResume},
		{"TailsAreIndependent", testConcurrentTails},
		{"TailEndsWithItsContextAndGoesOn", testTailContext},
		{"ClosedTailAndLog", testClose},
		{"PurgeForgetsAPrefix", testPurge},
		{"ReopenKeepsEverything", testReopen},
		{"FenceDeposesTheWriter", testFence},
		{"WriterAndFollower", testWriterFollower},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			test.run(t, ctx, make(t))
		})
	}
}

func testEmpty(t *testing.T, ctx context.Context, in Instance) {
	wantHead(t, ctx, in.Log, 1, 0)
	if _, err := in.Log.Read(ctx, 1); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("Read(1) of an empty log: %v, want ErrNotFound", err)
	}
	if err := eventlog.Check(ctx, in.Log, eventlog.Mark{}); err != nil {
		t.Errorf("Check of the zero mark: %v", err)
	}
	if err := eventlog.Check(ctx, in.Log, eventlog.Mark{Position: 1}); !errors.Is(err, eventlog.ErrBehind) {
		t.Errorf("Check of a mark behind the end: %v, want ErrBehind", err)
	}
}

func testAppendRead(t *testing.T, ctx context.Context, in Instance) {
	payloads := Fill(t, ctx, in.Log, new(Builder), 5)
	wantHead(t, ctx, in.Log, 1, 5)
	for i, want := range payloads {
		got, err := in.Log.Read(ctx, eventlog.Position(i+1))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("Read(%d): %v, equal %v", i+1, err, bytes.Equal(got, want))
		}
	}
	wantTail(t, ctx, in.Log, 1, payloads)
}

func testConflict(t *testing.T, ctx context.Context, in Instance) {
	var b Builder
	Fill(t, ctx, in.Log, &b, 3)
	_, payload := (&Builder{State: b.State}).Small(t)
	last := b.State.Mark()
	for name, after := range map[string]eventlog.Mark{
		"the start":         {},
		"an older envelope": {Position: last.Position - 1, Hash: last.Hash},
		"a later envelope":  {Position: last.Position + 1, Hash: last.Hash},
		"another history":   {Position: last.Position, Hash: eventlog.Hash{1}},
	} {
		if err := wait(t, ctx, in.Log.Append(ctx, after, payload)); !errors.Is(err, eventlog.ErrFenced) {
			t.Errorf("append behind %s: %v, want ErrFenced", name, err)
		}
	}
	wantHead(t, ctx, in.Log, 1, 3)
	if err := wait(t, ctx, in.Log.Append(ctx, last, payload)); err != nil {
		t.Errorf("append behind the last envelope: %v", err)
	}
	if err := wait(t, ctx, in.Log.Append(ctx, last, payload)); !errors.Is(err, eventlog.ErrFenced) && err != nil {
		t.Errorf("the same append again: %v, want ErrFenced or success", err)
	}
	wantHead(t, ctx, in.Log, 1, 4)
}

func testPipeline(t *testing.T, ctx context.Context, in Instance) {
	var b Builder
	payloads := Fill(t, ctx, in.Log, &b, 1)
	var acks []<-chan error
	for range 100 {
		after, payload := b.Small(t)
		acks = append(acks, in.Log.Append(ctx, after, payload))
		payloads = append(payloads, payload)
	}
	for i, ack := range acks {
		if err := wait(t, ctx, ack); err != nil {
			t.Fatalf("append %d: %v", i, err)
		}
	}
	wantTail(t, ctx, in.Log, 1, payloads)
}

// testDeposedPipeline is why a sequence alone is no fence: the second append expects the very position at which the new primary
// has appended.
func testDeposedPipeline(t *testing.T, ctx context.Context, in Instance) {
	var b Builder
	Fill(t, ctx, in.Log, &b, 2)
	deposed := b
	after, payload := b.Epoch(t)
	if err := wait(t, ctx, in.Log.Append(ctx, after, payload)); err != nil {
		t.Fatal(err)
	}
	var acks []<-chan error
	for range 4 {
		after, payload := deposed.Small(t)
		acks = append(acks, in.Log.Append(ctx, after, payload))
	}
	for i, ack := range acks {
		if err := wait(t, ctx, ack); !errors.Is(err, eventlog.ErrFenced) {
			t.Errorf("append %d of the deposed writer: %v, want ErrFenced", i, err)
		}
	}
	wantHead(t, ctx, in.Log, 1, 3)
}

func testLargest(t *testing.T, ctx context.Context, in Instance) {
	var b Builder
	payloads := Fill(t, ctx, in.Log, &b, 1)
	after, payload := b.Next(t, Body(1, eventlog.MaxUnitBytes-1024))
	if err := wait(t, ctx, in.Log.Append(ctx, after, payload)); err != nil {
		t.Fatalf("append %d bytes: %v", len(payload), err)
	}
	got, err := in.Log.Read(ctx, 2)
	if err != nil || !bytes.Equal(got, payload) {
		t.Errorf("Read(2): %v, equal %v", err, bytes.Equal(got, payload))
	}
	wantTail(t, ctx, in.Log, 1, append(payloads, payload))
}

func testTailResume(t *testing.T, ctx context.Context, in Instance) {
	var b Builder
	payloads := Fill(t, ctx, in.Log, &b, 10)
	for from := 1; from <= 10; from += 3 {
		wantTail(t, ctx, in.Log, eventlog.Position(from), payloads[from-1:])
	}
	tail, err := in.Log.Tail(ctx, 11)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	if m, ok, err := tail.TryNext(); ok || err != nil {
		t.Errorf("TryNext at the end: %v %v %v", m.Position, ok, err)
	}
	more := Fill(t, ctx, in.Log, &b, 3)
	wantMessages(t, ctx, tail, 11, more)
}

func testConcurrentTails(t *testing.T, ctx context.Context, in Instance) {
	var b Builder
	payloads := Fill(t, ctx, in.Log, &b, 5)
	const tails, total = 4, 40
	errs := make(chan error, tails)
	for range tails {
		tail, err := in.Log.Tail(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer tail.Close()
		go func() {
			for want := eventlog.Position(1); want <= total; want++ {
				if m, err := tail.Next(ctx); err != nil || m.Position != want {
					errs <- fmt.Errorf("got position %d, want %d: %w", m.Position, want, err)
					return
				}
			}
			errs <- nil
		}()
	}
	Fill(t, ctx, in.Log, &b, total-len(payloads))
	for range tails {
		if err := wait(t, ctx, errs); err != nil {
			t.Error(err)
		}
	}
}

func testTailContext(t *testing.T, ctx context.Context, in Instance) {
	var b Builder
	tail, err := in.Log.Tail(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	ended, cancel := context.WithCancel(ctx)
	got := make(chan error, 1)
	go func() {
		_, err := tail.Next(ended)
		got <- err
	}()
	cancel()
	if err := wait(t, ctx, got); !errors.Is(err, context.Canceled) {
		t.Errorf("Next: %v, want context.Canceled", err)
	}
	wantMessages(t, ctx, tail, 1, Fill(t, ctx, in.Log, &b, 2))
}

func testClose(t *testing.T, ctx context.Context, in Instance) {
	var tails []eventlog.Tail
	for range 2 {
		tail, err := in.Log.Tail(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		tails = append(tails, tail)
	}
	got := make(chan error, len(tails))
	for _, tail := range tails {
		go func() {
			_, err := tail.Next(ctx)
			got <- err
		}()
	}
	if err := tails[0].Close(); err != nil {
		t.Error(err)
	}
	if err := wait(t, ctx, got); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("Next of a closed tail: %v, want ErrClosed", err)
	}
	if err := in.Log.Close(); err != nil {
		t.Error(err)
	}
	if err := wait(t, ctx, got); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("Next of a closed log: %v, want ErrClosed", err)
	}
	after, payload := new(Builder).Epoch(t)
	if err := wait(t, ctx, in.Log.Append(ctx, after, payload)); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("Append to a closed log: %v, want ErrClosed", err)
	}
}

func testPurge(t *testing.T, ctx context.Context, in Instance) {
	purger, ok := in.Log.(eventlog.Purger)
	if !ok {
		t.Skip("the log cannot be purged")
	}
	var b Builder
	payloads := Fill(t, ctx, in.Log, &b, 10)
	if err := purger.Purge(ctx, 6); err != nil {
		t.Fatal(err)
	}
	wantHead(t, ctx, in.Log, 6, 10)
	if _, err := in.Log.Tail(ctx, 5); !errors.Is(err, eventlog.ErrPurged) {
		t.Errorf("Tail(5): %v, want ErrPurged", err)
	}
	if _, err := in.Log.Read(ctx, 5); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("Read(5): %v, want ErrNotFound", err)
	}
	wantTail(t, ctx, in.Log, 6, payloads[5:])
	if err := purger.Purge(ctx, 100); err != nil {
		t.Fatal(err)
	}
	wantHead(t, ctx, in.Log, 10, 10)
	Fill(t, ctx, in.Log, &b, 1)
	wantHead(t, ctx, in.Log, 10, 11)
}

func testReopen(t *testing.T, ctx context.Context, in Instance) {
	var b Builder
	payloads := Fill(t, ctx, in.Log, &b, 20)
	log := in.Reopen(t)
	wantHead(t, ctx, log, 1, 20)
	if err := eventlog.Check(ctx, log, b.State.Mark()); err != nil {
		t.Error(err)
	}
	payloads = append(payloads, Fill(t, ctx, log, &b, 5)...)
	wantTail(t, ctx, log, 1, payloads)
}

func testFence(t *testing.T, ctx context.Context, in Instance) {
	state, err := eventlog.Fence(ctx, in.Log, eventlog.State{}, "a")
	if err != nil {
		t.Fatal(err)
	}
	old := eventlog.NewWriter(in.Log, state, eventlog.Options{})
	defer old.Close(ctx)
	if _, err := old.Append(ctx, Entry(1)); err != nil {
		t.Fatal(err)
	}
	if state, err = eventlog.Fence(ctx, in.Log, state, "b"); err != nil {
		t.Fatal(err)
	}
	if want := (eventlog.State{Position: 3, Hash: state.Hash, NextIndex: 4, Epoch: 2}); state != want {
		t.Errorf("state after Fence: %+v, want %+v", state, want)
	}
	if _, err := old.Append(ctx, Entry(2)); !errors.Is(err, eventlog.ErrFenced) || errors.Is(err, eventlog.ErrUnknown) {
		t.Errorf("append of the deposed writer: %v, want ErrFenced", err)
	}
	<-old.Done()
	if !errors.Is(old.Err(), eventlog.ErrFenced) {
		t.Errorf("Err of the deposed writer: %v, want ErrFenced", old.Err())
	}
	w := eventlog.NewWriter(in.Log, state, eventlog.Options{})
	r, err := w.Append(ctx, Entry(3), Entry(4))
	if err != nil || r != (eventlog.Receipt{Position: 4, FirstIndex: 4}) {
		t.Errorf("append of the new writer: %+v, %v", r, err)
	}
	if err := w.Close(ctx); err != nil {
		t.Error(err)
	}
}

func testWriterFollower(t *testing.T, ctx context.Context, in Instance) {
	state, err := eventlog.Fence(ctx, in.Log, eventlog.State{}, "a")
	if err != nil {
		t.Fatal(err)
	}
	follower, err := eventlog.Follow(ctx, in.Log, eventlog.State{})
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	w := eventlog.NewWriter(in.Log, state, eventlog.Options{})
	const writers, each = 16, 20
	receipts := make(chan error, writers)
	index := make([]map[uint64]string, writers)
	for i := range writers {
		index[i] = map[uint64]string{}
		go func() {
			for k := range each {
				a, b := Entry(1000*i+2*k), Entry(1000*i+2*k+1)
				r, err := w.Append(ctx, a, b)
				if err != nil {
					receipts <- err
					return
				}
				index[i][r.FirstIndex] = a.Event.(*event.SubscriptionSet).Name
				index[i][r.FirstIndex+1] = b.Event.(*event.SubscriptionSet).Name
			}
			receipts <- nil
		}()
	}
	for range writers {
		if err := wait(t, ctx, receipts); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(ctx); err != nil {
		t.Fatal(err)
	}
	want := map[uint64]string{}
	for _, m := range index {
		for k, v := range m {
			want[k] = v
		}
	}
	for follower.State().Position < w.State().Position {
		batch, err := follower.NextBatch(ctx, 100, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, env := range batch {
			for k, entry := range env.Entries {
				if set, ok := entry.Event.(*event.SubscriptionSet); ok && want[env.FirstIndex+uint64(k)] != set.Name {
					t.Errorf("event %d is %q, want %q", env.FirstIndex+uint64(k), set.Name, want[env.FirstIndex+uint64(k)])
				}
			}
		}
	}
	if got := follower.State(); got != w.State() || got.NextIndex != 2+2*writers*each {
		t.Errorf("follower ended at %+v, writer at %+v", got, w.State())
	}
}
