package channel

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"angarium/eventlog"
)

// LinkStatus is how it stands with a channel.
type LinkStatus struct {
	Peer      string
	Joins     bool      // this node joins the peer; else the peer joins this node
	Address   string    // of the other end; empty while the link is down
	Connected bool      //
	Since     time.Time // when the link came up, or when it was last up; zero when it never was
	LastSeen  time.Time // when the peer last told its state
	Paused    bool      // at this end
	Error     string    // why the link is down
	Sent      uint64    // bytes, inside TLS, since this node started
	Received  uint64    // likewise
	Shards    []ShardStatus
}

// ShardStatus is how it stands with one shard on a channel, in both directions.
type ShardStatus struct {
	Shard int
	// Send is about the peer following this node; nil when it never has since this node started.
	Send *SendStatus
	// Follow is about this node following the peer; nil when it does not.
	Follow *FollowStatus
}

// SendStatus is how far a peer is behind this node's log.
type SendStatus struct {
	Sending      bool              // it follows now
	Acked        eventlog.Position // it has on stable storage
	AckedAt      time.Time
	LagPositions uint64        // envelopes that it lacks
	LagEvents    uint64        // events in them
	LagBytes     uint64        // about how many bytes they have
	LagTime      time.Duration // since the commit of the oldest envelope that it lacks, by this node's clock; 0 when it lacks none
}

// FollowStatus is how far this node is with following a peer.
type FollowStatus struct {
	State    FollowState
	Error    string            // why it does not follow
	Position eventlog.Position // of the last envelope received and verified
	Time     time.Time         // when its primary decided on it; zero when not known
	Received uint64            // envelopes, since following began
}

// Status tells how it stands with all channels, sorted by name. What cannot be read from a log is left zero.
func (h *Hub) Status(ctx context.Context) []LinkStatus {
	list := []LinkStatus{}
	for _, p := range h.Peers() {
		list = append(list, p.Status(ctx))
	}
	return list
}

// Status tells how it stands with the channel.
func (p *Peer) Status(ctx context.Context) LinkStatus {
	p.mu.Lock()
	s := LinkStatus{
		Peer: p.name, Joins: p.token != nil, Connected: p.session != nil, Since: p.lastSeen, LastSeen: p.stateAt, Paused: p.paused,
		Sent: p.sent.Load(), Received: p.received.Load(),
	}
	if p.session != nil {
		s.Address, s.Since = p.session.address, p.session.started
	}
	if p.lastErr != nil {
		s.Error = p.lastErr.Error()
	}
	p.mu.Unlock()
	for shard := range p.hub.local.Shards() {
		if st := p.shardStatus(ctx, shard); st.Send != nil || st.Follow != nil {
			s.Shards = append(s.Shards, st)
		}
	}
	return s
}

func (p *Peer) shardStatus(ctx context.Context, shard int) ShardStatus {
	st := ShardStatus{Shard: shard}
	p.mu.Lock()
	r, s := p.receivers[shard], p.senders[shard]
	p.mu.Unlock()
	if r != nil {
		f := r.status()
		st.Follow = &f
	}
	if ack, ok := p.hub.acks.Peers(shard)[p.name]; ok {
		st.Send = &SendStatus{Sending: s != nil, Acked: ack.Position, AckedAt: ack.At}
		p.lag(ctx, shard, s, st.Send)
	}
	return st
}

// lag reads from the log what a peer lacks.
func (p *Peer) lag(ctx context.Context, shard int, s *sender, st *SendStatus) {
	log := p.hub.local.Log(shard)
	if log == nil {
		return
	}
	tip, err := p.hub.local.Tip(ctx, shard)
	if err != nil || tip.Position <= st.Acked {
		return
	}
	st.LagPositions = uint64(tip.Position - st.Acked)
	payload, err := log.Read(ctx, st.Acked+1)
	if err != nil {
		return
	}
	first, err := peek(payload)
	if err != nil {
		return
	}
	st.LagTime = max(time.Since(first.time), 0)
	if tip.NextIndex > first.index {
		st.LagEvents = tip.NextIndex - first.index
	}
	unsent, each := st.LagPositions, uint64(len(payload))
	if s != nil {
		last, unacked := s.window.unacked()
		unsent, st.LagBytes = uint64(max(tip.Position, last)-last), uint64(unacked)
		if n := s.envelopes.Load(); n > 0 {
			each = s.bytes.Load() / n
		}
	}
	st.LagBytes += unsent * each
}

func (r *receiver) status() FollowStatus {
	p := r.peer
	p.mu.Lock()
	paused, connected := p.paused, p.session != nil
	p.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	st := FollowStatus{State: r.state, Position: r.position, Time: r.time, Received: r.received}
	if r.err != nil {
		st.Error = r.err.Error()
	}
	switch {
	case paused:
		st.State = FollowPaused
	case !connected:
		st.State = FollowDisconnected
	}
	return st
}

// upstream gives who keeps this node's log of a shard equal to a peer's; nil when nobody does.
func (h *Hub) upstream(shard int) *receiver {
	for _, p := range h.Peers() {
		p.mu.Lock()
		r := p.receivers[shard]
		p.mu.Unlock()
		if r != nil {
			return r
		}
	}
	return nil
}

// header is what stands at the beginning of an envelope (docs/log-format.md).
type header struct {
	epoch uint64
	index uint64    // of its first event
	time  time.Time // of the commit
	prev  eventlog.Hash
}

var errHeader = errors.New("envelope without a header")

// peek reads the header of an envelope without decoding or verifying the rest.
func peek(payload []byte) (header, error) {
	if len(payload) < 2 || payload[0] != 0x86 { // an array of six
		return header{}, errHeader
	}
	rest := payload[1:]
	var n [4]uint64
	for i := range n {
		major, arg, size := cborHead(rest)
		if size == 0 || major > 1 || major == 1 && i != 3 { // only the time can be negative
			return header{}, errHeader
		}
		n[i], rest = arg, rest[size:]
		if major == 1 {
			n[i] = ^arg
		}
	}
	major, arg, size := cborHead(rest)
	if n[0] != eventlog.Format || major != 2 || arg != eventlog.HashSize || len(rest) < size+eventlog.HashSize {
		return header{}, errHeader
	}
	return header{
		epoch: n[1], index: n[2], time: time.UnixMicro(int64(n[3])).UTC(), prev: eventlog.Hash(rest[size : size+eventlog.HashSize]),
	}, nil
}

// cborHead reads the head of a CBOR item (RFC 8949, section 3); size is 0 when there is none.
func cborHead(b []byte) (major byte, arg uint64, size int) {
	if len(b) == 0 {
		return 0, 0, 0
	}
	major, info := b[0]>>5, b[0]&31
	if info < 24 {
		return major, uint64(info), 1
	}
	width := 1 << (info - 24)
	if info > 27 || len(b) < 1+width {
		return 0, 0, 0
	}
	var wide [8]byte
	copy(wide[8-width:], b[1:1+width])
	return major, binary.BigEndian.Uint64(wide[:]), 1 + width
}
