package main

import (
	"context"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newConsumerRemoveCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a program's credentials away",
		Long: `Take a program's credentials away, at once: who is connected with them is
disconnected. It does not ask: new credentials are easily made.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error { return runConsumerRemove(cmd.Context(), g, names[0]) },
	}
}

func runConsumerRemove(ctx context.Context, g *globals, name string) error {
	err := g.connect(ctx, false, func(c *control.Client, _ *meter) error { return c.RemoveConsumer(ctx, name) })
	if err != nil {
		return err
	}
	return g.done(name, "removed")
}
