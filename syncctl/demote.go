package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

type demoteOptions struct {
	to  string
	yes bool
}

func newDemoteCommand(g *globals) *cobra.Command {
	var opts demoteOptions
	cmd := &cobra.Command{
		Use:   "demote --to NODE",
		Short: "Hand over to another node",
		Long: `Make another node the primary in place of this one, after asking. Nothing is lost:
it is what syncctl promote does at the other end.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.to == "" {
				return usagef("name the node that takes over with --to")
			}
			return runDemote(cmd.Context(), g, opts)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.to, "to", "", "the node that takes over")
	f.BoolVar(&opts.yes, "yes", false, "do not ask")
	return cmd
}

func runDemote(ctx context.Context, g *globals, opts demoteOptions) error {
	err := g.connect(ctx, false, func(c *control.Client, m *meter) error {
		if err := g.consent(ctx, m, opts.yes, fmt.Sprintf("Hand over to %s?", opts.to)); err != nil {
			return err
		}
		m.show(control.Progress{What: "hand over"})
		return c.Demote(ctx, control.DemoteRequest{To: opts.to})
	})
	if err != nil {
		return err
	}
	return g.done(opts.to, "is the primary now")
}
