package mailstore

import (
	"context"
	"errors"
	"fmt"

	"angarium/eventlog/event"
	"angarium/message"
	"angarium/replica/state"
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

// Body is a message body that is ready to be stored: hashed, parsed and encoded. Prepare and KnownBody make one; its fields are not
// to be changed.
type Body struct {
	GUID      event.GUID     `cbor:"1,keyasint"`
	Size      uint64         `cbor:"2,keyasint"` // bytes as received
	Encoding  event.Encoding `cbor:"3,keyasint,omitempty"`
	Stored    []byte         `cbor:"4,keyasint,omitempty"` // the encoded bytes; none when the store is known to have them
	Structure []byte         `cbor:"5,keyasint,omitempty"` // the parsed structure (package message)
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
		Encoding: enc, Stored: stored, Structure: message.Parse(raw).Marshal(),
	}, nil
}

// weight is what the body adds to an envelope, in bytes.
func (b *Body) weight() int { return len(b.Stored) + len(b.Structure) }

// chunks gives the events that make the body known.
func (b *Body) chunks() []event.Event {
	var list []event.Event
	for off := 0; ; off += chunkBytes {
		end := min(off+chunkBytes, len(b.Stored))
		c := &event.BodyChunk{
			GUID: b.GUID, Size: b.Size, Encoding: b.Encoding, Stored: uint64(len(b.Stored)), Offset: uint64(off), Data: b.Stored[off:end],
		}
		list = append(list, c)
		if end == len(b.Stored) {
			c.Structure = b.Structure
			return list
		}
	}
}

// KnownBody gives a body that the shard of an account has already, for a message to refer to; nil when it does not have it. It is for
// identities that may act on every account: whoever can name a GUID gets at the mail behind it.
func (s *Store) KnownBody(_ context.Context, id Identity, account string, guid event.GUID) (*Body, error) {
	if err := id.mayAdminister(); err != nil {
		return nil, err
	}
	row, err := state.GetBody(s.shardOf(account).Replica.Reader(), guid)
	if row == nil || err != nil {
		return nil, err
	}
	return &Body{GUID: guid, Size: row.Size}, nil
}

// verify checks a body that another node prepared: that its bytes are those that its GUID names.
func (b *Body) verify(s *Store) error {
	switch {
	case b == nil:
		return fmt.Errorf("%w: no body", errRequest)
	case b.Size > uint64(s.opts.MaxMessage):
		return fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, b.Size, s.opts.MaxMessage)
	case len(b.Stored) == 0 && b.Size > 0:
		return nil // it was stashed, or is known
	}
	raw, err := s.codec.Decode(b.Encoding, b.Size, b.Stored)
	if err != nil {
		return fmt.Errorf("%w: body %s: %w", errRequest, b.GUID, err)
	}
	if event.GUID(message.Sum(raw)) != b.GUID {
		return fmt.Errorf("%w: the bytes of body %s do not hash to it", errRequest, b.GUID)
	}
	if _, err := message.Unmarshal(b.Structure); err != nil {
		return fmt.Errorf("%w: structure of body %s: %w", errRequest, b.GUID, err)
	}
	return nil
}

// Stash stores a body ahead of the messages that will refer to it, and lets go of its bytes: for commands that bring more bytes
// than should be kept in memory until they are complete. A body that no message ever refers to does no harm.
func (s *Store) Stash(ctx context.Context, id Identity, account string, b *Body) error {
	req := stashRequest{onMail{account}, b}
	if _, err := perform(ctx, s, opStash, id, req, (*write).stash); err != nil {
		return err
	}
	b.Stored = nil
	return nil
}

type stashRequest struct {
	onMail
	Body *Body `cbor:"2,keyasint"`
}

func (r stashRequest) valid(s *Store) error { return errors.Join(r.onMail.valid(s), r.Body.verify(s)) }

func (w *write) stash(ctx context.Context, req stashRequest) (nothing, error) {
	defer w.end()
	if len(req.Body.Stored) == 0 && req.Body.Size > 0 {
		known, err := w.sh.Replica.HasBody(req.Body.GUID)
		if err == nil && !known {
			err = errNoBytes(req.Body)
		}
		return nothing{}, err
	}
	return nothing{}, w.sendAhead(ctx, req.Body)
}

func errNoBytes(b *Body) error { return fmt.Errorf("%w: body %s is not there", ErrUnavailable, b.GUID) }

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
		case len(b.Stored) == 0 && b.Size > 0:
			return nil, errNoBytes(b)
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
