package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newChannelRemoveCommand(g *globals) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "End a channel for good",
		Long: `End a channel for good, after asking. The other node keeps what it has, follows
no more, and needs a new token to come back.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			return runChannelRemove(cmd.Context(), g, names[0], yes)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func runChannelRemove(ctx context.Context, g *globals, name string, yes bool) error {
	err := g.connect(ctx, false, func(c *control.Client, m *meter) error {
		question := fmt.Sprintf("Remove the channel to %s? It needs a new token to come back.", name)
		if err := g.consent(ctx, m, yes, question); err != nil {
			return err
		}
		return c.RemoveChannel(ctx, name)
	})
	if err != nil {
		return err
	}
	return g.done(name, "removed")
}

// consent asks a question on the terminal, unless yes was said already: nil if the answer is yes.
func (g *globals) consent(ctx context.Context, m *meter, yes bool, question string) error {
	if yes {
		return nil
	}
	return m.aside(func() error { return g.confirm(ctx, question) })
}
