package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"angarium/eventlog"
)

// Place is where a reader of a shard goes on: at the first event that is not before Index of the envelope at Position.
type Place struct {
	Position eventlog.Position `json:"position"`
	Index    int               `json:"index"`
}

// After is the place behind an event.
func (o *Origin) After() Place { return Place{o.Position, o.Index + 1} }

// Before says whether a place lies before another.
func (p Place) Before(q Place) bool {
	return p.Position < q.Position || p.Position == q.Position && p.Index < q.Index
}

// clean makes a place of a zero Place, which is the beginning of the log.
func (p Place) clean() Place {
	if p.Position == 0 {
		return Place{Position: 1}
	}
	return p
}

// Batch is events of one shard that follow one another.
type Batch struct {
	Events []*Event
	Time   time.Time // commit time of the last envelope
	Next   Place     // where to go on when they are done with
}

// batchEvents is about how many events a batch has at most: an envelope is not divided.
const batchEvents = 1024

// HistoryError says that events are no longer there: the log was purged, and there is no archive that has them.
type HistoryError struct {
	Shard  int
	Wanted eventlog.Position
	First  eventlog.Position // the first position that can be read
}

// Error implements error.
func (e *HistoryError) Error() string {
	return fmt.Sprintf("history no longer here: the log of shard %d begins after position %d; resume from %d", e.Shard, e.Wanted, e.First)
}

// Unwrap gives eventlog.ErrPurged.
func (e *HistoryError) Unwrap() error { return eventlog.ErrPurged }

// Cursor reads a feed in order, for one goroutine. While it is close to the head, it shares the events that the feed keeps in memory; when it has fallen
// behind them, it reads the log.
type Cursor struct {
	f     *Feed
	place Place // under f.mu
	past  *past // nil while the cursor is not behind
}

// Cursor begins to read at a place.
func (f *Feed) Cursor(at Place) *Cursor {
	c := &Cursor{f: f, place: at.clean()}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cursors[c] = struct{}{}
	return c
}

// Seek goes to another place.
func (c *Cursor) Seek(to Place) {
	c.leavePast()
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.place = to.clean()
}

// comeBack moves a cursor that stands beyond the end of the log to its end. The log had more once: a node that had written what nobody else got
// sets that aside when another leads. To wait for the position would pass over what the others write there.
func (c *Cursor) comeBack(ctx context.Context) error {
	head, err := c.f.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("look for the end of the log: %w", err)
	}
	c.f.mu.Lock()
	at := c.place.Position
	c.f.mu.Unlock()
	if at <= head.Last+1 {
		return nil
	}
	c.f.opts.Logger.Error("the log ends before the place where a sink was: what was written behind it was set aside", "shard", c.f.Shard(),
		"place", uint64(at), "end", uint64(head.Last))
	c.Seek(Place{Position: head.Last + 1})
	return nil
}

// Close ends the cursor.
func (c *Cursor) Close() {
	c.f.mu.Lock()
	delete(c.f.cursors, c)
	c.f.mu.Unlock()
	c.leavePast()
}

func (c *Cursor) leavePast() {
	if c.past != nil {
		c.past.close()
		c.past = nil
	}
}

// Behind says whether the cursor reads from the log what the feed no longer has in memory.
func (c *Cursor) Behind() bool { return c.past != nil }

// Next waits for events. A batch may be empty: then envelopes were passed that gave none. Errors are of ctx, ErrClosed, a *HistoryError, or the
// log's; after any of them Next may be called again.
func (c *Cursor) Next(ctx context.Context) (Batch, error) {
	for {
		c.f.mu.Lock()
		if c.f.closed {
			c.f.mu.Unlock()
			return Batch{}, ErrClosed
		}
		r, changed := &c.f.ring, c.f.changed
		switch at := c.place.Position; {
		case at >= r.next: // nothing yet
			c.f.mu.Unlock()
			c.leavePast()
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return Batch{}, ctx.Err()
			}
		case at >= r.first:
			b := c.take(r.from(at, batchEvents))
			c.f.mu.Unlock()
			c.leavePast()
			return b, nil
		default:
			until := r.first
			c.f.mu.Unlock()
			return c.readPast(ctx, until)
		}
	}
}

