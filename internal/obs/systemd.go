package obs

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notify tells systemd about the service (sd_notify(3), Type=notify or notify-reload). Where no service manager listens, that
// is without NOTIFY_SOCKET, its methods do nothing. What can't be told is logged and else of no consequence.
type Notify struct {
	logger *slog.Logger
}

// NewNotify returns a Notify.
func NewNotify(logger *slog.Logger) *Notify { return &Notify{logger: logger} }

// Ready tells that the service has started, or has finished a reload.
func (n *Notify) Ready() { n.send(daemon.SdNotifyReady) }

// Stopping tells that the service has begun to stop.
func (n *Notify) Stopping() { n.send(daemon.SdNotifyStopping) }

// Reloading tells that a reload has begun; Ready must follow.
func (n *Notify) Reloading() {
	n.send(daemon.SdNotifyReloading + "\n" + strings.TrimSuffix(daemon.SdNotifyMonotonicUsec(), "\n"))
}

// Status sets the line that "systemctl status" shows. Control characters become spaces, as a new line would be a new message.
func (n *Notify) Status(status string) {
	n.send("STATUS=" + strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, status))
}

// Watchdog reports life twice per interval of the unit's WatchdogSec, as long as healthy returns nil, until the context
// ends. It returns at once if the unit has no watchdog. Healthy must be quick and must not depend on other machines: when
// it fails for a whole interval, systemd kills the process.
func (n *Notify) Watchdog(ctx context.Context, healthy func(context.Context) error) error {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("systemd watchdog: %w", err)
	}
	if interval == 0 {
		return nil
	}
	ticker := time.NewTicker(max(interval/2, time.Microsecond))
	defer ticker.Stop()
	for {
		if err := healthy(ctx); err != nil {
			n.logger.Error("watchdog check failed", "error", err)
		} else {
			n.send(daemon.SdNotifyWatchdog)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *Notify) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.logger.Warn("systemd was not notified", "state", state, "error", err)
	}
}
