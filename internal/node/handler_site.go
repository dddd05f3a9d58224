package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"angarium/channel"
	"angarium/internal/control"
)

// siteHandlers adds the API of replication.
func (n *Node) siteHandlers(mux *http.ServeMux) {
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request){
		"GET " + control.PathChannels:   n.handleChannels,
		"POST " + control.PathChannels:  n.handleAddChannel,
		"PATCH " + control.PathChannel:  n.handleChangeChannel,
		"DELETE " + control.PathChannel: n.handleRemoveChannel,
		"GET " + control.PathPromote:    n.handlePlan,
		"POST " + control.PathPromote:   n.handlePromote,
		"POST " + control.PathDemote:    n.handleDemote,
		"POST " + control.PathResync:    n.handleResync,
		"POST " + control.PathCompare:   n.handleCompare,
		"POST " + control.PathDiff:      n.handleDiff,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if n.site == nil {
				fail(w, n.aloneError())
				return
			}
			handle(w, r)
		})
	}
}

func (n *Node) aloneError() error {
	e := &control.Error{
		Code: control.CodeUnavailable, Message: "this node has no channels",
		Hint: "start it with --channel-listen ADDR to let others join it, or with --join-file FILE to join another",
	}
	if n.Restart == nil {
		e.Message, e.Hint = "no server runs on this data directory", "channels are there while the server runs"
	}
	return e
}

func (n *Node) handleChannels(w http.ResponseWriter, r *http.Request) {
	list := control.ChannelList{Channels: n.site.channels(r.Context())}
	answer(w, list, nil)
}

func (n *Node) handleAddChannel(w http.ResponseWriter, r *http.Request) {
	var req control.NewChannel
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	c := n.opts.Config.Channel
	if len(c.Listen) == 0 {
		fail(w, &control.Error{Code: control.CodeUsage, Message: "no node can join this one: it has no channel listener", Hint: "start it with --channel-listen ADDR"})
		return
	}
	if req.Address == "" {
		req.Address = c.Advertise
	}
	if req.Address == "" {
		req.Address = n.ChannelAddress()
	}
	t, err := n.site.hub.Admit(req.Name, req.Address)
	answer(w, control.JoinToken{
		Name: req.Name, Address: t.Address, Fingerprint: fmt.Sprintf("%x", t.Fingerprint[:]), Token: t.String(),
	}, channelError(err))
}

// ChannelAddress is where other nodes reach this one.
func (n *Node) ChannelAddress() string {
	if n.ChannelAddr != nil {
		if addr := n.ChannelAddr(); addr != "" {
			return addr
		}
	}
	return n.opts.Config.Channel.Listen[0]
}

func channelError(err error) error {
	if err == nil {
		return nil
	}
	code := control.CodeUsage
	for is, c := range map[error]string{
		channel.ErrExists: control.CodeExists, channel.ErrUnknownPeer: control.CodeNotFound, channel.ErrUnreachable: control.CodeUnavailable,
	} {
		if errors.Is(err, is) {
			code = c
		}
	}
	return &control.Error{Code: code, Message: err.Error()}
}

func (n *Node) handleChangeChannel(w http.ResponseWriter, r *http.Request) {
	var req control.ChangeChannel
	err := decode(w, r, &req)
	name := r.PathValue("name")
	if err == nil && req.Ack != nil {
		if *req.Ack != ackLocal && *req.Ack != ackReplica {
			err = &control.Error{Code: control.CodeUsage, Message: fmt.Sprintf("ack %q: want %q or %q", *req.Ack, ackLocal, ackReplica)}
		} else {
			err = n.site.setAck(r.Context(), name, *req.Ack)
		}
	}
	if err == nil && req.Paused != nil {
		err = channelError(n.site.hub.SetPaused(name, *req.Paused))
	}
	answer(w, struct{}{}, err)
}

func (n *Node) handleRemoveChannel(w http.ResponseWriter, r *http.Request) {
	answer(w, struct{}{}, n.site.remove(r.PathValue("name")))
}

func (n *Node) handlePlan(w http.ResponseWriter, r *http.Request) {
	p, err := n.site.plan(r.Context())
	answer(w, p, err)
}

func (n *Node) handlePromote(w http.ResponseWriter, r *http.Request) {
	var req control.PromoteRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	out := newLines(w)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), leadTime) // half a promotion helps nobody
	defer cancel()
	p, err := n.site.promote(ctx, req.Force, func(what string) {
		out.write(control.Update{Progress: &control.Progress{What: what}})
		out.flush()
	})
	out.end(p, err)
}

