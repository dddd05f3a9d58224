package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"angarium/internal/control"
	"angarium/replica"
)

func newStatusCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how the node and its shards do",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return runStatus(cmd.Context(), g) },
	}
}

func runStatus(ctx context.Context, g *globals) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		st, err := c.Status(ctx)
		if err != nil {
			return err
		}
		m.end()
		if g.json {
			err = g.printJSON(st)
		} else {
			err = g.printStatus(st)
		}
		if err != nil {
			return err
		}
		return halted(st)
	})
}

func halted(st control.Status) error {
	for _, s := range st.Shards {
		if s.State == replica.Halted {
			return &control.Error{
				Code: control.CodeHalted, Message: fmt.Sprintf("shard %d is halted at position %d", s.Shard, s.HaltPosition),
				Hint: "syncctl verify --deep tells whether the log or the replica is damaged; syncctl rebuild makes the replica anew from the log",
			}
		}
	}
	return nil
}

func (g *globals) printStatus(st control.Status) error {
	how := "no server runs"
	if st.Online {
		how = "server runs since " + timeText(st.Started)
	}
	if st.Version != "" {
		how = "version " + st.Version + ", " + how
	}
	if err := g.printf("node %s, %s\n", plain(st.Node), plain(how)); err != nil {
		return err
	}
	for _, service := range slices.Sorted(maps.Keys(st.Sessions)) {
		if err := g.printf("%s: %s\n", plain(service), count(uint64(max(st.Sessions[service], 0)), "connection")); err != nil {
			return err
		}
	}
	if err := g.printf("\n"); err != nil {
		return err
	}
	t := newTable(g.stdout, "SHARD", "ROLE", "STATE", "EPOCH", "POSITION", "APPLIED", "LAG", "MAILBOXES", "MESSAGES", "BODIES", "DIGEST")
	for _, s := range st.Shards {
		lag := ""
		if s.Applied < s.Position {
			lag = time.Duration(s.LagSeconds * float64(time.Second)).Round(time.Second / 10).String()
		}
		t.row(s.Shard, s.Role, s.State, s.Epoch, s.Position, s.Applied, lag, s.Mailboxes, s.Messages, bytesText(s.BodyBytes), s.Digest)
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, s := range st.Shards {
		if s.Reason != "" {
			if err := g.printf("\nshard %d is %s: %s\n", s.Shard, plain(s.State), plain(s.Reason)); err != nil {
				return err
			}
		}
	}
	return nil
}
