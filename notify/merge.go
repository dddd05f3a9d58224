package notify

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// readPause is how long a reader waits before it asks a log again that did not answer.
const readPause = time.Second

// Item is a batch of one shard.
type Item struct {
	Feed  *Feed
	Batch Batch
	Lost  uint64 // positions before the batch whose events are no longer there
}

// Merged reads several feeds at once. Each shard is in order; one batch of each is read ahead.
type Merged struct {
	items  chan Item
	gather time.Duration
	cancel context.CancelFunc
	wg     sync.WaitGroup
	log    *slog.Logger
}

// Merge reads feeds from the places that at gives for their shards on. History that is no longer there is passed over, and told of in Item.Lost
// and the log. A receiver whose batches cost more than what is in them gives a time to gather: a batch that comes after a pause is given at once, and the
// next of the same shard so much later, with what has come meanwhile.
func Merge(ctx context.Context, feeds []*Feed, at func(shard int) Place, gather time.Duration, log *slog.Logger) *Merged {
	ctx, cancel := context.WithCancel(ctx)
	m := &Merged{items: make(chan Item), gather: gather, cancel: cancel, log: log}
	for _, f := range feeds {
		c := f.Cursor(at(f.Shard()))
		m.wg.Go(func() {
			defer c.Close()
			m.read(ctx, c)
		})
	}
	return m
}

func (m *Merged) read(ctx context.Context, c *Cursor) {
	for ctx.Err() == nil {
		err := c.comeBack(ctx)
		if err == nil {
			break
		}
		m.rest(ctx, c, err)
	}
	var lost uint64
	for ctx.Err() == nil {
		b, err := c.Next(ctx)
		var history *HistoryError
		switch {
		case err == nil:
			select {
			case m.items <- Item{Feed: c.f, Batch: b, Lost: lost}:
				lost = 0
			case <-ctx.Done():
			}
			m.pause(ctx, len(b.Events))
			continue
		case errors.Is(err, ErrClosed) || ctx.Err() != nil:
			return
		case errors.As(err, &history) && history.First > history.Wanted:
			lost += uint64(history.First - history.Wanted)
			m.log.Error("events are lost to this sink: the log was purged", "shard", c.f.Shard(),
				"from", uint64(history.Wanted), "to", uint64(history.First-1))
			c.Seek(Place{Position: history.First})
			continue
		}
		m.rest(ctx, c, err)
	}
}

// rest waits before a log is asked again.
func (m *Merged) rest(ctx context.Context, c *Cursor, cause error) {
	if ctx.Err() != nil {
		return
	}
	m.log.Warn("events cannot be read; trying again", "shard", c.f.Shard(), "error", cause)
	select {
	case <-time.After(readPause):
	case <-ctx.Done():
	}
}

// pause lets events gather behind a batch of so many, unless it was a large one: then there are more already.
func (m *Merged) pause(ctx context.Context, events int) {
	if m.gather <= 0 || events == 0 || events >= batchEvents {
		return
	}
	t := time.NewTimer(m.gather)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// C gives the batches.
func (m *Merged) C() <-chan Item { return m.items }

// Close ends the reading.
func (m *Merged) Close() {
	m.cancel()
	m.wg.Wait()
}
