package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newScrubCommand(g *globals) *cobra.Command {
	var req control.ScrubRequest
	cmd := &cobra.Command{
		Use:   "scrub",
		Short: "Read all that is stored now, and heal what is damaged",
		Long: `Begin a pass over the log, the bodies and the index of the running server now,
or watch the one that runs, to its end. What is damaged is fetched from another
node where one has it. The exit code is 20 when something is left damaged; a
damaged log is mended after the pass, by a restart inside the server's process:
see syncctl status.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runScrub(cmd.Context(), g, req) },
	}
	f := cmd.Flags()
	f.BoolVar(&req.FullSpeed, "full-speed", false, "read as fast as the disk gives, not at the configured rate")
	f.BoolVar(&req.Background, "background", false, "do not wait for the end")
	return cmd
}

func runScrub(ctx context.Context, g *globals, req control.ScrubRequest) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		m.show(control.Progress{What: "scrub"})
		st, err := c.Scrub(ctx, req, nil, m.show)
		if err != nil {
			return err
		}
		m.end()
		if g.json {
			err = g.printJSON(st)
		} else {
			err = g.printScrub(st)
		}
		if err != nil || st.Found == st.Healed {
			return err
		}
		return &control.Error{
			Code: codeViolations, Message: fmt.Sprintf("%d of what was found damaged is not healed", st.Found-st.Healed),
			Hint: "syncctl status says what is being done about it",
		}
	})
}

// printScrub says how far a pass is, or what came of the last one.
func (g *globals) printScrub(st control.ScrubStatus) error {
	text := "no pass was made yet"
	if !st.LastPass.IsZero() {
		text = fmt.Sprintf("last pass ended %s (%s ago)", timeText(st.LastPass), (time.Duration(st.Age) * time.Second).String())
	}
	if st.State == "running" {
		text = fmt.Sprintf("running since %s, %s of shard %d: %d of %d %s; %s", timeText(st.Started), st.Stage, st.Shard, st.Done, st.Total, st.Unit, text)
	}
	if err := g.printf("scrub: %s\n%s read, %d found damaged, %d healed\n", plain(text), bytesText(st.Bytes), st.Found, st.Healed); err != nil {
		return err
	}
	for _, f := range st.Findings {
		if err := g.printf("shard %d, %s: %s\n", f.Shard, plain(f.Kind), plain(f.Detail)); err != nil {
			return err
		}
	}
	return nil
}
