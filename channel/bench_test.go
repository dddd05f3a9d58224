package channel

import (
	"math/rand/v2"
	"testing"

	"angarium/eventlog/event"
	"angarium/eventlog/logtest"
)

// BenchmarkFollow sends envelopes of 32 KiB, which do not compress, from one log in memory to another, both in this process.
func BenchmarkFollow(b *testing.B) {
	src, dst := newNode(b, "east", Options{}), newNode(b, "west", Options{})
	_, p := join(b, src, dst, "")
	builder := new(logtest.Builder)
	fill(b, src, builder, 1)
	entry := logtest.Body(1, 32<<10)
	noise := rand.NewChaCha8([32]byte{3})
	for range b.N {
		noise.Read(entry.Event.(*event.BodyChunk).Data)
		after, payload := builder.Next(b, entry)
		put(b, src.log, after, payload)
	}
	b.SetBytes(32 << 10)
	b.ResetTimer()
	if err := p.Follow(0); err != nil {
		b.Fatal(err)
	}
	if err := src.hub.Acks().Wait(testContext(b), 0, builder.State.Position, 1); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAck appends one small envelope after the other, each when the one before is acknowledged.
func BenchmarkAck(b *testing.B) {
	src, dst := newNode(b, "east", Options{}), newNode(b, "west", Options{})
	_, p := join(b, src, dst, "")
	if err := p.Follow(0); err != nil {
		b.Fatal(err)
	}
	builder, ctx := new(logtest.Builder), testContext(b)
	b.ResetTimer()
	for range b.N {
		fill(b, src, builder, 1)
		if err := src.hub.Acks().Wait(ctx, 0, builder.State.Position, 1); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCall asks a peer for nothing, one question after the other.
func BenchmarkCall(b *testing.B) {
	src, dst := newNode(b, "east", Options{}), newNode(b, "west", Options{})
	src.hub.Handle("echo", echo)
	_, p := join(b, src, dst, "")
	ctx := testContext(b)
	b.ResetTimer()
	for range b.N {
		if _, err := p.Call(ctx, "echo", nil); err != nil {
			b.Fatal(err)
		}
	}
}
