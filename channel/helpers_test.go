package channel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/logtest"
	"angarium/eventlog/memlog"
)

// testTimeout bounds every wait of a test.
const testTimeout = 60 * time.Second

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// node is a Local with one shard in memory, and its hub.
type node struct {
	name    string
	dir     string
	log     *memlog.Log
	opt     Options
	hub     *Hub
	address string
	changed chan struct{} // has an element when a hook was called; capacity 1

	mu   sync.Mutex
	role string
}

func (n *node) Name() string { return n.name }
func (n *node) Shards() int  { return 1 }

func (n *node) Log(int) eventlog.Log {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log
}

func (n *node) setLog(log *memlog.Log) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log = log
}

func (n *node) Tip(ctx context.Context, shard int) (Tip, error) {
	return LogTip(ctx, n.Log(shard), eventlog.State{})
}

func (n *node) Claim(int) Claim {
	n.mu.Lock()
	defer n.mu.Unlock()
	return Claim{Role: n.role, Epoch: 1, Digest: "d1"}
}

func (n *node) setRole(role string) {
	n.mu.Lock()
	n.role = role
	n.mu.Unlock()
	n.hub.Announce()
}

// newNode makes a node that listens on a port of its own. Options other than Dir, Logger and Hooks are kept.
func newNode(t testing.TB, name string, opt Options) *node {
	n := &node{name: name, dir: t.TempDir(), log: memlog.New(), opt: opt, changed: make(chan struct{}, 1), role: "replica"}
	t.Cleanup(func() { n.Log(0).Close() })
	n.start(t, "127.0.0.1:0")
	return n
}

func (n *node) start(t testing.TB, address string) {
	t.Helper()
	handler := slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug})
	n.opt.Dir, n.opt.Logger = n.dir, slog.New(handler).With("node", n.name)
	note := func() {
		select {
		case n.changed <- struct{}{}:
		default:
		}
	}
	n.opt.Hooks = Hooks{
		Up: func(string) { note() }, Down: func(string, error) { note() }, State: func(string, NodeState) { note() },
		Follow: func(string, int, FollowState, error) { note() }, Acked: func(string, int, eventlog.Position, int) { note() },
	}
	hub, err := New(n, n.opt)
	if err != nil {
		t.Fatalf("new hub: %v", err)
	}
	n.hub = hub
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	n.address = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- hub.Serve(ln) }()
	t.Cleanup(func() {
		n.stop(t)
		if err := <-served; err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	})
}

func (n *node) stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	if err := n.hub.Close(ctx); err != nil {
		t.Errorf("close hub: %v", err)
	}
}

// until waits until cond holds; it looks when a hook of the node was called, and now and then.
func (n *node) until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(testTimeout)
	for !cond() {
		select {
		case <-n.changed:
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%s: %s did not come true; status %+v", n.name, what, n.hub.Status(context.Background()))
		}
	}
}

// join lets b join a, by way of address if it is not empty, and waits until the link is up at both ends.
func join(t testing.TB, a, b *node, address string) (atA, atB *Peer) {
	t.Helper()
	if address == "" {
		address = a.address
	}
	token, err := a.hub.Admit(b.name, address)
	if err != nil {
		t.Fatal(err)
	}
	atB, err = b.hub.Join(token)
	if err != nil {
		t.Fatal(err)
	}
	atA, _ = a.hub.Peer(b.name)
	connected(t, atA, atB)
	return atA, atB
}

func connected(t testing.TB, peers ...*Peer) {
	t.Helper()
	ctx := testContext(t)
	for _, p := range peers {
		if err := p.WaitConnected(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// sameLogs waits until b's log ends where a's does, and compares them.
func sameLogs(t testing.TB, a, b *node) {
	t.Helper()
	ctx := testContext(t)
	want, err := a.log.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.until(t, "logs of the same length", func() bool {
		head, err := b.log.Head(ctx)
		return err == nil && head.Last >= want.Last
	})
	head, _ := b.log.Head(ctx)
	if head.Last != want.Last {
		t.Fatalf("log of %s ends at %d, that of %s at %d", b.name, head.Last, a.name, want.Last)
	}
	for pos := max(head.First, want.First); pos <= want.Last; pos++ {
		x, errX := a.log.Read(ctx, pos)
		y, errY := b.log.Read(ctx, pos)
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			t.Fatalf("logs differ at %d: %v, %v", pos, errX, errY)
		}
	}
}

// fill appends n small envelopes to a log.
func fill(t testing.TB, n *node, b *logtest.Builder, count int) {
	t.Helper()
	logtest.Fill(t, testContext(t), n.log, b, count)
}

// put appends an envelope that a builder has made.
func put(t testing.TB, log eventlog.Log, after eventlog.Mark, payload []byte) {
	t.Helper()
	if err := <-log.Append(testContext(t), after, payload); err != nil {
		t.Fatalf("append behind %s: %v", after, err)
	}
}

// testWriter writes log lines to a test, as long as it runs.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	if testing.Verbose() {
		w.t.Logf("%s", bytes.TrimSpace(b))
	}
	return len(b), nil
}

// proxy passes connections on and can cut, hold and count them.
type proxy struct {
	ln     net.Listener
	target string
	passed atomic.Int64 // bytes, in both directions
	cuts   atomic.Int64 // made by cutAfter
	wg     sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	limit   int64         // bytes until the next cut; 0: none
	held    chan struct{} // not nil: nothing passes until it is closed
	refused bool
}

func newProxy(t testing.TB, target string) *proxy {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, target: target, conns: map[net.Conn]struct{}{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		ln.Close()
		p.release()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.ln.Addr().String() }

func (p *proxy) accept() {
	for {
		in, err := p.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		if p.refused {
			in.Close()
			out.Close()
		}
		p.conns[in], p.conns[out] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.wg.Go(func() { p.pass(in, out) })
		p.wg.Go(func() { p.pass(out, in) })
	}
}

func (p *proxy) pass(from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.mu.Lock()
			held := p.held
			cut := false
			if p.limit > 0 {
				p.limit -= int64(n)
				cut = p.limit <= 0
			}
			if cut {
				p.limit = 0
			}
			p.mu.Unlock()
			if held != nil {
				<-held
			}
			if cut {
				p.cuts.Add(1)
				p.cut()
			}
			p.passed.Add(int64(n))
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			from.Close()
			to.Close()
			p.mu.Lock()
			delete(p.conns, from)
			p.mu.Unlock()
			return
		}
	}
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// cutAfter cuts all connections when n more bytes have passed.
func (p *proxy) cutAfter(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = n
}

// refuse decides whether new connections are closed at once.
func (p *proxy) refuse(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = yes
}

// hold lets nothing pass, without closing anything, as a pulled cable does.
func (p *proxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = make(chan struct{})
}

func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		close(p.held)
		p.held = nil
	}
}

func readAll(t testing.TB, r io.ReadCloser) ([]byte, error) {
	t.Helper()
	defer r.Close()
	return io.ReadAll(r)
}
