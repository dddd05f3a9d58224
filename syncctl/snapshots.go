package main

import (
	"context"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newSnapshotsCommand(g *globals) *cobra.Command {
	var ref control.ArchiveRef
	cmd := &cobra.Command{
		Use:   "snapshots",
		Short: "List what the archive can come back to",
		Long: `List the snapshots of the archive, and from which position to which its history is
whole: any position between them can be restored, too.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkArchive(cmd, &ref); err != nil {
				return err
			}
			return runSnapshots(cmd.Context(), g, ref)
		},
	}
	archiveFlags(cmd, &ref)
	return cmd
}

func runSnapshots(ctx context.Context, g *globals, ref control.ArchiveRef) error {
	return g.connectArchive(ctx, ref, func(c *control.Client, m *meter) error {
		list, err := c.Snapshots(ctx, ref)
		if err != nil {
			return err
		}
		m.end()
		if g.json {
			return g.printJSON(list)
		}
		if err := g.printf("%s: %s, %s\n", plain(list.Target), count(uint64(list.Objects), "object"), bytesText(uint64(list.Bytes))); err != nil {
			return err
		}
		for _, s := range list.Shards {
			if err := g.printf("shard %d: positions %d to %d, of %s\n", s.Shard, s.First, s.Last, timeText(s.Time)); err != nil {
				return err
			}
			if s.Error != "" {
				if err := g.printf("shard %d: %s\n", s.Shard, plain(s.Error)); err != nil {
					return err
				}
			}
		}
		if err := g.printf("\n"); err != nil {
			return err
		}
		return g.printSnapshots(list.Shards)
	})
}

func (g *globals) printSnapshots(shards []control.ArchivedShard) error {
	t := newTable(g.stdout, "SHARD", "POSITION", "TIME", "ROWS", "BODIES", "SIZE", "OBJECT")
	for _, shard := range shards {
		for _, s := range shard.Snapshots {
			t.row(s.Shard, s.Position, timeText(s.Time), s.Rows, s.Bodies, bytesText(uint64(s.Bytes)), s.Object)
		}
	}
	return t.flush()
}
