package channel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Peer is the node at the other end of a channel. It is there whether the link is up or not.
type Peer struct {
	hub  *Hub
	name string
	traffic

	ctx    context.Context // ends when the channel is removed, or the hub closed
	cancel context.CancelFunc

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced when session, paused or token change
	token     *Token        // by which this node joins it; nil when it joins this node
	session   *session      // nil while the link is down
	paused    bool
	lastErr   error // why the link is down, or could not be made
	lastSeen  time.Time
	state     NodeState
	stateAt   time.Time
	receivers map[int]*receiver // by shard
	senders   map[int]*sender   // by shard
}

func newPeer(h *Hub, rec Record) *Peer {
	p := &Peer{
		hub: h, name: rec.Peer, paused: rec.Paused, changed: make(chan struct{}), receivers: map[int]*receiver{},
		senders: map[int]*sender{},
	}
	p.ctx, p.cancel = context.WithCancel(h.ctx)
	if rec.Token != "" {
		if t, err := ParseToken(rec.Token); err == nil {
			p.token = &t
		} else {
			p.lastErr = err
		}
	}
	return p
}

// Name is the peer's name.
func (p *Peer) Name() string { return p.name }

// Connected says whether the link is up.
func (p *Peer) Connected() bool { return p.current() != nil }

// State gives what the peer last said of itself, and when this node learned it: the zero time means never.
func (p *Peer) State() (NodeState, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state, p.stateAt
}

// WaitConnected waits until the link is up.
func (p *Peer) WaitConnected(ctx context.Context) error {
	_, err := p.await(ctx, func() bool { return p.session != nil })
	return err
}

// current gives the session; nil while the link is down.
func (p *Peer) current() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session
}

// await waits until ready, which is asked with mu held, and gives the session there is then.
func (p *Peer) await(ctx context.Context, ready func() bool) (*session, error) {
	for {
		p.mu.Lock()
		ok, s, changed, lastErr := ready(), p.session, p.changed, p.lastErr
		p.mu.Unlock()
		if ok {
			return s, nil
		}
		select {
		case <-changed:
		case <-p.ctx.Done():
			return nil, fmt.Errorf("peer %q: %w", p.name, ErrClosed)
		case <-ctx.Done():
			if lastErr != nil {
				return nil, fmt.Errorf("peer %q: %w: %w", p.name, ctx.Err(), lastErr)
			}
			return nil, fmt.Errorf("peer %q: %w", p.name, ctx.Err())
		}
	}
}

// wakeLocked tells those in await to look again.
func (p *Peer) wakeLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// gained makes a session the peer's. One that was there is taken for dead: the joiner does not dial while its link works.
func (p *Peer) gained(s *session) error {
	p.mu.Lock()
	if p.ctx.Err() != nil {
		p.mu.Unlock()
		return ErrClosed
	}
	before := p.session
	p.session, p.lastErr, p.lastSeen = s, nil, time.Now()
	p.wakeLocked()
	p.mu.Unlock()
	if before != nil {
		before.close(fmt.Errorf("%w: the peer has connected anew", ErrUnreachable))
	}
	p.hub.log.Info("channel is up", "peer", p.name, "address", s.address, "version", s.version)
	if up := p.hub.opt.Hooks.Up; up != nil {
		up(p.name)
	}
	p.hub.goDo(func() { p.hub.watchState(p, s) })
	return nil
}

// lost is called when a session has ended.
func (p *Peer) lost(s *session) {
	reason := s.reason()
	p.mu.Lock()
	if p.session != s {
		p.mu.Unlock()
		return
	}
	p.session, p.lastErr, p.lastSeen = nil, reason, time.Now()
	p.wakeLocked()
	p.mu.Unlock()
	level := slog.LevelWarn
	if errors.Is(reason, ErrClosed) {
		level = slog.LevelInfo
	}
	p.hub.log.Log(p.hub.ctx, level, "channel is down", "peer", p.name, "reason", reason)
	if down := p.hub.opt.Hooks.Down; down != nil {
		down(p.name, reason)
	}
}

// failed notes why a link could not be made. What is said again and again is logged once.
func (p *Peer) failed(err error) {
	p.mu.Lock()
	again := p.lastErr != nil && p.lastErr.Error() == err.Error()
	p.lastErr = err
	p.mu.Unlock()
	if !again {
		p.hub.log.Warn("cannot connect the channel", "peer", p.name, "error", err)
	}
}

func (p *Peer) told(state NodeState) {
	p.mu.Lock()
	p.state, p.stateAt = state, time.Now()
	p.lastSeen = p.stateAt
	p.mu.Unlock()
	if hook := p.hub.opt.Hooks.State; hook != nil {
		hook(p.name, state)
	}
}

func (p *Peer) setPaused(paused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused == paused {
		return
	}
	p.paused = paused
	p.wakeLocked()
	if paused {
		for _, s := range p.senders {
			s.cancel(ErrPaused)
		}
		for _, r := range p.receivers {
			r.interrupt(ErrPaused)
		}
	}
}

func (p *Peer) setToken(t Token) {
	p.mu.Lock()
	same := p.token != nil && *p.token == t
	p.token = &t
	s := p.session
	if !same {
		p.wakeLocked()
	}
	p.mu.Unlock()
	if !same && s != nil {
		s.close(fmt.Errorf("%w: the join token has changed", ErrUnreachable))
	}
}

// close ends the link and everything on it, and waits until nothing is sent or appended any more.
func (p *Peer) close() {
	p.cancel()
	p.mu.Lock()
	s := p.session
	var ended []<-chan struct{}
	for _, r := range p.receivers {
		ended = append(ended, r.done)
	}
	for _, sender := range p.senders {
		ended = append(ended, sender.done)
	}
	p.mu.Unlock()
	if s != nil {
		s.close(ErrClosed)
	}
	for _, done := range ended {
		<-done
	}
}
