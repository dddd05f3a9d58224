package main

import (
	"context"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newAccountListCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the accounts",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return runAccountList(cmd.Context(), g) },
	}
}

func runAccountList(ctx context.Context, g *globals) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		list, err := c.Accounts(ctx)
		if err != nil {
			return err
		}
		m.end()
		if g.json {
			return g.printJSON(list)
		}
		t := newTable(g.stdout, "ACCOUNT", "STATE", "SHARD", "MAILBOXES", "MESSAGES", "UNSEEN", "SIZE")
		for _, a := range list.Accounts {
			t.row(a.Name, accountState(a), a.Shard, a.Mailboxes, a.Messages, a.Unseen, bytesText(a.Bytes))
		}
		return t.flush()
	})
}
