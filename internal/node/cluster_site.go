package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"angarium/channel"
	"angarium/eventlog"
	"angarium/internal/control"
)

// A cluster and what is beyond it: nodes that join the cluster's nodes by channels. Each of them has a link to every node of the cluster and
// follows one, whichever works. What the cluster's nodes must know alike of that is in the bucket of the leases.

const (
	// farKey is the key of farState.
	farKey = "far"
	// ackSubject is where a cluster's nodes tell one another what others have acknowledged.
	ackSubject = "angarium.acks"
	// leaseMoves is how often a lease must have been renewed before the eyes of a node for it to know that the cluster lives: what a crash left
	// half done makes one of them.
	leaseMoves = 3
)

// farState is what the nodes of a cluster know alike of those that follow them.
type farState struct {
	// Followed says that a node outside has had what the cluster wrote, and so may have taken its place while all of it was away.
	Followed bool `json:"followed,omitempty"`
	// Superseded is the node outside that leads in a later epoch: the cluster takes no more writes.
	Superseded string `json:"superseded,omitempty"`
	// Epoch is that in which it led.
	Epoch uint64 `json:"epoch,omitempty"`
	// Above is the epoch above which the cluster leads, since an operator had it go on in the place of such a node.
	Above uint64 `json:"above,omitempty"`
	// Acks has the channels that are not set to "local".
	Acks map[string]string `json:"acks,omitempty"`
}

// ackNews says what a node outside has acknowledged to the sender.
type ackNews struct {
	Node     string `json:"node"` // the sender
	Peer     string `json:"peer"`
	Shard    int    `json:"shard"`
	Position uint64 `json:"position"`
}

// openFar lets this node know of what others see of the nodes outside.
func (c *cluster) openFar() (err error) {
	if c.node.site == nil {
		return nil
	}
	c.acks, err = c.node.conn.NATS().Subscribe(ackSubject, c.receiveAck)
	return err
}

