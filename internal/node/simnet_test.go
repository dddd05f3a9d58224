package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

// simNet is a network in memory whose links are slow, cut and mended at the word of a simulation. It keeps what TCP promises: of each direction
// of a connection bytes arrive in order, late or, once the connection is lost, not at all.
type simNet struct {
	mu        sync.Mutex
	rnd       *rand.Rand
	listeners map[string]*simListener
	conns     map[*simConn]struct{}
	cuts      map[simWay]bool
	latency   map[simWay]time.Duration
}

// simWay is one direction between two hosts.
type simWay struct{ from, to string }

// simHost is one life of a host: from a start to a crash or a stop.
type simHost struct {
	net  *simNet
	name string
	dead bool // guarded by net.mu
}

const (
	// simJitter is how often in a hundred times something is much later than usual.
	simJitter = 2
)

var (
	errSimRefused = errors.New("connection refused")
	errSimReset   = errors.New("connection reset by peer")
)

func newSimNet(rnd *rand.Rand) *simNet {
	return &simNet{
		rnd: rnd, listeners: map[string]*simListener{}, conns: map[*simConn]struct{}{}, cuts: map[simWay]bool{}, latency: map[simWay]time.Duration{},
	}
}

func (n *simNet) host(name string) *simHost { return &simHost{net: n, name: name} }

// setCut cuts one direction between two hosts, or mends it. What was on its way, and what is sent meanwhile, arrives when it is mended.
func (n *simNet) setCut(from, to string, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts[simWay{from, to}] = cut
	n.wakeLocked()
}

// mend mends all.
func (n *simNet) mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cuts)
	n.wakeLocked()
}

func (n *simNet) wakeLocked() {
	for c := range n.conns {
		c.in.wake()
	}
}

// reset breaks all connections between two hosts, as a restart of a firewall does.
func (n *simNet) reset(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		if way := c.in.way; way == (simWay{a, b}) || way == (simWay{b, a}) {
			c.in.fail(errSimReset)
		}
	}
}

// die ends a life of a host. Its peers are told at once, or, when the machine lost power, learn it by hearing nothing more.
func (h *simHost) die(silent bool) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	h.dead = true
	if l := n.listeners[h.name]; l != nil && l.host == h {
		delete(n.listeners, h.name)
		l.end()
	}
	for c := range n.conns {
		if c.host == h {
			c.in.fail(net.ErrClosed)
			c.out.lose(silent)
		}
	}
}

func (n *simNet) isCut(w simWay) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cuts[w]
}

// delay is how long the next bytes take.
func (n *simNet) delay(w simWay) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	base, ok := n.latency[w]
	if !ok {
		base = time.Duration(50+n.rnd.IntN(3000)) * time.Microsecond
		n.latency[w] = base
	}
	if n.rnd.IntN(100) < simJitter {
		return base + time.Duration(n.rnd.IntN(300))*time.Millisecond
	}
	return base
}

// dial connects to an address "host:port", of which the port is nothing.
func (h *simHost) dial(ctx context.Context, address string) (net.Conn, error) {
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n := h.net
	for there, back := (simWay{h.name, name}), (simWay{name, h.name}); ; {
		select {
		case <-time.After(n.delay(there) + n.delay(back)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !n.isCut(there) && !n.isCut(back) {
			break
		}
	}
	n.mu.Lock()
	l := n.listeners[name]
	if h.dead || l == nil {
		n.mu.Unlock()
		return nil, errSimRefused
	}
	there, back := newSimFlow(n, simWay{h.name, name}), newSimFlow(n, simWay{name, h.name})
	near := &simConn{host: h, in: back, out: there}
	far := &simConn{host: l.host, in: there, out: back}
	n.conns[near], n.conns[far] = struct{}{}, struct{}{}
	n.mu.Unlock()
	select {
	case l.queue <- far:
		return near, nil
	case <-l.closed:
	case <-ctx.Done():
	}
	_ = errors.Join(near.Close(), far.Close())
	return nil, errSimRefused
}

// listen takes connections to the host.
func (h *simHost) listen() *simListener {
	l := &simListener{host: h, queue: make(chan net.Conn, 16), closed: make(chan struct{})}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.net.listeners[h.name] = l
	return l
}

type simListener struct {
	host   *simHost
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *simListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *simListener) end() { l.once.Do(func() { close(l.closed) }) }

func (l *simListener) Close() error {
	l.host.net.mu.Lock()
	defer l.host.net.mu.Unlock()
	if l.host.net.listeners[l.host.name] == l {
		delete(l.host.net.listeners, l.host.name)
	}
	l.end()
	return nil
}

func (l *simListener) Addr() net.Addr { return simAddr(l.host.name) }

type simAddr string

func (simAddr) Network() string  { return "sim" }
func (a simAddr) String() string { return string(a) + ":1" }

// simFlow is one direction of a connection.
type simFlow struct {
	net *simNet
	way simWay

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	chunks  []simChunk
	last    time.Time // when the last chunk arrives
	ended   bool      // the writer closed it: io.EOF behind what is on its way
	lost    bool      // nothing arrives any more, and nobody is told
	err     error     // for both ends
}

type simChunk struct {
	at   time.Time
	data []byte
}

func newSimFlow(n *simNet, w simWay) *simFlow {
	return &simFlow{net: n, way: w, changed: make(chan struct{})}
}

func (f *simFlow) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wakeLocked()
}

func (f *simFlow) wakeLocked() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *simFlow) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
		f.wakeLocked()
	}
}

