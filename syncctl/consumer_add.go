package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newConsumerAddCommand(g *globals) *cobra.Command {
	var req control.NewConsumer
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make credentials for a program that reads events",
		Long: `Make credentials for a program that reads events, and print them: the text of a
credentials file that every NATS client takes, and nothing else. They open the events
of all accounts, or of one with --account. They hold a secret, and are shown only this
once.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			if cmd.Flags().Changed("account") && req.Account == "" {
				return usagef("--account names no account")
			}
			req.Name = names[0]
			return runConsumerAdd(cmd.Context(), g, req)
		},
	}
	cmd.Flags().StringVar(&req.Account, "account", "", "the events of this account only (default all)")
	return cmd
}

func runConsumerAdd(ctx context.Context, g *globals, req control.NewConsumer) error {
	var creds control.Credentials
	err := g.connect(ctx, false, func(c *control.Client, _ *meter) (err error) {
		creds, err = c.AddConsumer(ctx, req)
		return err
	})
	switch {
	case err != nil:
		return err
	case g.json:
		return g.printJSON(creds)
	}
	if err := g.printf("%s\n", strings.TrimRight(creds.Creds, "\n")); err != nil {
		return err
	}
	if !g.quiet && isTerminal(g.stdout) {
		fmt.Fprint(g.stderr, "hint: syncctl consumer add NAME > NAME.creds keeps credentials in a file; these are shown only this once\n")
	}
	return nil
}
