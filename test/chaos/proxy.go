package main

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// link is what carries the connections between the two nodes.
type link interface {
	set(linkState) error
	String() string // what it is
	close()
}

// proxy passes on TCP connections between the nodes, and fails in the ways that a network does.
type proxy struct {
	listener net.Listener
	to       string
	work     sync.WaitGroup

	mu     sync.Mutex
	change *sync.Cond
	state  linkState
	closed bool
	conns  map[net.Conn]bool
}

// linkState is how the link is.
type linkState int

const (
	linkUp       linkState = iota
	linkCut                // connections are reset and refused
	linkSilent             // connections stay and carry nothing
	linkDeafEast           // nothing reaches east
	linkDeafWest           // nothing reaches west
	linkSlow               // all arrives, late; with hosts, some packets have to be sent again
)

// partings are how many of the states part the nodes; they come after linkUp.
const partings = 4

// proxyDelay is how long a slow proxy keeps what it read.
const proxyDelay = 30 * time.Millisecond

func (s linkState) String() string {
	return [...]string{"up", "cut", "silent", "silent towards east", "silent towards west", "slow"}[s]
}

// newProxy makes the link. West dials it; east is at the address to.
func newProxy(to string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &proxy{listener: l, to: to, conns: map[net.Conn]bool{}}
	p.change = sync.NewCond(&p.mu)
	p.work.Go(p.accept)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) String() string {
	return fmt.Sprintf("a proxy; a slow link passes on what it reads %v later", proxyDelay)
}

func (p *proxy) accept() {
	for {
		west, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.carry(west) })
	}
}

// carry carries one connection until it ends.
func (p *proxy) carry(west net.Conn) {
	defer west.Close()
	if !p.track(west) {
		return
	}
	defer p.forget(west)
	if !p.pass(linkDeafEast) { // a connection attempt that nothing answers
		return
	}
	east, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer east.Close()
	if !p.track(east) {
		return
	}
	defer p.forget(east)
	var both sync.WaitGroup
	both.Go(func() { p.copy(east, west, linkDeafEast) })
	both.Go(func() { p.copy(west, east, linkDeafWest) })
	both.Wait()
}

// track notes a connection; false when the link is cut.
func (p *proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.state == linkCut {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// copy carries one direction, while it is not deaf. The end of one direction ends both.
func (p *proxy) copy(to, from net.Conn, deaf linkState) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !p.pass(deaf) {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
		if err != nil {
			return
		}
	}
}

// pass waits until bytes may go in the direction that is deaf in a state; false when they never will.
func (p *proxy) pass(deaf linkState) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && (p.state == linkSilent || p.state == deaf) {
		p.change.Wait()
	}
	if p.state == linkSlow {
		p.mu.Unlock()
		time.Sleep(proxyDelay)
		p.mu.Lock()
	}
	return !p.closed && p.state != linkCut
}

// set changes how the link is.
func (p *proxy) set(s linkState) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
	p.change.Broadcast()
	if s == linkCut {
		p.reset()
	}
	return nil
}

func (p *proxy) reset() {
	for c := range p.conns {
		_ = c.Close() // its copiers see that
	}
}

func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.change.Broadcast()
	p.reset()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.work.Wait()
}
