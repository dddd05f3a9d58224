package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"angarium/internal/control"
	"angarium/internal/node"
)

// openOffline opens a data directory that no server has open and serves the control API over it; write says that something will be
// changed. The closer closes the directory.
type openOffline func(ctx context.Context, dataDir, configFile string, write bool, logger *slog.Logger) (http.Handler, io.Closer, error)

// connect calls use with a client of the server, or of the data directory itself when no server has it open. write says that the
// command changes something. The meter that use gets already shows that something goes on.
func (g *globals) connect(ctx context.Context, write bool, use func(*control.Client, *meter) error) error {
	m := g.newMeter()
	defer m.end()
	c, handler, closer, err := g.open(ctx, m, write)
	if err != nil {
		return unusable(err)
	}
	if c != nil {
		m.show(control.Progress{What: "wait for the server"})
		return use(c, m)
	}
	err = use(control.NewClient(handler), m)
	m.show(control.Progress{What: "close the data directory"})
	if closing := closer.Close(); closing != nil {
		err = errors.Join(err, fmt.Errorf("close the data directory: %w", closing))
	}
	return err
}

// A directory that is in use while no server answers belongs to one that starts, restarts or stops: how often, and at which pause, it is
// tried again.
const (
	openTries = 50
	openPause = 100 * time.Millisecond
)

// open connects to the server (then the client is not nil) or opens the data directory.
func (g *globals) open(ctx context.Context, m *meter, write bool) (*control.Client, http.Handler, io.Closer, error) {
	for try := 1; ; try++ {
		c, err := control.Dial(ctx, g.data)
		if err == nil || !errors.Is(err, control.ErrNoServer) {
			return c, nil, nil, err
		}
		m.show(control.Progress{What: "open the data directory"})
		handler, closer, err := g.offline(ctx, g.data, g.config, write, g.logger())
		if !errors.Is(err, node.ErrInUse) || try == openTries {
			return nil, handler, closer, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, nil, ctx.Err()
		case <-time.After(openPause):
		}
	}
}

// unusable is an error of opening the data directory.
func unusable(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return &control.Error{Code: codeData, Message: err.Error(), Hint: "run syncctl as the user who owns the data directory"}
	}
	return openError{err}
}

// logger takes the warnings of a data directory that the tool opened.
func (g *globals) logger() *slog.Logger {
	if g.quiet || g.json {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(g.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
