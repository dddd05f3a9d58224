package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// slow has a link on which all is late, or sent again, and hands over across it, or kills the primary.
func (h *harness) slow(ctx context.Context) (string, error) {
	if h.rng.IntN(2) == 0 {
		what, err := h.over(ctx, linkSlow, h.killPrimary)
		return "slow link, " + what, err
	}
	if err := h.site.setAck(ctx, []string{"local", "replica"}[h.rng.IntN(2)]); err != nil {
		return "", err
	}
	what, err := h.over(ctx, linkSlow, h.exchange)
	return "slow link, " + what, err
}

// over does something while the link is in a state.
func (h *harness) over(ctx context.Context, state linkState, do func(context.Context) (string, error)) (string, error) {
	if err := h.site.link.set(state); err != nil {
		return "", err
	}
	what, err := do(ctx)
	return what, errors.Join(err, h.site.link.set(linkUp))
}

// pause stops either node with SIGSTOP some times, for random times, and may kill the replica in between. The lead stays.
func (h *harness) pause(ctx context.Context) (string, error) {
	ack := []string{"local", "replica"}[h.rng.IntN(2)]
	if err := h.site.setAck(ctx, ack); err != nil {
		return "", err
	}
	ld := h.start(false)
	defer ld.end()
	told := []string{"acks " + ack}
	for range 1 + h.rng.IntN(4) {
		h.work(ctx)
		n := h.site.nodes[h.rng.IntN(2)]
		if n == h.site.other() && h.rng.IntN(3) == 0 {
			told = append(told, "killed "+n.name)
			n.kill()
			h.sleep(ctx, 0, h.opts.Load)
			if err := n.start(ctx); err != nil {
				return "", err
			}
			continue
		}
		if err := n.signal(syscall.SIGSTOP); err != nil {
			return "", err
		}
		began := time.Now()
		h.sleep(ctx, 10*time.Millisecond, 8*h.opts.Load)
		if err := n.signal(syscall.SIGCONT); err != nil {
			return "", err
		}
		told = append(told, fmt.Sprintf("%s stopped for %v", n.name, time.Since(began).Round(time.Millisecond)))
	}
	h.work(ctx)
	return strings.Join(told, ", "), nil
}

// clock sets the clocks of both nodes some times under load, has the lead change, and sets them right again.
func (h *harness) clock(ctx context.Context) (string, error) {
	ack := []string{"local", "replica"}[h.rng.IntN(2)]
	if err := h.site.setAck(ctx, ack); err != nil {
		return "", err
	}
	ld := h.start(true)
	told, err := h.stepClocks(ctx, 1+h.rng.IntN(3))
	ld.end()
	if err != nil {
		return "", err
	}
	what, err := h.clockChange(ctx)
	if err != nil {
		return "", fmt.Errorf("%s: %w", told, err)
	}
	ld = h.start(true)
	defer ld.end()
	h.work(ctx)
	err = errors.Join(h.site.nodes[0].setClock(0), h.site.nodes[1].setClock(0))
	h.work(ctx)
	return told + what, err
}

func (h *harness) stepClocks(ctx context.Context, times int) (string, error) {
	told := ""
	for range times {
		h.work(ctx)
		n, off := h.site.nodes[h.rng.IntN(2)], clockSteps()[h.rng.IntN(len(clockSteps()))]
		if err := n.setClock(off); err != nil {
			return "", err
		}
		told += fmt.Sprintf("clock of %s %v off, ", n.name, off)
	}
	h.work(ctx)
	return told, nil
}

// clockChange changes the lead, the clocks being off.
func (h *harness) clockChange(ctx context.Context) (string, error) {
	if h.rng.IntN(2) == 0 {
		return h.exchange(ctx)
	}
	return h.killPrimary(ctx)
}
