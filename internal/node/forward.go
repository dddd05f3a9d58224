package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"angarium/channel"
	"angarium/eventlog"
	"angarium/mailstore"
)

// Names of calls between nodes.
const (
	callMail     = "mail"
	callHandover = "handover"
	callTakeBack = "takeback"
	callView     = "view"
	callThaw     = "thaw"
	streamView   = "view.rows"
)

const codeNotPrimary = "not-primary"

// maxHops bounds how many nodes pass on a write.
const maxHops = 3

// mailCall is a write that is forwarded.
type mailCall struct {
	Shard int    `cbor:"1,keyasint"`
	Op    string `cbor:"2,keyasint"`
	Data  []byte `cbor:"3,keyasint"`
	Hops  int    `cbor:"4,keyasint"`
}

// remote gives the way to the primary of a shard, for the store.
func (s *site) remote(sh *shard) func() mailstore.Forwarder {
	return func() mailstore.Forwarder {
		if sh.writer.Load() != nil {
			return nil
		}
		return forwarder{s, 0}
	}
}

type forwarder struct {
	site *site
	hops int
}

// Forward implements mailstore.Forwarder.
func (f forwarder) Forward(ctx context.Context, shard int, op string, data []byte) ([]byte, error) {
	if f.site.node.opts.Config.Channel.Writes == "refuse" {
		return nil, fmt.Errorf("%w: this node is a replica and takes no writes", eventlog.ErrUnavailable)
	}
	p, err := f.site.taker()
	if err != nil {
		return nil, err
	}
	req, err := cbor.Marshal(mailCall{Shard: shard, Op: op, Data: data, Hops: f.hops + 1})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
	}
	answer, err := p.Call(ctx, callMail, req)
	return answer, forwarding(err)
}

// forwarding says of a failed call what became of the write.
func forwarding(err error) error {
	var remote *channel.RemoteError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, channel.ErrUnreachable):
		return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
	case errors.As(err, &remote) && remote.Code == codeNotPrimary:
		return fmt.Errorf("%w: %w", mailstore.ErrNotPrimary, err)
	case errors.As(err, &remote) && slices.Contains([]string{channel.CodeNoOp, channel.CodeBusy, channel.CodeNoShard}, remote.Code):
		return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w: %w", eventlog.ErrUnavailable, eventlog.ErrUnknown, err)
}

// taker is the peer that takes this node's writes. While the primary changes, or is yet to be followed, a write asks again. One whose
// effect this node would not see, as its replica is another's past or being replaced, is not for it to forward.
func (s *site) taker() (*channel.Peer, error) {
	p := s.wayUp()
	s.mu.Lock()
	busy, joined := s.busy, s.joined
	s.mu.Unlock()
	switch {
	case busy:
		return nil, fmt.Errorf("%w: this node's replica is being fetched from another node", eventlog.ErrUnavailable)
	case p == nil && s.changing():
		return nil, fmt.Errorf("%w: the primary is changing", mailstore.ErrNotPrimary)
	case p == nil:
		return nil, fmt.Errorf("%w: no primary can be reached", eventlog.ErrUnavailable)
	case !joined:
		return nil, fmt.Errorf("%w: node %s is not followed yet", mailstore.ErrNotPrimary, p.Name())
	}
	return p, nil
}

// changing says whether this node has come to lead or is about to, or has handed over to one that is: a write that was to be forwarded and
// finds no primary asks again then.
func (s *site) changing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taking || time.Now().Before(s.pledged) || s.node.leads()
}

// wayUp is the peer that leads, or the one that is followed.
func (s *site) wayUp() *channel.Peer {
	if p, _ := s.leader(); p != nil {
		return p
	}
	s.mu.Lock()
	name := s.upstream
	s.mu.Unlock()
	if p, ok := s.hub.Peer(name); ok && p.Connected() {
		return p
	}
	return nil
}

