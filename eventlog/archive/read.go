package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"angarium/eventlog"
)

// endBytes is how much of the end of an object is read at once: the trailer, and the footer as a rule.
const endBytes = 16 << 10

// object is an object of which the end was read.
type object struct {
	a    *Archive
	name named
	foot *footer
	at   uint64 // offset of the footer
	fr   frameReader
}

// damage wraps what is wrong with the bytes of an object. What went wrong in reading them is left as it is.
func damage(name string, offset int64, err error) error {
	if err == nil || errors.Is(err, ErrKey) || errors.Is(err, ErrNewer) || errors.Is(err, ErrDamaged) {
		return err
	}
	return &DamageError{name, offset, err}
}

// openObject reads trailer and footer of an object, and checks that they fit its name.
func (a *Archive) openObject(ctx context.Context, n named, kind byte, shard int) (*object, error) {
	size := min(n.Size, endBytes)
	end, err := a.target.Get(ctx, n.Name, n.Size-size, size)
	if err != nil {
		return nil, readError(n.Name, err)
	}
	if len(end) < trailerSize {
		return nil, &DamageError{n.Name, -1, errors.New("too short for an object")}
	}
	t, err := parseTrailer(end[len(end)-trailerSize:], n.Size)
	if err != nil {
		return nil, damage(n.Name, n.Size-trailerSize, err)
	}
	begin := n.Size - int64(len(end))
	if int64(t.footer) < begin {
		more, err := a.target.Get(ctx, n.Name, int64(t.footer), begin-int64(t.footer))
		if err != nil {
			return nil, readError(n.Name, err)
		}
		end, begin = append(more, end...), int64(t.footer)
	}
	o := &object{a: a, name: n, at: t.footer, fr: frameReader{t.id, a.key, a.dec}}
	return o, damage(n.Name, int64(t.footer), o.readFooter(end[int64(t.footer)-begin:len(end)-trailerSize], kind, shard))
}

// readError says that an object is shorter than its size was listed, or gone, as damage; other errors stay as they are.
func readError(name string, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrNotFound) {
		return &DamageError{name, -1, err}
	}
	return err
}

func (o *object) readFooter(b []byte, kind byte, shard int) error {
	raw, rest, err := o.fr.parse(b, o.at, frameFooter)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes between footer and trailer")
	}
	if err != nil {
		return err
	}
	if o.foot, err = parseFooter(raw, o.at); err != nil {
		return err
	}
	if o.foot.Kind != kind || int(o.foot.Shard) != shard || o.foot.First != o.name.first || o.foot.Last != o.name.last {
		return fmt.Errorf("it is of shard %d, positions %d to %d: not what its name says", o.foot.Shard, o.foot.First, o.foot.Last)
	}
	return nil
}

// frame reads one frame.
func (o *object) frame(ctx context.Context, ref frameRef) ([]byte, error) {
	b, err := o.a.target.Get(ctx, o.name.Name, int64(ref.Offset), frameHead+int64(ref.Stored))
	if err != nil {
		return nil, readError(o.name.Name, err)
	}
	raw, rest, err := o.fr.parse(b, ref.Offset, ref.Type)
	if err == nil && len(rest) > 0 {
		err = errors.New("a frame shorter than the footer says")
	}
	return raw, damage(o.name.Name, int64(ref.Offset), err)
}

// whole reads an object from the beginning to the end, checks its SHA-256, and gives its bytes.
func (o *object) whole(ctx context.Context) ([]byte, error) {
	if o.name.Size > MaxObjectBytes {
		return nil, &DamageError{o.name.Name, -1, fmt.Errorf("%d bytes, limit %d", o.name.Size, MaxObjectBytes)}
	}
	b, err := o.a.target.Get(ctx, o.name.Name, 0, o.name.Size)
	if err != nil {
		return nil, readError(o.name.Name, err)
	}
	end := len(b) - trailerSize
	t, err := parseTrailer(b[max(end, 0):], int64(len(b)))
	if err != nil {
		return nil, damage(o.name.Name, int64(end), err)
	}
	if t.footer != o.at || t.id != o.fr.id {
		return nil, &DamageError{o.name.Name, int64(end), errors.New("it changed while it was read")}
	}
	kind, encrypted, err := parseHead(b, t.id)
	if err == nil && (kind != o.foot.Kind || encrypted != (o.a.key != nil)) {
		err = errors.New("its header is not that of its footer")
	}
	if err != nil {
		return nil, damage(o.name.Name, 0, err)
	}
	if sha256.Sum256(b[:end+8+idSize]) != t.sum {
		return nil, damage(o.name.Name, -1, o.findDamage(b))
	}
	return b, nil
}

