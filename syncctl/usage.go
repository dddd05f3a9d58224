package main

import (
	"context"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newUsageCommand(g *globals) *cobra.Command {
	var ref control.ArchiveRef
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Say where the disk goes",
		Long: `Say how much the log, the shards and the archive take, how much of the log is held
and what it is kept for, and how much of the bodies is of messages that are gone.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkArchive(cmd, &ref); err != nil {
				return err
			}
			return runUsage(cmd.Context(), g, ref)
		},
	}
	archiveFlags(cmd, &ref)
	return cmd
}

func runUsage(ctx context.Context, g *globals, ref control.ArchiveRef) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		u, err := c.Usage(ctx, ref)
		if err != nil {
			return err
		}
		m.end()
		if g.json {
			return g.printJSON(u)
		}
		if err := g.printf("%s: %s free\nlog: %s\n", plain(u.Data), bytesText(u.Free), bytesText(u.Log)); err != nil {
			return err
		}
		for _, s := range u.Shards {
			err := g.printf("shard %d: bodies %s, index %s, log positions %d to %d\n", s.Shard, bytesText(s.Bodies), bytesText(s.Index), s.First, s.Last)
			if err == nil {
				err = g.printRetention(s.Retention)
			}
			if err != nil {
				return err
			}
		}
		if err := g.printf("other: %s\n", bytesText(u.Other)); err != nil || u.Archive == nil {
			return err
		}
		return g.printf("archive %s: %s, %s\n", plain(u.Archive.Target), count(uint64(u.Archive.Objects), "object"), bytesText(uint64(u.Archive.Bytes)))
	})
}
