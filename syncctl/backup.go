package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"angarium/internal/control"
	"angarium/internal/node"
)

// archiveFlags adds the flags that name an archive.
func archiveFlags(cmd *cobra.Command, ref *control.ArchiveRef) {
	f := cmd.Flags()
	f.StringVar(&ref.URL, "archive", "", "the archive: file:///DIR or s3://BUCKET/PREFIX (default that of the server or of --config)")
	f.StringVar(&ref.KeyFile, "key-file", "", "key file of --archive, if that is encrypted")
}

// checkArchive settles flags that name an archive. A server may have another working directory.
func checkArchive(cmd *cobra.Command, ref *control.ArchiveRef) error {
	if cmd.Flags().Changed("archive") && ref.URL == "" {
		return usagef("--archive names no archive")
	}
	if ref.KeyFile == "" {
		return nil
	}
	if ref.URL == "" {
		return usagef("--key-file goes with --archive")
	}
	abs, err := filepath.Abs(ref.KeyFile)
	if err != nil {
		return usagef("--key-file: %v", err)
	}
	ref.KeyFile = abs
	return nil
}

// connectArchive calls use with a client for what needs an archive only: in this process when one is named.
func (g *globals) connectArchive(ctx context.Context, ref control.ArchiveRef, use func(*control.Client, *meter) error) error {
	if ref.URL == "" {
		return g.connect(ctx, false, use)
	}
	m := g.newMeter()
	defer m.end()
	return use(control.NewClient(node.ArchiveHandler(g.logger())), m)
}

func newBackupCommand(g *globals) *cobra.Command {
	var ref control.ArchiveRef
	now, key := false, ""
	cmd := &cobra.Command{
		Use:   "backup --now|--new-key FILE",
		Short: "Bring everything up to now into the archive, with a snapshot",
		Long: `Backup happens by itself: a server with an archive copies the log to it as it
grows. With --now the tool waits until all that is committed at this moment is
there, and takes a snapshot of every shard.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if key != "" {
				return node.NewArchiveKey(key)
			}
			if !now {
				return usagef("backup happens by itself; --now makes one at once")
			}
			if err := checkArchive(cmd, &ref); err != nil {
				return err
			}
			return runBackup(cmd.Context(), g, ref)
		},
	}
	archiveFlags(cmd, &ref)
	cmd.Flags().StringVar(&key, "new-key", "", "make a key file for an encrypted archive, and do nothing else")
	cmd.Flags().BoolVar(&now, "now", false, "at once")
	return cmd
}

func runBackup(ctx context.Context, g *globals, ref control.ArchiveRef) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		m.show(control.Progress{What: "back up"})
		res, err := c.Backup(ctx, ref, m.show)
		if err != nil {
			return err
		}
		m.end()
		if g.json {
			return g.printJSON(res)
		}
		if err := g.printf("backed up to %s\n", plain(res.Target)); err != nil {
			return err
		}
		t := newTable(g.stdout, "SHARD", "POSITION", "UPLOADED", "SECONDS", "SNAPSHOT")
		for _, s := range res.Shards {
			t.row(s.Shard, s.Position, bytesText(s.Bytes), fmt.Sprintf("%.1f", s.Seconds), s.Snapshot)
		}
		return t.flush()
	})
}
