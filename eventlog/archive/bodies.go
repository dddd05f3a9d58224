package archive

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/internal/codec"
)

// maxPartialBytes bounds the bytes of bodies whose chunks are being gathered.
const maxPartialBytes = 2 << 30

// Gatherer puts bodies together from their chunks, as replica/state does: a chunk at offset 0 starts over what an interrupted upload left,
// and chunks of a body that is known are to be left out by the caller. It is for one goroutine.
type Gatherer struct {
	codec   *codec.Codec
	partial map[event.GUID]*event.BodyChunk // Data is what has come so far
	held    int                             // bytes in partial
}

// NewGatherer makes an empty one.
func NewGatherer() (*Gatherer, error) {
	c, err := codec.New()
	if err != nil {
		return nil, err
	}
	return &Gatherer{codec: c, partial: map[event.GUID]*event.BodyChunk{}}, nil
}

// errBody says that the chunks of a body do not make it up.
var errBody = errors.New("damaged body")

// Add takes the chunk that comes next in the log. When that completes the body, it gives the message as it was received.
func (g *Gatherer) Add(c *event.BodyChunk) (raw []byte, done bool, err error) {
	whole := c
	if c.Offset > 0 {
		whole = g.partial[c.GUID]
		if whole == nil || uint64(len(whole.Data)) != c.Offset || whole.Stored != c.Stored || whole.Size != c.Size || whole.Encoding != c.Encoding {
			return nil, false, fmt.Errorf("%w %s: a chunk at %d continues nothing", errBody, c.GUID, c.Offset)
		}
		whole.Data = append(whole.Data, c.Data...)
		g.held += len(c.Data)
	} else {
		g.drop(c.GUID)
	}
	if uint64(len(whole.Data)) < c.Stored {
		if c.Offset == 0 {
			kept := *c
			kept.Data = slices.Clone(c.Data)
			g.partial[c.GUID], g.held = &kept, g.held+len(c.Data)
		}
		if g.held > maxPartialBytes {
			return nil, false, fmt.Errorf("%w: more than %d bytes of bodies that are not complete", errBody, maxPartialBytes)
		}
		return nil, false, nil
	}
	raw, err = g.codec.Decode(c.Encoding, c.Size, whole.Data)
	g.drop(c.GUID)
	if err != nil {
		return nil, false, fmt.Errorf("%w %s: %w", errBody, c.GUID, err)
	}
	if event.GUID(sha256.Sum256(raw)) != c.GUID {
		return nil, false, fmt.Errorf("%w: its bytes do not hash to %s", errBody, c.GUID)
	}
	return raw, true, nil
}

func (g *Gatherer) drop(guid event.GUID) {
	if p := g.partial[guid]; p != nil {
		g.held -= len(p.Data)
		delete(g.partial, guid)
	}
}

// Bodies gives the messages of GUIDs as they were received, and removes them from want. It reads the indexes, and of the rest what they
// name. What is left in want afterwards is not in the archive, or its object is damaged: the first such damage is the error, after all
// that can be read was given.
func (s *Shard) Bodies(ctx context.Context, want map[event.GUID]bool, fn func(guid event.GUID, raw []byte) error) error {
	g, err := NewGatherer()
	if err != nil {
		return err
	}
	var first error
	for _, n := range s.bodySources() {
		if len(want) == 0 {
			return nil
		}
		o, err := s.open(ctx, n, n.kind())
		if err == nil {
			err = o.bodies(ctx, g, want, fn)
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		first = cmp.Or(first, err)
	}
	if len(want) == 0 {
		return nil
	}
	return first
}

// bodySources gives the objects with bodies in the order of the log. A pack comes before what begins where it does.
func (s *Shard) bodySources() []named {
	from, _ := s.cat.head()
	chain, _ := s.cat.chain(from)
	list := slices.Concat(s.cat.packs, chain)
	for _, n := range s.cat.segments { // behind a gap
		if len(chain) > 0 && n.first > chain[len(chain)-1].last {
			list = append(list, n)
		}
	}
	slices.SortStableFunc(list, func(a, b named) int { return cmp.Compare(a.first, b.first) })
	return list
}

// bodies gives what it holds of bodies that are wanted.
func (o *object) bodies(ctx context.Context, g *Gatherer, want map[event.GUID]bool, fn func(event.GUID, []byte) error) error {
	var index []guidIndex
	if err := o.index(ctx, frameGUIDs, &index); err != nil {
		return err
	}
	var frames []uint32
	for i := range index {
		if want[index[i].GUID] {
			frames = append(frames, index[i].Frames...)
		}
	}
	slices.Sort(frames)
	c := o.content(nil)
	for _, number := range slices.Compact(frames) {
		recs, err := c.read(ctx, int(number))
		if err != nil {
			return err
		}
		err = c.chunks(ctx, recs, func(guid event.GUID) bool { return want[guid] }, func(_ eventlog.Position, e event.Entry) error {
			chunk := e.Event.(*event.BodyChunk)
			raw, done, err := g.Add(chunk)
			if err != nil {
				return damage(o.name.Name, -1, err)
			}
			if !done {
				return nil
			}
			delete(want, chunk.GUID)
			return fn(chunk.GUID, raw)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// chunks gives the BodyChunk events of records, with their data, of the bodies that are wanted.
func (c *content) chunks(ctx context.Context, recs []record, want func(event.GUID) bool, fn func(eventlog.Position, event.Entry) error) error {
	for i := range recs {
		for k := range recs[i].Events {
			p := &recs[i].Events[k]
			if !p.isChunk() {
				continue
			}
			e, chunk, err := p.chunk(nil)
			if err != nil {
				return damage(c.o.name.Name, -1, err)
			}
			if !want(chunk.GUID) {
				continue
			}
			if p.Length > 0 {
				if chunk.Data, err = c.data(ctx, p); err != nil {
					return err
				}
			}
			if err := event.Validate(chunk); err != nil {
				return damage(c.o.name.Name, -1, fmt.Errorf("position %d: %w", recs[i].Position, err))
			}
			if err := fn(recs[i].Position, e); err != nil {
				return err
			}
		}
	}
	return nil
}
