package salvage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"angarium/eventlog/event"
	"angarium/internal/codec"
	"angarium/mailstore"
)

// maxUploadBytes bounds the bytes of bodies whose last chunk has not come yet. A body that does not fit counts as incomplete.
const maxUploadBytes = 256 << 20

// bodies are the message bodies of the tail.
type bodies struct {
	codec   *codec.Codec
	uploads map[event.GUID]*upload // not complete yet
	bytes   int                    // of those
	fates   map[event.GUID]fate
}

// upload is a body of which chunks have come, all from the first on.
type upload struct {
	encoding event.Encoding
	size     uint64
	data     []byte
}

// fate is what became of a body.
type fate struct {
	outcome Outcome
	why     string
}

func newBodies(c *codec.Codec) bodies {
	return bodies{codec: c, uploads: map[event.GUID]*upload{}, fates: map[event.GUID]fate{}}
}

// take adds a chunk, and gives the body when it is complete. An upload may start over.
func (b *bodies) take(c *event.BodyChunk) *upload {
	if c.Offset == 0 {
		b.drop(c.GUID)
		b.uploads[c.GUID] = &upload{encoding: c.Encoding, size: c.Size}
	}
	up := b.uploads[c.GUID]
	if up == nil {
		return nil
	}
	if uint64(len(up.data)) != c.Offset || up.size != c.Size || up.encoding != c.Encoding || b.bytes+len(c.Data) > maxUploadBytes {
		b.drop(c.GUID)
		return nil
	}
	up.data = append(up.data, c.Data...)
	b.bytes += len(c.Data)
	if uint64(len(up.data)) < c.Stored {
		return nil
	}
	b.drop(c.GUID)
	return up
}

func (b *bodies) drop(guid event.GUID) {
	if up := b.uploads[guid]; up != nil {
		b.bytes -= len(up.data)
		delete(b.uploads, guid)
	}
}

// chunk takes a piece of a body from the tail. A complete body goes ahead to the store, so that it need not be kept until the messages come.
func (e *engine) chunk(ctx context.Context, c *event.BodyChunk) error {
	account, needed := e.last.needed[c.GUID]
	if _, done := e.bodies.fates[c.GUID]; done {
		return nil
	}
	if !needed {
		e.bodies.fates[c.GUID] = fate{NotApplied, "no message of the tail has this body"}
		return nil
	}
	known, err := e.store.KnownBody(ctx, e.id, account, c.GUID)
	if err != nil {
		return err
	}
	if known != nil {
		e.bodies.fates[c.GUID] = fate{outcome: AlreadyThere}
		return nil
	}
	up := e.bodies.take(c)
	if up == nil {
		return nil
	}
	f := fate{outcome: Applied}
	raw, err := e.bodies.codec.Decode(up.encoding, up.size, up.data)
	if err == nil {
		err = e.stash(ctx, account, c.GUID, raw)
	}
	if fatal(ctx, err) {
		return err
	}
	if err != nil {
		f = fate{NotApplied, err.Error()}
	}
	e.bodies.fates[c.GUID] = f
	return nil
}

// stash stores a body ahead of its messages.
func (e *engine) stash(ctx context.Context, account string, guid event.GUID, raw []byte) error {
	if event.GUID(sha256.Sum256(raw)) != guid {
		return errors.New("the bytes of the body do not hash to its GUID")
	}
	b, err := e.store.Prepare(raw)
	if err != nil || e.dry {
		return err
	}
	return e.store.Stash(ctx, e.id, account, b)
}

// tellBodies tells of each chunk what became of its body.
func (e *engine) tellBodies() {
	for n := range e.items {
		it := &e.items[n]
		c, ok := it.event.(*event.BodyChunk)
		if !ok {
			continue
		}
		switch f, done := e.bodies.fates[c.GUID]; {
		case !done:
			it.skip("the upload is not complete in the tail")
		case f.outcome == Applied:
			it.applied++
		case f.outcome == AlreadyThere:
			it.already++
		default:
			it.skip("%s", f.why)
		}
	}
}

// body gives a body that a message can refer to; nil when there is none, and why says why.
func (e *engine) body(ctx context.Context, a *account, guid event.GUID) (b *mailstore.Body, why string, err error) {
	b, err = e.store.KnownBody(ctx, e.id, a.name, guid)
	if b != nil || err != nil {
		return b, "", err
	}
	f, came := e.bodies.fates[guid]
	if came && f.outcome == Applied && e.dry {
		return &mailstore.Body{GUID: guid}, "", nil
	}
	if came && f.outcome == NotApplied {
		return nil, f.why, nil
	}
	raw, err := e.old.Body(ctx, guid)
	if err == nil && event.GUID(sha256.Sum256(raw)) != guid {
		err = errors.New("its bytes do not hash to its GUID")
	}
	if err == nil {
		b, err = e.store.Prepare(raw)
	}
	if err != nil {
		return nil, fmt.Sprintf("body %s is not there: %v", guid, err), ctx.Err()
	}
	return b, "", nil
}
