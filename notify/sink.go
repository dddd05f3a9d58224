package notify

import (
	"context"
	"maps"
	"sync"
	"time"
)

// Sink is where events go. Each has a durable position of its own, and none waits for another.
type Sink interface {
	// Name is the sink's name in the configuration, in status and in its files.
	Name() string
	// Run delivers the events of the feeds until ctx ends, and then returns nil. After an error it is run again.
	Run(ctx context.Context, feeds []*Feed) error
	// Status says how the sink does.
	Status() SinkStatus
}

// States of a sink.
const (
	SinkStopped   = "stopped"
	SinkFollowing = "following" // everything that was to be delivered is, or is under way
	SinkFailing   = "failing"   // the receiver does not take what it is sent; it is tried again and again
)

// SinkStatus is what a sink says of itself.
type SinkStatus struct {
	Name         string        `json:"name"`
	Kind         string        `json:"kind"`  // "jetstream", "webhook", "exec", "file"
	State        string        `json:"state"` // one of the names above
	Error        string        `json:"error,omitempty"`
	Places       map[int]Place `json:"places"`        // by shard: what comes next
	Behind       uint64        `json:"behind"`        // positions of all shards that are not delivered yet
	Delivered    uint64        `json:"delivered"`     // events since the start
	DeadLettered uint64        `json:"dead_lettered"` // events since the start that the receiver never took
	Lost         uint64        `json:"lost"`          // positions since the start that the log had purged before they were delivered
	Time         time.Time     `json:"time"`          // commit time of what was delivered last
}

// Progress keeps the status of a sink. Its zero value is ready for use, from any goroutine.
type Progress struct {
	mu sync.Mutex
	s  SinkStatus
}

// Status gives a copy.
func (p *Progress) Status(name, kind string) SinkStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.s
	s.Name, s.Kind, s.Places = name, kind, maps.Clone(s.Places)
	if s.State == "" {
		s.State = SinkStopped
	}
	return s
}

// State sets the state, and why it is so.
func (p *Progress) State(state string, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.s.State, p.s.Error = state, ""
	if reason != nil {
		p.s.Error = reason.Error()
	}
}

// Advance says that so many events of a shard were delivered, and what comes next.
func (p *Progress) Advance(shard int, next Place, events int, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.s.Places == nil {
		p.s.Places = map[int]Place{}
	}
	p.s.Places[shard] = next
	p.s.Delivered += uint64(events)
	if !at.IsZero() {
		p.s.Time = at
	}
}

// Dead counts events that were given up.
func (p *Progress) Dead(events int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.s.DeadLettered += uint64(events)
}

// Lose counts positions that could not be read.
func (p *Progress) Lose(positions uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.s.Lost += positions
}

// Places gives what comes next, by shard.
func (p *Progress) Places() map[int]Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.s.Places)
}
