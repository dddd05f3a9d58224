package node

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"angarium/internal/config"
	"angarium/internal/control"
)

// TestWhenWritesAreAcknowledgedTravelsWithThePromotion sets it on the primary, promotes the replica, and holds that the new primary asks the old one.
func TestWhenWritesAreAcknowledgedTravelsWithThePromotion(t *testing.T) {
	t.Parallel()
	p := newPair(t, func(c *config.Config) { c.Channel.AckTimeout = config.Duration(30 * time.Second) })
	p.join()
	if !bytes.Equal(p.east.node.Secret(), p.west.node.Secret()) {
		t.Error("the nodes have different secrets")
	}
	ack := ackReplica
	if err := p.east.client().ChangeChannel(t.Context(), "west", control.ChangeChannel{Ack: &ack}); err != nil {
		t.Fatal(err)
	}
	appendMail(t, p.east.node, "ann", mailOf(1))
	if _, err := p.west.client().Promote(t.Context(), control.PromoteRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := p.west.node.site.counted(); len(got) != 1 || got[0] != "east" {
		t.Fatalf("the new primary counts %v", got)
	}
	p.until("east to follow", func() bool {
		st := p.west.status()
		return st.AcksWanted == 1 && st.AcksPresent == 1 && len(st.Alarms) == 0
	})
	appendMail(t, p.west.node, "ann", mailOf(2))
	p.east.stop()
	p.until("an alarm that nobody acknowledges", func() bool {
		st := p.west.status()
		return st.AcksPresent == 0 && strings.Contains(strings.Join(st.Alarms, "\n"), "0 of the 1 replicas that must acknowledge writes follow")
	})
	local := ackLocal
	if err := p.west.client().ChangeChannel(t.Context(), "east", control.ChangeChannel{Ack: &local}); err != nil {
		t.Fatal(err)
	}
	appendMail(t, p.west.node, "ann", mailOf(3))
	p.until("the alarm to go", func() bool { return !strings.Contains(strings.Join(p.west.status().Alarms, "\n"), "acknowledge") })
}
