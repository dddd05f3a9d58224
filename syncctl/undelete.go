package main

import "github.com/spf13/cobra"

func newUndeleteCommand(g *globals) *cobra.Command {
	opts := restoreOptions{what: "Bring it back?"}
	cmd := &cobra.Command{
		Use:   "undelete MAILBOX --account NAME",
		Short: "Bring back a mailbox that was deleted",
		Long: `Bring back a mailbox as it was before it was last deleted, with its messages, flags
and subscription. Should there be a mailbox of that name again, what is missing in
it is brought back.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, list []string) error {
			if err := checkArchive(cmd, &opts.req.Archive); err != nil {
				return err
			}
			if opts.req.Account == "" {
				return usagef("name the account with --account")
			}
			opts.req.Mailbox, opts.req.Deleted = list[0], true
			return runRestore(cmd.Context(), g, opts)
		},
	}
	archiveFlags(cmd, &opts.req.Archive)
	f := cmd.Flags()
	f.StringVar(&opts.req.Account, "account", "", "the account")
	f.StringVar(&opts.req.Into, "into", "", "bring its messages back into this mailbox instead")
	f.BoolVar(&opts.req.DryRun, "dry-run", false, "only say what would be done")
	f.BoolVar(&opts.yes, "yes", false, "do not ask")
	return cmd
}
