package main

import (
	"context"
	"strconv"
	"time"

	"angarium/internal/control"
)

// How often status --watch asks: what is used without a number, and what is allowed.
const (
	watchEvery    = 2 * time.Second
	minWatchEvery = 100 * time.Millisecond
	maxWatchEvery = 24 * time.Hour
)

// clearScreen moves to the top left corner of a terminal and clears it.
const clearScreen = "\x1b[H\x1b[2J"

// watchInterval reads the number of seconds after --watch.
func watchInterval(args []string) (time.Duration, error) {
	if len(args) == 0 {
		return watchEvery, nil
	}
	seconds, err := strconv.ParseFloat(args[0], 64)
	if err != nil || !(seconds >= minWatchEvery.Seconds() && seconds <= maxWatchEvery.Seconds()) { // not a number is neither
		return 0, usagef("%q: --watch takes seconds, from %g to %g", args[0], minWatchEvery.Seconds(), maxWatchEvery.Seconds())
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// watchStatus prints the status again and again until ctx ends. It asks a server only: with the data directory open it would be in the
// way of a server that starts. One that went away after the first answer is waited for.
func watchStatus(ctx context.Context, g *globals, every time.Duration) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for first := true; ; first = false {
		st, err := serverStatus(ctx, g)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && first:
			return err
		case err != nil:
			g.report(describe(err))
		default:
			if err := g.printWatched(st); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

func serverStatus(ctx context.Context, g *globals) (control.Status, error) {
	c, err := control.Dial(ctx, g.data)
	if err != nil {
		return control.Status{}, unusable(err)
	}
	return c.Status(ctx)
}

// printWatched prints one status of many: on a terminal in place of the one before.
func (g *globals) printWatched(st control.Status) error {
	if g.json {
		return g.printJSON(st)
	}
	head := "\n" + timeText(time.Now()) + "\n"
	if isTerminal(g.stdout) {
		head = clearScreen + head[1:]
	}
	if err := g.printf("%s", head); err != nil {
		return err
	}
	return g.printStatus(st)
}
