package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// faults fails chosen operations on a disk.
type faults struct {
	mu   sync.Mutex
	seen int
	fail func(n int, op errorfs.Op) error // n counts the operations that change the disk, from 1
}

// MaybeError implements errorfs.Injector.
func (f *faults) MaybeError(op errorfs.Op) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpFileClose {
		return nil
	}
	f.seen++
	if f.fail == nil {
		return nil
	}
	return f.fail(f.seen, op)
}

func (f *faults) String() string { return "fault" }

// deathbed is a log handler that keeps the process from dying where the replica would end it: it tells of it, and whoever was about to
// panic waits until the end of the test process, as nothing of a dead process goes on.
type deathbed struct {
	slog.Handler
	died chan string
}

func (d *deathbed) Enabled(context.Context, slog.Level) bool { return true }

func (d *deathbed) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "index cannot go on" {
		select {
		case d.died <- r.Message:
		default:
		}
		select {}
	}
	return nil
}

// TestOneFaultAtEachOperation lets one write, sync, create, rename or remove fail, each in turn. Whatever comes of it, what the replica
// shows is right, and once it is opened on a healthy disk, it is whole. It goes on, stalls until the disk is well, or dies loudly.
func TestOneFaultAtEachOperation(t *testing.T) {
	s := newStory(t, 21)
	s.tell(t, 30)
	outcomes := map[string]int{}
	for _, cause := range []error{errorfs.ErrInjected, syscall.ENOSPC} {
		for n := 1; ; n += 1 + s.rnd.IntN(3)/simFactor(t) {
			outcome, reached, err := liveWithFault(s, n, cause)
			if err != nil {
				t.Fatalf("%v at operation %d: %v", cause, n, err)
			}
			if !reached {
				break
			}
			outcomes[outcome]++
		}
	}
	t.Log(outcomes)
	if outcomes["went on"] == 0 || outcomes["died"] == 0 {
		t.Errorf("outcomes %v: some never happen", outcomes)
	}
}

// liveWithFault lets a replica live through a story while operation n fails, and opens it again afterwards.
func liveWithFault(s *story, n int, cause error) (outcome string, reached bool, err error) {
	disk, inject := vfs.NewCrashableMem(), &faults{}
	var hit atomic.Bool
	inject.fail = func(at int, op errorfs.Op) error {
		if at != n {
			return nil
		}
		hit.Store(true)
		return fmt.Errorf("%s %s: %w", op.Path, cause, cause)
	}
	opts := testOptions(errorfs.Wrap(disk, inject), rand.New(rand.NewPCG(1, 1)))
	bed := &deathbed{slog.DiscardHandler, make(chan string, 1)}
	opts.Logger = slog.New(bed)
	type end struct {
		outcome string
		err     error
	}
	done := make(chan end, 1)
	go func() {
		e := end{outcome: "went on"}
		e.err = s.liveOnce(opts, &e.outcome)
		done <- e
	}()
	select {
	case e := <-done:
		outcome, err = e.outcome, e.err
	case <-bed.died:
		outcome = "died"
	case <-time.After(time.Minute):
		return "", true, errors.New("it hangs")
	}
	if err != nil || !hit.Load() {
		return outcome, hit.Load(), err
	}
	opts.FS = disk.CrashClone(vfs.CrashCloneCfg{})
	r, err := Open(opts)
	if err != nil {
		return outcome, true, fmt.Errorf("open on a healthy disk after it %s: %w", outcome, err)
	}
	err = errors.Join(s.verify(r), s.apply(r, len(s.envs)), s.verify(r), r.Close())
	return outcome, true, err
}

