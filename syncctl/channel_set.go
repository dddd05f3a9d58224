package main

import (
	"context"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

// When a write is acknowledged: values of --ack.
const (
	ackLocal   = "local"
	ackReplica = "replica"
)

func newChannelSetCommand(g *globals) *cobra.Command {
	var ack string
	cmd := &cobra.Command{
		Use:   "set NAME --ack {local | replica}",
		Short: "Change when writes are acknowledged",
		Long: `With --ack local a write is acknowledged once it is on this node's disk; with
--ack replica not before it is on the other node's disk too.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			if ack != ackLocal && ack != ackReplica {
				return usagef("--ack: want %s or %s", ackLocal, ackReplica)
			}
			return runChannelChange(cmd.Context(), g, names[0], control.ChangeChannel{Ack: &ack}, "acknowledges as "+ack)
		},
	}
	cmd.Flags().StringVar(&ack, "ack", "", "local or replica")
	return cmd
}

// runChannelChange changes a channel; what tells of it then.
func runChannelChange(ctx context.Context, g *globals, name string, req control.ChangeChannel, what string) error {
	err := g.connect(ctx, false, func(c *control.Client, _ *meter) error { return c.ChangeChannel(ctx, name, req) })
	if err != nil {
		return err
	}
	return g.done(name, what)
}
