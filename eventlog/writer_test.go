package eventlog_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/logtest"
	"angarium/eventlog/memlog"
)

// bench is a writer on a log in memory. Every append that arrives there is told on arrived, and held there until release.
type bench struct {
	log     *memlog.Log
	w       *eventlog.Writer
	ctx     context.Context
	arrived chan eventlog.Mark
	release chan struct{}
	commits chan eventlog.Commit
	down    chan error
}

func newBench(t *testing.T, opt eventlog.Options) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	b := &bench{
		log: memlog.New(), ctx: ctx,
		arrived: make(chan eventlog.Mark, 100), release: make(chan struct{}),
		commits: make(chan eventlog.Commit, 100), down: make(chan error, 100),
	}
	state, err := eventlog.Fence(ctx, b.log, eventlog.State{}, "a")
	if err != nil {
		t.Fatal(err)
	}
	opt.Hooks = eventlog.Hooks{
		Committed: func(c eventlog.Commit) { b.commits <- c },
		Down:      func(cause error) { b.down <- cause },
	}
	opt.RetryDelay = time.Millisecond
	b.w = eventlog.NewWriter(b.log, state, opt)
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		b.w.Close(ended)
		b.log.Close()
	})
	return b
}

func (b *bench) hold() {
	b.log.SetHook(func(after eventlog.Mark, _ []byte) memlog.Fault {
		b.arrived <- after
		return memlog.Fault{Hold: b.release}
	})
}

// start appends in the background.
func (b *bench) start(ctx context.Context, unit ...event.Entry) <-chan sent {
	c := make(chan sent, 1)
	go func() {
		r, err := b.w.Append(ctx, unit...)
		c <- sent{r, err}
	}()
	return c
}

func TestUnitsThatWaitGoTogether(t *testing.T) {
	b := newBench(t, eventlog.Options{InFlight: 1})
	b.hold()
	first := b.start(b.ctx, logtest.Entry(0))
	<-b.arrived
	var rest []<-chan sent
	for i := range 9 {
		rest = append(rest, b.start(b.ctx, logtest.Entry(i), logtest.Entry(i)))
	}
	waitForQueue(t, b, 9)
	close(b.release)
	if s := <-first; s.err != nil || s.receipt.Position != 2 {
		t.Errorf("first unit: %+v", s)
	}
	for _, c := range rest {
		if s := <-c; s.err != nil || s.receipt.Position != 3 {
			t.Errorf("unit that waited: %+v, want position 3", s)
		}
	}
	<-b.commits
	if c := <-b.commits; c.Units != 9 || c.Events != 18 || c.Position != 3 {
		t.Errorf("second commit: %+v", c)
	}
}

// waitForQueue waits until n units are in the writer's queue.
func waitForQueue(t *testing.T, b *bench, n int) {
	t.Helper()
	for b.w.Queued() != n {
		if b.ctx.Err() != nil {
			t.Fatalf("%d units in the queue, want %d", b.w.Queued(), n)
		}
		runtime.Gosched()
	}
}

func TestInFlightIsBounded(t *testing.T) {
	b := newBench(t, eventlog.Options{InFlight: 2})
	b.hold()
	var all []<-chan sent
	for i := range 2 {
		all = append(all, b.start(b.ctx, logtest.Entry(i)))
		<-b.arrived
	}
	all = append(all, b.start(b.ctx, logtest.Entry(3)))
	waitForQueue(t, b, 1)
	close(b.release)
	for _, c := range all {
		if s := <-c; s.err != nil {
			t.Error(s.err)
		}
	}
}

func TestContextOfAUnitThatWaitsWithdrawsIt(t *testing.T) {
	b := newBench(t, eventlog.Options{InFlight: 1})
	b.hold()
	first := b.start(b.ctx, logtest.Entry(0))
	<-b.arrived
	ctx, cancel := context.WithCancel(b.ctx)
	second := b.start(ctx, logtest.Entry(1))
	waitForQueue(t, b, 1)
	cancel()
	if s := <-second; !errors.Is(s.err, context.Canceled) || errors.Is(s.err, eventlog.ErrUnknown) {
		t.Errorf("withdrawn unit: %v, want context.Canceled alone", s.err)
	}
	close(b.release)
	<-first
	if err := b.w.Close(b.ctx); err != nil {
		t.Fatal(err)
	}
	if s := b.w.State(); s.Position != 2 {
		t.Errorf("log ends at %d, want 2", s.Position)
	}
}

func TestContextOfAUnitOnItsWayLeavesItUnknown(t *testing.T) {
	b := newBench(t, eventlog.Options{})
	b.hold()
	ctx, cancel := context.WithCancel(b.ctx)
	unit := b.start(ctx, logtest.Entry(0))
	<-b.arrived
	cancel()
	if s := <-unit; !errors.Is(s.err, eventlog.ErrUnknown) || !errors.Is(s.err, context.Canceled) {
		t.Errorf("%v, want ErrUnknown and context.Canceled", s.err)
	}
	close(b.release)
	if err := b.w.Close(b.ctx); err != nil {
		t.Fatal(err)
	}
	if s := b.w.State(); s.Position != 2 {
		t.Errorf("log ends at %d, want 2", s.Position)
	}
}

