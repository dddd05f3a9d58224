package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// harness is one run.
type harness struct {
	opts  options
	rng   *rand.Rand
	l     *ledger
	site  *site  // two nodes with a channel, or
	team  *team  // a cluster
	mode  string // of this round
	times times
	lost  int            // acknowledged messages that were missing on a new primary for a while
	done  map[string]int // rounds by mode
}

// times are how long things took, by what they are.
type times map[string][]time.Duration

func (t times) add(what string, d time.Duration) { t[what] = append(t[what], d) }

// run does all rounds. Its error tells of every promise that was found broken.
func run(ctx context.Context, opts options) (err error) {
	fmt.Fprintf(opts.Out, "seed %d, %d rounds of %s in %s\n", opts.Seed, opts.Rounds, strings.Join(opts.Modes, ", "), opts.Dir)
	h := &harness{
		opts: opts, rng: rand.New(rand.NewPCG(opts.Seed, 0)), l: newLedger(opts.Accounts, inbox, shared), times: times{}, done: map[string]int{},
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("seed %d, round %d (%s): %w", opts.Seed, h.l.round, h.mode, err)
		}
	}()
	if opts.Cluster {
		return runTeam(ctx, h)
	}
	if h.site, err = newSite(ctx, opts, h.l); err != nil {
		return err
	}
	defer h.site.close()
	if err := h.settle(ctx); err != nil {
		return err
	}
	for i := range opts.Rounds {
		h.l.round, h.mode = i+1, opts.Modes[i%len(opts.Modes)]
		if err := h.doRound(ctx); err != nil {
			return err
		}
	}
	h.summary()
	for _, n := range h.site.nodes {
		if err := n.stop(); err != nil {
			return err
		}
	}
	return nil
}

// doRound lets clients work and breaks something, and checks what is there once it is mended.
func (h *harness) doRound(ctx context.Context) error {
	did := map[string]func(context.Context) (string, error){
		modeAck: h.killPrimary, modeLocal: h.killPrimary, modePlanned: h.exchange, modeSplit: h.part,
		modeSlow: h.slow, modePause: h.pause, modeClock: h.clock,
	}
	began := time.Now()
	what, err := did[h.mode](ctx)
	if err != nil {
		return err
	}
	if err := h.settle(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	h.done[h.mode]++
	fmt.Fprintf(h.opts.Out, "round %d, %s: %s; %s leads; %d sent so far, %v: ok\n",
		h.l.round, h.mode, what, h.site.leader().name, h.l.serial, time.Since(began).Round(10*time.Millisecond))
	return nil
}

// summary tells of the whole run.
func (h *harness) summary() {
	out, c := h.opts.Out, h.l.counts
	fmt.Fprintf(out, "seed %d: all promises kept in", h.opts.Seed)
	for _, m := range slices.Sorted(maps.Keys(h.done)) {
		fmt.Fprintf(out, " %d rounds of %s,", h.done[m], m)
	}
	fmt.Fprintf(out, "\n%d deliveries, %d appends, %d flag changes and %d expunges acknowledged, %d of them looked for at once; %d commands refused, %d broken off\n",
		c.deliveries, c.appends, c.stores, c.expunges, c.readBack, c.refused, c.broken)
	fmt.Fprintf(out, "%d acknowledged messages missing on a new primary until the old one was back; %d envelopes set aside; %d messages seen, not acknowledged, and gone with a primary\n",
		h.lost, c.aside, c.seenLost)
	for _, name := range slices.Sorted(maps.Keys(h.times)) {
		list := h.times[name]
		slices.Sort(list)
		fmt.Fprintf(out, "%s: %d times, median %v, longest %v\n", name, len(list), list[len(list)/2].Round(time.Millisecond), list[len(list)-1].Round(time.Millisecond))
	}
}
