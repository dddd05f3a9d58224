package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newAccountShowCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show an account and its mailboxes",
		Args:  args(cobra.ExactArgs(1)),
		RunE:  func(cmd *cobra.Command, names []string) error { return runAccountShow(cmd.Context(), g, names[0]) },
	}
}

func runAccountShow(ctx context.Context, g *globals, name string) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		a, err := c.Account(ctx, name)
		if err != nil {
			return err
		}
		m.end()
		if g.json {
			return g.printJSON(a)
		}
		if err := g.printf("%s: %s, made %s, shard %d\n%s (%d unseen) in %s, %s\n\n", plain(a.Name), accountState(a), timeText(a.Created),
			a.Shard, count(a.Messages, "message"), a.Unseen, count(uint64(max(a.Mailboxes, 0)), "mailbox"), bytesText(a.Bytes)); err != nil {
			return err
		}
		t := newTable(g.stdout, "MAILBOX", "MESSAGES", "UNSEEN", "SIZE", "UIDNEXT", "UIDVALIDITY", "MODSEQ", "USE", "ID")
		for _, b := range a.Boxes {
			t.row(b.Name, b.Messages, b.Unseen, bytesText(b.Bytes), b.UIDNext, b.UIDValidity, b.HighestModseq,
				strings.Join(b.SpecialUse, " "), b.ID)
		}
		return t.flush()
	})
}