// keepFar reads what the cluster's nodes know alike, and repeats what was acknowledged here: a message may have been lost, and a
// new primary has heard nothing yet.
func (c *cluster) keepFar(ctx context.Context) {
	t := time.NewTicker(renewEvery)
	defer t.Stop()
	for {
		if _, _, err := c.readFar(ctx); err != nil && ctx.Err() == nil {
			c.log.Debug("what is known of other nodes", "error", err)
		}
		if c.node.site != nil {
			for _, s := range c.node.shards {
				for peer, ack := range c.node.site.hub.Acks().Peers(s.number) {
					c.tellAck(peer, s.number, ack.Position)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (c *cluster) readFar(ctx context.Context) (farState, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, leaseAsk)
	defer cancel()
	var f farState
	var revision uint64
	entry, err := c.kv.Get(ctx, farKey)
	switch {
	case err == nil:
		revision = entry.Revision()
		if err := json.Unmarshal(entry.Value(), &f); err != nil {
			return f, revision, fmt.Errorf("bucket %s, key %s: %w", leaseBucket, farKey, err)
		}
	case !errors.Is(err, jetstream.ErrKeyNotFound):
		return f, 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if revision >= c.farRevision { // a server that lags may have answered
		c.far, c.farRevision, c.farKnown = f, revision, true
	}
	return f, revision, nil
}

// changeFar changes what the cluster's nodes know alike. The function gives false when there is nothing to change.
func (c *cluster) changeFar(ctx context.Context, change func(*farState) bool) error {
	for {
		f, revision, err := c.readFar(ctx)
		if err != nil {
			return fmt.Errorf("the cluster's bucket cannot be read: %w", err)
		}
		f.Acks = maps.Clone(f.Acks)
		if !change(&f) {
			return nil
		}
		data, err := json.Marshal(f)
		if err != nil {
			return err
		}
		ask, cancel := context.WithTimeout(ctx, leaseAsk)
		if revision == 0 {
			revision, err = c.kv.Create(ask, farKey, data)
		} else {
			revision, err = c.kv.Update(ask, farKey, data, revision)
		}
		cancel()
		switch {
		case err == nil:
			c.mu.Lock()
			c.far, c.farRevision, c.farKnown = f, revision, true
			c.mu.Unlock()
			return nil
		case !errors.Is(err, jetstream.ErrKeyExists):
			return fmt.Errorf("the cluster's bucket cannot be written: %w", err)
		}
		select { // another node was first
		case <-ctx.Done():
			return fmt.Errorf("the cluster's bucket cannot be written: %w", ctx.Err())
		case <-time.After(clusterWait):
		}
	}
}

func (c *cluster) knownFar() (f farState, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.far, c.farKnown
}

// supersededBy is the node outside that leads in the cluster's place; "" when none does.
func (c *cluster) supersededBy() string {
	f, _ := c.knownFar()
	return f.Superseded
}

// mayLead says whether it is for this node to take the lead of a shard. A cluster that others follow and of which no node was running
// waits until it has met one of those (boot = "cautious"): it may have been promoted.
func (c *cluster) mayLead() bool {
	f, known := c.knownFar()
	if !known || f.Superseded != "" {
		return false
	}
	followed := f.Followed || c.node.site != nil && c.node.site.current().Followed
	return !followed || c.met.Load() || c.node.opts.Config.Channel.Boot == "bold"
}

// tellAck tells the other nodes what a peer has acknowledged to this one, if it is not for this one to wait for it.
func (c *cluster) tellAck(peer string, shard int, position eventlog.Position) {
	if c.node.shards[shard].writer.Load() != nil {
		return
	}
	data, err := json.Marshal(ackNews{Node: c.node.name, Peer: peer, Shard: shard, Position: uint64(position)})
	if err == nil {
		err = c.node.conn.NATS().Publish(ackSubject, data)
	}
	if err != nil {
		c.log.Debug("an acknowledgement is not passed on yet", "peer", peer, "error", err)
	}
}

func (c *cluster) receiveAck(m *nats.Msg) {
	var news ackNews
	if err := json.Unmarshal(m.Data, &news); err != nil || news.Shard < 0 || news.Shard >= len(c.node.shards) {
		c.log.Warn("an acknowledgement that was passed on is not understood", "error", err)
		return
	}
	if news.Node != c.node.name {
		c.node.site.hub.Acks().Note(news.Peer, news.Shard, eventlog.Position(news.Position))
	}
}

// stepCluster does what follows, for a node of a cluster, from what the peers claim.
func (s *site) stepCluster(ctx context.Context) error {
	c := s.node.cluster
	if f, known := c.knownFar(); known && !f.Followed && s.current().Followed {
		if err := c.changeFar(ctx, func(f *farState) bool {
			changed := !f.Followed
			f.Followed = true
			return changed
		}); err != nil {
			return err
		}
	}
	outside, epoch := s.leader()
	if outside == nil && c.met.Load() {
		return nil
	}
	epochs := make([]uint64, len(s.node.shards))
	var top uint64
	for i := range epochs { // of the log, which this node's replica may not have applied yet
		tip, err := local{s.node}.Tip(ctx, i)
		if err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
		epochs[i] = tip.Epoch
		top = max(top, tip.Epoch)
	}
	if f, _ := c.knownFar(); outside != nil && epoch > max(top, f.Above) {
		return s.superseded(ctx, outside.Name(), epoch, top)
	}
	if p := s.anyPeer(); p != nil && !c.met.Load() {
		st, _ := p.State()
		for i, sh := range st.Shards {
			if sh.Error != "" || sh.Tip.Epoch > epochs[i] || sh.Claim.Epoch > epochs[i] {
				return nil // it was promoted, and may be about to say so
			}
		}
		c.met.Store(true)
	}
	return nil
}

// superseded ends the cluster's lead for good: a node outside leads in a later epoch.
func (s *site) superseded(ctx context.Context, by string, epoch, own uint64) error {
	if s.node.cluster.supersededBy() == by {
		return nil
	}
	s.log.Error("a node outside the cluster leads in a later epoch: the cluster takes no more writes", "primary", by, "epoch", epoch, "own_epoch", own)
	s.mu.Lock()
	s.depose() // writes that wait for acknowledgements keep the shards from being frozen
	s.mu.Unlock()
	return s.node.cluster.changeFar(ctx, func(f *farState) bool {
		f.Superseded, f.Epoch = by, epoch
		return true
	})
}

// goOn makes a cluster lead that waits to meet a node outside, or has given way to one, at the word of an operator: that one then finds the
// cluster in a later epoch, gives way, and what only it has is carried over.
func (c *cluster) goOn(ctx context.Context, progress func(string)) error {
	c.node.site.crown()
	_, epoch := c.node.site.leader()
	if err := c.changeFar(ctx, func(f *farState) bool {
		changed := f.Superseded != "" || epoch > f.Above
		f.Above = max(f.Above, f.Epoch, epoch)
		f.Superseded = ""
		return changed
	}); err != nil {
		return err
	}
	c.met.Store(true)
	progress("waiting for a primary of each shard")
	for _, s := range c.node.shards {
		for c.leadNow(s.number) == "" {
			select {
			case <-ctx.Done():
				return fmt.Errorf("shard %d has no primary yet: %w", s.number, ctx.Err())
			case <-time.After(renewEvery):
			}
		}
	}
	return nil
}

// leadNow is the node that leads a shard and has renewed its lease of late.
func (c *cluster) leadNow(shard int) string {
	c.mu.Lock()
	fresh := time.Since(c.leases[shard].seen) < leaseTime
	c.mu.Unlock()
	if leader := c.leader(shard); fresh || leader == c.node.name {
		return leader
	}
	return ""
}

// promoteCluster is promote on a node of a cluster: what one means there is that the cluster goes on.
func (s *site) promoteCluster(ctx context.Context, force bool, progress func(string)) (control.Promotion, error) {
	c := s.node.cluster
	p := control.Promotion{Node: s.node.name, Previous: c.supersededBy(), Forced: force}
	if !force {
		return p, errClusterHandover
	}
	begin := time.Now()
	if err := c.goOn(ctx, progress); err != nil {
		return p, err
	}
	p.Seconds = time.Since(begin).Seconds()
	for _, sh := range s.node.shards {
		at := sh.replica.Applied()
		p.Shards = append(p.Shards, control.PromotedShard{
			Shard: sh.number, Epoch: at.Epoch, Position: uint64(at.Position), Hash: at.Hash.String(), PrimaryHead: uint64(at.Position),
		})
	}
	return p, nil
}

// errClusterHandover refuses a planned handover between a cluster and a node outside.
var errClusterHandover = &control.Error{
	Code:    control.CodeUsage,
	Message: "a cluster and a node outside it do not hand over to one another: the cluster could not follow",
	Hint:    "when the whole cluster is gone: syncctl promote --force on the far node. A cluster moves its own shards by itself",
}

// handoverRefused is errClusterHandover for a peer.
func handoverRefused() error {
	return channel.Errorf(channel.CodeBusy, "%s", errClusterHandover.Message)
}

// errNoResync says why the replica of a cluster's node is not fetched.
var errNoResync = &control.Error{
	Code: control.CodeUsage, Message: "the log of this node is the cluster's: it cannot be begun anew from another node",
	Hint: "syncctl rebuild makes its replica anew from the log",
}

// setAck sets what acknowledgements of a peer are worth: in a cluster, to all its nodes.
func (s *site) setAck(ctx context.Context, peer, ack string) error {
	if err := s.hub.SetAck(peer, ack); err != nil || s.node.cluster == nil {
		s.countAcks()
		return channelError(err)
	}
	return s.node.cluster.changeFar(ctx, func(f *farState) bool {
		if ackOf(f.Acks[peer]) == ack {
			return false
		}
		if f.Acks == nil {
			f.Acks = map[string]string{}
		}
		f.Acks[peer] = ack
		if ack == ackLocal {
			delete(f.Acks, peer)
		}
		return true
	})
}

// acks gives what acknowledgements of the peers are worth.
func (s *site) acks() map[string]string {
	if s.node.cluster != nil {
		f, _ := s.node.cluster.knownFar()
		return f.Acks
	}
	acks := map[string]string{}
	for _, r := range s.hub.Records() {
		acks[r.Peer] = r.Ack
	}
	return acks
}

// remove removes a channel. While a cluster waits for acknowledgements of the peer that has to end first: other nodes may have a channel to
// it, too.
func (s *site) remove(peer string) error {
	if s.node.cluster != nil && s.acks()[peer] == ackReplica {
		return &control.Error{
			Code: control.CodeUsage, Message: fmt.Sprintf("writes wait for acknowledgements of %s", peer),
			Hint: "syncctl channel set " + peer + " --ack local, then remove the channel on each node of the cluster",
		}
	}
	return channelError(s.hub.Remove(peer))
}
