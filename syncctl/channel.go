package main

import "github.com/spf13/cobra"

func newChannelCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "channel",
		Short: "Manage the links to other nodes",
		Long: `Manage the links to other nodes. A node that joins this one follows its log and
can take over from it. Channels are there while the server runs.`,
	}
	makeGroup(cmd)
	cmd.AddCommand(newChannelAddCommand(g), newChannelListCommand(g), newChannelSetCommand(g), newChannelPauseCommand(g),
		newChannelResumeCommand(g), newChannelRemoveCommand(g))
	return cmd
}
