package main

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newEventsCommand(g *globals) *cobra.Command {
	req := control.WatchRequest{Once: true}
	cmd := &cobra.Command{
		Use:   "events --since WHERE",
		Short: "Show the events of mail that there were",
		Long: `Show the events of mail (docs/events.md) from a place on, one a line, and end with
those that are there now. They are read back from the log: a program that fell behind
gets from here what its stream no longer has.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.Since == "" {
				return usagef("name where to begin with --since; --since 1 is the beginning")
			}
			return runWatch(cmd.Context(), g, req)
		},
	}
	watchFlags(cmd, &req)
	return cmd
}

// watchedEvent is what people are shown of an event.
type watchedEvent struct {
	Event     string  `json:"event"`
	Timestamp string  `json:"timestamp"`
	Service   string  `json:"service"`
	User      string  `json:"user"`
	Actor     string  `json:"actor"`
	URI       string  `json:"uri"`
	Shard     int     `json:"shard"`
	Position  uint64  `json:"position"` // 0: not from the log
	Index     int     `json:"index"`
	OldBox    string  `json:"oldMailboxID"`
	UIDs      string  `json:"uidset"`
	OldUIDs   string  `json:"vnd.cmu.oldUidset"`
	Flags     string  `json:"flagNames"`
	Size      *uint64 `json:"messageSize"`
	Unseen    *uint64 `json:"vnd.cmu.unseenMessages"`
	Client    string  `json:"clientIP"`
}

// Widths of the columns of a line; what is longer moves the rest along.
const (
	idWidth    = 12
	eventWidth = 18
	userWidth  = 28
)

// id is the id of the event, "" when it is not from the log.
func (e *watchedEvent) id() string {
	if e.Position == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%d:%d", e.Shard, e.Position, e.Index)
}

// line is an event on one line for people.
func (e *watchedEvent) line(color bool) string {
	id := cmp.Or(e.id(), "-")
	name := e.Event[strings.LastIndexByte(e.Event, '.')+1:] // as in subjects
	columns := []string{plain(e.Timestamp), pad(id, idWidth), pad(name, eventWidth), pad(e.User, userWidth), plain(e.what())}
	if color {
		columns[0], columns[1] = dim+columns[0]+reset, dim+columns[1]+reset
		columns[2] = eventColor(name) + columns[2] + reset
	}
	return strings.TrimRight(strings.Join(columns, " "), " ")
}

func pad(s string, width int) string { return fmt.Sprintf("%-*s", width, plain(s)) }

// what says what happened, to what and by whom.
func (e *watchedEvent) what() string {
	var parts []string
	add := func(format string, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf(format, shorten(value)))
		}
	}
	add("%s", mailboxOf(e.URI))
	add("uid %s", e.UIDs)
	add("from %s", strings.TrimSpace(mailboxOf(e.OldBox)+" "+e.oldUIDs()))
	add("flags %s", e.Flags)
	if e.Size != nil {
		add("%s", bytesText(*e.Size))
	}
	if e.Unseen != nil {
		add("unseen %s", fmt.Sprint(*e.Unseen))
	}
	who := e.Service
	if e.Actor != "" {
		who = e.Actor + "/" + who
	}
	add("by %s", who)
	add("at %s", e.Client)
	return strings.Join(parts, ", ")
}

func (e *watchedEvent) oldUIDs() string {
	if e.OldUIDs == "" {
		return ""
	}
	return "uid " + e.OldUIDs
}

// mailboxOf is the name of the mailbox in an IMAP URL; "" when the URL names none.
func mailboxOf(uri string) string {
	_, path, _ := strings.Cut(strings.TrimPrefix(uri, "imap://"), "/")
	path, _, _ = strings.Cut(path, ";")
	name, err := url.PathUnescape(path)
	if err != nil {
		return path
	}
	return name
}

// Colours of a terminal (ECMA-48, SGR).
const (
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	blue   = "\x1b[34m"
	cyan   = "\x1b[36m"
	reset  = "\x1b[0m"
)

// eventColor is green for what comes, red for what goes, and so on.
func eventColor(name string) string {
	switch {
	case name == "MessageNew", name == "MessageAppend":
		return green
	case name == "MessageExpunge", name == "MessageExpire", strings.HasSuffix(name, "Delete"), name == "MessageTrash":
		return red
	case strings.HasPrefix(name, "Flags"), name == "MessageRead":
		return yellow
	case strings.HasPrefix(name, "Mailbox"):
		return blue
	}
	return cyan
}

// colored says whether the user wants colours on a terminal (no-color.org).
func colored() bool { return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" }
