package main

import (
	"context"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newChannelListCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the links to other nodes",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return runChannelList(cmd.Context(), g) },
	}
}

func runChannelList(ctx context.Context, g *globals) error {
	var list control.ChannelList
	err := g.connect(ctx, false, func(c *control.Client, _ *meter) (err error) {
		list, err = c.Channels(ctx)
		return err
	})
	switch {
	case err != nil:
		return err
	case g.json:
		return g.printJSON(list)
	}
	t := newTable(g.stdout, "NODE", "LINK", "STATE", "ACK", "ADDRESS", "SENT", "RECEIVED", "LAST SEEN", "ERROR")
	for _, ch := range list.Channels {
		link, state := "joined by it", "disconnected"
		if ch.Joins {
			link = "joins it"
		}
		switch {
		case ch.Paused:
			state = "paused"
		case ch.Connected:
			state = "connected"
		}
		t.row(ch.Name, link, state, ch.Ack, ch.Address, bytesText(ch.Sent), bytesText(ch.Received), timeText(ch.LastSeen), ch.Error)
	}
	return t.flush()
}
