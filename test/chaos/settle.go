package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"

	"angarium/internal/control"
	"angarium/replica/state"
)

const (
	// convergeTimeout is how long two nodes that reach each other may take to become the same.
	convergeTimeout = 60 * time.Second
	// convergePoll is how often they are asked.
	convergePoll = 50 * time.Millisecond
)

// converge waits until the one node follows the other that should lead, and nothing waits to be carried over; when no clients are at
// work, until both hold the same. It says how long that took.
func (h *harness) converge(ctx context.Context, atRest bool) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	began := time.Now()
	for {
		why, err := h.apart(ctx, atRest)
		if err != nil {
			return 0, err
		}
		if why == "" {
			return time.Since(began), nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("the nodes are not the same after %v: %s\n%s", time.Since(began).Round(time.Millisecond), why, h.site.logs())
		case <-time.After(convergePoll):
		}
	}
}

// apart says in what the nodes are not the same yet; "" when they are.
func (h *harness) apart(ctx context.Context, atRest bool) (string, error) {
	if err := h.site.alive(); err != nil {
		return "", err
	}
	lead, err := h.site.leader().status(ctx)
	if err != nil {
		return err.Error(), nil
	}
	follow, err := h.site.other().status(ctx)
	if err != nil {
		return err.Error(), nil
	}
	if done, err := h.site.salvaged(); err != nil || !done {
		return "what was set aside is not carried over", err
	}
	name := h.site.leader().name
	if lead.Primary != name || follow.Primary != name || lead.Epoch != follow.Epoch || len(lead.Shards) != len(follow.Shards) {
		return fmt.Sprintf("leading are %q in epoch %d and %q in epoch %d", lead.Primary, lead.Epoch, follow.Primary, follow.Epoch), nil
	}
	if len(follow.Alarms) > 0 {
		return fmt.Sprintf("alarms %q", follow.Alarms), nil
	}
	for i, a := range lead.Shards {
		b := follow.Shards[i]
		switch {
		case a.State != "serving" || b.State != "following" || a.Role != "primary" || b.Role != "replica":
			return fmt.Sprintf("shard %d is %s %s (%s) and %s %s (%s)", i, a.Role, a.State, a.Reason, b.Role, b.State, b.Reason), nil
		case !receives(b, name):
			return fmt.Sprintf("shard %d is not received from %s: %+v", i, name, b.Channels), nil
		case !atRest:
		case a.Position != b.Position || a.Applied != a.Position || b.Applied != b.Position || a.HeadHash != b.HeadHash:
			return fmt.Sprintf("shard %d is at %d of %d and %d of %d", i, a.Applied, a.Position, b.Applied, b.Position), nil
		case a.Digest != b.Digest:
			return "", fmt.Errorf("shard %d has digest %s and %s at position %d:\n%s", i, a.Digest, b.Digest, a.Position, h.site.logs())
		}
	}
	return "", nil
}

func receives(s control.ShardStatus, from string) bool {
	for _, c := range s.Channels {
		if c.Direction == "receive" && c.Name == from && c.State == "following" {
			return true
		}
	}
	return false
}

// settle ends a round: no clients are at work, and all faults are mended.
func (h *harness) settle(ctx context.Context) error {
	took, err := h.converge(ctx, true)
	if err != nil {
		return err
	}
	h.times.add("converged", took)
	for _, n := range h.site.nodes {
		if err := verifyDeep(ctx, n); err != nil {
			return err
		}
	}
	for i, n := range h.site.nodes {
		if err := verifyAgainst(ctx, n, h.site.nodes[1-i]); err != nil {
			return err
		}
	}
	var worlds [2]world
	for i, n := range h.site.nodes {
		if worlds[i], err = h.l.observe(n.imap); err != nil {
			return fmt.Errorf("look at %s: %w\n%s", n.name, err, n.tail())
		}
	}
	if diff := cmp.Diff(worlds[0], worlds[1], cmp.AllowUnexported(seenBox{}, seenMessage{}, place{})); diff != "" {
		return fmt.Errorf("IMAP shows something else at west (-east +west):\n%.4000s", diff)
	}
	h.l.check(worlds[0], atEnd, time.Now())
	h.l.join()
	return errors.Join(h.site.judgeAside(h.l), h.l.err(), ctx.Err())
}

// verifyDeep has a node verify its store.
func verifyDeep(ctx context.Context, n *node) error {
	c, err := n.control(ctx)
	if err != nil {
		return err
	}
	violations := ""
	res, err := c.Verify(ctx, control.VerifyRequest{Deep: true}, func(v state.Violation) error {
		violations += fmt.Sprintf("\n%+v", v)
		return nil
	}, nil)
	if err == nil && (!res.OK || violations != "") {
		err = fmt.Errorf("%d violations:%s", res.Violations, violations)
	}
	if err != nil {
		return fmt.Errorf("verify %s: %w", n.name, err)
	}
	return nil
}

// verifyAgainst has the operator's tool compare two nodes.
func verifyAgainst(ctx context.Context, n, with *node) error {
	out, err := n.syncctl(ctx, "verify", "--against", with.name, "--deep", "--json")
	if err != nil {
		return err
	}
	var res control.CompareResult
	if err := json.Unmarshal([]byte(out), &res); err != nil || !res.OK || res.Mailboxes == 0 {
		return fmt.Errorf("verify %s against %s: %w: %s", n.name, with.name, errors.Join(err, errDiffers), out)
	}
	return nil
}

var errDiffers = errors.New("they do not hold the same")
