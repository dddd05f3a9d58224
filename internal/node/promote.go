package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"angarium/channel"
	"angarium/eventlog"
	"angarium/internal/control"
)

// drainShards bounds how long writes may take to end when this node stops leading.
const drainShards = 10 * time.Second

// stopLeading ends the writers of all shards, between two writes, and gives the marks at which the logs end. Writes that come then wait
// for the new role: release lets them go on.
func (n *Node) stopLeading(ctx context.Context) (ends []mark, release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, drainShards)
	defer cancel()
	var thaws []func()
	release = func() {
		for _, thaw := range thaws {
			thaw()
		}
	}
	for _, s := range n.shards {
		thaw, err := n.store.Freeze(ctx, s.number)
		if err != nil {
			release()
			return nil, nil, fmt.Errorf("shard %d: writes do not end: %w", s.number, err)
		}
		thaws = append(thaws, thaw)
	}
	for _, s := range n.shards {
		w := s.writer.Load()
		if w == nil {
			continue
		}
		if err := w.Close(ctx); err != nil && !errors.Is(err, eventlog.ErrFenced) {
			n.log.Warn("log writer does not end", "shard", s.number, "error", err)
		}
		ends = append(ends, mark{Position: uint64(w.State().Position), Hash: w.State().Hash})
		s.writer.Store(nil)
	}
	return ends, release, nil
}

// mark is an eventlog.Mark that crosses a link.
type mark struct {
	Position uint64        `cbor:"1,keyasint"`
	Hash     eventlog.Hash `cbor:"2,keyasint"`
}

// giveWay makes this node a replica of a peer that leads in a later epoch. What only this node has is set aside once its log is seen
// to part from the other's.
func (s *site) giveWay(ctx context.Context, r role, to string, epoch uint64) error {
	s.log.Warn("another node leads: giving way", "primary", to, "epoch", epoch, "own_epoch", s.node.epoch())
	s.mu.Lock()
	s.depose() // writes that wait for acknowledgements keep the shards from being frozen
	s.mu.Unlock()
	_, release, err := s.node.stopLeading(ctx)
	if err != nil {
		return err
	}
	defer release()
	s.unfollow()
	return s.become(role{Role: roleReplica, Primary: to, Followed: r.Followed})
}

type handoverCall struct {
	To string `cbor:"1,keyasint"`
}

type handoverAnswer struct {
	Ends []mark `cbor:"1,keyasint"`
}

// answerHandover ends this node's lead for a peer that is to take over.
func (s *site) answerHandover(ctx context.Context, peer string, _ []byte) ([]byte, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.node.cluster != nil {
		return nil, handoverRefused()
	}
	if !s.node.leads() {
		return nil, channel.Errorf(codeNotPrimary, "node %s does not lead", s.node.name)
	}
	ends, release, err := s.node.stopLeading(ctx)
	if err != nil {
		return nil, channel.Errorf(channel.CodeBusy, "%v", err)
	}
	defer release()
	s.mu.Lock()
	s.pledged = time.Now().Add(handoverTime)
	s.mu.Unlock()
	s.log.Info("handing over", "to", peer)
	if err := s.become(role{Role: roleReplica, Primary: peer, Followed: true}); err != nil {
		return nil, err
	}
	return cbor.Marshal(handoverAnswer{ends})
}

// answerTakeBack makes this node lead again, at the word of the peer that it handed over to.
func (s *site) answerTakeBack(ctx context.Context, peer string, _ []byte) ([]byte, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	pledged := s.pledged
	s.mu.Unlock()
	if pledged.IsZero() || s.current().Primary != peer {
		return nil, channel.Errorf(codeNotPrimary, "node %s has handed nothing to %s", s.node.name, peer)
	}
	return nil, s.takeBack(ctx)
}

// plan says what a promotion of this node would mean.
func (s *site) plan(ctx context.Context) (control.PromotionPlan, error) {
	r := s.current()
	p := control.PromotionPlan{Node: s.node.name, Role: r.Role, Primary: r.Primary}
	switch c := s.node.cluster; {
	case c != nil:
		p.Role, p.Primary = roleReplica, c.supersededBy()
		if c.mayLead() {
			p.Role, p.Primary = rolePrimary, s.node.name // the cluster is
		}
	case s.node.leads():
		p.Primary = s.node.name
	}
	leader, _ := s.leader()
	p.Reached = leader != nil
	if leader != nil {
		p.Primary = leader.Name()
	}
	heads, asOf := s.knownHeads(p.Primary)
	for _, sh := range s.node.shards {
		tip, err := local{s.node}.Tip(ctx, sh.number)
		if err != nil {
			return p, err
		}
		one := control.PromotedShard{
			Shard: sh.number, Epoch: tip.Epoch, Position: uint64(tip.Position), Hash: tip.Hash.String(), Time: tip.Time,
			PrimaryHead: uint64(tip.Position), PrimaryAsOf: asOf,
		}
		if head, ok := heads[sh.number]; ok {
			one.PrimaryHead = uint64(head)
			one.Missing = uint64(max(int64(head)-int64(tip.Position), 0))
		}
		p.Shards = append(p.Shards, one)
	}
	return p, nil
}

