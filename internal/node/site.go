package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"angarium/channel"
	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/internal/control"
	"angarium/replica"
)

const (
	// stepEvery is how often a node looks at what its peers claim, if nothing tells it before.
	stepEvery = 250 * time.Millisecond
	// handoverTime is how long a primary that handed over waits for the other to take over.
	handoverTime = 30 * time.Second
	// leadTime bounds one attempt to lead.
	leadTime = 5 * time.Minute
)

// site is this node's part among the nodes of its site: its links, its role, and what follows from what the others claim.
type site struct {
	node *Node
	log  *slog.Logger
	hub  *channel.Hub

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	done   sync.WaitGroup
	wake   chan struct{} // has an element when something changed; capacity 1

	views  views
	healed atomic.Uint64 // bodies that were read from a peer because they are damaged here

	turn turn // held while the role changes, or is looked at to change it

	mu      sync.Mutex
	role    role
	started bool      // start was called: this node may lead
	met     bool      // a peer was met since the start, and none leads
	pledged time.Time // until then the primary-to-be that this node handed over to may take over; zero: none
	taking  bool      // this node is being promoted
	// reign ends when this node learns that it is deposed: nobody acknowledges what it wrote then.
	reign    context.Context
	depose   context.CancelFunc
	upstream string // the peer that is followed
	refollow bool   // following it was ended for a fetch that failed
	mends    mends
	asked    time.Time // when the primary was asked last whose acknowledgements count
	askedOf  string    // which node that was
	ackless  string    // what was said last of replicas that must acknowledge and do not follow; "": nothing
	joined   bool      // it is known to have what this node's logs hold
	busy     bool      // a replica is being fetched, or was and waits to be taken into use
	degraded time.Time // since when writes are acknowledged without the replicas that should have them; zero: they are not
}

// turn is a lock that is held over waits for other nodes. It is a channel and no mutex, so that a simulated clock goes on meanwhile.
type turn chan struct{}

// Lock implements sync.Locker.
func (t turn) Lock() { t <- struct{}{} }

// Unlock implements sync.Locker.
func (t turn) Unlock() { <-t }

// hasChannels says whether this node is, or may come to be, linked with others.
func (n *Node) hasChannels() bool {
	c := n.opts.Config.Channel
	if len(c.Listen) > 0 || c.JoinFile != "" {
		return true
	}
	if _, err := os.Stat(channelDir(n.opts.Data)); errors.Is(err, fs.ErrNotExist) {
		return false
	}
	registry, err := channel.OpenRegistry(channelDir(n.opts.Data))
	return err != nil || len(registry.List()) > 0
}

func newSite(n *Node) (*site, error) {
	r, err := readRole(n.opts.Data)
	if err != nil {
		return nil, err
	}
	s := &site{node: n, log: n.log.With("part", "site"), role: r, wake: make(chan struct{}, 1), turn: make(turn, 1)}
	s.crown()
	return s, nil
}

// open opens the links. The node's shards and store are open.
func (s *site) open() (err error) {
	n := s.node
	s.hub, err = channel.New(local{n}, channel.Options{
		Dir: channelDir(n.opts.Data), SeedDir: filepath.Join(n.opts.Data, "seeds"), Checkpoint: n.checkpoint,
		Dial: n.opts.dial, Version: n.opts.Version, Logger: n.log.With("part", "channel"),
		Hooks: channel.Hooks{
			Up:     func(string) { s.poke() },
			Down:   func(string, error) { s.poke() },
			State:  func(string, channel.NodeState) { s.poke() },
			Follow: func(string, int, channel.FollowState, error) { s.poke() },
			Acked:  s.acked,
			Damaged: func(shard int, err error) {
				n.shards[shard].damaged(err)
				s.poke()
			},
		},
	})
	if err != nil {
		return err
	}
	s.countAcks()
	s.register()
	if err := s.join(); err != nil {
		return err
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.done.Go(func() { s.run(s.ctx) })
	s.done.Go(func() { s.salvageAll(s.ctx) })
	return nil
}

// join joins the nodes that the configuration names, as far as they are not joined yet.
func (s *site) join() error {
	tokens, err := s.node.joinTokens()
	if err != nil {
		return err
	}
	joined := map[string]bool{}
	for _, r := range s.hub.Records() {
		joined[r.Token] = true
	}
	for _, token := range tokens {
		if joined[token.String()] {
			continue
		}
		if s.current().Role == rolePrimary {
			return &control.Error{
				Code:    control.CodeUsage,
				Message: "this data directory has a history of its own: it cannot become a replica of node " + token.Node,
				Hint:    "start the new replica with an empty data directory, or leave out --join-file",
			}
		}
		if _, err := s.hub.Join(token); err != nil {
			return err
		}
	}
	return nil
}

// Serve accepts the nodes that join this one.
func (n *Node) ServeChannels(l net.Listener) error {
	if n.site == nil {
		return errors.New("this node has no channels")
	}
	return n.site.hub.Serve(l)
}

func (s *site) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *site) current() role {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.role
}

