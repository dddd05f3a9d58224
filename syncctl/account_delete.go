package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

type accountDeleteOptions struct{ yes bool }

func newAccountDeleteCommand(g *globals) *cobra.Command {
	var opts accountDeleteOptions
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete an account with all its mail",
		Long:  "Delete an account with all its mail, after asking. This cannot be undone.",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			return runAccountDelete(cmd.Context(), g, opts, names[0])
		},
	}
	cmd.Flags().BoolVar(&opts.yes, "yes", false, "do not ask")
	return cmd
}

func runAccountDelete(ctx context.Context, g *globals, opts accountDeleteOptions, name string) error {
	err := g.connect(ctx, true, func(c *control.Client, m *meter) error {
		if !opts.yes {
			a, err := c.Account(ctx, name)
			if err != nil {
				return err
			}
			question := fmt.Sprintf("Delete %s with %s in %s?", a.Name, count(a.Messages, "message"), count(uint64(max(a.Mailboxes, 0)), "mailbox"))
			if err := m.aside(func() error { return g.confirm(ctx, question) }); err != nil {
				return err
			}
		}
		return c.DeleteAccount(ctx, name)
	})
	if err != nil {
		return err
	}
	return g.done(name, "deleted")
}
