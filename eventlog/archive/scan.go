package archive

import (
	"crypto/sha256"
	"fmt"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
)

// ScanMessage gives the events of an envelope that pass a filter, and decodes no others: most of a log are bodies, which a fold of one
// account does without. The envelope is checked by its hash and for the one it continues; it gives its own hash. Errors are a
// *eventlog.ChainError, or fn's.
func ScanMessage(m eventlog.Message, prev eventlog.Hash, filter EventFilter, fn func(Event) error) (eventlog.Hash, error) {
	broken := func(kind, err error) (eventlog.Hash, error) {
		return eventlog.Hash{}, &eventlog.ChainError{Position: m.Position, Err: fmt.Errorf("%w: %w", kind, err)}
	}
	end := len(m.Payload) - eventlog.HashSize
	if end <= 0 || len(m.Payload) > eventlog.MaxEnvelopeBytes {
		return broken(eventlog.ErrCorrupt, fmt.Errorf("%d bytes", len(m.Payload)))
	}
	hash := eventlog.Hash(m.Payload[end:])
	if sum := sha256.Sum256(m.Payload[:end]); eventlog.Hash(sum) != hash {
		return broken(eventlog.ErrCorrupt, fmt.Errorf("its SHA-256 is %x, not %s", sum, hash))
	}
	rec := record{Head: m.Payload[:end]}
	h, err := rec.header()
	if err != nil {
		return broken(eventlog.ErrCorrupt, err)
	}
	var w payloadWire
	if err := decMode.Unmarshal(m.Payload[:end], &w); err != nil {
		return broken(eventlog.ErrCorrupt, err)
	}
	var before []byte
	if err := decMode.Unmarshal(w.PrevHash, &before); err != nil {
		return broken(eventlog.ErrCorrupt, err)
	}
	if string(before) != string(prev[:]) {
		return broken(eventlog.ErrHash, fmt.Errorf("it continues %x, not %s", before, prev))
	}
	at := time.UnixMicro(h.time).UTC()
	for i, s := range w.Events {
		p := piece{Head: s}
		chunk := p.isChunk()
		if chunk && !filter.Chunks {
			continue
		}
		entry, err := p.entry()
		if err != nil {
			return broken(eventlog.ErrCorrupt, err)
		}
		if !chunk && filter.Account != "" && entry.Event.AccountName() != filter.Account {
			continue
		}
		if c, ok := entry.Event.(*event.BodyChunk); ok {
			c.Data = nil
		}
		if err := fn(Event{Position: m.Position, Index: h.firstIndex + uint64(i), Time: at, Entry: entry}); err != nil {
			return eventlog.Hash{}, err
		}
	}
	return hash, nil
}