// lose ends a direction whose writer died.
func (f *simFlow) lose(silent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if silent {
		f.lost = true
	} else if f.err == nil {
		f.err = errSimReset
	}
	f.wakeLocked()
}

// read gives what has arrived, or what to wait for and how long.
func (f *simFlow) read(b []byte) (n int, changed <-chan struct{}, wait time.Duration, err error) {
	cut := f.net.isCut(f.way)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case errors.Is(f.err, net.ErrClosed):
		return 0, nil, 0, f.err
	case cut || f.lost:
		return 0, f.changed, 0, nil
	case f.err != nil:
		return 0, nil, 0, f.err
	case len(f.chunks) == 0 && f.ended:
		return 0, nil, 0, io.EOF
	case len(f.chunks) == 0:
		return 0, f.changed, 0, nil
	}
	if wait = time.Until(f.chunks[0].at); wait > 0 {
		return 0, f.changed, wait, nil
	}
	for len(f.chunks) > 0 && n < len(b) && time.Until(f.chunks[0].at) <= 0 {
		c := &f.chunks[0]
		k := copy(b[n:], c.data)
		n, c.data = n+k, c.data[k:]
		if len(c.data) == 0 {
			f.chunks = f.chunks[1:]
		}
	}
	f.wakeLocked()
	return n, nil, 0, nil
}

// write sends. It never waits: whoever writes may hold a mutex, and for one that is held over a wait a simulated clock does not go on. HTTP/2
// bounds what is on its way.
func (f *simFlow) write(b []byte, at time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.err != nil:
		return f.err
	case f.ended:
		return net.ErrClosed
	}
	if at.Before(f.last) {
		at = f.last
	}
	f.last = at
	f.chunks = append(f.chunks, simChunk{at, append([]byte(nil), b...)})
	f.wakeLocked()
	return nil
}

// simConn is one end of a connection.
type simConn struct {
	host    *simHost
	in, out *simFlow

	mu                sync.Mutex
	readBy, writeBy   time.Time
	deadlinesReplaced chan struct{}
}

func (c *simConn) Read(b []byte) (int, error) {
	for {
		n, changed, wait, err := c.in.read(b)
		if n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
		if err := c.wait(changed, wait); err != nil {
			return 0, err
		}
	}
}

func (c *simConn) Write(b []byte) (int, error) {
	if c.expired() {
		return 0, os.ErrDeadlineExceeded
	}
	if err := c.out.write(b, time.Now().Add(c.out.net.delay(c.out.way))); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *simConn) expired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.writeBy.IsZero() && !time.Now().Before(c.writeBy)
}

func (c *simConn) deadline() (time.Time, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadlinesReplaced == nil {
		c.deadlinesReplaced = make(chan struct{})
	}
	return c.readBy, c.deadlinesReplaced
}

// wait waits for a change, at most so long if that is not 0, or for the deadline of reads.
func (c *simConn) wait(changed <-chan struct{}, d time.Duration) error {
	by, replaced := c.deadline()
	if !by.IsZero() {
		left := time.Until(by)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		if d == 0 || left < d {
			d = left
		}
	}
	var timeout <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-changed:
	case <-replaced:
	case <-timeout:
	}
	return nil
}

func (c *simConn) Close() error {
	c.host.net.mu.Lock()
	delete(c.host.net.conns, c)
	c.host.net.mu.Unlock()
	c.in.fail(net.ErrClosed)
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.ended = true
	c.out.wakeLocked()
	return nil
}

func (c *simConn) LocalAddr() net.Addr  { return simAddr(c.in.way.to) }
func (c *simConn) RemoteAddr() net.Addr { return simAddr(c.in.way.from) }

func (c *simConn) setDeadlines(read, write *time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if read != nil {
		c.readBy = *read
	}
	if write != nil {
		c.writeBy = *write
	}
	if c.deadlinesReplaced != nil {
		close(c.deadlinesReplaced)
	}
	c.deadlinesReplaced = make(chan struct{})
	return nil
}

func (c *simConn) SetDeadline(t time.Time) error      { return c.setDeadlines(&t, &t) }
func (c *simConn) SetReadDeadline(t time.Time) error  { return c.setDeadlines(&t, nil) }
func (c *simConn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(nil, &t) }

func (w simWay) String() string { return fmt.Sprintf("%s>%s", w.from, w.to) }
