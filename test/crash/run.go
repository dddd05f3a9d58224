package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-cmp/cmp"
)

// harness is one run.
type harness struct {
	opts options
	rng  *rand.Rand
	m    *model
	s    *server // nil while none runs
}

// run does all rounds. Its error tells of every promise that was found broken.
func run(ctx context.Context, opts options) (err error) {
	if opts.Shards > 1 {
		if err := configure(opts.Dir, opts.Shards); err != nil {
			return err
		}
	}
	fmt.Fprintf(opts.Out, "seed %d, %d rounds in %s\n", opts.Seed, opts.Rounds, opts.Dir)
	h := &harness{opts: opts, rng: rand.New(rand.NewPCG(opts.Seed, 0)), m: newModel(opts.Accounts, opts.Shards)}
	defer func() {
		if h.s != nil {
			h.s.kill()
		}
		if err != nil {
			err = fmt.Errorf("seed %d, round %d: %w", opts.Seed, h.m.round, err)
		}
	}()
	if err := h.setUp(ctx); err != nil {
		return err
	}
	for h.m.round < opts.Rounds {
		h.m.round++
		if err := h.doRound(ctx); err != nil {
			return err
		}
	}
	s := h.s
	h.s = nil
	if err := s.stop(); err != nil {
		return err
	}
	return verifyOffline(ctx, opts.Bin, s.data)
}

// setUp makes the accounts, and in each a mailbox that all its clients share.
func (h *harness) setUp(ctx context.Context) (err error) {
	if h.s, err = start(ctx, h.opts.Bin, h.opts.Dir); err != nil {
		return err
	}
	var names []string
	for _, a := range h.m.accounts {
		names = append(names, a.name)
	}
	if err := h.s.addAccounts(ctx, names); err != nil {
		return err
	}
	for _, a := range h.m.accounts {
		c, err := dialIMAP(h.s.imap, a.name, password)
		if err != nil {
			return fmt.Errorf("log in as %s: %w", a.name, err)
		}
		err = c.must("CREATE", quote("Shared"))
		c.close()
		if err != nil {
			return err
		}
		a.addBox("Shared", 0)
	}
	_, err = h.check(ctx, false)
	return err
}

// doRound lets clients work, kills the server, and checks what is there after a start.
func (h *harness) doRound(ctx context.Context) error {
	l := startLoad(h.m, h.s, h.opts, h.rng)
	time.Sleep(minLoad + time.Duration(h.rng.Int64N(int64(h.opts.MaxLoad-minLoad)+1)))
	if !h.s.alive() {
		l.kill()
		return fmt.Errorf("the server ended by itself: %w\n%s", errors.Join(errEnded, h.s.exitErr), tail(h.opts.Dir))
	}
	l.kill()
	h.s = nil
	if err := ctx.Err(); err != nil {
		return err
	}
	pending := len(h.m.pending)
	if err := h.killStarting(); err != nil {
		return err
	}
	began := time.Now()
	if err := h.restart(ctx); err != nil {
		return err
	}
	started := time.Since(began)
	w, err := h.check(ctx, false)
	if err != nil {
		return err
	}
	rebuilt := ""
	if h.opts.RebuildEvery > 0 && h.m.round%h.opts.RebuildEvery == 0 {
		rebuilt = ", replica made again from the log"
		if err := h.rebuild(ctx, w); err != nil {
			return err
		}
	}
	if err := h.s.verify(ctx); err != nil {
		return err
	}
	messages := 0
	for _, boxes := range w {
		for _, b := range boxes {
			messages += len(b.messages)
		}
	}
	fmt.Fprintf(h.opts.Out, "round %d: %d sent so far, %d messages, %d commands cut off, started in %v%s: ok\n",
		h.m.round, h.m.serial, messages, pending, started.Round(time.Millisecond), rebuilt)
	return nil
}

func (h *harness) restart(ctx context.Context) (err error) {
	h.s, err = start(ctx, h.opts.Bin, h.opts.Dir)
	return err
}

// killStarting kills, in some rounds, a server that is starting.
func (h *harness) killStarting() error {
	for h.rng.IntN(4) == 0 {
		s, err := launch(h.opts.Bin, h.opts.Dir)
		if err != nil {
			return err
		}
		time.Sleep(time.Duration(h.rng.Int64N(int64(300 * time.Millisecond))))
		s.kill()
	}
	return nil
}

// check compares what IMAP shows with what has to be there. It compares octets that were not compared before, some others, or all.
func (h *harness) check(ctx context.Context, all bool) (world, error) {
	type place struct{ account, box, key string }
	checked := map[place]bool{}
	for _, a := range h.m.accounts {
		for _, b := range a.boxes {
			for _, m := range b.live {
				checked[place{a.name, b.name, m.key}] = m.checked
			}
		}
	}
	w := world{}
	for _, a := range h.m.accounts {
		boxes, err := observe(h.s.imap, a.name, func(box string, m *seenMessage) bool {
			return all || !checked[place{a.name, box, m.key}] || h.rng.IntN(20) == 0
		})
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w\n%s", a.name, err, tail(h.opts.Dir))
		}
		w[a.name] = boxes
	}
	h.m.check(w)
	return w, errors.Join(h.m.err(), ctx.Err())
}

// rebuild removes the replica while no server runs. The log brings everything back as it was.
func (h *harness) rebuild(ctx context.Context, before world) error {
	was, err := h.s.status(ctx)
	if err != nil {
		return err
	}
	if h.rng.IntN(2) == 0 {
		h.s.kill()
	} else if err := h.s.stop(); err != nil {
		return err
	}
	data := h.s.data
	h.s = nil
	if err := verifyOffline(ctx, h.opts.Bin, data); err != nil {
		return err
	}
	for shard := range max(h.opts.Shards, 1) {
		if err := os.RemoveAll(filepath.Join(data, fmt.Sprintf("shard-%d", shard))); err != nil {
			return err
		}
	}
	if err := h.restart(ctx); err != nil {
		return err
	}
	is, err := h.s.status(ctx)
	if err != nil {
		return err
	}
	if is.Digest != was.Digest || is.Messages != was.Messages || is.Mailboxes != was.Mailboxes {
		return fmt.Errorf("the replica differs that was made from the log: digest %s, %d messages, %d mailboxes; before %s, %d, %d",
			is.Digest, is.Messages, is.Mailboxes, was.Digest, was.Messages, was.Mailboxes)
	}
	after, err := h.check(ctx, true)
	if err != nil {
		return fmt.Errorf("after the replica was made from the log: %w", err)
	}
	noText := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".text" }, cmp.Ignore())
	if diff := cmp.Diff(before, after, cmp.AllowUnexported(seenBox{}, seenMessage{}), noText); diff != "" {
		return fmt.Errorf("IMAP shows another state after the replica was made from the log (-before +after):\n%.4000s", diff)
	}
	return nil
}