func TestQueueIsBounded(t *testing.T) {
	for name, opt := range map[string]eventlog.Options{
		"by bytes": {InFlight: 1, QueueBytes: 1}, // raised to the size of the largest unit
		"by units": {InFlight: 1, QueueUnits: 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, opt)
			b.hold()
			first := b.start(b.ctx, logtest.Body(1, 3<<20-200))
			<-b.arrived
			second := b.start(b.ctx, logtest.Body(2, 3<<20-200))
			waitForQueue(t, b, 1)
			ctx, cancel := context.WithTimeout(b.ctx, 10*time.Millisecond)
			defer cancel()
			if _, err := b.w.Append(ctx, logtest.Body(3, 100<<10)); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, eventlog.ErrUnknown) {
				t.Errorf("unit without room: %v, want DeadlineExceeded alone", err)
			}
			third := b.start(b.ctx, logtest.Body(3, 100<<10))
			close(b.release)
			for _, c := range []<-chan sent{first, second, third} {
				if s := <-c; s.err != nil {
					t.Error(s.err)
				}
			}
		})
	}
}

func TestUnitsThatAreNoneAreRefused(t *testing.T) {
	b := newBench(t, eventlog.Options{})
	many := make([]event.Entry, eventlog.MaxUnitEvents+1)
	for name, test := range map[string]struct {
		unit []event.Entry
		want error
	}{
		"no events":       {nil, nil},
		"an epoch":        {[]event.Entry{{Event: &event.EpochStarted{Epoch: 2}}}, nil},
		"a bad event":     {[]event.Entry{logtest.Entry(1), {Event: &event.AccountDeleted{}}}, nil},
		"too many events": {many, eventlog.ErrTooLarge},
		"too many bytes":  {[]event.Entry{logtest.Body(1, eventlog.MaxUnitBytes)}, eventlog.ErrTooLarge},
	} {
		if _, err := b.w.Append(b.ctx, test.unit...); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWriterRecoversWhenTheLogComesBack(t *testing.T) {
	b := newBench(t, eventlog.Options{})
	b.log.SetDown(errors.New("cable pulled"))
	waiting := b.start(b.ctx, logtest.Entry(1))
	if cause := <-b.down; !errors.Is(cause, eventlog.ErrUnavailable) {
		t.Errorf("down because of %v", cause)
	}
	if _, err := b.w.Append(b.ctx, logtest.Entry(2)); !errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrUnknown) {
		t.Errorf("append to a log that is away: %v, want ErrUnavailable alone", err)
	}
	b.log.SetDown(nil)
	if s := <-waiting; s.err != nil || s.receipt.Position != 2 {
		t.Errorf("unit that waited: %+v", s)
	}
	if cause := <-b.down; cause != nil {
		t.Errorf("still down: %v", cause)
	}
	if _, err := b.w.Append(b.ctx, logtest.Entry(3)); err != nil {
		t.Error(err)
	}
}

func TestWriterDiesWhenTheLogLostWhatItHad(t *testing.T) {
	b := newBench(t, eventlog.Options{})
	if _, err := b.w.Append(b.ctx, logtest.Entry(1)); err != nil {
		t.Fatal(err)
	}
	b.log.Truncate(1)
	_, err := b.w.Append(b.ctx, logtest.Entry(2))
	if !errors.Is(err, eventlog.ErrBehind) {
		t.Errorf("%v, want ErrBehind", err)
	}
	<-b.w.Done()
	if _, err := b.w.Append(b.ctx, logtest.Entry(3)); !errors.Is(err, eventlog.ErrBehind) || !errors.Is(b.w.Err(), eventlog.ErrBehind) {
		t.Errorf("later: %v, %v, want ErrBehind", err, b.w.Err())
	}
}

func TestCloseThatCannotWaitEndsUnits(t *testing.T) {
	b := newBench(t, eventlog.Options{InFlight: 1})
	b.hold()
	onItsWay := b.start(b.ctx, logtest.Entry(1))
	<-b.arrived
	queued := b.start(b.ctx, logtest.Entry(2))
	waitForQueue(t, b, 1)
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	if err := b.w.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v, want context.Canceled", err)
	}
	if s := <-onItsWay; !errors.Is(s.err, eventlog.ErrUnknown) || !errors.Is(s.err, eventlog.ErrClosed) {
		t.Errorf("unit on its way: %v, want ErrUnknown and ErrClosed", s.err)
	}
	if s := <-queued; !errors.Is(s.err, eventlog.ErrClosed) || errors.Is(s.err, eventlog.ErrUnknown) {
		t.Errorf("queued unit: %v, want ErrClosed alone", s.err)
	}
	if _, err := b.w.Append(b.ctx, logtest.Entry(3)); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("later: %v, want ErrClosed", err)
	}
}
