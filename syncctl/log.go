package main

import (
	"context"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newLogCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "log", Short: "Look at the log"}
	makeGroup(cmd)
	cmd.AddCommand(newLogShowCommand(g), newLogStatCommand(g))
	return cmd
}

// allShards is the value of --shard for all of them.
const allShards = -1

// shardFlag is the shard that a command is about.
func shardFlag(cmd *cobra.Command, value *int) {
	cmd.Flags().IntVar(value, "shard", allShards, "this shard only; -1 for all")
}

// shards lists the shards that a command is about.
func shards(ctx context.Context, c *control.Client, shard int) ([]int, error) {
	if shard >= 0 {
		return []int{shard}, nil
	}
	if shard != allShards {
		return nil, usagef("--shard: shards are counted from 0")
	}
	st, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]int, len(st.Shards))
	for i, s := range st.Shards {
		list[i] = s.Shard
	}
	return list, nil
}
