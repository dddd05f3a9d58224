package main

import (
	"context"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

type accountAddOptions struct {
	passwordStdin bool
	batch         string
	skipExisting  bool
}

func newAccountAddCommand(g *globals) *cobra.Command {
	var opts accountAddOptions
	cmd := &cobra.Command{
		Use:   "add {NAME | --batch FILE}",
		Short: "Add an account, or one for each line of a file",
		Long: `Add an account with an INBOX. The password is asked for twice, without echo, or
read from standard input.

With --batch each line of the file ("-" is standard input) is "NAME PASSWORD":
the name ends at the first space or tab, the password is the rest of the line.
Empty lines and lines that begin with # are passed over. A line that fails is
named, the others are added all the same, and the exit code is 1.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			switch {
			case (len(names) == 1) == cmd.Flags().Changed("batch"):
				return usagef("name an account, or a file with --batch")
			case len(names) == 1:
				return runAccountAdd(cmd.Context(), g, opts, names[0])
			case opts.passwordStdin:
				return usagef("with --batch the passwords are in the file: --password-stdin does not go with it")
			}
			return runAccountBatch(cmd.Context(), g, opts)
		},
	}
	passwordFlag(cmd, &opts.passwordStdin)
	f := cmd.Flags()
	f.StringVar(&opts.batch, "batch", "", `file with a "NAME PASSWORD" a line`)
	f.BoolVar(&opts.skipExisting, "skip-existing", false, "an account that exists is no error; its password stays")
	return cmd
}

func runAccountAdd(ctx context.Context, g *globals, opts accountAddOptions, name string) error {
	password, err := g.password(ctx, opts.passwordStdin)
	if err != nil {
		return err
	}
	req := control.AddAccounts{Accounts: []control.NewAccount{{Name: name, Password: password}}}
	var res control.AccountResult
	err = g.connect(ctx, true, func(c *control.Client, _ *meter) error {
		return c.AddAccounts(ctx, req, func(r control.AccountResult) error { res = r; return nil })
	})
	if err != nil {
		return err
	}
	switch e := res.Error; {
	case e == nil:
		return g.done(res.Name, "added")
	case opts.skipExisting && e.Code == control.CodeExists:
		return g.done(res.Name, "exists already")
	default:
		return e
	}
}
