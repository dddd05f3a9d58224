package node

import (
	"context"
	"fmt"

	"angarium/eventlog"
)

// brokenLog stands for a log that is damaged.
type brokenLog struct{ err error }

func (b brokenLog) unavailable() error { return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, b.err) }

// Append implements eventlog.Log.
func (b brokenLog) Append(context.Context, eventlog.Mark, []byte) <-chan error {
	c := make(chan error, 1)
	c <- b.unavailable()
	return c
}

// Tail implements eventlog.Log.
func (b brokenLog) Tail(context.Context, eventlog.Position) (eventlog.Tail, error) {
	return nil, b.unavailable()
}

// Read implements eventlog.Log.
func (b brokenLog) Read(context.Context, eventlog.Position) ([]byte, error) {
	return nil, b.unavailable()
}

// Head implements eventlog.Log.
func (b brokenLog) Head(context.Context) (eventlog.Head, error) {
	return eventlog.Head{}, b.unavailable()
}

// Close implements eventlog.Log.
func (brokenLog) Close() error { return nil }