// become changes the role, on disk first.
func (s *site) become(r role) error {
	if err := r.write(s.node.opts.Data); err != nil {
		return err
	}
	s.mu.Lock()
	s.role = r
	s.mu.Unlock()
	s.hub.Announce()
	return nil
}

// crown lets writes wait for acknowledgements again.
func (s *site) crown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reign == nil || s.reign.Err() != nil {
		s.reign, s.depose = context.WithCancel(context.Background())
	}
}

// acked is told that a peer has what this node's log holds.
func (s *site) acked(peer string, shard int, position eventlog.Position, _ int) {
	s.followed()
	if s.node.cluster != nil {
		s.node.cluster.tellAck(peer, shard, position)
	}
}

// followed notes that another node has what this one wrote.
func (s *site) followed() {
	s.mu.Lock()
	first := !s.role.Followed
	s.role.Followed = true
	r := s.role
	s.mu.Unlock()
	if first {
		if err := r.write(s.node.opts.Data); err != nil {
			s.log.Error("role cannot be written", "error", err)
		}
	}
}

// start lets this node lead, when it is for it to lead. One that others have followed waits until it has met one of them (boot = "cautious").
func (s *site) start(ctx context.Context) error {
	s.mu.Lock()
	s.started = true
	r := s.role
	s.mu.Unlock()
	if r.Role == rolePrimary && s.node.broken() == nil && (!r.Followed || s.node.opts.Config.Channel.Boot == "bold") {
		s.turn.Lock()
		defer s.turn.Unlock()
		if err := s.node.lead(ctx); err != nil {
			return err
		}
		s.hub.Announce()
		return nil
	}
	s.poke()
	return nil
}

func (s *site) run(ctx context.Context) {
	t := time.NewTicker(stepEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-s.wake:
		}
		if err := s.step(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("site", "error", err)
		}
	}
}

// step does what follows from this node's role and from what the peers claim.
func (s *site) step(ctx context.Context) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.node.cluster != nil {
		return s.stepCluster(ctx)
	}
	s.mendSoon()
	s.watchAcks(ctx)
	r := s.current()
	if r.Role == roleReplica {
		return s.stepReplica(ctx, r)
	}
	return s.stepPrimary(ctx, r)
}

// stepPrimary gives way to a peer that leads in a later epoch, and begins to lead once it is clear that none does.
func (s *site) stepPrimary(ctx context.Context, r role) error {
	if p, epoch := s.leader(); p != nil && s.givesWayTo(p, epoch) {
		return s.giveWay(ctx, r, p.Name(), epoch)
	}
	if primary, epoch := s.overtaken(); primary != "" {
		return s.giveWay(ctx, r, primary, epoch)
	}
	s.mu.Lock()
	may := s.started
	s.mu.Unlock()
	if !may || s.node.leads() || s.node.broken() != nil {
		return nil
	}
	peer := s.anyPeer()
	if r.Followed && peer == nil && s.node.opts.Config.Channel.Boot != "bold" && !s.hasMet() {
		return nil
	}
	if ahead := s.ahead(); ahead != nil { // this node lost the end of its log: another one has it
		s.follow(ahead)
		return nil
	}
	s.unfollow()
	s.mu.Lock()
	s.met = true
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, leadTime)
	defer cancel()
	if err := s.node.lead(ctx); err != nil {
		return fmt.Errorf("lead: %w", err)
	}
	s.log.Info("leading", "epoch", s.node.epoch())
	s.hub.Announce()
	return nil
}

func (s *site) hasMet() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.met
}

