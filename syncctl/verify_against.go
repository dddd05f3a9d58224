package main

import (
	"context"
	"fmt"
	"strings"

	"angarium/internal/control"
)

// runCompare is verify --against.
func runCompare(ctx context.Context, g *globals, req control.CompareRequest) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		var listed []control.MailboxDifference
		res, err := c.Compare(ctx, req, func(d control.MailboxDifference) error {
			if !g.json {
				return m.aside(func() error { return g.printf("%s\n", mailboxDifferenceText(d)) })
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
		res.Listed = listed
		return g.printCompared(res, "syncctl diff "+res.Against+" --account NAME lists the messages that differ; syncctl resync makes a replica anew from another node")
	})
}

func mailboxDifferenceText(d control.MailboxDifference) string {
	what := d.Account
	if d.ID != "" {
		what += fmt.Sprintf(" mailbox %q (%s)", d.Mailbox, d.ID)
	}
	return differenceText(d.Only, what, d.Fields)
}

// differenceText is a line on something that two nodes do not hold alike.
func differenceText(only, what string, fields []string) string {
	how := "differs"
	if only != "" {
		how = "only on " + only
	}
	if len(fields) > 0 {
		what += ": " + strings.Join(fields, ", ")
	}
	return plain(how + ": " + what)
}

// printCompared prints the end of a comparison, and is an error with a hint when the nodes differ.
func (g *globals) printCompared(res control.CompareResult, hint string) error {
	if err := g.printComparison(res); err != nil || res.OK {
		return err
	}
	return &control.Error{
		Code: control.CodeDiffers, Message: fmt.Sprintf("%s and %s do not hold the same: %s", res.Node, res.Against, count(res.Differences, "difference")),
		Hint: hint,
	}
}

func (g *globals) printComparison(res control.CompareResult) error {
	if g.json {
		return g.printJSON(res)
	}
	for _, s := range res.Shards {
		digest := s.Digest
		if digest == "" {
			digest = "not at hand" // the replica was ahead of the position by then
		}
		if err := g.printf("shard %d compared at position %d (%s): digest %s\n", s.Shard, s.Position, plain(shortHash(s.Hash)), plain(digest)); err != nil {
			return err
		}
	}
	var parts []string
	if res.Accounts > 0 || res.Mailboxes > 0 {
		parts = append(parts, count(res.Accounts, "account"), count(res.Mailboxes, "mailbox"))
	}
	parts = append(parts, count(res.Messages, "message"))
	return g.printf("%s and %s: %s: %s\n", plain(res.Node), plain(res.Against), strings.Join(parts, ", "), count(res.Differences, "difference"))
}
