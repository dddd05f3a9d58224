package channel

import (
	"context"
	"fmt"
	"time"

	"angarium/eventlog"
)

// Local is the node whose links these are. Its methods are called from many goroutines and must not wait for a link.
type Local interface {
	// Name is the node's name, the same for good.
	Name() string
	// Shards is how many shards the site has, numbered from 0.
	Shards() int
	// Log is the log of a shard on this node; nil when there is none now.
	Log(shard int) eventlog.Log
	// Tip is where Log ends. It must be read from the log, or known to be what the log holds: followers resume from it. LogTip
	// helps.
	Tip(ctx context.Context, shard int) (Tip, error)
	// Claim is what the node says of its part in a shard.
	Claim(shard int) Claim
}

// Tip is the end of a log.
type Tip struct {
	eventlog.State
	Time time.Time // of the last envelope, by its primary's clock; zero when not known
}

// Claim is what a node says of its part in a shard.
type Claim struct {
	Role    string            // "primary", "replica" or what else nodes agree on
	Epoch   uint64            // the epoch that the node leads or follows
	Applied eventlog.Position // by its replica
	Digest  string            // of the replica's state, where it is known
	Reason  string            // why it is halted or does not take writes; empty when all is well
	// Cluster names the nodes that share this log with the claimant, so that each of them has all of it; empty for a log of its own. Leader is
	// the one of them that leads the shard, as far as is known.
	Cluster, Leader string
}

// NodeState is what a peer said of itself.
type NodeState struct {
	Node     string
	Version  string // of its program
	Protocol uint64
	Shards   []ShardState // by number, those it has
}

// Shard gives the state of a shard, if the peer has it.
func (s *NodeState) Shard(shard int) (ShardState, bool) {
	for _, st := range s.Shards {
		if st.Shard == shard {
			return st, true
		}
	}
	return ShardState{}, false
}

// ShardState is what a peer said of one shard.
type ShardState struct {
	Shard int
	Claim Claim
	First eventlog.Position // the oldest that its log holds
	Tip   Tip
	Error string // why Tip is not known; empty when it is
	// Upstream is the peer that the node's log of the shard follows, if it follows one, Follow how it stands with that, and
	// FollowError why it does not go on.
	Upstream    string
	Follow      FollowState
	FollowError string
}

// LogTip reads where a log ends from its last envelope, which it checks by itself. empty is what stands before the first envelope of
// an empty log: the zero State, or the state of the checkpoint behind which the log begins.
func LogTip(ctx context.Context, log eventlog.Log, empty eventlog.State) (Tip, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return Tip{}, fmt.Errorf("end of log: %w", err)
	}
	if head.First > head.Last {
		if empty.Position != head.Last {
			return Tip{}, fmt.Errorf("end of log: %w: it is empty behind %d, the state is of %d", eventlog.ErrGap, head.Last,
				empty.Position)
		}
		return Tip{State: empty}, nil
	}
	payload, err := log.Read(ctx, head.Last)
	if err != nil {
		return Tip{}, fmt.Errorf("end of log: %w", err)
	}
	env, err := eventlog.Decode(head.Last, payload)
	if err != nil {
		return Tip{}, fmt.Errorf("end of log: position %d: %w", head.Last, err)
	}
	return Tip{State: env.State(), Time: env.Time}, nil
}

type stateRequest struct {
	Known uint64 `cbor:"1,keyasint,omitempty"` // the announcement that the asker has; it is answered at once when there is another
}

type stateAnswer struct {
	Known    uint64      `cbor:"1,keyasint"`
	Node     string      `cbor:"2,keyasint"`
	Version  string      `cbor:"3,keyasint,omitempty"`
	Protocol uint64      `cbor:"4,keyasint"`
	Shards   []shardWire `cbor:"5,keyasint,omitempty"`
}

type shardWire struct {
	Shard     int    `cbor:"1,keyasint"`
	Role      string `cbor:"2,keyasint,omitempty"`
	RoleEpoch uint64 `cbor:"3,keyasint,omitempty"`
	Applied   uint64 `cbor:"4,keyasint,omitempty"`
	Digest    string `cbor:"5,keyasint,omitempty"`
	Reason    string `cbor:"6,keyasint,omitempty"`
	First     uint64 `cbor:"7,keyasint,omitempty"`
	Position  uint64 `cbor:"8,keyasint,omitempty"`
	Hash      []byte `cbor:"9,keyasint,omitempty"`
	NextIndex uint64 `cbor:"10,keyasint,omitempty"`
	Epoch     uint64 `cbor:"11,keyasint,omitempty"`
	Time      int64  `cbor:"12,keyasint,omitempty"` // microseconds since 1970
	Error     string `cbor:"13,keyasint,omitempty"`

	Upstream    string `cbor:"14,keyasint,omitempty"`
	Follow      string `cbor:"15,keyasint,omitempty"`
	FollowError string `cbor:"16,keyasint,omitempty"`

	Cluster string `cbor:"17,keyasint,omitempty"`
	Leader  string `cbor:"18,keyasint,omitempty"`
}

