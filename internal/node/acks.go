package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"angarium/channel"
)

const (
	// callAcks asks the primary which nodes must have what is written.
	callAcks = "acks"
	// ackEvery is how often a replica asks.
	ackEvery = 2 * time.Second
	// ackAskTime bounds how long it waits for the answer.
	ackAskTime = 2 * time.Second
)

// acksAnswer names the nodes whose copies count, the primary's own with them; none: writes wait for no other node.
type acksAnswer struct {
	Members []string `cbor:"1,keyasint,omitempty"`
}

// counted names the peers whose acknowledgements count.
func (s *site) counted() []string {
	var names []string
	for peer, ack := range s.acks() {
		if ack == ackReplica {
			names = append(names, peer)
		}
	}
	slices.Sort(names)
	return names
}

// countAcks lets the acknowledgements of those peers count, and of no others. The nodes of a cluster tell each other of theirs, and all count.
func (s *site) countAcks() {
	if s.node.cluster == nil {
		s.hub.Acks().Count(s.counted())
	}
}

func (s *site) answerAcks(context.Context, string, []byte) ([]byte, error) {
	if s.node.cluster != nil { // a node that comes to lead in its place has no one to ask: a cluster follows nobody
		return nil, channel.Errorf(channel.CodeNoOp, "a cluster does not say")
	}
	answer := acksAnswer{Members: s.counted()}
	if len(answer.Members) > 0 {
		answer.Members = append(answer.Members, s.node.name)
	}
	return cbor.Marshal(answer)
}

// learnAcks takes over from the primary which nodes must have what is written, so that it holds when this node is the primary. A primary of
// an earlier version does not say.
func (s *site) learnAcks(ctx context.Context, leader *channel.Peer) {
	s.mu.Lock()
	due := time.Since(s.asked) >= ackEvery || s.askedOf != leader.Name()
	if due {
		s.asked, s.askedOf = time.Now(), leader.Name()
	}
	s.mu.Unlock()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ackAskTime)
	defer cancel()
	data, err := leader.Call(ctx, callAcks, nil)
	var answer acksAnswer
	if err == nil {
		err = decodeCall(data, &answer)
	}
	if err != nil {
		return // it is asked again
	}
	for _, r := range s.hub.Records() {
		want := ackLocal
		if slices.Contains(answer.Members, r.Peer) && slices.Contains(answer.Members, s.node.name) {
			want = ackReplica
		}
		if ackOf(r.Ack) == want {
			continue
		}
		s.log.Info("taken over from the primary: when writes are acknowledged", "primary", leader.Name(), "channel", r.Peer, "ack", want)
		if err := s.setAck(ctx, r.Peer, want); err != nil {
			s.log.Error("channel cannot be changed", "channel", r.Peer, "error", err)
		}
	}
}

// acksPresent is how many of the peers whose acknowledgements count follow this node in every shard now.
func (s *site) acksPresent(ctx context.Context) int {
	present := 0
	for _, name := range s.counted() {
		p, ok := s.hub.Peer(name)
		if !ok || !p.Connected() {
			continue
		}
		sending := 0
		for _, st := range p.Status(ctx).Shards {
			if st.Send != nil && st.Send.Sending {
				sending++
			}
		}
		if sending == len(s.node.shards) {
			present++
		}
	}
	return present
}

// watchAcks logs when replicas that must acknowledge writes go missing and come back.
func (s *site) watchAcks(ctx context.Context) {
	missing := s.acksMissing(ctx)
	s.mu.Lock()
	changed := (missing == "") != (s.ackless == "")
	s.ackless = missing
	s.mu.Unlock()
	switch {
	case changed && missing != "":
		s.log.Error(missing)
	case changed:
		s.log.Info("enough replicas follow that must acknowledge writes")
	}
}

// acksMissing says that fewer replicas follow than have to acknowledge writes; "" when enough do, or this node does not lead.
func (s *site) acksMissing(ctx context.Context) string {
	want := s.acksWanted()
	if want == 0 || !s.node.leads() {
		return ""
	}
	present := s.acksPresent(ctx)
	if present >= want {
		return ""
	}
	what := "writes are refused"
	if s.node.opts.Config.Channel.AckPolicy == "degrade" {
		what = "writes go on without them"
	}
	return fmt.Sprintf("%d of the %d replicas that must acknowledge writes follow: %s (syncctl channel set NAME --ack local goes on with this copy alone)", present, want, what)
}
