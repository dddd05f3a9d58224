package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

type promoteOptions struct{ force, yes bool }

func newPromoteCommand(g *globals) *cobra.Command {
	var opts promoteOptions
	cmd := &cobra.Command{
		Use:   "promote",
		Short: "Make this node the primary",
		Long: `Make this node the primary, after showing what that means and asking. The primary
there is stops taking writes, this node waits until it has all of them, and a new
epoch starts here: nothing is lost, and clients stay connected.

With --force the primary is not asked, because it is gone. What it acknowledged
and did not send to this node is missing until it comes back; its part of the log
is then set aside and what was delivered in it is carried over.

On a node of a cluster --force has the cluster go on: when it waits to meet the
far node that follows it, or has given way to it.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runPromote(cmd.Context(), g, opts) },
	}
	f := cmd.Flags()
	f.BoolVar(&opts.force, "force", false, "without the consent of the primary: it is gone")
	f.BoolVar(&opts.yes, "yes", false, "do not ask")
	return cmd
}

func runPromote(ctx context.Context, g *globals, opts promoteOptions) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		plan, err := c.PromotionPlan(ctx)
		if err != nil {
			return err
		}
		if plan.Primary == plan.Node {
			return &control.Error{Code: control.CodeUsage, Message: "node " + plan.Node + " is the primary already"}
		}
		if !opts.yes || !g.json && !g.quiet {
			if err := m.aside(func() error { return g.showPlan(plan, opts.force, time.Now()) }); err != nil {
				return err
			}
		}
		if !plan.Reached && !opts.force {
			return &control.Error{
				Code: control.CodeUnavailable, Message: "the primary" + named(plan.Primary) + " cannot be reached, so it cannot hand over",
				Hint: "if it is gone, syncctl promote --force goes on without it: what it did not send to this node is missing then",
			}
		}
		question := fmt.Sprintf("Make %s the primary?", plan.Node)
		if opts.force {
			question = fmt.Sprintf("Make %s the primary without the consent of the one there is?", plan.Node)
		}
		if err := g.consent(ctx, m, opts.yes, question); err != nil {
			return err
		}
		m.show(control.Progress{What: "promote"})
		p, err := c.Promote(ctx, control.PromoteRequest{Force: opts.force}, m.show)
		if err != nil {
			return err
		}
		m.end()
		return g.printPromotion(p)
	})
}

// named is a name to put after a noun, if there is one.
func named(name string) string {
	if name == "" {
		return ""
	}
	return " " + name
}

// showPlan tells on standard error, beside the question that follows, what a promotion would mean.
func (g *globals) showPlan(p control.PromotionPlan, force bool, now time.Time) error {
	t := newTable(g.stderr, "SHARD", "EPOCH", "POSITION", "HASH", "LAST COMMIT", "PRIMARY'S LAST KNOWN HEAD", "LEARNED", "MISSING HERE")
	var missing uint64
	unknown := false
	for _, s := range p.Shards {
		learned, head := "never", "-"
		if !s.PrimaryAsOf.IsZero() {
			learned = ageText(now.Sub(s.PrimaryAsOf)) + " ago"
			head = fmt.Sprint(s.PrimaryHead)
		} else {
			unknown = true
		}
		missing += s.Missing
		t.row(s.Shard, s.Epoch, s.Position, shortHash(s.Hash), timeText(s.Time), head, learned, s.Missing)
	}
	if err := t.flush(); err != nil {
		return err
	}
	var text string
	switch primary := plain(named(p.Primary)); {
	case !force && p.Reached:
		text = "The primary" + primary + " answers: it will hand over, and nothing is lost."
	case p.Reached:
		text = fmt.Sprintf("The primary%s answers: without --force nothing would be lost. With it, %s known to be missing here, and all that it writes from now on, would be lost.",
			primary, are(missing))
	case unknown:
		text = "The primary" + primary + " does not answer, and nothing is known of its log: all that it wrote after the positions above would be lost."
	default:
		text = fmt.Sprintf("The primary%s does not answer: %s known to be missing here, and all that it wrote after it was last heard, would be lost.", primary, are(missing))
	}
	_, err := fmt.Fprintf(g.stderr, "%s\n", text)
	return err
}

// are counts envelopes as the subject of a sentence.
func are(envelopes uint64) string {
	if envelopes == 1 {
		return "1 envelope that is"
	}
	return count(envelopes, "envelope") + " that are"
}

// shortHash is enough of a hash for people to compare.
func shortHash(s string) string { return s[:min(len(s), 16)] }

// ageText is a time that has passed, for people.
func ageText(d time.Duration) string {
	unit := time.Second
	switch {
	case d < time.Second:
		unit = time.Millisecond
	case d < time.Minute:
		unit /= 10
	}
	return max(d, 0).Round(unit).String()
}

func (g *globals) printPromotion(p control.Promotion) error {
	if g.json {
		return g.printJSON(p)
	}
	how := "handed over"
	if p.Forced {
		how = "forced"
	}
	before := ""
	if p.Previous != "" {
		before = ", " + plain(p.Previous) + " was before"
	}
	if err := g.printf("%s is the primary (%s%s); nothing could be written for %.1f s\n\n", plain(p.Node), how, before, p.Seconds); err != nil {
		return err
	}
	t := newTable(g.stdout, "SHARD", "EPOCH", "POSITION", "HASH")
	for _, s := range p.Shards {
		t.row(s.Shard, s.Epoch, s.Position, shortHash(s.Hash))
	}
	return t.flush()
}