// take makes a batch of entries and moves on; f.mu is held.
func (c *Cursor) take(entries []ringEntry) Batch {
	var b Batch
	for _, entry := range entries {
		events := entry.events
		if entry.position == c.place.Position {
			events = events[min(c.place.Index, len(events)):]
		}
		b.Events = append(b.Events, events...)
		b.Time = entry.time
	}
	b.Next = Place{Position: entries[len(entries)-1].position + 1}
	c.place = b.Next
	return b
}

// readPast reads envelopes before until from the log. All of them have been applied.
func (c *Cursor) readPast(ctx context.Context, until eventlog.Position) (Batch, error) {
	if c.past == nil {
		p, err := c.f.openPast(ctx, c.place.Position)
		if err != nil {
			return Batch{}, err
		}
		c.past = p
	}
	entries, err := c.past.next(ctx, until)
	if len(entries) == 0 {
		none := c.past.chain == nil
		c.leavePast()
		if !errors.Is(err, io.EOF) {
			return Batch{}, err
		}
		if none { // the archive ends before it gets here
			return Batch{}, c.f.noHistory(ctx, c.place.Position)
		}
		return Batch{Next: c.place}, nil // the log has the rest
	}
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	return c.take(entries), nil
}

// past reads events back from a log or an archive.
type past struct {
	f     *Feed
	tail  eventlog.Tail
	chain *eventlog.Chain // nil before the first envelope
	view  *pastView
}

func (f *Feed) openPast(ctx context.Context, from eventlog.Position) (*past, error) {
	tail, err := f.log.Tail(ctx, from)
	if errors.Is(err, eventlog.ErrPurged) {
		tail, err = f.openArchive(ctx, from)
	}
	if err != nil {
		return nil, fmt.Errorf("read events of shard %d from position %d: %w", f.opts.Shard, from, err)
	}
	return &past{f: f, tail: tail, view: newPastView(f.replica.Reader())}, nil
}

func (f *Feed) openArchive(ctx context.Context, from eventlog.Position) (eventlog.Tail, error) {
	if f.opts.Archive != nil {
		tail, err := f.opts.Archive.Tail(ctx, from)
		if !errors.Is(err, eventlog.ErrPurged) {
			return tail, err
		}
	}
	return nil, f.noHistory(ctx, from)
}

// noHistory is the *HistoryError of a position.
func (f *Feed) noHistory(ctx context.Context, wanted eventlog.Position) error {
	head, err := f.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("look for the beginning of the log: %w", err)
	}
	return &HistoryError{Shard: f.opts.Shard, Wanted: wanted, First: head.First}
}

func (p *past) close() {
	if err := p.tail.Close(); err != nil {
		p.f.opts.Logger.Warn("close tail of the log", "shard", p.f.opts.Shard, "error", err)
	}
}

// next waits for the next envelope before until, and takes those that are here already. With an error it may give some all the same.
func (p *past) next(ctx context.Context, until eventlog.Position) ([]ringEntry, error) {
	m, err := p.tail.Next(ctx)
	if err != nil {
		return nil, err
	}
	var entries []ringEntry
	for events, ok := 0, true; ok; {
		env, err := p.extend(m)
		if err != nil {
			return entries, err
		}
		entries = append(entries, entryOf(&env, p.f.p.project(&env, p.view)))
		if events += len(entries[len(entries)-1].events); events >= batchEvents || env.Position+1 >= until {
			break
		}
		if m, ok, err = p.tail.TryNext(); err != nil {
			break // a tail repeats its error
		}
	}
	return entries, nil
}

// extend decodes an envelope and checks that it continues the one before.
func (p *past) extend(m eventlog.Message) (eventlog.Envelope, error) {
	if p.chain != nil {
		return p.chain.Extend(m)
	}
	env, err := eventlog.Decode(m.Position, m.Payload)
	if err != nil {
		return env, fmt.Errorf("log position %d: %w", m.Position, err)
	}
	p.chain = eventlog.NewChain(env.State())
	return env, nil
}
