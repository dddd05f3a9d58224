package bus

import (
	"fmt"
	"log/slog"
)

// natsLogger hands the server's lines on. What the server finds notable is detail here.
type natsLogger struct{ log *slog.Logger }

// Noticef implements server.Logger.
func (l natsLogger) Noticef(format string, v ...any) {
	l.log.Debug("nats-server", "message", fmt.Sprintf(format, v...))
}

// Warnf implements server.Logger.
func (l natsLogger) Warnf(format string, v ...any) {
	l.log.Warn("nats-server", "message", fmt.Sprintf(format, v...))
}

// Fatalf implements server.Logger. It does not end the process.
func (l natsLogger) Fatalf(format string, v ...any) {
	l.log.Error("nats-server", "message", fmt.Sprintf(format, v...))
}

// Errorf implements server.Logger. Most of it is what clients did wrong.
func (l natsLogger) Errorf(format string, v ...any) {
	l.log.Warn("nats-server", "message", fmt.Sprintf(format, v...))
}

// Debugf implements server.Logger. The server is not asked for it.
func (l natsLogger) Debugf(string, ...any) {}

// Tracef implements server.Logger. The server is not asked for it.
func (l natsLogger) Tracef(string, ...any) {}
