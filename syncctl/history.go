package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newHistoryCommand(g *globals) *cobra.Command {
	var req control.HistoryRequest
	cmd := &cobra.Command{
		Use:   "history --account NAME",
		Short: "Tell what happened to an account, a mailbox or a message",
		Long: `Tell what happened to an account, a mailbox or a message: when, by whom and from
which client, oldest first. A message is named by its GUID, by its Message-ID, or,
with --mailbox, by its UID; it is followed through copies and moves.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkArchive(cmd, &req.Archive); err != nil {
				return err
			}
			if req.Account == "" {
				return usagef("name the account with --account")
			}
			for flag, text := range map[string]*string{"from": &req.From, "to": &req.To} {
				if !cmd.Flags().Changed(flag) {
					continue
				}
				var err error
				if *text, err = point(flag, *text); err != nil {
					return err
				}
			}
			return runHistory(cmd.Context(), g, req)
		},
	}
	archiveFlags(cmd, &req.Archive)
	f := cmd.Flags()
	f.StringVar(&req.Account, "account", "", "the account")
	f.StringVar(&req.Mailbox, "mailbox", "", "this mailbox only, by any name it ever had")
	f.StringVar(&req.Message, "message", "", "this message only: GUID, UID or Message-ID")
	f.StringVar(&req.From, "from", "", "from this point on")
	f.StringVar(&req.To, "to", "", "up to this point")
	return cmd
}

func runHistory(ctx context.Context, g *globals, req control.HistoryRequest) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		m.show(control.Progress{What: "read the history"})
		out := bufio.NewWriter(g.stdout)
		err := c.History(ctx, req, func(e control.HistoryEvent) error {
			return m.aside(func() error {
				if g.json {
					return json.NewEncoder(out).Encode(e)
				}
				_, err := fmt.Fprintln(out, historyLine(e))
				return err
			})
		}, m.show)
		m.end()
		return errors.Join(err, out.Flush())
	})
}

// historyLine is an event on one line.
func historyLine(e control.HistoryEvent) string {
	text := fmt.Sprintf("%s %d/%d %s", timeText(e.Time), e.Position, e.Index, e.Kind)
	if e.Mailbox != "" {
		text += fmt.Sprintf(" %q", e.Mailbox)
	}
	if e.Messages > 0 {
		text += " " + count(uint64(e.Messages), "message")
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return plain(text + originText(e.UndoneEvent))
}

// originText says who did something and from where. The session of a restore is the command that asked for it.
func originText(e control.UndoneEvent) string {
	if done, ok := map[string]string{"restore": "restored", "recall": "recalled"}[e.Service]; ok && strings.HasPrefix(e.Session, "syncctl ") {
		if e.Actor != "" {
			done += " by " + e.Actor
		}
		return ", " + done + " via " + e.Session
	}
	text := ""
	if who := actorText(e); who != "" {
		text += ", " + who
	}
	if e.Client != "" {
		text += " from " + e.Client
	}
	if e.Session != "" {
		text += " in session " + e.Session
	}
	return text
}
