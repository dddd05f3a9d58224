package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"angarium/internal/control"
	"angarium/replica"
)

// Status says how the node does.
func (n *Node) Status(ctx context.Context) (control.Status, error) {
	st := control.Status{Node: n.name, Version: n.opts.Version, Started: n.started.UTC().Truncate(time.Second), Online: n.Restart != nil}
	for _, s := range n.shards {
		one, err := s.status(ctx)
		if err != nil {
			return st, fmt.Errorf("status of shard %d: %w", s.number, err)
		}
		st.Shards = append(st.Shards, one)
		st.Epoch = max(st.Epoch, one.Epoch)
	}
	c := n.heals.counts()
	st.Healed = control.Healed{Envelopes: c.Envelopes, Bodies: c.Bodies}
	n.siteStatus(ctx, &st)
	if n.scrub != nil {
		st.Scrub = n.scrub.status()
		st.Alarms = append(st.Alarms, n.scrub.alarms()...)
	}
	if n.site == nil {
		st.Alarms = append(st.Alarms, n.logAlarms()...)
	}
	if a := n.archiving; a != nil {
		for i := range st.Shards {
			st.Shards[i].Archive = a.status(st.Shards[i].Shard)
		}
		st.Alarms = append(st.Alarms, a.alarms()...)
	}
	if n.Sessions != nil {
		st.Sessions = n.Sessions()
	}
	return st, nil
}

func (s *shard) status(ctx context.Context) (control.ShardStatus, error) {
	r, err := s.replica.Status()
	if err != nil {
		return control.ShardStatus{}, err
	}
	st := control.ShardStatus{
		Shard: s.number, Role: "replica", State: r.State, Reason: r.Reason, HaltPosition: uint64(r.Halt),
		Epoch: r.Applied.Epoch, Position: uint64(r.Applied.Position), Applied: uint64(r.Applied.Position),
		HeadHash: r.Applied.Hash.String(), NextIndex: max(r.Applied.NextIndex, 1), Digest: digestText(r.Totals.Digest),
		Mailboxes: r.Totals.Mailboxes, Messages: r.Totals.Messages, BodyBytes: r.Bodies,
	}
	head, err := s.log.Head(ctx)
	if err == nil {
		st.Position, st.FirstHeld = uint64(head.Last), uint64(head.First)
	} else if st.Reason == "" {
		st.State, st.Reason = replica.Stalled, err.Error()
	}
	if st.Position > st.Applied && !r.Time.IsZero() {
		st.LagSeconds = time.Since(r.Time).Seconds()
	}
	if s.broken != nil {
		st.State, st.Reason = replica.Halted, s.broken.Error()
		if d := s.damage.Load(); d != nil {
			st.HaltPosition = uint64(d.at)
		}
	}
	if w := s.writer.Load(); w != nil {
		if err := w.Err(); err != nil {
			st.State, st.Reason = "deposed", err.Error()
			return st, nil
		}
		st.Role = "primary"
		if st.State == replica.Following {
			st.State = "serving"
		}
	}
	return st, nil
}

// siteStatus adds what there is to say of the other nodes.
func (n *Node) siteStatus(ctx context.Context, st *control.Status) {
	if n.leads() {
		st.Primary = n.name
	}
	if n.cluster != nil {
		n.clusterStatus(st)
	}
	if n.site == nil {
		return
	}
	r := n.site.current()
	if st.Primary == "" {
		st.Primary = r.Primary
		if leader, _ := n.site.leader(); leader != nil {
			st.Primary = leader.Name()
			if clusterOf(leader) != "" { // each shard has its own
				known, _ := leader.State()
				st.Primary = known.Shards[0].Claim.Leader
				for i := range st.Shards {
					st.Shards[i].Primary = known.Shards[i].Claim.Leader
				}
			}
		}
	}
	for _, c := range n.site.channels(ctx) {
		for _, sh := range c.Shards {
			st.Shards[sh.Shard].Channels = append(st.Shards[sh.Shard].Channels, sh)
		}
	}
	n.site.mu.Lock()
	if !n.site.degraded.IsZero() {
		st.Degraded = n.site.degraded.UTC().Truncate(time.Second)
	}
	n.site.mu.Unlock()
	st.AcksWanted, st.AcksPresent = n.site.acksWanted(), n.site.acksPresent(ctx)
	st.Alarms = append(st.Alarms, n.site.alarms(r)...)
}

