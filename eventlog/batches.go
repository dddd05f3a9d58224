package eventlog

import "context"

// Batches reads a follower in batches. Whoever is behind gets the next batch read and verified while he works on the one before; whoever has
// caught up waits for each batch himself, without a goroutine between him and the log. It is for one goroutine.
type Batches struct {
	f                   *Follower
	maxEvents, maxBytes int
	ahead               chan batch // nil, or gets one
}

type batch struct {
	envelopes []Envelope
	err       error
}

// NewBatches reads f, which Close closes. A batch is bounded as NextBatch says.
func NewBatches(f *Follower, maxEvents, maxBytes int) *Batches {
	return &Batches{f: f, maxEvents: maxEvents, maxBytes: maxBytes}
}

// Next waits for the next batch, with errors as of Follower.Next.
func (b *Batches) Next(ctx context.Context) ([]Envelope, error) {
	var got batch
	if b.ahead == nil {
		got.envelopes, got.err = b.f.NextBatch(ctx, b.maxEvents, b.maxBytes)
	} else {
		got = <-b.ahead
		b.ahead = nil
	}
	if got.err == nil && b.full(got.envelopes) {
		ahead := make(chan batch, 1)
		b.ahead = ahead
		go func() {
			envelopes, err := b.f.NextBatch(ctx, b.maxEvents, b.maxBytes)
			ahead <- batch{envelopes, err}
		}()
	}
	return got.envelopes, got.err
}

// full says that there is more where a batch came from.
func (b *Batches) full(envelopes []Envelope) bool {
	events, size := 0, 0
	for i := range envelopes {
		events += len(envelopes[i].Entries)
		size += len(envelopes[i].Payload)
	}
	return events >= b.maxEvents || size >= b.maxBytes
}

// Close closes the follower.
func (b *Batches) Close() error {
	err := b.f.Close()
	if b.ahead != nil {
		<-b.ahead
	}
	return err
}
