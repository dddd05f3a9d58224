package main

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

// logStatOutput is what --json prints of log stat.
type logStatOutput struct {
	Shards []control.LogStat `json:"shards"`
}

type logStatOptions struct{ shard int }

func newLogStatCommand(g *globals) *cobra.Command {
	var opts logStatOptions
	cmd := &cobra.Command{
		Use:   "stat",
		Short: "Sum up the log",
		Long: `Sum up the log: the positions it holds, and how many events of which kind. It
is read whole for this.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runLogStat(cmd.Context(), g, opts) },
	}
	shardFlag(cmd, &opts.shard)
	return cmd
}

func runLogStat(ctx context.Context, g *globals, opts logStatOptions) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		list, err := shards(ctx, c, opts.shard)
		if err != nil {
			return err
		}
		out := logStatOutput{Shards: []control.LogStat{}}
		for _, shard := range list {
			st, err := c.LogStat(ctx, shard, m.show)
			if err != nil {
				return err
			}
			out.Shards = append(out.Shards, st)
		}
		m.end()
		if g.json {
			return g.printJSON(out)
		}
		return g.printLogStat(out)
	})
}

func (g *globals) printLogStat(out logStatOutput) error {
	for i, st := range out.Shards {
		if i > 0 {
			if err := g.printf("\n"); err != nil {
				return err
			}
		}
		if err := g.printf("shard %d: positions %d to %d, %s to %s\n%s, %s, %s\n\n", st.Shard, st.First, st.Last, timeText(st.From), timeText(st.To),
			count(st.Envelopes, "envelope"), count(st.Events, "event"), bytesText(st.Bytes)); err != nil {
			return err
		}
		t := newTable(g.stdout, "KIND", "EVENTS")
		for _, kind := range slices.Sorted(maps.Keys(st.Kinds)) {
			t.row(kind, st.Kinds[kind])
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	return nil
}
