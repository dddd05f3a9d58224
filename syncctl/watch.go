package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

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
	f.StringVar(&req.Since, "since", "", "where to begin: a position, ids of events shard:position:index (behind them), one for each shard and separated by commas, a time (RFC 3339), or a time ago as -2h")
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
		broken := &control.Error{Code: codeUnreachable, Message: err.Error()}
		if since := p.since(); since != "" {
			broken.Hint = "--since " + since + " goes on behind the last event that came of each shard"
		}
		err = broken
	}
	return errors.Join(err, p.out.Flush())
}

// eventPrinter prints events.
type eventPrinter struct {
	out   *bufio.Writer
	json  bool
	flush bool // after each event
	color bool
	last  map[int]string // ids, by shard
}

// since names the events that came last, as --since takes them.
func (p *eventPrinter) since() string {
	ids := make([]string, 0, len(p.last))
	for _, shard := range slices.Sorted(maps.Keys(p.last)) {
		ids = append(ids, p.last[shard])
	}
	return strings.Join(ids, ",")
}

func (p *eventPrinter) print(raw control.WatchedEvent) error {
	var e watchedEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		return err
	}
	line := string(raw)
	if !p.json {
		line = e.line(p.color)
	}
	if id := e.id(); id != "" {
		if p.last == nil {
			p.last = map[int]string{}
		}
		p.last[e.Shard] = id
	}
	if _, err := p.out.WriteString(line + "\n"); err != nil {
		return err
	}
	if !p.flush {
		return nil
	}
	return p.out.Flush()
}
