package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

// Bounds of what is shown and listed of plans.
const (
	maxPlans  = 1000 // accounts that --json lists; all are counted
	maxShown  = 20   // events that are shown of a plan
	maxSteps  = 30   // steps that are shown of a plan
	onlyParts = "messages, flags, mailboxes, subscriptions"
)

type restoreOptions struct {
	req     control.RestoreRequest
	between string
	yes     bool
	list    bool // only show, as for a dry run
	what    string
}

func newRestoreCommand(g *globals) *cobra.Command {
	opts := restoreOptions{what: "Restore this?"}
	cmd := &cobra.Command{
		Use:   "restore --at TIME|POSITION",
		Short: "Bring back what was at a point in time",
		Long: `Bring accounts back to a point in time, after showing what would be done and which
events would be undone, with who did them. The store serves on; the restore is
added to the history like any change, and can be undone by another one. Messages
that come back have new UIDs. What came after the point stays, unless --exact.

A point is a log position, RFC 3339, local time as "2026-01-31 14:00" or "yesterday
14:00", or a time ago as -2h.

  syncctl restore --at "yesterday 14:00" --account ann
  syncctl restore --at -2h --account ann --mailbox Lists --into "Lists before"
  syncctl restore --between "today 9:00" "today 9:30" --expunged --account ann`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, list []string) error {
			if err := opts.settle(cmd, list); err != nil {
				return err
			}
			return runRestore(cmd.Context(), g, opts)
		},
	}
	archiveFlags(cmd, &opts.req.Archive)
	f := cmd.Flags()
	f.StringVar(&opts.req.At, "at", "", "the point")
	f.StringVar(&opts.req.Account, "account", "", "this account only (default all)")
	f.StringVar(&opts.req.Mailbox, "mailbox", "", "this mailbox only, by the name it had or has")
	f.StringSliceVar(&opts.req.Only, "only", nil, "these parts only: "+onlyParts)
	f.StringVar(&opts.req.Into, "into", "", "put the messages as they were into a mailbox of this name instead")
	f.StringVar(&opts.between, "between", "", "with --expunged: two points, FROM and TO")
	f.BoolVar(&opts.req.Expunged, "expunged", false, "bring back what was expunged between two points")
	f.BoolVar(&opts.req.Exact, "exact", false, "take away what came after the point, too")
	f.BoolVar(&opts.req.DryRun, "dry-run", false, "only say what would be done")
	f.BoolVar(&opts.yes, "yes", false, "do not ask")
	return cmd
}

// settle checks the flags and reads the points.
func (o *restoreOptions) settle(cmd *cobra.Command, list []string) error {
	if err := checkArchive(cmd, &o.req.Archive); err != nil {
		return err
	}
	at, between := cmd.Flags().Changed("at"), cmd.Flags().Changed("between")
	for _, name := range []string{"account", "mailbox", "into"} {
		if cmd.Flags().Changed(name) && cmd.Flags().Lookup(name).Value.String() == "" {
			return usagef("--%s names nothing", name)
		}
	}
	switch {
	case at == between:
		return usagef("name a point with --at, or two with --between")
	case between && !o.req.Expunged:
		return usagef("--between goes with --expunged")
	case len(list) > 0 && !between:
		return usagef("%q: a second point goes with --between", list[0])
	case (o.req.Mailbox != "" || o.req.Into != "") && o.req.Account == "":
		return usagef("a mailbox is that of an account: name it with --account")
	}
	for _, part := range o.req.Only {
		if !slices.Contains(strings.Split(onlyParts, ", "), part) {
			return usagef("--only %q: there is %s", part, onlyParts)
		}
	}
	flag, from := "at", o.req.At
	if between {
		flag, from = "between", o.between
	}
	var err error
	if o.req.At, err = point(flag, from); err != nil {
		return err
	}
	if len(list) > 0 {
		o.req.Until, err = point("between", list[0])
	}
	return err
}

func runRestore(ctx context.Context, g *globals, opts restoreOptions) error {
	req := opts.req
	req.By = g.caller
	return g.connect(ctx, !req.DryRun, func(c *control.Client, m *meter) error {
		if !req.DryRun && !opts.yes {
			req.DryRun = true
			plan, err := g.restore(ctx, c, m, req, g.stderr)
			if err != nil {
				return err
			}
			if plan.Counts == (control.RestoreCounts{}) {
				m.end()
				return g.printRestored(plan)
			}
			if err := g.consent(ctx, m, false, countsText(plan.Counts)+". "+opts.what); err != nil {
				return err
			}
			req.DryRun = false
			return g.finishRestore(g.restore(ctx, c, m, req, nil))(m)
		}
		out := g.stdout
		if g.quiet || g.json {
			out = nil
		}
		return g.finishRestore(g.restore(ctx, c, m, req, out))(m)
	})
}

