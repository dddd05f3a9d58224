package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// The modes of rounds of a cluster.
const (
	teamKill    = "kill"
	teamStop    = "stop"
	teamCut     = "cut"
	teamSlow    = "slow"
	teamRestart = "restart"
	teamClock   = "clock"
)

func teamModes() []string {
	return []string{teamKill, teamStop, teamCut, teamSlow, teamRestart, teamClock}
}

// runTeam does the rounds of a cluster.
func runTeam(ctx context.Context, h *harness) (err error) {
	if h.team, err = newTeam(ctx, h.opts, h.l); err != nil {
		return err
	}
	defer h.team.close()
	if err := h.settleTeam(ctx); err != nil {
		return err
	}
	for i := range h.opts.Rounds {
		h.l.round, h.mode = i+1, h.opts.Modes[i%len(h.opts.Modes)]
		if err := h.teamRound(ctx); err != nil {
			return err
		}
	}
	h.summary()
	var errs []error
	for _, n := range h.team.nodes {
		errs = append(errs, n.stop())
	}
	return errors.Join(errs...)
}

func (h *harness) teamRound(ctx context.Context) error {
	did := map[string]func(context.Context, int) (string, error){
		teamKill: h.killLeader, teamStop: h.stopLeader, teamCut: h.cutOff, teamSlow: h.slowTeam, teamRestart: h.restartAll, teamClock: h.clockTeam,
	}
	began := time.Now()
	lead, err := h.team.leader(ctx)
	if err != nil {
		return err
	}
	what, err := did[h.mode](ctx, lead)
	if err == nil {
		err = h.settleTeam(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	h.done[h.mode]++
	fmt.Fprintf(h.opts.Out, "round %d, %s: %s; %d sent so far, %v: ok\n", h.l.round, h.mode, what, h.l.serial, time.Since(began).Round(10*time.Millisecond))
	return nil
}

// startTeam starts clients of all nodes but those left out.
func (h *harness) startTeam(strict bool, without ...int) *load {
	nodes := append([]*node(nil), h.team.nodes...)
	for _, i := range without {
		nodes[i] = nil
	}
	ld := startLoad(h.l, h.opts, h.rng, strict, false, nodes)
	ld.grace = teamGrace
	return ld
}

// writesAgain waits until a write was acknowledged that was sent after a moment, and gives the time from then on.
func (h *harness) writesAgain(ctx context.Context, ld *load, from time.Time) (time.Duration, error) {
	took := time.Duration(0)
	err := h.team.await(ctx, func() (string, error) {
		for i := range h.team.nodes {
			if ld.lastSent(i).After(from) {
				took = time.Since(from)
				return "", nil
			}
		}
		return "no write is acknowledged", ctx.Err()
	})
	return took, err
}

// killLeader kills the node that leads with SIGKILL, and starts it again once another leads.
func (h *harness) killLeader(ctx context.Context, lead int) (string, error) {
	ld := h.startTeam(false)
	defer ld.end()
	h.work(ctx)
	if err := h.team.alive(); err != nil {
		return "", err
	}
	n := h.team.nodes[lead]
	killed := time.Now()
	n.kill()
	took, err := h.writesAgain(ctx, ld, killed)
	what := fmt.Sprintf("killed %s, writes again after %v", n.name, took.Round(time.Millisecond))
	if err != nil {
		return what, err
	}
	h.times.add("writes again after a kill", took)
	h.work(ctx)
	if err := n.start(ctx); err != nil {
		return what, err
	}
	h.work(ctx)
	return what, nil
}

// stopLeader stops the node that leads with SIGSTOP for a while, in which another may take the lead.
func (h *harness) stopLeader(ctx context.Context, lead int) (string, error) {
	ld := h.startTeam(false)
	defer ld.end()
	h.work(ctx)
	n := h.team.nodes[lead]
	if err := n.signal(syscall.SIGSTOP); err != nil {
		return "", err
	}
	began := time.Now()
	h.sleep(ctx, 100*time.Millisecond, 15*time.Second)
	what := fmt.Sprintf("%s stopped for %v", n.name, time.Since(began).Round(time.Millisecond))
	if err := n.signal(syscall.SIGCONT); err != nil {
		return what, err
	}
	if _, err := h.writesAgain(ctx, ld, time.Now()); err != nil {
		return what, err
	}
	h.work(ctx)
	return what, nil
}

// cutOff parts a node, most often the one that leads, from one or both of the others, in one direction or both. Its clients reach it.
func (h *harness) cutOff(ctx context.Context, lead int) (string, error) {
	if h.team.hosts == nil {
		what, err := h.stopLeader(ctx, lead) // nothing is between nodes that share an interface
		return "no network namespaces: " + what, err
	}
	at := lead
	if h.rng.IntN(3) == 0 {
		at = h.rng.IntN(teamSize)
	}
	how := h.rng.IntN(4)
	peers := []int{(at + 1) % teamSize, (at + 2) % teamSize}
	if h.rng.IntN(4) == 0 {
		peers = peers[:1]
	}
	broken := faults{}
	for _, p := range peers {
		to, fro := [2]int{p, at}, [2]int{at, p}
		switch how {
		case 0:
			broken[to], broken[fro] = faultReset, faultReset
		case 1:
			broken[to], broken[fro] = faultSilent, faultSilent
		case 2:
			broken[to] = faultSilent
		case 3:
			broken[fro] = faultSilent
		}
	}
	what := fmt.Sprintf("%s (n%d leads) %s %d others", h.team.nodes[at].name, lead,
		[]string{"refused by", "silent to and from", "deaf to", "not heard by"}[how], len(peers))
	ld := h.startTeam(false)
	defer ld.end()
	h.work(ctx)
	if err := h.team.hosts.set(broken); err != nil {
		return what, err
	}
	began := time.Now()
	h.sleep(ctx, 100*time.Millisecond, 20*time.Second)
	healed := time.Now()
	what += fmt.Sprintf(" for %v", healed.Sub(began).Round(time.Millisecond))
	if err := h.team.hosts.set(nil); err != nil {
		return what, err
	}
	took, err := h.writesAgain(ctx, ld, healed)
	if err != nil {
		return what, err
	}
	h.times.add("writes again after a parting was mended", took)
	if gap, _ := ld.gap(began); at == lead {
		h.times.add("pause of writes, the primary parted", gap)
	}
	h.work(ctx)
	return what, nil
}

// slowTeam has slow links between all nodes for a while.
func (h *harness) slowTeam(ctx context.Context, _ int) (string, error) {
	if h.team.hosts == nil {
		return "no network namespaces: nothing slow", nil
	}
	slow := faults{}
	for i := range teamSize {
		for j := range teamSize {
			if i != j {
				slow[[2]int{i, j}] = faultLossy
			}
		}
	}
	ld := h.startTeam(false)
	defer ld.end()
	h.work(ctx)
	if err := h.team.hosts.set(slow); err != nil {
		return "", err
	}
	began := time.Now()
	h.sleep(ctx, 2*time.Second, 10*time.Second)
	what := fmt.Sprintf("all links slow for %v", time.Since(began).Round(time.Millisecond))
	if err := h.team.hosts.set(nil); err != nil {
		return what, err
	}
	if _, err := h.writesAgain(ctx, ld, time.Now()); err != nil {
		return what, err
	}
	return what, nil
}

// restartAll restarts one node after the other, as for an upgrade, while clients of the other two work. None of these may see a failure.
func (h *harness) restartAll(ctx context.Context, _ int) (string, error) {
	for i, n := range h.team.nodes {
		ld := h.startTeam(true, i)
		h.work(ctx)
		began := time.Now()
		err := n.stop()
		if err == nil {
			err = n.start(ctx)
		}
		h.work(ctx)
		ld.end()
		if err != nil {
			return "restart of " + n.name, err
		}
		gap, slow := ld.gap(began)
		h.times.add("pause of writes, a node restarted", gap)
		h.times.add("longest write, a node restarted", slow)
		if err := h.l.err(); err != nil {
			return "restart of " + n.name, fmt.Errorf("%w\n%s", err, h.team.logs())
		}
		if err := h.team.await(ctx, func() (string, error) { return h.team.same(ctx) }); err != nil { // as an operator does before the next
			return "after the restart of " + n.name, err
		}
	}
	return "all restarted", nil
}

// clockTeam sets clocks while clients work, kills the primary in half of the rounds, and sets them right again.
func (h *harness) clockTeam(ctx context.Context, lead int) (string, error) {
	var told []string
	ld := h.startTeam(false)
	for range 1 + h.rng.IntN(4) {
		h.work(ctx)
		n, off := h.team.nodes[h.rng.IntN(teamSize)], clockSteps()[h.rng.IntN(len(clockSteps()))]
		if err := n.setClock(off); err != nil {
			ld.end()
			return "", err
		}
		told = append(told, fmt.Sprintf("clock of %s %v off", n.name, off))
	}
	_, err := h.writesAgain(ctx, ld, time.Now())
	ld.end()
	if err == nil && h.rng.IntN(2) == 0 {
		what := ""
		what, err = h.killLeader(ctx, lead)
		told = append(told, what)
	}
	what := strings.Join(told, ", ")
	if err != nil {
		return what, err
	}
	ld = h.startTeam(false)
	defer ld.end()
	h.work(ctx)
	for _, n := range h.team.nodes {
		err = errors.Join(err, n.setClock(0))
	}
	h.work(ctx)
	return what, err
}
