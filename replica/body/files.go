package body

import (
	"container/list"
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// files keeps the most recently read segments open, at most limit of them. A handle that is evicted or dropped while in
// use is closed by the last one to release it, so that at most limit plus the number of readers in flight are open.
type files struct {
	fs    vfs.FS
	path  func(segment uint32) string
	limit int

	mu     sync.Mutex
	open   map[uint32]*handle
	lru    *list.List // of *handle, most recently used first
	drops  uint64     // counts calls of drop
	closed bool
}

// handle is one open segment. All fields but the file are guarded by files.mu.
type handle struct {
	vfs.File
	segment uint32
	users   int
	elem    *list.Element // nil once the handle has left the cache
}

func newFiles(fs vfs.FS, path func(uint32) string, limit int) *files {
	return &files{fs: fs, path: path, limit: limit, open: make(map[uint32]*handle), lru: list.New()}
}

// acquire returns an open handle that must be given back with release.
func (c *files) acquire(segment uint32) (*handle, error) {
	h, drops, err := c.lookup(segment)
	if h != nil || err != nil {
		return h, err
	}
	// The lock is not held while the file is opened. Two readers may open the same file; the second one's copy is closed.
	f, err := c.fs.Open(c.path(segment))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, errors.Join(ErrClosed, f.Close())
	}
	if h := c.open[segment]; h != nil {
		h.users++
		c.lru.MoveToFront(h.elem)
		c.mu.Unlock()
		_ = f.Close() // only read from
		return h, nil
	}
	h = &handle{File: f, segment: segment, users: 1}
	if c.drops != drops {
		// This may be the file that the name no longer refers to: good for the reader that asked, but not for later ones.
		c.mu.Unlock()
		return h, nil
	}
	h.elem = c.lru.PushFront(h)
	c.open[segment] = h
	var idle []*handle
	for c.lru.Len() > c.limit {
		idle = c.removeLocked(c.lru.Back().Value.(*handle), idle)
	}
	c.mu.Unlock()
	closeAll(idle)
	return h, nil
}

// lookup returns nil and no error if the segment is not open, and how often drop was called until then.
func (c *files) lookup(segment uint32) (h *handle, drops uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, 0, ErrClosed
	}
	h = c.open[segment]
	if h != nil {
		h.users++
		c.lru.MoveToFront(h.elem)
	}
	return h, c.drops, nil
}

func (c *files) release(h *handle) {
	c.mu.Lock()
	h.users--
	last := h.users == 0 && h.elem == nil
	c.mu.Unlock()
	if last {
		_ = h.Close() // only read from
	}
}

// drop forgets a segment whose name refers to another file now, or soon will.
func (c *files) drop(segment uint32) {
	var idle []*handle
	c.mu.Lock()
	c.drops++
	if h := c.open[segment]; h != nil {
		idle = c.removeLocked(h, idle)
	}
	c.mu.Unlock()
	closeAll(idle)
}

// close drops every segment; acquire fails from then on.
func (c *files) close() {
	var idle []*handle
	c.mu.Lock()
	c.closed = true
	for _, h := range c.open {
		idle = c.removeLocked(h, idle)
	}
	c.mu.Unlock()
	closeAll(idle)
}

// removeLocked takes a handle out of the cache and adds it to idle if nobody else will close it.
func (c *files) removeLocked(h *handle, idle []*handle) []*handle {
	c.lru.Remove(h.elem)
	h.elem = nil
	delete(c.open, h.segment)
	if h.users == 0 {
		idle = append(idle, h)
	}
	return idle
}

// closeAll closes handles that were only read from: an error of close loses nothing.
func closeAll(hs []*handle) {
	for _, h := range hs {
		_ = h.Close()
	}
}
