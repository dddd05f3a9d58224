package main

import (
	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newChannelPauseCommand(g *globals) *cobra.Command {
	return channelPauseCommand(g, true, &cobra.Command{
		Use:   "pause NAME",
		Short: "Stop following over a channel for a while",
		Long: `Stop following over a channel until syncctl channel resume. The node that follows
falls behind, and goes on from where it stopped.`,
	}, "paused")
}

func newChannelResumeCommand(g *globals) *cobra.Command {
	return channelPauseCommand(g, false, &cobra.Command{
		Use:   "resume NAME",
		Short: "Go on with a channel that was paused",
	}, "resumed")
}

func channelPauseCommand(g *globals, paused bool, cmd *cobra.Command, what string) *cobra.Command {
	cmd.Args = args(cobra.ExactArgs(1))
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		return runChannelChange(cmd.Context(), g, names[0], control.ChangeChannel{Paused: &paused}, what)
	}
	return cmd
}