func (n *Node) handleDemote(w http.ResponseWriter, r *http.Request) {
	var req control.DemoteRequest
	err := decode(w, r, &req)
	if err == nil {
		err = n.site.demote(r.Context(), req.To)
	}
	answer(w, struct{}{}, err)
}

func (n *Node) handleResync(w http.ResponseWriter, r *http.Request) {
	var req control.ResyncRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	out := newLines(w)
	res, err := n.site.resync(r.Context(), req, func(shard int, p channel.SeedProgress) {
		out.progress(control.Progress{What: fmt.Sprintf("fetch shard %d", shard), Done: uint64(p.Bytes), Total: uint64(p.BytesTotal), Unit: "bytes"})
	})
	out.end(res, err)
	out.flush()
	if err == nil && n.Restart != nil {
		n.Restart()
	}
}

func (n *Node) handleCompare(w http.ResponseWriter, r *http.Request) {
	var req control.CompareRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	out := newLines(w)
	res, err := n.site.compareWith(r.Context(), req, func(d control.MailboxDifference) error { return out.item(d) }, out.progress)
	out.end(res, err)
}

func (n *Node) handleDiff(w http.ResponseWriter, r *http.Request) {
	var req control.DiffRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	out := newLines(w)
	res, err := n.site.diffWith(r.Context(), req, func(d control.MessageDifference) error { return out.item(d) })
	out.end(res, err)
}

// channels tells of the links.
func (s *site) channels(ctx context.Context) []control.Channel {
	acks := s.acks()
	list := []control.Channel{}
	for _, l := range s.hub.Status(ctx) {
		c := control.Channel{
			Name: l.Peer, Joins: l.Joins, Address: l.Address, Connected: l.Connected, Paused: l.Paused, Ack: ackOf(acks[l.Peer]), LastSeen: l.LastSeen,
			Error: l.Error, Sent: l.Sent, Received: l.Received,
		}
		var theirs channel.NodeState
		if p, ok := s.hub.Peer(l.Peer); ok {
			theirs, _ = p.State()
		}
		for _, sh := range l.Shards {
			c.Shards = append(c.Shards, s.channelShards(l, sh, theirs, ackOf(acks[l.Peer]))...)
		}
		list = append(list, c)
	}
	return list
}

func ackOf(kept string) string {
	if kept == "" {
		return ackLocal
	}
	return kept
}

// channelShards tells of both directions of a shard on a link.
func (s *site) channelShards(l channel.LinkStatus, sh channel.ShardStatus, theirs channel.NodeState, ack string) []control.ChannelShard {
	var list []control.ChannelShard
	one := control.ChannelShard{Name: l.Peer, Shard: sh.Shard, Ack: ack, LastSeen: l.LastSeen}
	st, known := theirs.Shard(sh.Shard)
	if known {
		one.Role, one.Epoch, one.Applied, one.Digest = st.Claim.Role, st.Claim.Epoch, uint64(st.Claim.Applied), st.Claim.Digest
	}
	if sh.Send != nil {
		c := one
		c.Direction, c.State, c.Position = "send", "following", uint64(sh.Send.Acked)
		c.LagEvents, c.LagBytes, c.LagSeconds = sh.Send.LagEvents, sh.Send.LagBytes, sh.Send.LagTime.Seconds()
		switch {
		case !l.Connected:
			c.State, c.Reason = "disconnected", l.Error
		case l.Paused:
			c.State = "paused"
		case !sh.Send.Sending:
			c.State = "idle"
		}
		list = append(list, c)
	}
	if sh.Follow != nil {
		c := one
		c.Direction, c.State, c.Reason, c.Position = "receive", string(sh.Follow.State), sh.Follow.Error, uint64(sh.Follow.Position)
		c.LagEvents, c.LagSeconds = s.behind(sh, st, known)
		list = append(list, c)
	}
	return list
}

// behind says how far this node is behind a peer that it follows, as far as is known: in events, and in seconds since the commit of
// the last one that it has.
func (s *site) behind(sh channel.ShardStatus, st channel.ShardState, known bool) (events uint64, seconds float64) {
	own := s.node.shards[sh.Shard].replica.Applied()
	if !known || st.Tip.NextIndex <= own.NextIndex {
		return 0, 0
	}
	events = st.Tip.NextIndex - max(own.NextIndex, 1)
	if !sh.Follow.Time.IsZero() {
		seconds = max(time.Since(sh.Follow.Time).Seconds(), 0)
	}
	return events, seconds
}
