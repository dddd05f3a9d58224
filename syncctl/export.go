package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newExportCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Copy accounts out of the store",
		Long: `Copy accounts out of the store, with everything that is needed to come back
(docs/migration.md). The store serves on; a second export into the same directory
brings it up to date.`,
	}
	cmd.AddCommand(
		newExportFormatCommand(g, "maildir", "Maildirs", "Maildir++ with the files of Dovecot that hold UIDs, keywords and subscriptions. syncctl import dovecot --maildir\nbrings it back with its numbers"),
		newExportFormatCommand(g, "mbox", "mbox files", "an mbox file for each mailbox, with flags and UIDs in header fields. Lines end in LF in it,\nand a last line that has no end gets one"),
		newExportFormatCommand(g, "archive", "directories that have everything", "messages as they were received, and a manifest with all numbers. syncctl import archive\nbrings it back"),
	)
	makeGroup(cmd)
	return cmd
}

func newExportFormatCommand(g *globals, format, title, what string) *cobra.Command {
	req := control.ExportRequest{Format: format}
	all := false
	cmd := &cobra.Command{
		Use:   format + " DIR {--account ACCOUNT … | --all}",
		Short: "Copy accounts out of the store into " + title,
		Long: "Write accounts as " + what + `. The directory is one of the server's machine,
and its user writes it. Of several accounts each has a directory of its name in it.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, list []string) error {
			if all == (len(req.Accounts) > 0) {
				return usagef("name accounts with --account, or all of them with --all")
			}
			dir, err := filepath.Abs(list[0])
			if err != nil {
				return usageError{err}
			}
			req.Dir = dir
			return runExport(cmd.Context(), g, req)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&req.Accounts, "account", nil, "account to export")
	f.BoolVar(&all, "all", false, "export all accounts")
	f.StringSliceVar(&req.Include, "include", nil, "these mailboxes only: * is anything, % anything within a level")
	f.StringSliceVar(&req.Exclude, "exclude", nil, "not these mailboxes")
	f.BoolVar(&req.DryRun, "dry-run", false, "only say what would be done")
	return cmd
}

func runExport(ctx context.Context, g *globals, req control.ExportRequest) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		return g.transfer(m, "export", func(each func(control.Transferred) error) (control.TransferResult, error) {
			return c.Export(ctx, req, each, m.show)
		})
	})
}
