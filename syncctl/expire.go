package main

import (
	"context"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newExpireCommand(g *globals) *cobra.Command {
	var req control.ExpireRequest
	cmd := &cobra.Command{
		Use:   "expire",
		Short: "Expunge what is over the limits of policies, now",
		Long: `Expunge what is over the limits that the policies of the configuration set for
mailboxes (docs/backup.md), as the primary does by itself every so often. What is
expunged can be brought back with syncctl unexpunge.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("account") && req.Account == "" {
				return usagef("--account names nothing")
			}
			return runExpire(cmd.Context(), g, req)
		},
	}
	f := cmd.Flags()
	f.StringVar(&req.Account, "account", "", "the mail of this account only (default all)")
	f.BoolVar(&req.DryRun, "dry-run", false, "only say what would be expunged")
	return cmd
}

func runExpire(ctx context.Context, g *globals, req control.ExpireRequest) error {
	return g.connect(ctx, !req.DryRun, func(c *control.Client, m *meter) error {
		m.show(control.Progress{What: "look for what is over a limit"})
		var list []control.Expired
		res, err := c.Expire(ctx, req, func(e control.Expired) error {
			list = addExpired(list, e)
			return nil
		}, m.show)
		m.end()
		if err != nil {
			return err
		}
		res.Expired = list
		if g.json {
			return g.printJSON(res)
		}
		return g.printExpired(res)
	})
}

// maxExpired bounds the mailboxes that are listed; all are counted.
const maxExpired = 1000

// addExpired sums the batches of one mailbox up.
func addExpired(list []control.Expired, e control.Expired) []control.Expired {
	for i := len(list) - 1; i >= 0 && list[i].Account == e.Account && list[i].Mailbox == e.Mailbox; i-- {
		if x := &list[i]; x.Policy == e.Policy && x.Reason == e.Reason {
			x.Messages += e.Messages
			x.Bytes += e.Bytes
			return list
		}
	}
	if len(list) == maxExpired {
		return list
	}
	return append(list, e)
}

func (g *globals) printExpired(res control.ExpireResult) error {
	if res.Policies == 0 {
		return g.printf("no policy has a limit: see [[policy]] in the configuration\n")
	}
	what := "expunged"
	if res.DryRun {
		what = "over a limit"
	}
	err := g.printf("%s (%s) %s, of %s\n", count(uint64(res.Messages), "message"), bytesText(res.Bytes), what, count(uint64(res.Mailboxes), "mailbox"))
	if err != nil || len(res.Expired) == 0 {
		return err
	}
	t := newTable(g.stdout, "ACCOUNT", "MAILBOX", "POLICY", "LIMIT", "MESSAGES", "BYTES")
	for _, e := range res.Expired {
		t.row(e.Account, e.Mailbox, e.Policy, e.Reason, e.Messages, bytesText(e.Bytes))
	}
	return t.flush()
}
