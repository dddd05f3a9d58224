package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

type rebuildOptions struct {
	shard int
	yes   bool
}

func newRebuildCommand(g *globals) *cobra.Command {
	var opts rebuildOptions
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Make the replica anew from the log",
		Long: `Rebuild replays the log into a new replica beside the one there is, compares the
two at the same position, and puts the new one in its place. No mail is lost:
the log is the truth. A running server takes the new replica into use by a
restart inside its process: clients are disconnected for a moment, which is why
it asks first on a terminal.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var req control.RebuildRequest
			if cmd.Flags().Changed("shard") {
				if opts.shard < 0 {
					return usagef("--shard: shards are counted from 0")
				}
				req.Shard = &opts.shard
			}
			return runRebuild(cmd.Context(), g, opts, req)
		},
	}
	f := cmd.Flags()
	f.IntVar(&opts.shard, "shard", 0, "this shard only (default all)")
	f.BoolVar(&opts.yes, "yes", false, "do not ask")
	return cmd
}

func runRebuild(ctx context.Context, g *globals, opts rebuildOptions, req control.RebuildRequest) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		st, err := c.Status(ctx)
		if err != nil {
			return err
		}
		if st.Online && !opts.yes && !g.json && isTerminal(g.stdin) {
			err := m.aside(func() error {
				return g.confirm(ctx, "A server runs: its clients will be disconnected for a moment. Rebuild?")
			})
			if err != nil {
				return err
			}
		}
		m.show(control.Progress{What: "rebuild"})
		res, err := c.Rebuild(ctx, req, m.show)
		if err != nil {
			return err
		}
		m.end()
		return g.printRebuilt(res)
	})
}

func (g *globals) printRebuilt(res control.RebuildResult) error {
	if g.json {
		return g.printJSON(res)
	}
	t := newTable(g.stdout, "SHARD", "POSITION", "EVENTS", "SECONDS", "EVENTS/S", "DIGEST", "COMPARED WITH THE OLD REPLICA")
	for _, s := range res.Shards {
		compared := "could not be compared"
		switch {
		case s.Same:
			compared = "the same"
		case s.OldDigest != "":
			compared = "DIFFERS: was " + s.OldDigest
		}
		rate := uint64(float64(s.Events) / max(s.Seconds, 1e-6))
		t.row(s.Shard, s.Position, s.Events, fmt.Sprintf("%.1f", s.Seconds), rate, s.Digest, compared)
	}
	return t.flush()
}