// stepReplica follows the primary, or a peer that follows it.
func (s *site) stepReplica(ctx context.Context, r role) error {
	leader, epoch := s.leader()
	if leader == nil || epoch < s.node.epoch() { // one that was deposed, and does not know it yet
		return s.stepLeaderless(ctx, r)
	}
	s.mu.Lock()
	s.pledged = time.Time{}
	s.mu.Unlock()
	if r.Primary != leader.Name() {
		r.Primary = leader.Name()
		s.log.Info("following", "primary", leader.Name(), "epoch", epoch)
		if err := s.become(r); err != nil {
			return err
		}
	}
	s.follow(leader)
	s.learnAcks(ctx, leader)
	return s.heed(ctx, leader)
}

// stepLeaderless goes on where no peer leads: along a chain, or back to leading when the node it was handed to did not take over.
func (s *site) stepLeaderless(ctx context.Context, r role) error {
	s.mu.Lock()
	pledged := s.pledged
	s.mu.Unlock()
	if pledged.IsZero() {
		if p := s.chained(); p != nil {
			s.follow(p)
			return s.heed(ctx, p)
		}
		return nil
	}
	p, ok := s.hub.Peer(r.Primary)
	if time.Now().Before(pledged) || !ok || !p.Connected() {
		return nil // it may have taken over, unseen
	}
	s.log.Warn("the node that was to take over did not", "node", r.Primary)
	return s.takeBack(ctx)
}

// takeBack makes this node primary again after a handover that came to nothing.
func (s *site) takeBack(ctx context.Context) error {
	s.unfollow()
	if err := s.become(role{Role: rolePrimary, Followed: true}); err != nil {
		return err
	}
	s.mu.Lock()
	s.pledged, s.met = time.Time{}, true
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, leadTime)
	defer cancel()
	err := s.node.lead(ctx)
	s.hub.Announce()
	return err
}

// follow follows a peer in all shards, and no other.
func (s *site) follow(p *channel.Peer) {
	s.mu.Lock()
	before, again := s.upstream, s.refollow
	s.upstream, s.refollow = p.Name(), false
	s.joined = s.joined && before == p.Name()
	s.mu.Unlock()
	if before == p.Name() && !again {
		return
	}
	if before != p.Name() {
		s.unfollowPeer(before)
	}
	for _, sh := range s.node.shards {
		if err := p.Follow(sh.number); err != nil {
			s.log.Error("cannot follow", "peer", p.Name(), "shard", sh.number, "error", err)
		}
	}
}

func (s *site) unfollow() {
	s.mu.Lock()
	before := s.upstream
	s.upstream, s.joined = "", false
	s.mu.Unlock()
	s.unfollowPeer(before)
}

func (s *site) unfollowPeer(name string) {
	p, ok := s.hub.Peer(name)
	if !ok {
		return
	}
	for _, sh := range s.node.shards {
		p.Unfollow(sh.number)
	}
}

// heed looks at how following goes: where the logs have parted, the other no longer reaches back, or this replica is halted, the replica is
// fetched anew.
func (s *site) heed(ctx context.Context, p *channel.Peer) error {
	for _, sh := range s.node.shards {
		if err := sh.replica.Err(); errors.Is(err, replica.ErrHalted) && !errors.Is(err, event.ErrNewer) && sh.damage.Load() == nil {
			s.fetchSoon(p, sh.number, err.Error())
		}
	}
	joined := 0
	for _, st := range p.Status(ctx).Shards {
		if st.Follow == nil {
			continue
		}
		switch st.Follow.State {
		case channel.FollowFollowing:
			joined++
		case channel.FollowDiverged, channel.FollowBehind:
			if _, epoch := s.leader(); st.Follow.State == channel.FollowBehind && clusterOf(p) != "" && epoch == s.node.epoch() {
				continue // a cluster loses nothing: its stream has a new leader that is yet to see its end
			}
			if s.goesBefore(p) {
				s.fetchSoon(p, st.Shard, "the logs have parted: "+st.Follow.Error)
			}
		case channel.FollowNeedsSeed:
			s.fetchSoon(p, st.Shard, st.Follow.Error)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined = s.joined || joined == len(s.node.shards)
	return nil
}

func (s *site) close(ctx context.Context) error {
	if s.hub == nil {
		return nil
	}
	if s.cancel != nil {
		s.cancel()
	}
	err := s.hub.Close(ctx)
	s.done.Wait()
	s.views.close()
	return err
}
