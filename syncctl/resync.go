package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

type resyncOptions struct {
	from  string
	shard int
	yes   bool
}

func newResyncCommand(g *globals) *cobra.Command {
	var opts resyncOptions
	cmd := &cobra.Command{
		Use:   "resync",
		Short: "Make this node's replicas anew from another node",
		Long: `Fetch this node's replicas anew from another node, after asking. What there is
stays in use until its replacement is complete, and is set aside then, not
deleted. The server takes the new replicas into use by a restart inside its
process: clients are disconnected for a moment.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			req := control.ResyncRequest{From: opts.from}
			if cmd.Flags().Changed("shard") {
				if opts.shard < 0 {
					return usagef("--shard: shards are counted from 0")
				}
				req.Shard = &opts.shard
			}
			return runResync(cmd.Context(), g, opts, req)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.from, "from", "", "the node to fetch from (default the primary)")
	f.IntVar(&opts.shard, "shard", 0, "this shard only (default all)")
	f.BoolVar(&opts.yes, "yes", false, "do not ask")
	return cmd
}

func runResync(ctx context.Context, g *globals, opts resyncOptions, req control.ResyncRequest) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		from := req.From
		if from == "" {
			from = "the primary"
		}
		question := fmt.Sprintf("Fetch the replicas of this node anew from %s? Its clients will be disconnected for a moment.", from)
		if err := g.consent(ctx, m, opts.yes, question); err != nil {
			return err
		}
		m.show(control.Progress{What: "resync"})
		res, err := c.Resync(ctx, req, m.show)
		if err != nil {
			return err
		}
		m.end()
		return g.printResynced(res)
	})
}

func (g *globals) printResynced(res control.ResyncResult) error {
	if g.json {
		return g.printJSON(res)
	}
	t := newTable(g.stdout, "SHARD", "FROM", "POSITION", "SIZE", "SECONDS", "SET ASIDE IN")
	for _, s := range res.Shards {
		t.row(s.Shard, s.From, s.Position, bytesText(s.Bytes), fmt.Sprintf("%.1f", s.Seconds), s.Aside)
	}
	return t.flush()
}
