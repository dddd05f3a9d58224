package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"angarium/internal/control"
)

const (
	teamSize = 3
	// teamTimeout is how long a cluster that is whole may take to have a primary, and all nodes to hold the same.
	teamTimeout = 120 * time.Second
	// teamGrace is how long clients of a cluster have to end their commands: a write looks for a primary for half a minute.
	teamGrace = 60 * time.Second
)

// team is three nodes that share one replicated log.
type team struct {
	nodes []*node
	hosts *hosts // nil: all are on the loopback interface
}

// newTeam starts the nodes, with accounts, and in each a mailbox that all its clients share.
func newTeam(ctx context.Context, opts options, l *ledger) (_ *team, err error) {
	t := &team{}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if t.hosts, err = opts.newHosts(teamSize); err != nil {
		return nil, err
	}
	if t.hosts != nil {
		fmt.Fprintln(opts.Out, "links:", t.hosts)
	}
	var routes []string
	for i := range teamSize {
		n, err := newNode(opts, fmt.Sprintf("n%d", i), t.hosts, i)
		if err != nil {
			return nil, err
		}
		t.nodes = append(t.nodes, n)
		route := ""
		if t.hosts != nil {
			route = net.JoinHostPort(t.hosts.addr(i), portCluster)
		} else if route, err = freeAddress(); err != nil {
			return nil, err
		}
		routes = append(routes, route)
	}
	var all errgroup.Group
	for i, n := range t.nodes {
		var others []string
		for j, r := range routes {
			if i != j {
				others = append(others, r)
			}
		}
		n.args = append(n.args, "--cluster-listen", routes[i], "--routes", strings.Join(others, ","), "--replicas", fmt.Sprint(teamSize))
		all.Go(func() error { return n.start(ctx) }) // none serves before most are there
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	if _, err := t.leader(ctx); err != nil {
		return nil, err
	}
	return t, addAccounts(ctx, t.nodes[0], l.accounts)
}

func (t *team) close() {
	for _, n := range t.nodes {
		n.kill()
	}
	if t.hosts != nil {
		t.hosts.close()
	}
}

// alive is an error when a node ended by itself.
func (t *team) alive() error {
	var errs []error
	for _, n := range t.nodes {
		errs = append(errs, n.alive())
	}
	return errors.Join(errs...)
}

func (t *team) logs() string {
	var list []string
	for _, n := range t.nodes {
		list = append(list, n.tail())
	}
	return strings.Join(list, "\n")
}

// leader waits until all nodes know which of them leads, and gives its index.
func (t *team) leader(ctx context.Context) (int, error) {
	lead := 0
	err := t.await(ctx, func() (string, error) {
		list, why := t.statuses(ctx)
		if why != "" {
			return why, nil
		}
		for i, n := range t.nodes {
			if n.name == list[0].Primary {
				lead = i
				return "", nil
			}
		}
		return fmt.Sprintf("leading is %q", list[0].Primary), nil
	})
	return lead, err
}

// await waits until nothing is in the way any more.
func (t *team) await(ctx context.Context, apart func() (why string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, teamTimeout)
	defer cancel()
	for {
		why, err := apart()
		if err == nil {
			err = t.alive()
		}
		if why == "" || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %v: %s\n%s", teamTimeout, why, t.logs())
		case <-time.After(convergePoll):
		}
	}
}

// statuses asks all nodes, which have to name the same primary; else it says why not.
func (t *team) statuses(ctx context.Context) (list []control.Status, why string) {
	for _, n := range t.nodes {
		st, err := n.status(ctx)
		switch {
		case err != nil:
			return nil, fmt.Sprintf("%s: %v", n.name, err)
		case st.Primary == "" || len(list) > 0 && (st.Primary != list[0].Primary || len(st.Shards) != len(list[0].Shards)):
			return nil, fmt.Sprintf("%s says that %q leads, and n0 that %q does", n.name, st.Primary, append(list, st)[0].Primary)
		}
		list = append(list, st)
	}
	return list, ""
}

// same says in what the nodes do not hold the same yet; it is an error when they hold something else at the same position.
func (t *team) same(ctx context.Context) (string, error) {
	list, why := t.statuses(ctx)
	if why != "" {
		return why, nil
	}
	for i, st := range list {
		for k, s := range st.Shards {
			first := list[0].Shards[k]
			switch {
			case s.State != "serving" && s.State != "following":
				return fmt.Sprintf("shard %d of n%d is %s (%s)", k, i, s.State, s.Reason), nil
			case s.Position != first.Position || s.Applied != s.Position || s.HeadHash != first.HeadHash:
				return fmt.Sprintf("shard %d is at %d of %d on n%d, and at %d on n0", k, s.Applied, s.Position, i, first.Position), nil
			case s.Digest != first.Digest:
				return "", fmt.Errorf("shard %d has digest %s on n%d and %s on n0 at position %d:\n%s", k, s.Digest, i, first.Digest, s.Position, t.logs())
			}
		}
	}
	return "", nil
}

// settleTeam ends a round: no clients are at work, and all faults are mended.
func (h *harness) settleTeam(ctx context.Context) error {
	began := time.Now()
	if err := h.team.await(ctx, func() (string, error) { return h.team.same(ctx) }); err != nil {
		return err
	}
	h.times.add("converged", time.Since(began))
	var first world
	for i, n := range h.team.nodes {
		if err := verifyDeep(ctx, n); err != nil {
			return err
		}
		w, err := h.l.observe(n.imap)
		if err != nil {
			return fmt.Errorf("look at %s: %w\n%s", n.name, err, n.tail())
		}
		if i == 0 {
			first = w
		}
		if diff := cmp.Diff(first, w, cmp.AllowUnexported(seenBox{}, seenMessage{}, place{})); diff != "" {
			return fmt.Errorf("IMAP shows something else at %s (-n0 +%s):\n%.4000s", n.name, n.name, diff)
		}
	}
	h.l.check(first, atEnd, time.Now())
	h.l.join()
	if err := h.l.err(); err != nil {
		return fmt.Errorf("%w\n%s", err, h.team.logs())
	}
	return ctx.Err()
}
