package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newWatchCommand(g *globals) *cobra.Command {
	var req control.WatchRequest
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Follow the events of mail as they happen",
		Long: `Follow the events of mail (docs/events.md) as they happen, one a line, until
interrupted. With --since those from there on come first. --json prints each as one
JSON object, with the id at which to go on later.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("since") && req.Since == "" {
				return usagef("--since says nothing")
			}
			return runWatch(cmd.Context(), g, req)
		},
	}
	watchFlags(cmd, &req)
	return cmd
}

func watchFlags(cmd *cobra.Command, req *control.WatchRequest) {
	f := cmd.Flags()
	f.StringVar(&req.Since, "since", "", "where to begin: a position, an event's id shard:position:index (behind it), a time (RFC 3339), or a time ago as -2h")
	f.StringArrayVar(&req.Accounts, "account", nil, "events of this account only; can be given again")
	f.StringSliceVar(&req.Events, "event", nil, "events of this name only, as MessageNew; can be given again")
	f.StringSliceVar(&req.Groups, "group", nil, "events of this group only: message, flags, mailbox, subscription, access; can be given again")
}

// runWatch prints events. It asks a server only: without one nothing happens.
func runWatch(ctx context.Context, g *globals, req control.WatchRequest) error {
	c, err := control.Dial(ctx, g.data)
	if err != nil {
		return unusable(err)
	}
	tty := isTerminal(g.stdout)
	p := &eventPrinter{out: bufio.NewWriter(g.stdout), json: g.json, flush: !req.Once || tty, color: tty && colored()}
	err = c.Watch(ctx, req, p.print)
	if errors.Is(err, control.ErrBroken) {
		err = &control.Error{
			Code: codeUnreachable, Message: err.Error(), Hint: "--since with the id of the last event that came goes on behind it",
		}
	}
	return errors.Join(err, p.out.Flush())
}

// eventPrinter prints events.
type eventPrinter struct {
	out   *bufio.Writer
	json  bool
	flush bool // after each event
	color bool
}

func (p *eventPrinter) print(raw control.WatchedEvent) error {
	line := string(raw)
	if !p.json {
		var e watchedEvent
		if err := json.Unmarshal(raw, &e); err != nil {
			return err
		}
		line = e.line(p.color)
	}
	if _, err := p.out.WriteString(line + "\n"); err != nil {
		return err
	}
	if !p.flush {
		return nil
	}
	return p.out.Flush()
}
