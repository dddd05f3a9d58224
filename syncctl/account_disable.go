package main

import (
	"context"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newAccountDisableCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "disable NAME",
		Short: "Bar an account from logging in; its mail is delivered still",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			return runAccountDisable(cmd.Context(), g, names[0], true)
		},
	}
}

func newAccountEnableCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "enable NAME",
		Short: "Let an account log in again",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			return runAccountDisable(cmd.Context(), g, names[0], false)
		},
	}
}

func runAccountDisable(ctx context.Context, g *globals, name string, disabled bool) error {
	what := "enabled"
	if disabled {
		what = "disabled"
	}
	return g.changeAccount(ctx, name, control.ChangeAccount{Disabled: &disabled}, what)
}