// findDamage looks for the frame that is damaged in an object whose SHA-256 is wrong.
func (o *object) findDamage(b []byte) error {
	for _, ref := range o.foot.Frames {
		if _, err := o.parseIn(b, ref); err != nil {
			return err
		}
	}
	return errors.New("its SHA-256")
}

// parseIn decodes a frame of an object that is in memory.
func (o *object) parseIn(b []byte, ref frameRef) ([]byte, error) {
	end := ref.Offset + frameHead + uint64(ref.Stored)
	raw, _, err := o.fr.parse(b[ref.Offset:end], ref.Offset, ref.Type)
	return raw, damage(o.name.Name, int64(ref.Offset), err)
}

// content gives the frames of a segment or pack, from memory or one by one from the target.
type content struct {
	o       *object
	b       []byte // of the whole object; nil: frames are read as they are needed
	records []frameRef
	bodies  []frameRef
	last    uint32 // number of the frame in lastRaw, when that is not nil
	lastRaw []byte
}

func (o *object) content(b []byte) *content {
	return &content{o: o, b: b, records: o.foot.refs(frameRecords), bodies: o.foot.refs(frameBodies)}
}

func (c *content) frame(ctx context.Context, ref frameRef) ([]byte, error) {
	if c.b != nil {
		return c.o.parseIn(c.b, ref)
	}
	return c.o.frame(ctx, ref)
}

// read gives the records of one frame.
func (c *content) read(ctx context.Context, number int) ([]record, error) {
	if number >= len(c.records) {
		return nil, &DamageError{c.o.name.Name, -1, fmt.Errorf("it has no frame %d of records", number)}
	}
	ref := c.records[number]
	raw, err := c.frame(ctx, ref)
	if err != nil {
		return nil, err
	}
	var list []record
	if err := decMode.Unmarshal(raw, &list); err != nil {
		return nil, damage(c.o.name.Name, int64(ref.Offset), fmt.Errorf("records: %w", err))
	}
	for i := range list {
		if p := list[i].Position; p < c.o.foot.First || p > c.o.foot.Last {
			return nil, damage(c.o.name.Name, int64(ref.Offset), fmt.Errorf("a record of position %d", p))
		}
	}
	return list, nil
}

// data gives the bytes that a piece leaves out. They may not be changed.
func (c *content) data(ctx context.Context, p *piece) ([]byte, error) {
	if int(p.Frame) >= len(c.bodies) {
		return nil, &DamageError{c.o.name.Name, -1, fmt.Errorf("it has no frame %d of bodies", p.Frame)}
	}
	if c.lastRaw == nil || c.last != p.Frame {
		raw, err := c.frame(ctx, c.bodies[p.Frame])
		if err != nil {
			return nil, err
		}
		c.last, c.lastRaw = p.Frame, raw
	}
	if uint64(p.Offset)+uint64(p.Length) > uint64(len(c.lastRaw)) {
		return nil, damage(c.o.name.Name, int64(c.bodies[p.Frame].Offset), errors.New("a body reaches out of its frame"))
	}
	return c.lastRaw[p.Offset : p.Offset+p.Length], nil
}

// messages gives the envelopes of a segment as they were in the log, undecoded.
func (o *object) messages(ctx context.Context, b []byte, fn func(eventlog.Message) error) error {
	c := o.content(b)
	for i := range c.records {
		list, err := c.read(ctx, i)
		if err != nil {
			return err
		}
		for k := range list {
			payload, err := list[k].payload(func(p *piece) ([]byte, error) { return c.data(ctx, p) })
			if errors.Is(err, errRecord) {
				err = damage(o.name.Name, int64(c.records[i].Offset), err)
			}
			if err != nil {
				return err
			}
			if err := fn(eventlog.Message{Position: list[k].Position, Payload: payload}); err != nil {
				return err
			}
		}
	}
	return nil
}