// register registers the answers to what peers ask.
func (s *site) register() {
	s.hub.Handle(callMail, s.answerMail)
	s.hub.Handle(callHandover, s.answerHandover)
	s.hub.Handle(callTakeBack, s.answerTakeBack)
	s.hub.Handle(callPromote, s.answerPromote)
	s.hub.Handle(callView, s.answerView)
	s.hub.Handle(callThaw, s.answerThaw)
	s.hub.Handle(callBody, s.answerBody)
	s.hub.Handle(callStored, s.answerStored)
	s.hub.Handle(callAcks, s.answerAcks)
	s.hub.Handle(callSecret, s.answerSecret)
	s.hub.HandleStream(streamView, s.answerRows)
}

func (s *site) answerMail(ctx context.Context, peer string, data []byte) ([]byte, error) {
	var req mailCall
	if err := decodeCall(data, &req); err != nil {
		return nil, err
	}
	if req.Shard < 0 || req.Shard >= len(s.node.shards) {
		return nil, channel.Errorf(channel.CodeNoShard, "no shard %d", req.Shard)
	}
	if s.node.shards[req.Shard].writer.Load() != nil {
		return s.node.store.Serve(ctx, req.Shard, req.Op, req.Data)
	}
	if s.node.cluster != nil {
		return s.node.cluster.pass(ctx, req)
	}
	if up := s.wayUp(); req.Hops >= maxHops || up == nil || up.Name() == peer {
		return nil, channel.Errorf(codeNotPrimary, "node %s does not lead shard %d", s.node.name, req.Shard)
	}
	return forwarder{s, req.Hops}.Forward(ctx, req.Shard, req.Op, req.Data)
}

func decodeCall(data []byte, v any) error {
	if err := callMode.Unmarshal(data, v); err != nil {
		return channel.Errorf(channel.CodeProtocol, "malformed request: %v", err)
	}
	return nil
}

var callMode = func() cbor.DecMode {
	mode, err := cbor.DecOptions{ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, DupMapKey: cbor.DupMapKeyEnforcedAPF}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

// acknowledged waits until as many replicas as are asked for have a position of a shard on disk. When they do not answer in time
// the write is refused, or this node goes on alone. Before it returns, the local replica has applied the position.
func (s *site) acknowledged(ctx context.Context, sh *shard, at eventlog.Position) error {
	want := s.acksWanted()
	if want == 0 {
		return nil
	}
	c := s.node.opts.Config.Channel
	s.mu.Lock()
	alone, reign := !s.degraded.IsZero(), s.reign
	s.mu.Unlock()
	if alone {
		if s.hub.Acks().Reached(sh.number, want)+degradedSlack < at {
			return nil
		}
		s.setDegraded(false)
	}
	wait, cancel := context.WithTimeout(ctx, c.AckTimeout.Std())
	defer cancel()
	stop := context.AfterFunc(reign, cancel)
	defer stop()
	err := s.hub.Acks().Wait(wait, sh.number, at, want)
	if err == nil {
		return nil
	}
	if c.AckPolicy == "degrade" && reign.Err() == nil {
		s.setDegraded(true)
		return nil
	}
	if err := sh.replica.Wait(context.WithoutCancel(ctx), at); err != nil { // nothing may be decided before it is applied
		return err
	}
	return fmt.Errorf("%w: %w: on this node's disk only, %d of the others did not acknowledge in time: %w",
		eventlog.ErrUnavailable, eventlog.ErrUnknown, want, err)
}

// degradedSlack is how far behind the replicas may be for this node to wait for them again.
const degradedSlack = 64

// acksWanted is how many replicas have to acknowledge each write.
func (s *site) acksWanted() int {
	if len(s.counted()) > 0 {
		return s.node.opts.Config.Channel.Replicas
	}
	return 0
}

// The values of a channel's Ack.
const (
	ackLocal   = "local"
	ackReplica = "replica"
)

func (s *site) setDegraded(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case on && s.degraded.IsZero():
		s.degraded = time.Now()
		s.log.Error("the replicas do not acknowledge in time: writes are on this node's disk only")
	case !on && !s.degraded.IsZero():
		s.degraded = time.Time{}
		s.log.Info("the replicas acknowledge writes again")
	}
}
