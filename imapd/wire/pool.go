package wire

// Sizes of buffers.
const (
	// DefaultReadBuffer is a fitting buffer size for a pool of read buffers.
	DefaultReadBuffer = 16 << 10
	// DefaultWriteBuffer is a fitting buffer size for a pool of write buffers.
	DefaultWriteBuffer = 32 << 10

	minBuffer = 4 << 10
)

// A BufferPool lends buffers of one size to the connections that are reading
// or writing at the moment. It keeps a bounded number of unused ones; the
// number lent is bounded by the number of connections. It is safe for use by
// several goroutines.
type BufferPool struct {
	size int
	free chan []byte
}

// NewBufferPool returns a pool of buffers of size octets (at least 4 KiB) that
// keeps at most maxFree unused ones.
func NewBufferPool(size, maxFree int) *BufferPool {
	return &BufferPool{size: max(size, minBuffer), free: make(chan []byte, max(maxFree, 0))}
}

// Free returns the number of unused buffers that the pool keeps.
func (p *BufferPool) Free() int { return len(p.free) }

// get returns a buffer whose length and capacity are the pool's size.
func (p *BufferPool) get() []byte {
	select {
	case b := <-p.free:
		return b
	default:
		return make([]byte, p.size)
	}
}

// put takes back a buffer that came from get.
func (p *BufferPool) put(b []byte) {
	select {
	case p.free <- b[:p.size]:
	default:
	}
}