// clusterStatus adds which nodes lead. A shard's primary is its own; the node's is that of shard 0.
func (n *Node) clusterStatus(st *control.Status) {
	for i := range st.Shards {
		leader := n.cluster.leader(i)
		if i == 0 {
			st.Primary = leader
		}
		st.Shards[i].Primary = leader
		if leader == "" {
			st.Alarms = append(st.Alarms, fmt.Sprintf("shard %d has no primary", i))
		}
	}
}

// alarms says what an operator should look at.
func (s *site) alarms(r role) []string {
	s.mu.Lock()
	degraded, busy, ackless := s.degraded, s.busy, s.ackless
	s.mu.Unlock()
	list := s.node.logAlarms()
	if c := s.node.cluster; c != nil {
		if by := c.supersededBy(); by != "" {
			list = append(list, "node "+by+", outside the cluster, leads in a later epoch: the cluster takes no writes")
		} else if !c.mayLead() {
			list = append(list, "the cluster was started as a whole, and waits to meet a node that follows it before it takes writes (syncctl promote --force makes it go on alone)")
		}
	}
	if ackless != "" {
		list = append(list, ackless)
	}
	if !degraded.IsZero() {
		list = append(list, "since "+degraded.UTC().Format(time.RFC3339)+" the replicas do not acknowledge: writes are on this node's disk only")
	}
	if s.node.cluster == nil && r.Role == rolePrimary && !s.node.leads() {
		list = append(list, "this node was the primary and waits to meet another node before it takes writes (syncctl promote --force makes it go on alone)")
	}
	if leader, _ := s.leader(); r.Role == roleReplica && leader == nil {
		list = append(list, "no primary can be reached")
	}
	if busy {
		list = append(list, "the replica is being fetched from another node")
	}
	if n := s.healed.Load(); n > 0 {
		list = append(list, fmt.Sprintf("%d reads of damaged bodies were answered by another node since the start: see syncctl verify --deep, then syncctl resync", n))
	}
	for shard, dir := range s.node.unsalvaged() {
		list = append(list, fmt.Sprintf("shard %d: what was set aside in %s is not carried over yet", shard, dir))
	}
	return list
}

func digestText(d uint64) string { return fmt.Sprintf("%016x", d) }

// Ready says whether the node does all it should: nil, or what is wrong.
func (n *Node) Ready(context.Context) error {
	if err := n.Halted(); err != nil {
		return err
	}
	if n.cluster != nil || n.site != nil && n.site.current().Role == roleReplica {
		return nil // reads go on, and writes wherever the primary is reached
	}
	for _, s := range n.shards {
		w := s.writer.Load()
		if w == nil {
			return fmt.Errorf("shard %d: this node does not lead it", s.number)
		}
		if err := w.Err(); err != nil {
			return fmt.Errorf("shard %d: %w", s.number, err)
		}
	}
	return nil
}

// Shards counts the shards.
func (n *Node) Shards() int { return len(n.shards) }

// Checkpoint appends to the log of every shard what its replicas must have.
func (n *Node) Checkpoint(ctx context.Context) error {
	if n.cluster == nil && n.site != nil && !n.leads() {
		return nil // the primary does
	}
	var errs []error
	for i, s := range n.shards {
		if n.cluster != nil && s.writer.Load() == nil {
			continue
		}
		if err := n.store.Checkpoint(ctx, i); err != nil {
			errs = append(errs, fmt.Errorf("checkpoint of shard %d: %w", i, err))
		}
	}
	return errors.Join(errs...)
}
