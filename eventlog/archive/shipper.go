package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"angarium/eventlog"
)

// ShipperOptions configures a Shipper. Zero values mean the defaults named here.
type ShipperOptions struct {
	Shard          int
	Shards         int           // of the store [1]
	Key            *Key          // encrypts the archive [not encrypted]
	SegmentBytes   int           // a segment is sealed at this size; at most 128 MiB [64 MiB]
	SegmentAge     time.Duration // a segment of some size (minSealBytes) is sealed at this age [60 s]
	TailDelay      time.Duration // an envelope is shipped in a tail object if its segment is not sealed after so long [1 s]
	BytesPerSecond int           // of uploads, on average [unlimited]
	RetryMin       time.Duration // the first pause after a failure; each is twice the one before [500 ms]
	RetryMax       time.Duration // the longest pause [1 min]
	Logger         *slog.Logger  // [slog.Default()]
	Now            func() time.Time
	Hooks          ShipperHooks
}

// ShipperHooks observe a shipper. Any may be nil; they must be quick.
type ShipperHooks struct {
	Shipped func(Shipped) // an object is in the archive
	Failed  func(error)   // an attempt failed; another will follow
}

// Shipped describes an object that was put into the archive.
type Shipped struct {
	Sealed    bool // a segment, or else a piece of the open one
	Envelopes int  // in it that the archive did not have before
	Bytes     int
	Lag       time.Duration // from the commit of the oldest of these envelopes to now
	Took      time.Duration // the upload
}

const (
	defaultSegmentBytes = 64 << 20
	maxSegmentBytes     = 128 << 20
	defaultSegmentAge   = 60 * time.Second
	defaultTailDelay    = time.Second
	defaultRetryMin     = 500 * time.Millisecond
	defaultRetryMax     = time.Minute
	// minSealBytes keeps a store with little mail from having a segment for every minute of its life.
	minSealBytes = 1 << 20
	// maxTails bounds the tail objects of the open segment: with so many it is sealed, however small.
	maxTails = 256
	// shipEvents and shipBytes bound a batch of envelopes that is read from the log.
	shipEvents = 2048
	shipBytes  = 4 << 20
	// throttleBurst is how many bytes the throttle lets through at once.
	throttleBurst = 1 << 20
)

