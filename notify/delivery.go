package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// Target is a receiver of events: a webhook, a program, a file. One goroutine uses it.
type Target interface {
	// Kind names what it is, for status.
	Kind() string
	// Deliver hands over events of one shard, in order. After an error all of them will be handed over again; an error that is
	// ErrRefused says that this is of little use.
	Deliver(ctx context.Context, events []*Event) error
	// Resume goes back to where the target stood at a mark that Mark gave; NoMark for the first start.
	Resume(mark int64) error
	// Mark makes durable what was delivered, and says where the target stands. A target that keeps nothing gives 0.
	Mark() (int64, error)
	// Close releases what the target holds open.
	Close() error
}

// rotator is a Target that begins anew from time to time. It is asked when its mark is durable; if it has done so, its mark is 0 from there on.
type rotator interface {
	Rotate() (bool, error)
}

// NoMark is the mark of a target that was never used.
const NoMark = -1

// ErrRefused says that a receiver has understood what it was sent and does not want it.
var ErrRefused = errors.New("the receiver refuses the events")

// Start says where a new sink begins.
type Start int

// The values of Start.
const (
	StartNow       Start = iota // behind what the replica has applied when the sink first runs
	StartBeginning              // with the first envelope that the log holds
)

// DeliveryOptions configures a sink that delivers to a Target. Zero values mean the defaults named here.
type DeliveryOptions struct {
	Name     string // letters, digits, "_" and "-"
	Dir      string // where the sink keeps its position and its dead letters; made if missing
	Filter   Filter
	Start    Start
	Batch    int           // events that are handed over together [256]
	Gather   time.Duration // how long events gather behind those that were handed over [100ms]; <0: not at all
	RetryMin time.Duration // pause after the first failure, then twice as long each time [1s]
	RetryMax time.Duration // longest pause [5m]
	Patience time.Duration // how long nothing may be taken before what is tried becomes dead letters [24h]; <0: for ever
	Logger   *slog.Logger
}

const (
	defaultBatch    = 256
	defaultGather   = 100 * time.Millisecond // ten requests a second, however much mail comes
	defaultRetryMin = time.Second
	defaultRetryMax = 5 * time.Minute
	defaultPatience = 24 * time.Hour
	refusedAttempts = 5           // of events that are refused, before they become dead letters
	markEvery       = time.Second // how often the position is made durable
)

// CheckName says what is wrong with the name of a sink.
func CheckName(name string) error {
	if !sinkName.MatchString(name) {
		return fmt.Errorf("sink %q: bad name: want up to 64 letters, digits, _ and -", name)
	}
	return nil
}

var sinkName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Delivery is the sink of a Target: at least once, in order, and the same events again until the receiver takes them or they become dead letters.
type Delivery struct {
	opts     DeliveryOptions
	target   Target
	sieve    *Sieve
	dead     deadLetters
	progress Progress

	marked       time.Time
	dirty        bool
	failingSince time.Time // zero: what was handed over last was taken
}

// deliveryState is the durable position of a sink.
type deliveryState struct {
	Format int           `json:"format"`
	Shards map[int]Place `json:"shards"`
	Mark   int64         `json:"mark"` // of the target
}

// stateFormat is the format of the files of sinks.
const stateFormat = 1

