package main

import (
	"context"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newConsumerListCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List who may read the stream of events",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return runConsumerList(cmd.Context(), g) },
	}
}

func runConsumerList(ctx context.Context, g *globals) error {
	var list control.ConsumerList
	err := g.connect(ctx, false, func(c *control.Client, _ *meter) (err error) {
		list, err = c.Consumers(ctx)
		return err
	})
	switch {
	case err != nil:
		return err
	case g.json:
		return g.printJSON(list)
	}
	t := newTable(g.stdout, "CONSUMER", "READS", "CREATED")
	for _, c := range list.Consumers {
		reads := c.Account
		if reads == "" {
			reads = "all accounts"
		}
		t.row(c.Name, reads, timeText(c.Created))
	}
	return t.flush()
}
