package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newDiffCommand(g *globals) *cobra.Command {
	var req control.DiffRequest
	cmd := &cobra.Command{
		Use:   "diff NODE --account NAME",
		Short: "List the messages of an account that another node holds otherwise",
		Long: `Compare the messages of one account with those on another node, record by record,
at one position of the log.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			if req.Account == "" {
				return usagef("name an account with --account")
			}
			req.Node = names[0]
			return runDiff(cmd.Context(), g, req)
		},
	}
	cmd.Flags().StringVar(&req.Account, "account", "", "the account")
	return cmd
}

func runDiff(ctx context.Context, g *globals, req control.DiffRequest) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		var listed []control.MessageDifference
		res, err := c.Diff(ctx, req, func(d control.MessageDifference) error {
			if !g.json {
				return m.aside(func() error { return g.printf("%s\n", messageDifferenceText(d)) })
			}
			if len(listed) < maxListed {
				listed = append(listed, d)
			}
			return nil
		}, m.show)
		if err != nil {
			return err
		}
		m.end()
		res.ListedMessages = listed
		return g.printCompared(res, "syncctl resync makes a replica anew from another node")
	})
}

func messageDifferenceText(d control.MessageDifference) string {
	what := fmt.Sprintf("mailbox %q (%s) uid %d", d.Mailbox, d.ID, d.UID)
	if d.GUID != "" {
		what += " guid " + d.GUID
	}
	return differenceText(d.Only, what, d.Fields)
}
