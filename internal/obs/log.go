package obs

import (
	"fmt"
	"io"
	"log/slog"
)

// NewLogger returns a logger that writes to w, as "text" or "json". The level, "debug", "info", "warn" or "error", can be
// changed later through the LevelVar.
func NewLogger(w io.Writer, format, level string) (*slog.Logger, *slog.LevelVar, error) {
	var threshold slog.LevelVar
	if err := SetLevel(&threshold, level); err != nil {
		return nil, nil, err
	}
	opts := &slog.HandlerOptions{Level: &threshold}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), &threshold, nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), &threshold, nil
	}
	return nil, nil, fmt.Errorf("log format %q: want \"text\" or \"json\"", format)
}

// SetLevel sets a level by its name in the configuration. On an error the level stays.
func SetLevel(v *slog.LevelVar, level string) error {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	l, ok := levels[level]
	if !ok {
		return fmt.Errorf("log level %q: want \"debug\", \"info\", \"warn\" or \"error\"", level)
	}
	v.Set(l)
	return nil
}
