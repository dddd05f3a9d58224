// Package natslog hands the lines of an embedded nats-server on to slog. It imports nothing of ours.
package natslog

import (
	"fmt"
	"log/slog"
)

// Logger implements server.Logger. What the server finds notable is detail here.
type Logger struct{ Log *slog.Logger }

// Noticef implements server.Logger.
func (l Logger) Noticef(format string, v ...any) {
	l.Log.Debug("nats-server", "message", fmt.Sprintf(format, v...))
}

// Warnf implements server.Logger.
func (l Logger) Warnf(format string, v ...any) {
	l.Log.Warn("nats-server", "message", fmt.Sprintf(format, v...))
}

// Fatalf implements server.Logger. It does not end the process.
func (l Logger) Fatalf(format string, v ...any) {
	l.Log.Error("nats-server", "message", fmt.Sprintf(format, v...))
}

// Errorf implements server.Logger.
func (l Logger) Errorf(format string, v ...any) {
	l.Log.Error("nats-server", "message", fmt.Sprintf(format, v...))
}

// Debugf implements server.Logger. The server is not asked for it.
func (l Logger) Debugf(string, ...any) {}

// Tracef implements server.Logger. The server is not asked for it.
func (l Logger) Tracef(string, ...any) {}
