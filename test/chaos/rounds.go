package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// doubtful says whether a mode loses what was acknowledged until the old primary is back: then clients only add flags.
func doubtful(mode string) bool { return mode == modeLocal || mode == modeSplit }

// start starts clients of each node, at the nodes themselves.
func (h *harness) start(strict bool) *load {
	return startLoad(h.l, h.opts, h.rng, strict, doubtful(h.mode), h.site.nodes[:])
}

// work lets clients work for a random while.
func (h *harness) work(ctx context.Context) {
	h.sleep(ctx, minLoad, h.opts.Load)
}

func (h *harness) sleep(ctx context.Context, least, most time.Duration) {
	d := least
	if most > least {
		d += time.Duration(h.rng.Int64N(int64(most - least)))
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// killPrimary kills the primary under load, has the other node promoted, and brings the old one back.
func (h *harness) killPrimary(ctx context.Context) (string, error) {
	safe, told := !doubtful(h.mode), ""
	ack := "local"
	if safe {
		ack = "replica"
	}
	if err := h.site.setAck(ctx, ack); err != nil {
		return "", err
	}
	ld := h.start(false)
	h.work(ctx)
	if !safe && h.rng.IntN(2) == 0 {
		if err := h.site.link.set([]linkState{linkCut, linkSilent}[h.rng.IntN(2)]); err != nil {
			ld.end()
			return "", err
		}
		cut := time.Now()
		h.sleep(ctx, 20*time.Millisecond, h.opts.Load/2)
		told = fmt.Sprintf("link cut %v before, ", time.Since(cut).Round(time.Millisecond))
	}
	if err := h.site.alive(); err != nil {
		ld.end()
		return "", err
	}
	old := h.site.leader()
	killed := time.Now()
	old.kill()
	ld.end()
	lost, err := h.takeOver(ctx, safe)
	if err != nil {
		return "", err
	}
	if !safe {
		window := time.Duration(0)
		if lost.messages > 0 {
			window = killed.Sub(lost.since)
			h.times.add("loss window", window)
		}
		h.lost += lost.messages
		told += fmt.Sprintf("%d acknowledged messages of the last %v missing until the old primary was back, ", lost.messages, window.Round(time.Millisecond))
	}
	if err := errors.Join(h.site.link.set(linkUp), old.start(ctx)); err != nil {
		return "", err
	}
	if h.rng.IntN(2) == 0 { // while it comes back
		ld := startLoad(h.l, h.opts, h.rng, true, doubtful(h.mode), []*node{h.site.leader(), h.site.leader()})
		_, err := h.converge(ctx, false)
		ld.end()
		if err != nil {
			return "", err
		}
	}
	return told + "killed " + old.name, nil
}

// takeOver promotes the other node by force, checks what it has, and lets all clients work on it alone.
func (h *harness) takeOver(ctx context.Context, safe bool) (loss, error) {
	began := time.Now()
	took, err := h.site.promote(ctx, true)
	if err != nil {
		return loss{}, fmt.Errorf("%w\n%s", err, h.site.logs())
	}
	h.times.add("forced promotion", took)
	lead := h.site.leader()
	w, err := h.l.observe(lead.imap)
	if err != nil {
		return loss{}, fmt.Errorf("look at %s: %w", lead.name, err)
	}
	how := promotedLossy
	if safe {
		how = promotedSafe
	}
	lost := h.l.check(w, how, began)
	if err := h.l.err(); err != nil {
		return lost, fmt.Errorf("on %s after its promotion: %w", lead.name, err)
	}
	if h.mode == modeSplit {
		return lost, nil // the clients of both nodes go on
	}
	ld := startLoad(h.l, h.opts, h.rng, true, doubtful(h.mode), []*node{lead, lead})
	h.work(ctx)
	ld.end()
	return lost, h.l.err()
}

// exchange has the roles exchanged under load.
func (h *harness) exchange(ctx context.Context) (string, error) {
	ack := []string{"local", "replica"}[h.rng.IntN(2)]
	if err := h.site.setAck(ctx, ack); err != nil {
		return "", err
	}
	ld := h.start(true)
	h.work(ctx)
	began := time.Now()
	took, err := h.site.promote(ctx, false)
	if err == nil {
		h.work(ctx)
	}
	ld.end()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, h.site.logs())
	}
	gap, slow := ld.gap(began)
	h.times.add("planned promotion", took)
	h.times.add("pause of writes", gap)
	h.times.add("longest write", slow)
	return fmt.Sprintf("handed over in %v, acks %s, writes paused for %v, the slowest took %v", took.Round(time.Millisecond), ack, gap.Round(time.Millisecond), slow.Round(time.Millisecond)), nil
}