func (o ShipperOptions) withDefaults() ShipperOptions {
	if o.Shards <= 0 {
		o.Shards = 1
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	o.SegmentBytes = min(o.SegmentBytes, maxSegmentBytes)
	if o.SegmentAge <= 0 {
		o.SegmentAge = defaultSegmentAge
	}
	if o.TailDelay <= 0 {
		o.TailDelay = defaultTailDelay
	}
	if o.RetryMin <= 0 {
		o.RetryMin = defaultRetryMin
	}
	if o.RetryMax <= 0 {
		o.RetryMax = defaultRetryMax
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// ShipperStatus is what a shipper says of itself.
type ShipperStatus struct {
	Target   string
	Running  bool              // it has found its place in the archive and follows the log
	Shipped  eventlog.Position // the archive holds everything up to here
	Time     time.Time         // commit time of that envelope; zero for none, or while it is not known
	Sealed   eventlog.Position // in sealed segments up to here
	Oldest   time.Time         // commit time of the oldest envelope that was read and is not in the archive; zero for none
	Error    string            // of the last attempt; "" when it succeeded
	Since    time.Time         // when attempts began to fail; zero when the last succeeded
	Failures int               // since then
	Bytes    uint64            // uploaded since the start
}

// Shipper copies the log of a shard to an archive as it grows. It reads the log as any follower does: nobody who writes waits for it,
// whatever becomes of the target.
type Shipper struct {
	target Target
	log    eventlog.Log
	opts   ShipperOptions
	zip    *compressor
	limit  *rate.Limiter // nil: unlimited

	mu      sync.Mutex
	status  ShipperStatus
	changed chan struct{}      // closed and replaced when status changes
	flushTo eventlog.Position  // ship up to here without delay
	wake    context.CancelFunc // ends the wait for the log; nil when there is none
}

// NewShipper makes a shipper of a log to a target.
func NewShipper(t Target, log eventlog.Log, opts ShipperOptions) (*Shipper, error) {
	opts = opts.withDefaults()
	zip, err := newCompressor()
	if err != nil {
		return nil, fmt.Errorf("archive shipper: %w", err)
	}
	s := &Shipper{target: t, log: log, opts: opts, zip: zip, changed: make(chan struct{})}
	s.status.Target = t.String()
	if opts.BytesPerSecond > 0 {
		s.limit = rate.NewLimiter(rate.Limit(opts.BytesPerSecond), throttleBurst)
	}
	return s, nil
}

// Status says how the shipper does.
func (s *Shipper) Status() ShipperStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// set changes the status and tells those who wait.
func (s *Shipper) set(change func(*ShipperStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Flush has everything up to position to shipped without delay, and waits until it is in the archive, or ctx ends. Run must be running.
func (s *Shipper) Flush(ctx context.Context, to eventlog.Position) error {
	for {
		s.mu.Lock()
		s.flushTo = max(s.flushTo, to)
		if s.wake != nil {
			s.wake()
		}
		status, changed := s.status, s.changed
		s.mu.Unlock()
		if status.Running && status.Shipped >= to {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if status.Error != "" {
				return fmt.Errorf("ship log up to %d: %w; the last error was: %s", to, ctx.Err(), status.Error)
			}
			return fmt.Errorf("ship log up to %d: %w", to, ctx.Err())
		}
	}
}

// Run ships until ctx ends, and returns nil then. What fails is tried again and again, with pauses that grow, and shows in Status.
func (s *Shipper) Run(ctx context.Context) error {
	pause := s.opts.RetryMin
	for {
		before := s.Status().Shipped
		err := s.follow(ctx)
		s.set(func(st *ShipperStatus) { st.Running, st.Oldest = false, time.Time{} })
		if ctx.Err() != nil {
			return nil
		}
		s.failed(err)
		if s.Status().Shipped > before {
			pause = s.opts.RetryMin
		}
		if sleep(ctx, pause) != nil {
			return nil
		}
		pause = min(2*pause, s.opts.RetryMax)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Shipper) failed(err error) {
	s.opts.Logger.Error("archive: shipping the log failed; trying again", "shard", s.opts.Shard, "target", s.target.String(), "error", err)
	s.set(func(st *ShipperStatus) {
		if st.Failures++; st.Since.IsZero() {
			st.Since = s.opts.Now()
		}
		st.Error = err.Error()
	})
	if s.opts.Hooks.Failed != nil {
		s.opts.Hooks.Failed(err)
	}
}

// put uploads an object, trying again until it is there or ctx ends.
func (s *Shipper) put(ctx context.Context, name string, data []byte, last eventlog.State) error {
	pause := s.opts.RetryMin
	for {
		err := s.throttle(ctx, len(data))
		if err == nil {
			err = s.target.Put(ctx, name, data)
		}
		if errors.Is(err, ErrExists) {
			err = s.same(ctx, name, last)
		}
		if err == nil {
			s.set(func(st *ShipperStatus) {
				st.Error, st.Since, st.Failures = "", time.Time{}, 0
				st.Bytes += uint64(len(data))
			})
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, ErrForeign) || errors.Is(err, ErrDamaged) {
			return err
		}
		s.failed(err)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, s.opts.RetryMax)
	}
}

func (s *Shipper) throttle(ctx context.Context, n int) error {
	if s.limit == nil {
		return nil
	}
	for n > 0 {
		step := min(n, throttleBurst)
		if err := s.limit.WaitN(ctx, step); err != nil {
			return fmt.Errorf("throttle: %w", err)
		}
		n -= step
	}
	return nil
}

// same checks that an object that is there already holds what was to be put: the upload of an earlier attempt whose answer was lost, or
// of another node.
func (s *Shipper) same(ctx context.Context, name string, last eventlog.State) error {
	a, err := Open(ctx, s.target, s.opts.Key)
	if err != nil {
		return err
	}
	shard, err := a.Shard(ctx, s.opts.Shard)
	if err != nil {
		return err
	}
	for _, n := range shard.cat.segments {
		if n.Name != name {
			continue
		}
		o, err := shard.open(ctx, n, kindSegment)
		if err != nil {
			return err
		}
		if o.foot.after() != last {
			return fmt.Errorf("%w: %s ends at %s, not %s", ErrForeign, name, o.foot.after().Mark(), last.Mark())
		}
		_, err = o.whole(ctx)
		return err
	}
	return fmt.Errorf("%s: %w, and then again not", name, io.ErrUnexpectedEOF)
}