// NewDelivery makes the sink of a target.
func NewDelivery(t Target, opts DeliveryOptions) (*Delivery, error) {
	if err := CheckName(opts.Name); err != nil {
		return nil, err
	}
	if err := opts.Filter.Check(); err != nil {
		return nil, fmt.Errorf("sink %s: %w", opts.Name, err)
	}
	if opts.Batch <= 0 {
		opts.Batch = defaultBatch
	}
	if opts.Gather == 0 {
		opts.Gather = defaultGather
	}
	if opts.RetryMin <= 0 {
		opts.RetryMin = defaultRetryMin
	}
	if opts.RetryMax <= 0 {
		opts.RetryMax = defaultRetryMax
	}
	if opts.Patience == 0 {
		opts.Patience = defaultPatience
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Delivery{opts: opts, target: t, sieve: opts.Filter.Sieve()}
	d.dead.path = filepath.Join(opts.Dir, opts.Name+".dead.jsonl")
	return d, nil
}

// Name implements Sink.
func (d *Delivery) Name() string { return d.opts.Name }

// Status implements Sink.
func (d *Delivery) Status() SinkStatus { return d.progress.Status(d.opts.Name, d.target.Kind()) }

func (d *Delivery) statePath() string { return filepath.Join(d.opts.Dir, d.opts.Name+".json") }

// Run implements Sink.
func (d *Delivery) Run(ctx context.Context, feeds []*Feed) (err error) {
	if err := d.resume(feeds); err != nil {
		return fmt.Errorf("sink %s: %w", d.opts.Name, err)
	}
	d.progress.State(SinkFollowing, nil)
	defer func() {
		err = errors.Join(err, d.mark(), d.target.Close())
		d.progress.State(SinkStopped, err)
	}()
	places := d.progress.Places()
	m := Merge(ctx, feeds, func(shard int) Place { return places[shard] }, d.opts.Gather, d.opts.Logger.With("sink", d.opts.Name))
	defer m.Close()
	ticker := time.NewTicker(markEvery)
	defer ticker.Stop()
	for {
		select {
		case item := <-m.C():
			d.progress.Lose(item.Lost)
			if err := d.take(ctx, item); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("sink %s: %w", d.opts.Name, err)
			}
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if d.dirty && time.Since(d.marked) >= markEvery {
			if err := d.mark(); err != nil {
				return fmt.Errorf("sink %s: %w", d.opts.Name, err)
			}
		}
	}
}

// resume reads where the sink stands, and puts new shards where they begin.
func (d *Delivery) resume(feeds []*Feed) error {
	if err := os.MkdirAll(d.opts.Dir, 0o700); err != nil {
		return err
	}
	saved := deliveryState{Shards: map[int]Place{}, Mark: NoMark}
	if _, err := LoadState(d.statePath(), &saved); err != nil {
		return err
	}
	if saved.Format > stateFormat {
		return fmt.Errorf("%s is of format %d: it was written by a newer program", d.statePath(), saved.Format)
	}
	if err := d.target.Resume(saved.Mark); err != nil {
		return err
	}
	for _, f := range feeds {
		at, ok := saved.Shards[f.Shard()]
		if !ok {
			at = f.Begin(d.opts.Start)
		}
		d.progress.Advance(f.Shard(), at, 0, time.Time{})
	}
	return d.mark()
}

// Begin gives the place where a new sink begins.
func (f *Feed) Begin(s Start) Place {
	if s == StartBeginning {
		return Place{Position: 1}
	}
	return Place{Position: f.Head() + 1}
}

// mark makes the position durable.
func (d *Delivery) mark() error {
	mark, err := d.target.Mark()
	if err != nil {
		return err
	}
	if err := d.save(mark); err != nil {
		return err
	}
	if r, ok := d.target.(rotator); ok {
		if rotated, err := r.Rotate(); err != nil || !rotated {
			return err
		}
		return d.save(0)
	}
	return nil
}

func (d *Delivery) save(mark int64) error {
	err := SaveState(d.statePath(), deliveryState{Format: stateFormat, Shards: d.progress.Places(), Mark: mark})
	if err == nil {
		d.marked, d.dirty = time.Now(), false
	}
	return err
}

// take delivers a batch.
func (d *Delivery) take(ctx context.Context, item Item) error {
	shard := item.Feed.Shard()
	events := make([]*Event, 0, min(len(item.Batch.Events), d.opts.Batch))
	flush := func() error {
		if len(events) == 0 {
			return nil
		}
		dead, err := d.deliver(ctx, events)
		if err != nil {
			return err
		}
		d.dirty = true
		delivered := len(events)
		if dead {
			d.progress.Dead(len(events))
			delivered = 0
		}
		d.progress.Advance(shard, events[len(events)-1].After(), delivered, time.Time{})
		events = events[:0]
		return nil
	}
	for _, e := range item.Batch.Events {
		if e = d.sieve.Apply(e, item.Feed.ReadBody); e == nil {
			continue
		}
		events = append(events, e)
		if len(events) == d.opts.Batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	d.dirty = true
	d.progress.Advance(shard, item.Batch.Next, 0, item.Batch.Time)
	return nil
}

// deliver hands events over until they are taken. dead is true when they became dead letters. It fails when ctx ends, or not even that could be done.
func (d *Delivery) deliver(ctx context.Context, events []*Event) (dead bool, err error) {
	delay := d.opts.RetryMin
	for attempt := 1; ; attempt++ {
		err := d.target.Deliver(ctx, events)
		if err == nil {
			if !d.failingSince.IsZero() {
				d.failingSince = time.Time{}
				d.progress.State(SinkFollowing, nil)
			}
			return false, nil
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if d.failingSince.IsZero() {
			d.failingSince = time.Now()
		}
		d.progress.State(SinkFailing, err)
		if d.hopeless(attempt, err) {
			d.opts.Logger.Error("events given up", "sink", d.opts.Name, "first", events[0].ID(), "events", len(events), "error", err)
			return true, d.dead.write(events, err)
		}
		d.opts.Logger.Warn("events not delivered; trying again", "sink", d.opts.Name, "first", events[0].ID(), "attempt", attempt, "error", err)
		select {
		case <-time.After(delay/2 + rand.N(delay/2+1)):
		case <-ctx.Done():
			return false, ctx.Err()
		}
		delay = min(2*delay, d.opts.RetryMax)
	}
}

// hopeless says that events become dead letters.
func (d *Delivery) hopeless(attempt int, err error) bool {
	if d.opts.Patience < 0 {
		return false
	}
	return errors.Is(err, ErrRefused) && attempt >= refusedAttempts || time.Since(d.failingSince) >= d.opts.Patience
}
