package channel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"angarium/eventlog"
)

// Options says how to make a Hub.
type Options struct {
	// Dir keeps the certificate, the channels and, for as long as they are being fetched, checkpoints for seeds. It is made if it
	// is not there.
	Dir string
	// SeedDir is where checkpoints are made; default: "seeds" in Dir. What is left there from before is removed.
	SeedDir string
	// Checkpoint makes a checkpoint of a shard's running replica, as plain files in dir, which is empty, and gives the state that it
	// is of. The files must not change afterwards, but may grow. nil: this node seeds no others.
	Checkpoint func(ctx context.Context, shard int, dir string) (eventlog.State, error)
	// Dial connects to the address of a token [TCP].
	Dial    func(ctx context.Context, address string) (net.Conn, error)
	Version string       // of the program
	Logger  *slog.Logger // default: none
	Hooks   Hooks
}

// Hooks observe links. They are called from the goroutines of the links, must be quick, and must not call the Hub. Any may be nil.
type Hooks struct {
	Up     func(peer string)
	Down   func(peer string, reason error)
	State  func(peer string, state NodeState)                                  // the peer told its state
	Follow func(peer string, shard int, state FollowState, err error)          // following a peer's shard came to another state
	Acked  func(peer string, shard int, position eventlog.Position, bytes int) // a follower of this node acknowledged
	// Damaged is told that this node's own log could not be read, when it was to be sent. It may be called again and again.
	Damaged func(shard int, err error)
}

// Hub is a node's end of all its links.
type Hub struct {
	local    Local
	opt      Options
	log      *slog.Logger
	identity *identity
	registry *Registry
	acks     *Acks
	seeds    *seeds
	budget   *semaphore.Weighted // bytes of requests being handled

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // of goroutines that end with ctx
	server *http.Server   // serves peers on connections that were proved to be theirs

	serving inflight // requests of peers
	feed    *feed

	mu         sync.Mutex
	closed     bool
	peers      map[string]*Peer
	calls      map[string]CallFunc
	streams    map[string]StreamFunc
	pending    map[sessionID]*session // first connections of links whose second has not come
	announced  uint64
	announcing chan struct{} // closed at the next Announce
}