// Announce tells the peers at once that what the node claims has changed.
func (h *Hub) Announce() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.announced++
	close(h.announcing)
	h.announcing = make(chan struct{})
}

// serveState answers when something was announced that the asker does not know, and after stateInterval anyway.
func (h *Hub) serveState(ctx context.Context, _ string, req []byte) ([]byte, error) {
	var in stateRequest
	if err := decode(req, &in); err != nil {
		return nil, err
	}
	h.mu.Lock()
	known, changed := h.announced, h.announcing
	h.mu.Unlock()
	if known == in.Known {
		timer := time.NewTimer(stateInterval)
		defer timer.Stop()
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-h.ctx.Done():
			return nil, ErrClosed
		}
		h.mu.Lock()
		known = h.announced
		h.mu.Unlock()
	}
	out := stateAnswer{Known: known, Node: h.local.Name(), Version: h.opt.Version, Protocol: protocolVersion}
	for shard := range h.local.Shards() {
		if log := h.local.Log(shard); log != nil {
			out.Shards = append(out.Shards, h.shardWire(ctx, shard, log))
		}
	}
	return encode(out)
}

func (h *Hub) shardWire(ctx context.Context, shard int, log eventlog.Log) shardWire {
	claim := h.local.Claim(shard)
	w := shardWire{
		Shard: shard, Role: claim.Role, RoleEpoch: claim.Epoch, Applied: uint64(claim.Applied), Digest: claim.Digest,
		Reason: cut(claim.Reason), Cluster: claim.Cluster, Leader: claim.Leader,
	}
	if up := h.upstream(shard); up != nil {
		f := up.status()
		w.Upstream, w.Follow, w.FollowError = up.peer.name, string(f.State), cut(f.Error)
	}
	head, err := log.Head(ctx)
	tip := Tip{}
	if err == nil {
		tip, err = h.local.Tip(ctx, shard)
	}
	if err != nil {
		w.Error = cut(err.Error())
		return w
	}
	w.First, w.Position, w.NextIndex, w.Epoch = uint64(head.First), uint64(tip.Position), tip.NextIndex, tip.Epoch
	w.Hash = tip.Hash[:]
	if !tip.Time.IsZero() {
		w.Time = tip.Time.UnixMicro()
	}
	return w
}

func (a *stateAnswer) state() (NodeState, error) {
	out := NodeState{Node: a.Node, Version: a.Version, Protocol: a.Protocol}
	for _, w := range a.Shards {
		s := ShardState{
			Shard: w.Shard, First: eventlog.Position(w.First), Error: w.Error,
			Upstream: w.Upstream, Follow: FollowState(w.Follow), FollowError: w.FollowError,
			Claim: Claim{
				Role: w.Role, Epoch: w.RoleEpoch, Applied: eventlog.Position(w.Applied), Digest: w.Digest, Reason: w.Reason,
				Cluster: w.Cluster, Leader: w.Leader,
			},
		}
		if w.Error == "" {
			if len(w.Hash) != eventlog.HashSize {
				return NodeState{}, fmt.Errorf("%w: a hash of %d bytes", ErrProtocol, len(w.Hash))
			}
			s.Tip.State = eventlog.State{
				Position: eventlog.Position(w.Position), Hash: eventlog.Hash(w.Hash), NextIndex: w.NextIndex, Epoch: w.Epoch,
			}
		}
		if w.Time != 0 {
			s.Tip.Time = time.UnixMicro(w.Time).UTC()
		}
		out.Shards = append(out.Shards, s)
	}
	return out, nil
}

// watchState asks the peer for its state as long as a session lasts.
func (h *Hub) watchState(p *Peer, s *session) {
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	known := uint64(0)
	for ctx.Err() == nil {
		next, err := p.askState(ctx, s, known)
		if err == nil {
			known = next
			continue
		}
		if transient(err) {
			if !pause(ctx, s.done, redialMin) {
				return
			}
			continue
		}
		h.log.Warn("peer does not tell its state", "peer", p.name, "error", err)
		if !pause(ctx, s.done, stateInterval) {
			return
		}
	}
}

func (p *Peer) askState(ctx context.Context, s *session, known uint64) (uint64, error) {
	req, err := encode(stateRequest{Known: known})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, stateInterval+helloTimeout)
	defer cancel()
	resp, err := s.call(ctx, opState, req)
	if err != nil {
		return 0, err
	}
	var answer stateAnswer
	if err := decode(resp, &answer); err != nil {
		return 0, err
	}
	state, err := answer.state()
	if err != nil {
		return 0, err
	}
	p.told(state)
	return answer.Known, nil
}

// pause waits for d; false when ctx or done ended before.
func pause(ctx context.Context, done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-done:
	}
	return false
}
