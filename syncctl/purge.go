package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newPurgeCommand(g *globals) *cobra.Command {
	var req control.PurgeRequest
	var yes bool
	cmd := &cobra.Command{
		Use:   "purge",
		Short: "Purge what of the log is old and archived",
		Long: `Purge the beginning of the logs: what is older than [log] retain says, is in the
archive, and is needed by no replica, other node or receiver of events. A running
server does so by itself. With --dry-run, only say what could be purged and what
the log is kept for.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runPurge(cmd.Context(), g, req, yes) },
	}
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "only say what could be purged")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func runPurge(ctx context.Context, g *globals, req control.PurgeRequest, yes bool) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		if !req.DryRun && !yes {
			plan, err := c.Purge(ctx, control.PurgeRequest{DryRun: true}, m.show)
			if err != nil {
				return err
			}
			if err := m.aside(func() error { return g.printPurged(plan) }); err != nil {
				return err
			}
			if err := g.consent(ctx, m, false, "Purge this from the log?"); err != nil {
				return err
			}
		}
		m.show(control.Progress{What: "purge the log"})
		res, err := c.Purge(ctx, req, m.show)
		if err != nil {
			return err
		}
		m.end()
		if g.json {
			return g.printJSON(res)
		}
		return g.printPurged(res)
	})
}

func (g *globals) printPurged(res control.PurgeResult) error {
	what := "purged"
	if res.DryRun {
		what = "to be purged"
	}
	for _, s := range res.Shards {
		if err := g.printf("shard %d: log positions %d to %d, %s %s\n", s.Shard, s.First, s.Last, count(s.Purged, "position"), what); err != nil {
			return err
		}
	}
	t := newTable(g.stdout, "SHARD", "KEPT FROM", "FOR", "NAME", "")
	for _, s := range res.Shards {
		for _, h := range s.Holds {
			t.row(s.Shard, h.Position, h.Kind, plain(h.Name), plain(h.Detail))
		}
	}
	return t.flush()
}

func newCompactCommand(g *globals) *cobra.Command {
	var req control.CompactRequest
	cmd := &cobra.Command{
		Use:   "compact",
		Short: "Give back the disk space of expunged messages",
		Long: `Drop the bodies of messages that were expunged longer ago than [replica]
keep_bodies says, and write the bodies anew of segments that hold much garbage. A
running server does so by itself. What is dropped is still in the archive, and in
the log as far back as that reaches. With --dry-run, only say what there is to
give back.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runCompact(cmd.Context(), g, req) },
	}
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "only say what there is to give back")
	return cmd
}

func runCompact(ctx context.Context, g *globals, req control.CompactRequest) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		m.show(control.Progress{What: "compact bodies"})
		res, err := c.Compact(ctx, req, m.show)
		if err != nil {
			return err
		}
		m.end()
		if g.json {
			return g.printJSON(res)
		}
		return g.printCompacted(res)
	})
}

func (g *globals) printCompacted(res control.CompactResult) error {
	what := "removed"
	if res.DryRun {
		what = "to be removed"
	}
	for _, s := range res.Shards {
		err := g.printf("shard %d: %s dropped, %s without messages kept yet; %s %s (%s freed, %s written anew); bodies %s, of which garbage %s\n",
			s.Shard, count(uint64(s.Dropped), "body"), count(uint64(s.Waiting), "body"), count(s.Segments, "segment"), what, bytesText(s.Freed),
			bytesText(s.Moved), bytesText(s.After.Bytes), bytesText(s.After.Garbage))
		if err == nil && s.Held {
			err = g.printf("shard %d: some of it is still being read, and goes later\n", s.Shard)
		}
		if err == nil && s.Damaged > 0 {
			err = g.printf("shard %d: %s left alone, with damaged bodies: see syncctl verify --deep\n", s.Shard, count(s.Damaged, "segment"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// printRetention says what a shard keeps, and why.
func (g *globals) printRetention(r *control.Retention) error {
	if r == nil {
		return nil
	}
	if err := g.printf("  log since %s; %s can be purged\n", timeText(r.Log.FirstTime), count(r.Log.Purged, "position")); err != nil {
		return err
	}
	if r.Reason != "" {
		if err := g.printf("  log kept: %s\n", plain(r.Reason)); err != nil {
			return err
		}
	}
	err := g.printf("  bodies: live %s, garbage %s; %s without messages kept yet", bytesText(r.Bodies.Live), bytesText(r.Bodies.Garbage), count(uint64(r.Waiting), "body"))
	if err == nil && !r.Oldest.IsZero() {
		err = g.printf(", the first for %s", time.Since(r.Oldest).Round(time.Minute))
	}
	if err == nil && r.Running != nil {
		err = g.printf("; compaction runs: %s removed, %s written anew", count(r.Running.Segments, "segment"), bytesText(r.Running.Moved))
	}
	if err != nil {
		return err
	}
	return g.printf("\n")
}