// New opens the channels kept in opt.Dir and begins to dial those that this node joins. Serve accepts those that join it; handlers are
// to be registered before.
func New(local Local, opt Options) (*Hub, error) {
	if err := checkName(local.Name()); err != nil {
		return nil, err
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Dial == nil {
		dialer := net.Dialer{KeepAlive: pingAfter}
		opt.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}
	}
	if opt.SeedDir == "" {
		opt.SeedDir = filepath.Join(opt.Dir, "seeds")
	}
	registry, err := OpenRegistry(opt.Dir)
	if err != nil {
		return nil, err
	}
	id, err := openIdentity(opt.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(opt.SeedDir); err != nil {
		return nil, fmt.Errorf("remove checkpoints left from before: %w", err)
	}
	h := &Hub{
		local: local, opt: opt, log: opt.Logger, identity: id, registry: registry, acks: newAcks(),
		budget: semaphore.NewWeighted(callBudgetBytes), feed: newFeed(), peers: map[string]*Peer{},
		calls: map[string]CallFunc{}, streams: map[string]StreamFunc{}, pending: map[sessionID]*session{},
		announced: 1, announcing: make(chan struct{}),
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.seeds = newSeeds(opt.SeedDir, opt.Checkpoint)
	h.server = h.newServer()
	h.registerOwn()
	h.goDo(func() {
		if err := h.server.Serve(h.feed); !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("channels are no longer served", "error", err)
		}
	})
	for _, rec := range registry.List() {
		h.open(rec)
	}
	return h, nil
}

// goDo starts a goroutine that Close waits for; after Close it does not, and gives false.
func (h *Hub) goDo(f func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.goLocked(f)
}

func (h *Hub) goLocked(f func()) bool {
	if !h.closed {
		h.wg.Go(f)
	}
	return !h.closed
}

// open makes the Peer of a record and begins to dial it, if this node joins it.
func (h *Hub) open(rec Record) *Peer {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := newPeer(h, rec)
	h.peers[rec.Peer] = p
	if rec.Token != "" {
		h.goLocked(func() { h.dial(p) })
	}
	return p
}

// Fingerprint is that of the certificate with which Serve presents this node.
func (h *Hub) Fingerprint() Fingerprint { return h.identity.fingerprint }

// Acks tells what peers have acknowledged.
func (h *Hub) Acks() *Acks { return h.acks }

// Admit lets a node join this one, whose listener is to be reached at address. The token is not kept: it is shown once.
func (h *Hub) Admit(peer, address string) (Token, error) {
	token := Token{Address: address, Fingerprint: h.identity.fingerprint, Node: h.local.Name(), Peer: peer}
	if err := token.check(); err != nil {
		return Token{}, err
	}
	secret, err := h.registry.Admit(peer)
	if err != nil {
		return Token{}, err
	}
	token.Secret = secret
	rec, _ := h.registry.Get(peer)
	h.open(rec)
	return token, nil
}

// Join joins another node, now and whenever this node starts. The token must be for this node's name. Joining a node again with another
// token puts that in the place of the old one.
func (h *Hub) Join(token Token) (*Peer, error) {
	if err := token.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if token.Peer != h.local.Name() {
		return nil, fmt.Errorf("%w: it is for node %q, this one is %q", ErrToken, token.Peer, h.local.Name())
	}
	if err := h.registry.SaveJoin(token); err != nil {
		return nil, err
	}
	if p, ok := h.Peer(token.Node); ok {
		p.setToken(token)
		return p, nil
	}
	rec, _ := h.registry.Get(token.Node)
	return h.open(rec), nil
}

// Remove ends a channel and forgets it, when nothing goes over it any more and nothing is appended. The peer's acknowledgements no longer
// count.
func (h *Hub) Remove(peer string) error {
	if err := h.registry.Remove(peer); err != nil {
		return err
	}
	h.mu.Lock()
	p := h.peers[peer]
	delete(h.peers, peer)
	h.mu.Unlock()
	if p != nil {
		p.close()
	}
	h.acks.forget(peer)
	return nil
}

// SetPaused pauses a channel or resumes it, for good. While it is paused at either end no envelopes go over it, in either direction;
// everything else does.
func (h *Hub) SetPaused(peer string, paused bool) error {
	if err := h.registry.Update(peer, func(r *Record) { r.Paused = paused }); err != nil {
		return err
	}
	if p, ok := h.Peer(peer); ok {
		p.setPaused(paused)
	}
	return nil
}

// SetAck keeps for the node what acknowledgements of a peer are worth to it (Record.Ack).
func (h *Hub) SetAck(peer, ack string) error {
	return h.registry.Update(peer, func(r *Record) { r.Ack = ack })
}

// Records gives what is kept of the channels, sorted by name.
func (h *Hub) Records() []Record { return h.registry.List() }

// Peer gives the node at the other end of a channel, whether the link is up or not.
func (h *Hub) Peer(name string) (*Peer, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.peers[name]
	return p, ok
}

// Peers gives the nodes at the other ends of all channels, sorted by name.
func (h *Hub) Peers() []*Peer {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*Peer, 0, len(h.peers))
	for _, p := range h.peers {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *Peer) int { return strings.Compare(a.name, b.name) })
	return list
}

// Close ends following and being followed at once, lets calls that peers have made end as long as ctx allows, and closes all links.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	pending := h.pending
	h.pending = nil
	h.mu.Unlock()
	h.cancel()
	for _, s := range pending {
		s.close(ErrClosed)
	}
	h.farewell(ctx)
	for _, p := range h.Peers() {
		p.close()
	}
	err := h.server.Shutdown(ctx) // its connections are closed: HTTP/2 would let each of them wait for a second
	select {
	case <-h.serving.drain():
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	h.acks.close()
	h.feed.Close()
	h.wg.Wait()
	if err := h.seeds.close(); err != nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("close channels: %w", err)
	}
	return nil
}
