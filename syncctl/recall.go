package main

import (
	"context"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newRecallCommand(g *globals) *cobra.Command {
	var req control.RecallRequest
	yes := false
	cmd := &cobra.Command{
		Use:   "recall --message-id ID",
		Short: "Take a message out of every mailbox",
		Long: `Take the message with a Message-ID out of every mailbox of all accounts, after
showing where it is. syncctl unexpunge and syncctl restore bring it back.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.MessageID == "" {
				return usagef("name the message with --message-id")
			}
			return runRecall(cmd.Context(), g, req, yes)
		},
	}
	f := cmd.Flags()
	f.StringVar(&req.MessageID, "message-id", "", "its Message-ID, with or without the angle brackets")
	f.StringSliceVar(&req.Accounts, "account", nil, "these accounts only (default all)")
	f.BoolVar(&req.DryRun, "dry-run", false, "only say where it is")
	f.BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func runRecall(ctx context.Context, g *globals, req control.RecallRequest, yes bool) error {
	req.By = g.caller
	return g.connect(ctx, !req.DryRun, func(c *control.Client, m *meter) error {
		m.show(control.Progress{What: "look for the message"})
		if !req.DryRun && !yes {
			dry := req
			dry.DryRun = true
			found, err := c.Recall(ctx, dry)
			if err != nil {
				return err
			}
			if found.Messages > 0 {
				if err := m.aside(func() error { return g.printRecalled(found) }); err != nil {
					return err
				}
				if err := g.consent(ctx, m, false, "Take it out of these mailboxes?"); err != nil {
					return err
				}
			}
		}
		res, err := c.Recall(ctx, req)
		if err != nil {
			return err
		}
		m.end()
		if g.json {
			return g.printJSON(res)
		}
		return g.printRecalled(res)
	})
}

func (g *globals) printRecalled(res control.RecallResult) error {
	what := "taken out"
	if res.DryRun {
		what = "found"
	}
	if err := g.printf("%s %s\n", count(uint64(res.Messages), "message"), what); err != nil || len(res.Found) == 0 {
		return err
	}
	t := newTable(g.stdout, "ACCOUNT", "MAILBOX", "UIDS")
	for _, f := range res.Found {
		t.row(f.Account, f.Mailbox, shortText(f.UIDs))
	}
	return t.flush()
}