// finishRestore prints how a restore ended. One that lacks bodies has both a result and an error.
func (g *globals) finishRestore(res control.RestoreResult, err error) func(*meter) error {
	return func(m *meter) error {
		m.end()
		if err != nil {
			return err
		}
		return g.printRestored(res)
	}
}

// restore makes one request; the plans are shown on out, if that is not nil.
func (g *globals) restore(ctx context.Context, c *control.Client, m *meter, req control.RestoreRequest, out io.Writer) (control.RestoreResult, error) {
	m.show(control.Progress{What: "compare with what was"})
	var plans []control.RestorePlan
	res, err := c.Restore(ctx, req, func(p control.RestorePlan) error {
		if g.json && len(plans) < maxPlans {
			plans = append(plans, p)
		}
		if out == nil {
			return nil
		}
		return m.aside(func() error { return showRestorePlan(out, p) })
	}, m.show)
	res.Plans = plans
	return res, err
}

// showRestorePlan tells what a plan would do, and what it would undo.
func showRestorePlan(out io.Writer, p control.RestorePlan) error {
	when := fmt.Sprintf("position %d", p.Position)
	if p.Time != "" {
		when = p.Time + " (" + when + ")"
	}
	if _, err := fmt.Fprintf(out, "account %s, %s\n", plain(p.Account), plain(when)); err != nil {
		return err
	}
	if len(p.Steps) == 0 {
		_, err := fmt.Fprintln(out, "nothing to do: all is as it was")
		return err
	}
	t := newTable(out, "STEP", "MAILBOX", "MESSAGES", "UIDS", "")
	for i, s := range p.Steps {
		if i == maxSteps {
			t.row(fmt.Sprintf("… and %d more", len(p.Steps)-i))
			break
		}
		more := slices.Concat(s.Flags, s.SpecialUse)
		if s.To != "" {
			more = append(more, "to "+s.To)
		}
		t.row(s.Op, s.Mailbox, s.Messages, shortText(s.UIDs), strings.Join(more, " "))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if p.Undoes == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(out, "\n%s undone:\n", count(uint64(p.Undoes), "event")); err != nil {
		return err
	}
	return showUndone(out, p)
}

func showUndone(out io.Writer, p control.RestorePlan) error {
	list := p.Undone
	if len(list) > maxShown {
		list = list[len(list)-maxShown:]
	}
	t := newTable(out, "TIME", "POSITION", "EVENT", "MAILBOX", "MESSAGES", "BY", "FROM", "")
	if skipped := p.Undoes - len(list); skipped > 0 {
		t.row(fmt.Sprintf("… %d before", skipped))
	}
	for _, e := range list {
		t.row(timeText(e.Time), e.Position, e.Kind, e.Mailbox, e.Messages, actorText(e), e.Client, shortText(e.Detail))
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}

// actorText says who did something.
func actorText(e control.UndoneEvent) string {
	switch {
	case e.Actor == "":
		return e.Service
	case e.Service == "":
		return e.Actor
	}
	return e.Actor + " by " + e.Service
}

// shortText is the beginning of a text that may be long.
func shortText(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// countsText says in words what a restore does.
func countsText(c control.RestoreCounts) string {
	var parts []string
	for _, p := range []struct {
		n    int
		noun string
		what string
	}{
		{c.Accounts, "account", "made again"}, {c.Mailboxes, "mailbox", "made or renamed"}, {c.Messages, "message", "brought back"},
		{c.Flags, "message", "with flags set back"}, {c.Subscriptions, "subscription", "set back"}, {c.SpecialUses, "special use", "set back"},
		{c.Expunged, "message", "taken away"}, {c.Deleted, "mailbox", "deleted"},
	} {
		if p.n > 0 {
			parts = append(parts, count(uint64(p.n), p.noun)+" "+p.what)
		}
	}
	if len(parts) == 0 {
		return "nothing to do: all is as it was"
	}
	return strings.Join(parts, ", ")
}

func (g *globals) printRestored(res control.RestoreResult) error {
	if g.json {
		return g.printJSON(res)
	}
	text := countsText(res.Counts)
	if res.DryRun && res.Counts != (control.RestoreCounts{}) {
		text = "would be done: " + text
	}
	if res.ArchiveBytes > 0 {
		text += fmt.Sprintf(" (%s read of the archive)", bytesText(uint64(res.ArchiveBytes)))
	}
	return g.printf("%s\n", text)
}
