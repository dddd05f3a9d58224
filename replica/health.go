package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// health says whether the index can be flushed. Pebble tries a failed flush again and again, at once; meanwhile it takes writes until
// its memtables are full, and then blocks them, with whatever the writer has locked. A replica stops applying before that.
type health struct {
	failed error // of the last flush; guarded by Pebble's lock, under which the listener is called
	fault  atomic.Pointer[error]
}

// err is nil, or why the last flush failed.
func (h *health) err() error {
	if e := h.fault.Load(); e != nil {
		return fmt.Errorf("flush index: %w", *e)
	}
	return nil
}

func (h *health) listener(log *slog.Logger) *pebble.EventListener {
	return &pebble.EventListener{
		FlushEnd: func(info pebble.FlushInfo) {
			if h.failed = info.Err; info.Err == nil {
				h.fault.Store(nil)
			}
		},
		// Called after FlushEnd, if the error is one that counts, and for other work in the background.
		BackgroundError: func(err error) {
			log.Error("index: work in the background failed", "error", err)
			if h.failed != nil && errors.Is(err, h.failed) {
				h.fault.Store(&err)
			}
		},
	}
}

// pace slows down the next attempt at a flush that failed.
func (h *health) pace() {
	if h.fault.Load() != nil {
		time.Sleep(retryPause)
	}
}
