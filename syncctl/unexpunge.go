package main

import "github.com/spf13/cobra"

type unexpungeOptions struct {
	restoreOptions
	all   bool
	since string
}

func newUnexpungeCommand(g *globals) *cobra.Command {
	opts := unexpungeOptions{restoreOptions: restoreOptions{what: "Bring them back?"}}
	cmd := &cobra.Command{
		Use:   "unexpunge --account NAME --mailbox NAME --list|--all|--uid SET|--since TIME",
		Short: "Bring back messages that were expunged",
		Long: `Bring back messages that were expunged from a mailbox, with the flags they had and
new UIDs, as far as the log or the archive reaches back. What came back already is
not brought back again.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.settle(cmd); err != nil {
				return err
			}
			return runRestore(cmd.Context(), g, opts.restoreOptions)
		},
	}
	archiveFlags(cmd, &opts.req.Archive)
	f := cmd.Flags()
	f.StringVar(&opts.req.Account, "account", "", "the account")
	f.StringVar(&opts.req.Mailbox, "mailbox", "", "the mailbox")
	f.StringVar(&opts.req.Into, "into", "", "bring them back into this mailbox instead")
	f.BoolVar(&opts.list, "list", false, "only list what can be brought back")
	f.BoolVar(&opts.all, "all", false, "all of them")
	f.StringVar(&opts.req.UIDs, "uid", "", "those that had these UIDs, as 7 or 1:5,9")
	f.StringVar(&opts.since, "since", "", "those that were expunged since this point")
	f.BoolVar(&opts.req.DryRun, "dry-run", false, "only say what would be done")
	f.BoolVar(&opts.yes, "yes", false, "do not ask")
	return cmd
}

func (o *unexpungeOptions) settle(cmd *cobra.Command) error {
	if err := checkArchive(cmd, &o.req.Archive); err != nil {
		return err
	}
	if o.req.Account == "" || o.req.Mailbox == "" {
		return usagef("name the mailbox with --account and --mailbox")
	}
	named := 0
	for _, flag := range []string{"list", "all", "uid", "since"} {
		if cmd.Flags().Changed(flag) {
			named++
		}
	}
	if named == 0 || (named > 1 && !o.list) || (o.all && named > 2) {
		return usagef("name one of --list, --all, --uid and --since")
	}
	o.req.Expunged, o.req.At = true, "0"
	o.req.DryRun = o.req.DryRun || o.list
	if !cmd.Flags().Changed("yes") && o.all {
		o.yes = true // it only brings back, and --all says what
	}
	if o.since == "" {
		return nil
	}
	at, err := point("since", o.since)
	o.req.At = at
	return err
}