// liveOnce opens a replica, applies everything with flushes on the way, and closes it. What fails may fail, if it leaves the right state.
func (s *story) liveOnce(opts Options, outcome *string) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			*outcome = "died"
			if text := fmt.Sprint(reason); !strings.Contains(text, "injected") && !strings.Contains(text, "no space") {
				err = fmt.Errorf("panic: %v", reason)
			}
		}
	}()
	r, err := Open(opts)
	if err != nil {
		*outcome = "did not open"
		return nil
	}
	for i := 0; int(r.Applied().Position) < len(s.envs); i++ {
		at := int(r.Applied().Position)
		if err := r.Apply(s.envs[at:min(at+3, len(s.envs))]); err != nil {
			*outcome = "failed once"
			if errors.Is(err, ErrHalted) || i > 2*len(s.envs) {
				return fmt.Errorf("a fault of the disk is taken for one of the log: %w", err)
			}
			time.Sleep(5 * time.Millisecond) // as Run does, only shorter: the index tries again by itself
		}
		if i%4 == 3 {
			_ = r.Flush() // a flush that failed is tried again by the index
		}
		if err := s.verify(r); err != nil {
			return err
		}
	}
	_ = r.Close()
	return nil
}

// TestFullDisk runs a replica whose disk is full for a while.
func TestFullDisk(t *testing.T) {
	s := newStory(t, 3)
	s.tell(t, 60)
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		inject := &faults{fail: func(_ int, op errorfs.Op) error {
			grows := op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpFileWriteAt || op.Kind == errorfs.OpCreate
			if full.Load() && grows && strings.Contains(op.Path, "bodies") {
				return syscall.ENOSPC
			}
			return nil
		}}
		r, err := Open(testOptions(errorfs.Wrap(vfs.NewMem(), inject), s.rnd))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.apply(r, 30); err != nil {
			t.Fatal(err)
		}
		full.Store(true)
		log := copyOf(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, log) }()
		time.Sleep(10 * retryPause) // of the bubble's clock
		synctest.Wait()
		st, err := r.Status()
		if err != nil || st.State != Stalled || !strings.Contains(st.Reason, "no space") || r.Err() == nil {
			t.Errorf("status %+v, %v; Err %v", st, err, r.Err())
		}
		if err := s.verify(r); err != nil {
			t.Errorf("reads of a stalled replica: %v", err)
		}
		full.Store(false)
		if err := r.Wait(ctx, s.builder.State.Position); err != nil {
			t.Fatal(err)
		}
		if st, err = r.Status(); err != nil || st.State != Following || st.Reason != "" || r.Err() != nil {
			t.Errorf("status %+v, %v", st, err)
		}
		if err := s.verify(r); err != nil {
			t.Error(err)
		}
		cancel()
		if err := errors.Join(<-done, r.Close(), log.Close()); err != nil {
			t.Error(err)
		}
	})
}

// TestIndexOnAFullDisk lets every flush of the index fail for a while, with more to apply than memtables hold.
func TestIndexOnAFullDisk(t *testing.T) {
	noLeaks(t)
	s := newStory(t, 3)
	s.tell(t, 600)
	var full atomic.Bool
	var tries atomic.Int64
	inject := &faults{fail: func(_ int, op errorfs.Op) error {
		if !full.Load() || !strings.HasSuffix(op.Path, ".sst") {
			return nil
		}
		tries.Add(1)
		return syscall.ENOSPC
	}}
	r := mustOpen(t, testOptions(errorfs.Wrap(vfs.NewMem(), inject), s.rnd))
	full.Store(true)
	stop := running(t, r, s.log)
	var st Status
	for deadline := time.Now().Add(time.Minute); st.State != Stalled; { // every look must return while the disk is full
		var err error
		if st, err = r.Status(); err != nil || time.Now().After(deadline) {
			t.Fatalf("status %+v, %v", st, err)
		}
		time.Sleep(time.Millisecond)
	}
	if !strings.Contains(st.Reason, "no space") || !errors.Is(r.Flush(), syscall.ENOSPC) {
		t.Errorf("status %+v", st)
	}
	full.Store(false)
	if err := r.Wait(t.Context(), s.builder.State.Position); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Err(), stop(), s.verify(r)); err != nil {
		t.Error(err)
	}
	if n := tries.Load(); n > 100 {
		t.Errorf("%d attempts at a flush while the disk was full", n)
	}
}
