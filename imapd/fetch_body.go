package imapd

import (
	"sync/atomic"
	"time"

	"angarium/eventlog/event"
	"angarium/message"
)

// A large body is kept for a moment, since clients fetch large messages in pieces.
const (
	minCachedBody  = 256 << 10
	bodyCacheKeeps = 10 * time.Second
)

// bodyCache keeps the body that a session read last, if it is large. There is at most one, and a timer drops it, so
// that sessions at rest hold none.
type bodyCache struct {
	last  atomic.Pointer[cachedBody]
	timer *time.Timer
}

type cachedBody struct {
	guid event.GUID
	raw  []byte
}

func (c *bodyCache) keep(guid event.GUID, raw []byte) {
	c.drop()
	if len(raw) < minCachedBody {
		return
	}
	entry := &cachedBody{guid, raw}
	c.last.Store(entry)
	c.timer = time.AfterFunc(bodyCacheKeeps, func() { c.last.CompareAndSwap(entry, nil) })
}

func (c *bodyCache) drop() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.last.Store(nil)
}

// read gives a message as it was received, which must not be changed.
func (b *selected) read(guid event.GUID) ([]byte, error) {
	if last := b.body.last.Load(); last != nil && last.guid == guid {
		return last.raw, nil
	}
	raw, err := b.mb.Body(guid)
	if err != nil {
		return nil, err
	}
	b.body.keep(guid, raw)
	return raw, nil
}

// content is a message while a command looks at it. Body and structure are read when they are needed.
type content struct {
	b         *selected
	row       *fetchRow
	raw       []byte
	structure *message.Structure
}

// body gives the message as it was received.
func (c *content) body() ([]byte, error) {
	if c.raw == nil {
		raw, err := c.b.read(c.row.msg.GUID)
		if err != nil {
			return nil, err
		}
		c.raw = raw
	}
	return c.raw, nil
}

// parts gives the structure; one that another version of the program wrote is made anew.
func (c *content) parts() (*message.Structure, error) {
	if c.structure != nil {
		return c.structure, nil
	}
	var err error
	if c.structure, err = message.Unmarshal(c.row.msg.Structure); err == nil {
		return c.structure, nil
	}
	raw, err := c.body()
	if err != nil {
		return nil, err
	}
	c.structure = message.Parse(raw)
	return c.structure, nil
}

// blob gives the encoded structure, from which single items are read.
func (c *content) blob() (message.Blob, error) {
	blob := message.Blob(c.row.msg.Structure)
	if _, err := blob.Size(); err == nil {
		return blob, nil
	}
	parts, err := c.parts()
	if err != nil {
		return nil, err
	}
	return parts.Marshal(), nil
}

// both gives body and structure.
func (c *content) both() ([]byte, *message.Structure, error) {
	raw, err := c.body()
	if err != nil {
		return nil, nil, err
	}
	parts, err := c.parts()
	return raw, parts, err
}
