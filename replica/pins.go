package replica

import (
	"context"
	"fmt"
	"sync"
)

// pins keep the files of body segments that somebody may read by rows that were read before the bodies were moved. Its zero value is ready for use.
type pins struct {
	mu      sync.Mutex
	now     uint64         // the generation at present
	held    map[uint64]int // pins by the generation that they were taken in
	changed chan struct{}  // closed when the last pin of a generation goes; nil when nobody waits
}

// take pins all segments that the index refers to now, until release is called, which may be called more than once.
func (p *pins) take() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		p.held = map[uint64]int{}
	}
	gen := p.now
	p.held[gen]++
	return sync.OnceFunc(func() { p.release(gen) })
}

func (p *pins) release(gen uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[gen]--; p.held[gen] > 0 {
		return
	}
	delete(p.held, gen)
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// drain waits until every pin is released that was taken before the call, or ctx ends.
func (p *pins) drain(ctx context.Context) error {
	p.mu.Lock()
	gen := p.now
	p.now++
	for {
		older := false
		for g := range p.held {
			older = older || g <= gen
		}
		if !older {
			p.mu.Unlock()
			return nil
		}
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for those who read bodies: %w", ctx.Err())
		}
		p.mu.Lock()
	}
}