// knownHeads says where the logs of the primary were last known to end, by shard, and when that was. Any node of a cluster knows it of
// the cluster.
func (s *site) knownHeads(primary string) (heads map[int]eventlog.Position, asOf time.Time) {
	peer, ok := s.hub.Peer(primary)
	if !ok {
		return nil, asOf
	}
	heads = map[int]eventlog.Position{}
	cluster := clusterOf(peer)
	for _, p := range s.hub.Peers() {
		if p != peer && (cluster == "" || clusterOf(p) != cluster) {
			continue
		}
		st, at := p.State()
		if at.After(asOf) {
			asOf = at
		}
		for _, sh := range st.Shards {
			heads[sh.Shard] = max(heads[sh.Shard], sh.Tip.Position)
		}
	}
	return heads, asOf
}

// promote makes this node the primary: with the consent of the one there is, or by force.
func (s *site) promote(ctx context.Context, force bool, progress func(what string)) (control.Promotion, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.node.cluster != nil {
		return s.promoteCluster(ctx, force, progress)
	}
	if s.node.leads() {
		return control.Promotion{}, &control.Error{Code: control.CodeUsage, Message: "this node is the primary already"}
	}
	if err := s.node.Halted(); err != nil {
		return control.Promotion{}, err
	}
	p := control.Promotion{Node: s.node.name, Previous: s.current().Primary, Forced: force}
	s.setTaking(true)
	defer s.setTaking(false)
	begin := time.Now()
	if !force {
		if err := s.takeOver(ctx, &p, progress); err != nil {
			return p, err
		}
	}
	s.unfollow()
	s.crown()
	progress("starting a new epoch")
	if err := s.become(role{Role: rolePrimary, Followed: true}); err != nil {
		return p, err
	}
	s.mu.Lock()
	s.met, s.started, s.pledged = true, true, time.Time{}
	s.mu.Unlock()
	if err := s.node.lead(ctx); err != nil {
		return p, err
	}
	s.hub.Announce()
	p.Seconds = time.Since(begin).Seconds()
	for _, sh := range s.node.shards {
		st := sh.writer.Load().State()
		p.Shards = append(p.Shards, control.PromotedShard{
			Shard: sh.number, Epoch: st.Epoch, Position: uint64(st.Position), Hash: st.Hash.String(), PrimaryHead: uint64(st.Position),
		})
	}
	s.log.Info("promoted", "forced", force, "epoch", s.node.epoch(), "previous", p.Previous)
	return p, nil
}

func (s *site) setTaking(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taking = on
}

// takeOver lets the primary stop and waits until this node has all it wrote. When that does not come about the primary leads again.
func (s *site) takeOver(ctx context.Context, p *control.Promotion, progress func(string)) error {
	leader, _ := s.leader()
	if leader == nil {
		return &control.Error{
			Code: control.CodeUnavailable, Message: "the primary cannot be reached, so it cannot hand over",
			Hint: "when it is gone for good, or its loss of what it did not send is accepted: syncctl promote --force",
		}
	}
	if clusterOf(leader) != "" {
		return errClusterHandover
	}
	p.Previous = leader.Name()
	s.mu.Lock()
	s.asked = time.Time{}
	s.mu.Unlock()
	s.learnAcks(ctx, leader)
	progress("asking " + leader.Name() + " to hand over")
	req, err := cbor.Marshal(handoverCall{To: s.node.name})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, handoverTime/2)
	defer cancel()
	data, err := leader.Call(ctx, callHandover, req)
	if err != nil {
		return fmt.Errorf("node %s does not hand over: %w", leader.Name(), err)
	}
	var answer handoverAnswer
	if err := decodeCall(data, &answer); err != nil {
		return err
	}
	progress("waiting for what it wrote last")
	if err := s.reach(ctx, answer.Ends); err != nil {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainShards)
		defer cancel()
		_, backErr := leader.Call(back, callTakeBack, nil)
		return errors.Join(fmt.Errorf("this node does not come to where %s stopped: %w", leader.Name(), err), backErr)
	}
	return nil
}

// reach waits until every shard ends at a mark.
func (s *site) reach(ctx context.Context, ends []mark) error {
	if len(ends) != len(s.node.shards) {
		return fmt.Errorf("it has %d shards, this node %d", len(ends), len(s.node.shards))
	}
	for i, sh := range s.node.shards {
		if err := sh.replica.Wait(ctx, eventlog.Position(ends[i].Position)); err != nil {
			return err
		}
		if at := sh.replica.Applied(); uint64(at.Position) != ends[i].Position || at.Hash != ends[i].Hash {
			return fmt.Errorf("shard %d is at %s, not at %d:%x", i, at.Mark(), ends[i].Position, ends[i].Hash[:4])
		}
	}
	return nil
}

// demote hands this node's lead to a peer.
func (s *site) demote(ctx context.Context, to string) error {
	p, ok := s.hub.Peer(to)
	if !ok {
		return &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("no channel to a node %q", to)}
	}
	if s.node.cluster != nil {
		return errClusterHandover
	}
	if !s.node.leads() {
		return &control.Error{Code: control.CodeNotPrimary, Message: "this node does not lead", Hint: "see syncctl status for the primary"}
	}
	if _, err := p.Call(ctx, callPromote, nil); err != nil {
		return fmt.Errorf("promote %s: %w", to, err)
	}
	return nil
}

// callPromote asks a replica to have itself promoted.
const callPromote = "promote"

func (s *site) answerPromote(ctx context.Context, _ string, _ []byte) ([]byte, error) {
	_, err := s.promote(ctx, false, func(string) {})
	return nil, err
}

// Halted says why this node can neither follow nor lead; nil while it can.
func (n *Node) Halted() error {
	if err := n.broken(); err != nil {
		return err
	}
	for _, s := range n.shards {
		if err := s.replica.Err(); err != nil {
			return fmt.Errorf("shard %d: %w", s.number, err)
		}
	}
	return nil
}
