package main

import (
	"fmt"
	"time"

	"angarium/internal/control"
)

// Directions of a channel.
const (
	directionSend    = "send"    // the other node follows this one
	directionReceive = "receive" // this one follows it
)

// printChannels tells of the other nodes, and of what would be lost without the primary. It prints nothing when there are none.
func (g *globals) printChannels(st control.Status) error {
	none := true
	for _, s := range st.Shards {
		none = none && len(s.Channels) == 0
	}
	if none {
		return nil
	}
	if err := g.printf("\n"); err != nil {
		return err
	}
	t := newTable(g.stdout, "NODE", "SHARD", "DIRECTION", "ROLE", "STATE", "EPOCH", "POSITION", "APPLIED", "EVENTS BEHIND", "BYTES BEHIND", "LAG", "ACK", "DIGEST",
		"LAST SEEN")
	for _, s := range st.Shards {
		for _, c := range s.Channels {
			lag := ""
			if c.LagSeconds > 0 || c.LagEvents > 0 {
				lag = ageText(time.Duration(c.LagSeconds * float64(time.Second)))
			}
			t.row(c.Name, s.Shard, c.Direction, c.Role, c.State, c.Epoch, c.Position, c.Applied, eventsBehind(s, c), bytesText(c.LagBytes), lag, c.Ack, c.Digest,
				timeText(c.LastSeen))
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, s := range st.Shards {
		for _, c := range s.Channels {
			if c.Reason != "" {
				if err := g.printf("\n%s, shard %d is %s: %s\n", plain(c.Name), s.Shard, plain(c.State), plain(c.Reason)); err != nil {
					return err
				}
			}
		}
	}
	return g.printf("\n%s\n", plain(lossText(st)))
}

// lossText says what would be lost if the primary died now, as far as this node knows.
func lossText(st control.Status) string {
	if st.Primary == st.Node {
		name, lost, ok := leastLost(st)
		if !ok {
			return fmt.Sprintf("if %s died now: all would be lost; no other node follows every shard", st.Node)
		}
		return fmt.Sprintf("if %s died now: %s would be lost, with %s in its place", st.Node, count(lost, "event"), name)
	}
	primary := st.Primary
	if primary == "" {
		primary = "the primary"
	}
	lost, ok := behind(st, st.Primary, directionReceive)
	if !ok {
		return fmt.Sprintf("if %s died now: it is not known what would be lost; this node does not follow it in every shard", primary)
	}
	return fmt.Sprintf("if %s died now: %s that this node knows of would be lost, with %s in its place", primary, count(lost, "event"), st.Node)
}

// leastLost names the node that could take over with the smallest loss, in events. A node takes over all shards or none.
func leastLost(st control.Status) (name string, lost uint64, ok bool) {
	tried := map[string]bool{}
	for _, s := range st.Shards {
		for _, c := range s.Channels {
			if tried[c.Name] {
				continue
			}
			tried[c.Name] = true
			if n, all := behind(st, c.Name, directionSend); all && (!ok || n < lost) {
				name, lost, ok = c.Name, n, true
			}
		}
	}
	return name, lost, ok
}

// eventsBehind is how many events the receiving end of a channel lacks, at least: the node cannot count those in envelopes that its log no
// longer holds, but each holds one or more.
func eventsBehind(s control.ShardStatus, c control.ChannelShard) uint64 {
	if c.Direction == directionSend && s.Position > c.Position {
		return max(c.LagEvents, s.Position-c.Position)
	}
	return c.LagEvents
}

// behind adds up how many events the receiving end of the channel with a node lacks; false when a shard does not go over it.
func behind(st control.Status, name, direction string) (lost uint64, all bool) {
	for _, s := range st.Shards {
		found := false
		for _, c := range s.Channels {
			if c.Name != name || c.Direction != direction {
				continue
			}
			found = true
			lost += eventsBehind(s, c)
		}
		if !found {
			return 0, false
		}
	}
	return lost, true
}
