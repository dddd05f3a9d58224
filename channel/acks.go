package channel

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"angarium/eventlog"
)

// Acks tells which positions the followers of this node have on stable storage. It is safe for concurrent use.
//
// What a peer has acknowledged stays known while the link is down: the peer still has it. When the peer follows again, the mark from
// which it does so takes the place of what it acknowledged before, also if it is less.
type Acks struct {
	mu      sync.Mutex
	closed  bool
	shards  map[int]*shardAcks
	waiting int             // waiters in all shards, at most maxWaiters
	counts  map[string]bool // the peers that Wait and Reached count; nil: all
}

// Ack is what one peer has of one shard.
type Ack struct {
	Position eventlog.Position
	At       time.Time // when it was acknowledged, by this node's clock
}

type shardAcks struct {
	peers   map[string]Ack
	waiters map[int]*waiters // by how many peers they wait for
}

func newAcks() *Acks { return &Acks{shards: map[int]*shardAcks{}} }

// Count makes Wait and Reached count these peers only. Without it they count all.
func (a *Acks) Count(peers []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts = make(map[string]bool, len(peers))
	for _, name := range peers {
		a.counts[name] = true
	}
	for _, s := range a.shards {
		a.wakeLocked(s)
	}
}

// Wait waits until n peers have acknowledged position, or ctx ends. ErrBusy means that too many wait already, ErrClosed that the hub
// was closed; after any error the peers may have it or get it yet.
func (a *Acks) Wait(ctx context.Context, shard int, position eventlog.Position, n int) error {
	a.mu.Lock()
	s := a.shardLocked(shard)
	if n <= 0 || a.reachedLocked(s, n) >= position {
		a.mu.Unlock()
		return nil
	}
	if a.closed || a.waiting >= maxWaiters {
		err := ErrBusy
		if a.closed {
			err = ErrClosed
		}
		a.mu.Unlock()
		return fmt.Errorf("wait for %d peers to have position %d: %w", n, position, err)
	}
	w := &waiter{position: position, done: make(chan struct{})}
	a.pushLocked(s, n, w)
	a.mu.Unlock()
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if w.index < 0 {
		return w.err // it came at the same time
	}
	heap.Remove(s.waiters[n], w.index)
	a.waiting--
	return fmt.Errorf("wait for %d peers to have position %d: %w", n, position, ctx.Err())
}

// Peers gives what each peer has of a shard.
func (a *Acks) Peers(shard int) map[string]Ack {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[string]Ack{}
	for name, ack := range a.shardLocked(shard).peers {
		out[name] = ack
	}
	return out
}

// Reached gives the position that n peers have of a shard; 0 when there are no n peers.
func (a *Acks) Reached(shard, n int) eventlog.Position {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reachedLocked(a.shardLocked(shard), n)
}

// Reset forgets what is known of a shard: for a node that has cut its log.
func (a *Acks) Reset(shard int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.shardLocked(shard).peers)
}

// begin notes from where a peer follows.
func (a *Acks) begin(peer string, shard int, position eventlog.Position) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.shardLocked(shard)
	s.peers[peer] = Ack{Position: position, At: time.Now()}
	a.wakeLocked(s)
}

// set notes an acknowledgement of a peer that follows. It is nothing new when the peer has acknowledged more.
func (a *Acks) set(peer string, shard int, position eventlog.Position) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.shardLocked(shard)
	if has, ok := s.peers[peer]; ok && position > has.Position {
		s.peers[peer] = Ack{Position: position, At: time.Now()}
		a.wakeLocked(s)
	}
}

// Note notes what a peer has acknowledged to another node that shares this node's log.
func (a *Acks) Note(peer string, shard int, position eventlog.Position) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.shardLocked(shard)
	if position > s.peers[peer].Position {
		s.peers[peer] = Ack{Position: position, At: time.Now()}
		a.wakeLocked(s)
	}
}

func (a *Acks) forget(peer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.shards {
		delete(s.peers, peer)
	}
}

// close ends all waiting.
func (a *Acks) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, s := range a.shards {
		for _, ws := range s.waiters {
			for ws.Len() > 0 {
				a.endLocked(ws, ErrClosed)
			}
		}
	}
}

func (a *Acks) shardLocked(shard int) *shardAcks {
	s := a.shards[shard]
	if s == nil {
		s = &shardAcks{peers: map[string]Ack{}, waiters: map[int]*waiters{}}
		a.shards[shard] = s
	}
	return s
}

func (a *Acks) pushLocked(s *shardAcks, n int, w *waiter) {
	if s.waiters[n] == nil {
		s.waiters[n] = new(waiters)
	}
	heap.Push(s.waiters[n], w)
	a.waiting++
}

// wakeLocked ends the waiting of those who have what they wait for.
func (a *Acks) wakeLocked(s *shardAcks) {
	for n, ws := range s.waiters {
		reached := a.reachedLocked(s, n)
		for ws.Len() > 0 && (*ws)[0].position <= reached {
			a.endLocked(ws, nil)
		}
	}
}

// endLocked ends the waiting of the first of ws.
func (a *Acks) endLocked(ws *waiters, err error) {
	w := heap.Pop(ws).(*waiter)
	w.err = err
	close(w.done)
	a.waiting--
}

// reachedLocked gives the position that n of the peers that count have.
func (a *Acks) reachedLocked(s *shardAcks, n int) eventlog.Position {
	if n <= 0 {
		return 0
	}
	positions := make([]eventlog.Position, 0, maxPeers)
	for name, ack := range s.peers {
		if a.counts == nil || a.counts[name] {
			positions = append(positions, ack.Position)
		}
	}
	if len(positions) < n {
		return 0
	}
	slices.Sort(positions)
	return positions[len(positions)-n]
}

type waiter struct {
	position eventlog.Position
	index    int // in waiters; -1 when it is no longer there
	err      error
	done     chan struct{}
}

// waiters is a heap of those who wait, the lowest position first.
type waiters []*waiter

// Len implements heap.Interface.
func (w *waiters) Len() int { return len(*w) }

// Less implements heap.Interface.
func (w *waiters) Less(i, j int) bool { return (*w)[i].position < (*w)[j].position }

// Swap implements heap.Interface.
func (w *waiters) Swap(i, j int) {
	(*w)[i], (*w)[j] = (*w)[j], (*w)[i]
	(*w)[i].index, (*w)[j].index = i, j
}

// Push implements heap.Interface.
func (w *waiters) Push(x any) {
	x.(*waiter).index = len(*w)
	*w = append(*w, x.(*waiter))
}

// Pop implements heap.Interface.
func (w *waiters) Pop() any {
	last := len(*w) - 1
	x := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	x.index = -1
	return x
}
