package logtest

import (
	"bytes"
	"context"
	"testing"

	"angarium/eventlog"
)

// Fill appends n envelopes, the first of a log being EpochStarted, and returns their payloads.
func Fill(tb testing.TB, ctx context.Context, log eventlog.Log, b *Builder, n int) [][]byte {
	tb.Helper()
	var payloads [][]byte
	for range n {
		var after eventlog.Mark
		var payload []byte
		if b.State.Position == 0 {
			after, payload = b.Epoch(tb)
		} else {
			after, payload = b.Small(tb)
		}
		if err := wait(tb, ctx, log.Append(ctx, after, payload)); err != nil {
			tb.Fatalf("append at %d: %v", after.Position+1, err)
		}
		payloads = append(payloads, payload)
	}
	return payloads
}

// wait gives the one error that comes on a channel.
func wait(tb testing.TB, ctx context.Context, c <-chan error) error {
	tb.Helper()
	select {
	case err := <-c:
		return err
	case <-ctx.Done():
		tb.Fatalf("no answer: %v", ctx.Err())
		return nil
	}
}

func wantHead(t *testing.T, ctx context.Context, log eventlog.Log, first, last eventlog.Position) {
	t.Helper()
	head, err := log.Head(ctx)
	if want := (eventlog.Head{First: first, Last: last}); err != nil || head != want {
		t.Errorf("Head: %+v, %v, want %+v", head, err, want)
	}
}

func wantTail(t *testing.T, ctx context.Context, log eventlog.Log, from eventlog.Position, want [][]byte) {
	t.Helper()
	tail, err := log.Tail(ctx, from)
	if err != nil {
		t.Fatalf("tail from %d: %v", from, err)
	}
	defer tail.Close()
	wantMessages(t, ctx, tail, from, want)
}

func wantMessages(t *testing.T, ctx context.Context, tail eventlog.Tail, from eventlog.Position, want [][]byte) {
	t.Helper()
	for i, payload := range want {
		m, err := tail.Next(ctx)
		if err != nil {
			t.Fatalf("Next at %d: %v", int(from)+i, err)
		}
		if m.Position != from+eventlog.Position(i) || !bytes.Equal(m.Payload, payload) {
			t.Fatalf("Next: position %d, want %d; payload equal: %v", m.Position, int(from)+i, bytes.Equal(m.Payload, payload))
		}
	}
}
