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
	watch := false
	cmd := &cobra.Command{
		Use:   "status [--watch [SECONDS]]",
		Short: "Show how the node, its shards and its channels do",
		Long: `Show how the node, its shards and its channels to other nodes do, and what would be
lost if the primary died now. With --watch it is shown again every SECONDS
(default 2) until interrupted; a server has to run.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, list []string) error {
			if !watch {
				if len(list) > 0 {
					return usagef("%q: a number of seconds goes with --watch only", list[0])
				}
				return runStatus(cmd.Context(), g)
			}
			every, err := watchInterval(list)
			if err != nil {
				return err
			}
			return watchStatus(cmd.Context(), g, every)
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again and again")
	return cmd
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
				Hint: "syncctl verify --deep tells whether the log or the replica is damaged; syncctl resync makes the replica anew from another node, syncctl rebuild from the log",
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
	primary := "no primary known"
	if st.Primary != "" {
		primary = "primary " + st.Primary
	}
	if err := g.printf("epoch %d, %s\n", st.Epoch, plain(primary)); err != nil {
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
	if err := g.printShards(st.Shards); err != nil {
		return err
	}
	if err := g.printChannels(st); err != nil {
		return err
	}
	if st.Scrub != nil {
		if err := g.printf("\n"); err != nil {
			return err
		}
		if err := g.printScrub(*st.Scrub); err != nil {
			return err
		}
	}
	for _, alarm := range st.Alarms {
		if err := g.printf("\nALARM: %s\n", plain(alarm)); err != nil {
			return err
		}
	}
	return nil
}

func (g *globals) printShards(shards []control.ShardStatus) error {
	t := newTable(g.stdout, "SHARD", "ROLE", "STATE", "EPOCH", "POSITION", "APPLIED", "LAG", "MAILBOXES", "MESSAGES", "BODIES", "DIGEST")
	for _, s := range shards {
		lag := ""
		if s.Applied < s.Position {
			lag = time.Duration(s.LagSeconds * float64(time.Second)).Round(time.Second / 10).String()
		}
		t.row(s.Shard, s.Role, s.State, s.Epoch, s.Position, s.Applied, lag, s.Mailboxes, s.Messages, bytesText(s.BodyBytes), s.Digest)
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, s := range shards {
		if s.Reason != "" {
			if err := g.printf("\nshard %d is %s: %s\n", s.Shard, plain(s.State), plain(s.Reason)); err != nil {
				return err
			}
		}
	}
	return nil
}
