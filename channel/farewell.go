package channel

import (
	"context"
	"fmt"
	"sync"
)

// opBye says that the asker is about to close the link. It is answered when no call that goes to the asker is under way any more, and
// from then on none is made: so no answer is still on its way when the connections close. HTTP/2 alone does not give that, since a link
// has two connections and the end of either ends both.
const opBye = "channel.bye"

func (h *Hub) serveBye(ctx context.Context, peer string, _ []byte) ([]byte, error) {
	p, ok := h.Peer(peer)
	if !ok {
		return nil, nil // removed meanwhile
	}
	s := p.current()
	if s == nil {
		return nil, nil
	}
	select {
	case <-s.calls.drain():
	case <-s.done:
	case <-ctx.Done():
	}
	return nil, nil
}

// farewell tells all peers that this node closes its links, and waits until they have the answers to their calls, as long as ctx allows.
// A peer that does not know of it, or has gone, is not waited for.
func (h *Hub) farewell(ctx context.Context) {
	var all sync.WaitGroup
	for _, p := range h.Peers() {
		if s := p.current(); s != nil {
			all.Go(func() { s.bye(ctx) })
		}
	}
	all.Wait()
}

// bye gives whatever comes of it: the link ends either way.
func (s *session) bye(ctx context.Context) {
	if _, err := s.ask(ctx, opBye, nil); err != nil {
		s.peer.hub.log.Debug("the peer did not answer the farewell", "peer", s.peer.name, "error", err)
	}
}

// inflight counts requests until it is told to let no further one begin.
type inflight struct {
	mu       sync.Mutex
	n        int
	draining chan struct{} // closed when none is left; nil before drain
}

func (f *inflight) begin() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.draining != nil {
		return fmt.Errorf("%w: it is closing", ErrUnreachable)
	}
	f.n++
	return nil
}

func (f *inflight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.n == 0 && f.draining != nil {
		close(f.draining)
	}
}

// drain lets no further one begin; what it gives is closed when none is left.
func (f *inflight) drain() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.draining == nil {
		f.draining = make(chan struct{})
		if f.n == 0 {
			close(f.draining)
		}
	}
	return f.draining
}
