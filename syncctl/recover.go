package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"angarium/internal/control"
	"angarium/internal/node"
)

func newRecoverCommand(g *globals) *cobra.Command {
	var opts node.RecoverOptions
	cmd := &cobra.Command{
		Use:   "recover --archive URL --data NEW",
		Short: "Make a whole store out of an archive, in an empty directory",
		Long: `Make a whole store out of an archive, in an empty data directory on a bare machine.
UIDVALIDITY, UIDs, modseqs and flags are what they were: clients do not notice.
angarium serve opens it afterwards. A recovery that was interrupted goes on when
it is run again.

--at names a point before the end: a log position, RFC 3339, local time as
"2026-01-31 14:00" or "yesterday 14:00", or a time ago as -2h. The store that comes
of it has another future than the archive: give it an archive of its own.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("data") {
				return usagef("--data names the directory to make")
			}
			if err := checkArchive(cmd, &opts.Archive); err != nil {
				return err
			}
			if opts.Archive.URL == "" && g.config == "" {
				return usagef("--archive names the archive to recover from")
			}
			if cmd.Flags().Changed("at") {
				at, err := point("at", opts.At)
				if err != nil {
					return err
				}
				opts.At = at
			}
			opts.Data, opts.ConfigFile, opts.Logger = g.data, g.config, g.logger()
			return runRecover(cmd.Context(), g, opts)
		},
	}
	archiveFlags(cmd, &opts.Archive)
	f := cmd.Flags()
	f.StringVar(&opts.At, "at", "", "the point to recover (default all there is)")
	f.BoolVar(&opts.FromSnapshot, "from-snapshot", false, "begin at the newest snapshot: faster, and the log then has no history from before it")
	return cmd
}

// point reads a point of history of a flag, in local time.
func point(flag, text string) (string, error) {
	p, err := node.Point(text)
	if err != nil {
		return "", usagef("--%s: %v", flag, err)
	}
	return p, nil
}

func runRecover(ctx context.Context, g *globals, opts node.RecoverOptions) error {
	m := g.newMeter()
	defer m.end()
	m.show(control.Progress{What: "read the archive"})
	opts.Progress = func(p control.Progress, remains time.Duration) {
		if remains > time.Second {
			p.Unit += fmt.Sprintf(" (about %s left)", remains.Round(time.Second))
		}
		m.show(p)
	}
	res, err := node.Recover(ctx, opts)
	if err != nil {
		return err
	}
	m.end()
	if g.json {
		return g.printJSON(res)
	}
	if err := g.printf("recovered %s from %s in %.1f s\n", plain(res.Data), plain(res.Target), res.Seconds); err != nil {
		return err
	}
	t := newTable(g.stdout, "SHARD", "POSITION", "LOG FROM", "EVENTS", "EVENTS/S", "MAILBOXES", "MESSAGES", "DIGEST")
	for _, s := range res.Shards {
		t.row(s.Shard, s.Position, s.First, s.Events, uint64(float64(s.Events)/max(s.Seconds, 1e-6)), s.Mailboxes, s.Messages, s.Digest)
	}
	return t.flush()
}
