package logtest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
)

// start is the time of the first envelope that a Builder makes; each further one is a second later.
var start = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

// Builder makes envelopes that continue one another.
type Builder struct {
	State eventlog.State // after the last envelope made
}

// Next makes an envelope of entries; the first one must be EpochStarted.
func (b *Builder) Next(tb testing.TB, entries ...event.Entry) (after eventlog.Mark, payload []byte) {
	tb.Helper()
	before := b.State
	if started, ok := entries[0].Event.(*event.EpochStarted); ok {
		before.Epoch = started.Epoch
	}
	var encoded []byte
	for _, entry := range entries {
		e, err := event.Encode(entry)
		if err != nil {
			tb.Fatalf("encode event: %v", err)
		}
		encoded = append(encoded, e...)
	}
	payload, hash, err := eventlog.Encode(before, start.Add(time.Duration(before.Position)*time.Second), len(entries), encoded)
	if err != nil {
		tb.Fatalf("encode envelope: %v", err)
	}
	after = b.State.Mark()
	b.State = eventlog.State{
		Position: before.Position + 1, Hash: hash, NextIndex: max(before.NextIndex, 1) + uint64(len(entries)), Epoch: before.Epoch,
	}
	return after, payload
}

// Epoch makes an envelope that starts the next epoch.
func (b *Builder) Epoch(tb testing.TB) (after eventlog.Mark, payload []byte) {
	tb.Helper()
	return b.Next(tb, event.Entry{
		Meta:  event.Meta{Time: start.UnixMicro(), Service: "system"},
		Event: &event.EpochStarted{Epoch: b.State.Epoch + 1, Node: "a"},
	})
}

// Small makes an envelope with one small event.
func (b *Builder) Small(tb testing.TB) (after eventlog.Mark, payload []byte) {
	tb.Helper()
	return b.Next(tb, Entry(int(b.State.Position)))
}

// Entry makes a small event that n tells apart from others.
func Entry(n int) event.Entry {
	return event.Entry{
		Meta:  event.Meta{Time: start.UnixMicro() + int64(n), Actor: "anna", Service: "imap", Session: "s1"},
		Event: &event.SubscriptionSet{Account: "anna", Name: fmt.Sprintf("Lists/%d", n), Subscribed: true, Modseq: uint64(n) + 1},
	}
}

// Body makes an event that carries size bytes of a message body.
func Body(n, size int) event.Entry {
	data := bytes.Repeat([]byte{byte(n)}, size)
	return event.Entry{
		Meta: event.Meta{Time: start.UnixMicro(), Service: "lmtp"},
		Event: &event.BodyChunk{
			GUID: event.GUID{byte(n)}, Size: uint64(size), Stored: uint64(size), Data: data, Structure: []byte{1},
		},
	}
}