// part has the nodes part, both go on, and meet again.
func (h *harness) part(ctx context.Context) (string, error) {
	if h.rng.IntN(4) == 0 {
		return h.stopReplica(ctx)
	}
	ack := []string{"local", "replica"}[h.rng.IntN(2)]
	if err := h.site.setAck(ctx, ack); err != nil {
		return "", err
	}
	ld := h.start(false)
	defer ld.end()
	h.work(ctx)
	old := h.site.primary
	how, mend, err := h.breakUp(ld, old)
	if err != nil {
		return "", err
	}
	h.sleep(ctx, 0, h.opts.Load/2)
	lost, err := h.takeOver(ctx, false)
	if err != nil {
		return "", err
	}
	promoted := time.Now()
	ld.setBranch(1-old, mainBranch)
	h.work(ctx)
	if ack == "replica" && (lost.messages > 0 || ld.lastSent(old).After(promoted)) {
		return "", fmt.Errorf("with acknowledgements of the replica, %d acknowledged messages are missing after %s, and the last write that the old primary acknowledged was sent at %s, the promotion having ended at %s",
			lost.messages, how, ld.lastSent(old).Format(timeFormat), promoted.Format(timeFormat))
	}
	if h.rng.IntN(2) == 0 { // clients of the old primary meet it while it gives way
		ld.setBranch(old, noBranch)
		how += ", its clients staying"
	} else {
		ld.end()
		ld = startLoad(h.l, h.opts, h.rng, false, true, pair(1-old, h.site.leader()))
		defer ld.end()
	}
	watch, learned := errgroup.WithContext(ctx)
	watch.Go(func() error { return h.watchLearn(learned, old) })
	if err := errors.Join(mend(), watch.Wait()); err != nil {
		return "", err
	}
	h.work(ctx)
	ld.end()
	h.lost += lost.messages
	return fmt.Sprintf("%s, acks %s, %d acknowledged messages missing until %s was back", how, ack, lost.messages, h.site.nodes[old].name), nil
}

func pair(at int, n *node) []*node {
	nodes := make([]*node, 2)
	nodes[at] = n
	return nodes
}

// breakUp parts the nodes, and gives what mends that.
func (h *harness) breakUp(ld *load, old int) (string, func() error, error) {
	h.l.fork()
	ld.setBranch(old, sideBranch)
	ld.setBranch(1-old, noBranch) // until it is promoted: what the old primary still does for it, it may not see itself
	if h.rng.IntN(3) == 0 {
		n := h.site.nodes[old]
		if err := n.signal(syscall.SIGSTOP); err != nil {
			return "", nil, err
		}
		return "primary stopped", func() error { return n.signal(syscall.SIGCONT) }, nil
	}
	how := linkState(1 + h.rng.IntN(partings))
	return "link " + how.String(), func() error { return h.site.link.set(linkUp) }, h.site.link.set(how)
}

// watchLearn waits until the old primary knows that the other node leads, and notes when it was first seen to.
func (h *harness) watchLearn(ctx context.Context, old int) error {
	ctx, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	began := time.Now()
	for {
		st, err := h.site.nodes[old].status(ctx)
		if err == nil && st.Primary == h.site.leader().name {
			h.site.learned[old] = time.Now()
			h.times.add("gave way", time.Since(began))
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not learn that %s leads: %+v %w\n%s", h.site.nodes[old].name, h.site.leader().name, st, err, h.site.logs())
		case <-time.After(convergePoll / 5):
		}
	}
}

// stopReplica stops the replica for a while. The primary goes on.
func (h *harness) stopReplica(ctx context.Context) (string, error) {
	if err := h.site.setAck(ctx, "local"); err != nil {
		return "", err
	}
	ld := startLoad(h.l, h.opts, h.rng, true, true, pair(h.site.primary, h.site.leader()))
	defer ld.end()
	h.work(ctx)
	if err := h.site.other().signal(syscall.SIGSTOP); err != nil {
		return "", err
	}
	h.sleep(ctx, h.opts.Load, 6*h.opts.Load)
	if err := h.site.other().signal(syscall.SIGCONT); err != nil {
		return "", err
	}
	h.work(ctx)
	return "replica stopped", nil
}
