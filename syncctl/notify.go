package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newNotifyCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Look after the receivers of events",
		Long:  `Look after the receivers of events (docs/events.md). They are there while the server runs.`,
	}
	makeGroup(cmd)
	cmd.AddCommand(newNotifyStatusCommand(g))
	return cmd
}

func newNotifyStatusCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how the receivers of events do",
		Long: `Show the NATS listener and, for each receiver, how far it is behind, what it was
given since the server started, and what it never took.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runNotifyStatus(cmd.Context(), g) },
	}
}

func runNotifyStatus(ctx context.Context, g *globals) error {
	c, err := control.Dial(ctx, g.data)
	if err != nil {
		return unusable(err)
	}
	st, err := c.Notify(ctx)
	switch {
	case err != nil:
		return err
	case g.json:
		return g.printJSON(st)
	}
	return g.printNotify(st)
}

func (g *globals) printNotify(st control.NotifyStatus) error {
	listener := "no NATS listener"
	if st.Address != "" {
		listener = fmt.Sprintf("NATS listener at %s, %s connected", plain(st.Address), count(uint64(max(st.Connected, 0)), "consumer"))
	}
	err := g.printf("%s\n", listener)
	if err != nil || len(st.Sinks) == 0 {
		return err
	}
	if err := g.printf("\n"); err != nil {
		return err
	}
	t := newTable(g.stdout, "SINK", "KIND", "STATE", "BEHIND", "DELIVERED", "DEAD LETTERS", "LOST", "LAST EVENT")
	for _, s := range st.Sinks {
		t.row(s.Name, s.Kind, s.State, s.Behind, s.Delivered, s.DeadLettered, s.Lost, timeText(s.Time))
	}
	err = t.flush()
	for _, s := range st.Sinks {
		if s.Error != "" {
			err = errors.Join(err, g.printf("\n%s is %s: %s\n", plain(s.Name), plain(s.State), plain(s.Error)))
		}
	}
	return err
}
