package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"angarium/internal/control"
	"angarium/replica/state"
)

// maxListed bounds the violations that --json lists; all are counted.
const maxListed = 10_000

type verifyOptions struct {
	deep             bool
	against, account string
	archive          control.ArchiveRef
}

func newVerifyCommand(g *globals) *cobra.Command {
	var opts verifyOptions
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check every invariant of the store",
		Long: `Verify recounts every counter, recomputes every digest and looks for every
record. With --deep it also reads every body and compares it with its hash, and
reads the whole log and checks its chain. It changes nothing and runs beside a
server.

With --against it compares this node with another instead, mailbox by mailbox, at
one position of the log and without trust in the log: the digests that the nodes
keep, or with --deep digests recomputed from every record.

With --archive it checks an archive instead: every checksum, the whole chain and
every body. With --deep the archive is also folded into a store that is thrown
away, and compared with the live one if --data names that.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			against, account := cmd.Flags().Changed("against"), cmd.Flags().Changed("account")
			if err := checkArchive(cmd, &opts.archive); err != nil {
				return err
			}
			switch {
			case opts.archive.URL != "" && (against || account):
				return usagef("--archive goes with --deep only")
			case opts.archive.URL != "":
				req := control.VerifyArchiveRequest{Archive: opts.archive, Deep: opts.deep}
				return runVerifyArchive(cmd.Context(), g, req, cmd.Flags().Changed("data"))
			case against && opts.against == "":
				return usagef("--against names no node")
			case account && opts.account == "":
				return usagef("--account names no account")
			case against:
				return runCompare(cmd.Context(), g, control.CompareRequest{Node: opts.against, Account: opts.account, Deep: opts.deep})
			case account:
				return usagef("--account goes with --against only")
			}
			return runVerify(cmd.Context(), g, opts)
		},
	}
	archiveFlags(cmd, &opts.archive)
	f := cmd.Flags()
	f.BoolVar(&opts.deep, "deep", false, "read every body and the whole log; with --against, recompute the digests")
	f.StringVar(&opts.against, "against", "", "compare with this node")
	f.StringVar(&opts.account, "account", "", "with --against: this account only")
	return cmd
}

func runVerify(ctx context.Context, g *globals, opts verifyOptions) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		var listed []state.Violation
		res, err := c.Verify(ctx, control.VerifyRequest{Deep: opts.deep}, func(v state.Violation) error {
			if !g.json {
				return m.aside(func() error { return g.printf("violation: %s\n", plain(v.String())) })
			}
			if len(listed) < maxListed {
				listed = append(listed, v)
			}
			return nil
		}, m.show)
		if err != nil {
			return err
		}
		m.end()
		res.Listed = listed
		if err := g.printVerified(res, opts.deep); err != nil {
			return err
		}
		if !res.OK {
			return &control.Error{
				Code: codeViolations, Message: "verification found " + count(res.Violations, "violation"),
				Hint: "a damaged replica is made anew from another node by syncctl resync, or, on a node without others, from its log by syncctl rebuild; a damaged log is mended by the server",
			}
		}
		return nil
	})
}

func (g *globals) printVerified(res control.VerifyResult, deep bool) error {
	if g.json {
		return g.printJSON(res)
	}
	for _, s := range res.Shards {
		if err := g.printf("shard %d at position %d: digest %s\n", s.Shard, s.Position, plain(s.Digest)); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("%s, %s, %s", count(res.Accounts, "account"), count(res.Mailboxes, "mailbox"), count(res.Messages, "message"))
	if deep {
		text += fmt.Sprintf(", %s (%s), %s", count(res.Bodies, "body"), bytesText(res.Bytes), count(res.Envelopes, "envelope"))
	}
	return g.printf("%s: %s\n", text, count(res.Violations, "violation"))
}
