package main

import "github.com/spf13/cobra"

func newConsumerCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "consumer",
		Short: "Manage who may read the stream of events",
		Long: `Manage the credentials with which other programs read the stream of events from the
NATS listener (angarium serve --nats ADDR; docs/events.md).`,
	}
	makeGroup(cmd)
	cmd.AddCommand(newConsumerAddCommand(g), newConsumerListCommand(g), newConsumerRemoveCommand(g))
	return cmd
}
