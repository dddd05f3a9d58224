package mailstore

import (
	"context"
	"fmt"

	"angarium/eventlog/event"
	"angarium/message"
)

const (
	// inlineBytes is how many encoded bytes of bodies travel in one envelope with the messages that need them. What is
	// larger goes ahead in chunks.
	inlineBytes = 512 << 10
	// inlineBodies is how many bodies do.
	inlineBodies = 256
	// chunkBytes is the size of a chunk.
	chunkBytes = 1 << 20
)

// Body is a message body that is ready to be stored: hashed, parsed and encoded.
type Body struct {
	GUID      event.GUID
	Size      uint64
	encoding  event.Encoding
	stored    []byte
	structure []byte
}

// Prepare makes a body of a message's bytes, which must not change afterwards. It costs CPU only: no lock, no disk.
func (s *Store) Prepare(raw []byte) (*Body, error) {
	if int64(len(raw)) > s.opts.MaxMessage {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(raw), s.opts.MaxMessage)
	}
	enc, stored, err := s.codec.Encode(s.opts.Encoding, raw)
	if err != nil {
		return nil, fmt.Errorf("encode body: %w", err)
	}
	return &Body{
		GUID: event.GUID(message.Sum(raw)), Size: uint64(len(raw)),
		encoding: enc, stored: stored, structure: message.Parse(raw).Marshal(),
	}, nil
}

// weight is what the body adds to an envelope, in bytes.
func (b *Body) weight() int { return len(b.stored) + len(b.structure) }

// chunks gives the events that make the body known.
func (b *Body) chunks() []event.Event {
	var list []event.Event
	for off := 0; ; off += chunkBytes {
		end := min(off+chunkBytes, len(b.stored))
		c := &event.BodyChunk{
			GUID: b.GUID, Size: b.Size, Encoding: b.encoding, Stored: uint64(len(b.stored)), Offset: uint64(off), Data: b.stored[off:end],
		}
		list = append(list, c)
		if end == len(b.stored) {
			c.Structure = b.structure
			return list
		}
	}
}

// Stash stores a body ahead of the messages that will refer to it, and lets go of its bytes: for commands that bring more bytes
// than should be kept in memory until they are complete. A body that no message ever refers to does no harm.
func (s *Store) Stash(ctx context.Context, id Identity, account string, b *Body) error {
	if err := id.may(account); err != nil {
		return err
	}
	sh := s.shardOf(account)
	if err := s.writable(sh); err != nil {
		return err
	}
	if err := sh.enter(ctx); err != nil {
		return err
	}
	defer sh.leave()
	w := &write{s: s, sh: sh, id: id, now: s.opts.Now()}
	if err := w.sendAhead(ctx, b); err != nil {
		return err
	}
	b.stored = nil
	return nil
}

// sendAhead appends a body's chunks, one unit each. Two uploads of one body follow one another: the second finds it known.
func (w *write) sendAhead(ctx context.Context, b *Body) error {
	unlock, err := w.sh.uploads.lock(ctx, b.GUID)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer unlock()
	if known, err := w.sh.Replica.HasBody(b.GUID); known || err != nil {
		return err
	}
	for _, c := range b.chunks() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		// When ctx ends first the chunk may still come: what is appended later stands behind it, and an upload that starts over is
		// none the worse.
		if err := w.sh.append(ctx, w.entries([]event.Event{c})); err != nil {
			return err
		}
	}
	return nil
}

// bodies sees to it that bodies are known when the unit is applied: it returns the events that have to stand before the messages
// in the unit, and sends ahead what is too large for that.
func (w *write) bodies(ctx context.Context, list []*Body) ([]event.Event, error) {
	var inline []event.Event
	size := 0
	seen := map[event.GUID]bool{}
	for _, b := range list {
		if seen[b.GUID] {
			continue
		}
		seen[b.GUID] = true
		known, err := w.sh.Replica.HasBody(b.GUID)
		if err != nil {
			return nil, err
		}
		switch {
		case known:
		case b.stored == nil && b.Size > 0:
			return nil, fmt.Errorf("%w: body %s is not there", ErrUnavailable, b.GUID)
		case size+b.weight() <= inlineBytes && len(inline) < inlineBodies:
			inline = append(inline, b.chunks()...)
			size += b.weight()
		default:
			if err := w.sendAhead(ctx, b); err != nil {
				return nil, err
			}
		}
	}
	return inline, nil
}
