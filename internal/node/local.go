package node

import (
	"context"
	"time"

	"angarium/channel"
	"angarium/eventlog"
	"angarium/replica"
)

// local is what peers see of a node.
type local struct{ n *Node }

// Name implements channel.Local.
func (l local) Name() string { return l.n.name }

// Shards implements channel.Local.
func (l local) Shards() int { return len(l.n.shards) }

// Log implements channel.Local.
func (l local) Log(shard int) eventlog.Log { return l.n.shards[shard].log }

// Tip implements channel.Local.
func (l local) Tip(ctx context.Context, shard int) (channel.Tip, error) {
	s := l.n.shards[shard]
	return channel.LogTip(ctx, s.log, s.base)
}

// Claim implements channel.Local.
func (l local) Claim(shard int) channel.Claim {
	s := l.n.shards[shard]
	c := channel.Claim{Role: roleReplica, Epoch: s.replica.Applied().Epoch}
	if st, err := s.replica.Status(); err == nil {
		c.Applied, c.Digest = st.Applied.Position, digestText(st.Totals.Digest)
		if st.State == replica.Halted {
			c.Reason = st.Reason
		}
	}
	if w := s.writer.Load(); w != nil && w.Err() == nil {
		c.Role, c.Epoch = rolePrimary, w.State().Epoch
	}
	if cl := l.n.cluster; cl != nil {
		c.Cluster = l.n.opts.Config.Cluster.Name
		if cl.supersededBy() == "" {
			c.Leader = cl.leader(shard)
		}
	}
	return c
}

// leads says whether this node takes writes for all shards.
func (n *Node) leads() bool {
	for _, s := range n.shards {
		if w := s.writer.Load(); w == nil || w.Err() != nil {
			return false
		}
	}
	return true
}

// epoch is the highest epoch of the shards that this node has applied or leads.
func (n *Node) epoch() uint64 {
	var top uint64
	for i := range n.shards {
		top = max(top, local{n}.Claim(i).Epoch)
	}
	return top
}

// checkpoint makes a checkpoint of a shard's replica for a peer.
func (n *Node) checkpoint(_ context.Context, shard int, dir string) (eventlog.State, error) {
	return n.shards[shard].replica.Checkpoint(dir)
}

// leader is the peer that leads all shards in the highest epoch, as far as is known, and the epoch; nil when none does. Of a cluster that
// is any node that can be asked, the one that is followed before the others.
func (s *site) leader() (*channel.Peer, uint64) {
	var best *channel.Peer
	var top uint64
	s.mu.Lock()
	upstream := s.upstream
	s.mu.Unlock()
	var followed *channel.Peer
	for _, p := range s.hub.Peers() {
		st, at := p.State()
		if !p.Connected() || at.IsZero() || len(st.Shards) != len(s.node.shards) {
			continue
		}
		epoch, leads := uint64(0), true
		for _, sh := range st.Shards {
			leads = leads && (sh.Claim.Role == rolePrimary || sh.Claim.Cluster != "" && sh.Claim.Leader != "" && sh.Error == "")
			epoch = max(epoch, sh.Claim.Epoch)
		}
		if leads && (best == nil || epoch > top) {
			best, top = p, epoch
		}
		if leads && p.Name() == upstream {
			followed = p
		}
	}
	if followed != nil && clusterOf(best) != "" && clusterOf(followed) == clusterOf(best) {
		best = followed
	}
	return best, top
}

// clusterOf names the cluster that a peer says it is of; "" when it has a log of its own.
func clusterOf(p *channel.Peer) string {
	if st, _ := p.State(); len(st.Shards) > 0 {
		return st.Shards[0].Claim.Cluster
	}
	return ""
}

// givesWayTo says whether a peer that leads in an epoch goes before this node, which is primary, too. Two nodes that were both promoted by
// force may lead in the same epoch: then the longer log goes on, or else the lesser name; a cluster goes before a node.
func (s *site) givesWayTo(p *channel.Peer, epoch uint64) bool {
	own := s.node.epoch()
	if !s.node.leads() || epoch != own {
		return epoch >= own
	}
	if clusterOf(p) != "" {
		return true
	}
	st, _ := p.State()
	var theirs, ours eventlog.Position
	for i, sh := range s.node.shards {
		theirs += st.Shards[i].Tip.Position
		ours += sh.writer.Load().State().Position
	}
	return theirs > ours || theirs == ours && p.Name() < s.node.name
}

// anyPeer is a connected peer that has said how it stands; nil when there is none.
func (s *site) anyPeer() *channel.Peer {
	for _, p := range s.hub.Peers() {
		if st, at := p.State(); p.Connected() && !at.IsZero() && time.Since(at) < freshState && len(st.Shards) == len(s.node.shards) {
			return p
		}
	}
	return nil
}

// freshState is how old a peer's word may be to be taken for what it says now.
const freshState = 3 * time.Second

// ahead is a peer whose log goes on where this node's ends; nil when there is none.
func (s *site) ahead() *channel.Peer {
	for _, p := range s.hub.Peers() {
		st, at := p.State()
		if !p.Connected() || at.IsZero() || len(st.Shards) != len(s.node.shards) {
			continue
		}
		for i, sh := range s.node.shards {
			if at := sh.replica.Applied(); st.Shards[i].Tip.Position > at.Position && st.Shards[i].Tip.Epoch >= at.Epoch {
				return p
			}
		}
	}
	return nil
}

// overtaken says who leads, and in which epoch, when a peer follows another node in a later epoch than this node's: that one was promoted where
// this node has no link to it. It is "" when there is no such peer.
func (s *site) overtaken() (primary string, epoch uint64) {
	own := s.node.epoch()
	for _, p := range s.hub.Peers() {
		if up, e := s.followedBy(p); up != "" && e > max(own, epoch) {
			primary, epoch = up, e
		}
	}
	return primary, epoch
}

// followedBy says which node but this one a connected peer follows, and the epoch that it has come to; "" when it follows none.
func (s *site) followedBy(p *channel.Peer) (upstream string, epoch uint64) {
	st, at := p.State()
	if !p.Connected() || at.IsZero() || len(st.Shards) != len(s.node.shards) {
		return "", 0
	}
	for _, sh := range st.Shards {
		epoch = max(epoch, sh.Claim.Epoch)
	}
	if up := st.Shards[0].Upstream; up != s.node.name {
		return up, epoch
	}
	return "", 0
}

// goesBefore says whether a peer's history is the one that goes on, where it is not this node's: the primary's is, and that of a peer that follows
// in a later epoch. One that follows in this node's own epoch may only be behind for a moment.
func (s *site) goesBefore(p *channel.Peer) bool {
	if l, epoch := s.leader(); l == p {
		return epoch >= s.node.epoch()
	}
	up, epoch := s.followedBy(p)
	return up != "" && epoch > s.node.epoch()
}

// chained is a peer that follows the site's log, by way of another that is not this node; nil when there is none.
func (s *site) chained() *channel.Peer {
	for _, p := range s.hub.Peers() {
		if up, _ := s.followedBy(p); up != "" {
			return p
		}
	}
	return nil
}
