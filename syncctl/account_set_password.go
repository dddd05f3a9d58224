package main

import (
	"context"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

type accountSetPasswordOptions struct{ passwordStdin bool }

func newAccountSetPasswordCommand(g *globals) *cobra.Command {
	var opts accountSetPasswordOptions
	cmd := &cobra.Command{
		Use:   "set-password NAME",
		Short: "Change the password of an account",
		Long: `Change the password of an account. The new one is asked for twice, without
echo, or read from standard input.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			return runAccountSetPassword(cmd.Context(), g, opts, names[0])
		},
	}
	passwordFlag(cmd, &opts.passwordStdin)
	return cmd
}

func passwordFlag(cmd *cobra.Command, value *bool) {
	cmd.Flags().BoolVar(value, "password-stdin", false, "read the password from the first line of standard input")
}

func runAccountSetPassword(ctx context.Context, g *globals, opts accountSetPasswordOptions, name string) error {
	password, err := g.password(ctx, opts.passwordStdin)
	if err != nil {
		return err
	}
	return g.changeAccount(ctx, name, control.ChangeAccount{Password: &password}, "password changed")
}

func (g *globals) changeAccount(ctx context.Context, name string, req control.ChangeAccount, what string) error {
	err := g.connect(ctx, true, func(c *control.Client, _ *meter) error { return c.ChangeAccount(ctx, name, req) })
	if err != nil {
		return err
	}
	return g.done(name, what)
}
