package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

type pruneOptions struct {
	req    control.PruneRequest
	within string
	yes    bool
}

func newPruneCommand(g *globals) *cobra.Command {
	var opts pruneOptions
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove snapshots from the archive, and what no kept one needs",
		Long: `Remove snapshots from the archive. Those that any of the rules names are kept, and
the newest always; without rules those of the server's configuration apply. What a
kept snapshot needs is never removed: the bodies of its messages are gathered
first. From the first snapshot within --keep-within on, every point in time can
be restored.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkArchive(cmd, &opts.req.Archive); err != nil {
				return err
			}
			if opts.within != "" {
				d, err := parseDays(opts.within)
				if err != nil {
					return err
				}
				opts.req.Keep.Within = d
			}
			k := opts.req.Keep
			if min(k.Last, k.Hourly, k.Daily, k.Weekly, k.Monthly) < 0 {
				return usagef("a number of snapshots to keep is negative")
			}
			return runPrune(cmd.Context(), g, opts)
		},
	}
	archiveFlags(cmd, &opts.req.Archive)
	f := cmd.Flags()
	k := &opts.req.Keep
	f.IntVar(&k.Last, "keep-last", 0, "keep the newest so many")
	f.IntVar(&k.Hourly, "keep-hourly", 0, "keep the newest of each of the last so many hours that have one")
	f.IntVar(&k.Daily, "keep-daily", 0, "the same, of days (UTC)")
	f.IntVar(&k.Weekly, "keep-weekly", 0, "the same, of weeks")
	f.IntVar(&k.Monthly, "keep-monthly", 0, "the same, of months")
	f.StringVar(&opts.within, "keep-within", "", "keep all of this time up to now, as 7d or 36h")
	f.BoolVar(&opts.req.DryRun, "dry-run", false, "only say what would be removed")
	f.BoolVar(&opts.yes, "yes", false, "do not ask")
	return cmd
}

// parseDays reads a duration that may have days: "7d", "1d12h", "36h".
func parseDays(text string) (time.Duration, error) {
	days, rest, found := strings.Cut(text, "d")
	var sum time.Duration
	if found {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, usagef("%q is no duration: as 7d or 36h", text)
		}
		sum = time.Duration(n) * 24 * time.Hour
	} else {
		rest = text
	}
	if rest != "" || !found {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 {
			return 0, usagef("%q is no duration: as 7d or 36h", text)
		}
		sum += d
	}
	return sum, nil
}

func runPrune(ctx context.Context, g *globals, opts pruneOptions) error {
	return g.connectArchive(ctx, opts.req.Archive, func(c *control.Client, m *meter) error {
		req := opts.req
		if !req.DryRun && !opts.yes {
			req.DryRun = true
			plan, err := c.Prune(ctx, req)
			if err != nil {
				return err
			}
			if err := m.aside(func() error { return g.printPruned(plan) }); err != nil {
				return err
			}
			if err := g.consent(ctx, m, false, "Remove this from the archive?"); err != nil {
				return err
			}
			req.DryRun = false
		}
		m.show(control.Progress{What: "prune"})
		res, err := c.Prune(ctx, req)
		if err != nil {
			return err
		}
		m.end()
		if g.json {
			return g.printJSON(res)
		}
		return g.printPruned(res)
	})
}

func (g *globals) printPruned(res control.PruneResult) error {
	what := "removed"
	if res.DryRun {
		what = "to be removed"
	}
	for _, s := range res.Shards {
		err := g.printf("shard %d: %s kept, %s %s with %s (%s); any point from position %d on\n", s.Shard, count(uint64(len(s.Keep)), "snapshot"),
			count(uint64(len(s.Remove)), "snapshot"), what, count(uint64(s.Objects), "object"), bytesText(uint64(s.Bytes)), s.From)
		if err != nil {
			return err
		}
	}
	t := newTable(g.stdout, "SHARD", "POSITION", "TIME", "")
	for _, s := range res.Shards {
		for _, k := range s.Keep {
			t.row(s.Shard, k.Position, timeText(k.Time), "keep")
		}
		for _, k := range s.Remove {
			t.row(s.Shard, k.Position, timeText(k.Time), fmt.Sprint(what))
		}
	}
	return t.flush()
}
