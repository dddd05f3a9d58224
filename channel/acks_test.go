package channel

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"angarium/eventlog"
)

func TestAcksWait(t *testing.T) {
	a := newAcks()
	ctx := testContext(t)
	if err := a.Wait(ctx, 0, 100, 0); err != nil {
		t.Errorf("for no peer: %v", err)
	}
	a.begin("west", 0, 5)
	if err := a.Wait(ctx, 0, 5, 1); err != nil {
		t.Errorf("for what is there: %v", err)
	}
	one, two, other := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { one <- a.Wait(ctx, 0, 7, 1) }()
	go func() { two <- a.Wait(ctx, 0, 7, 2) }()
	go func() { other <- a.Wait(ctx, 1, 7, 1) }()
	waiting(t, a, 3)
	a.set("west", 0, 6)
	waiting(t, a, 3)
	a.set("west", 0, 7)
	if err := <-one; err != nil {
		t.Error(err)
	}
	waiting(t, a, 2)
	a.begin("north", 0, 9)
	if err := <-two; err != nil {
		t.Error(err)
	}
	a.set("north", 0, 8) // late: less than it has
	if got := a.Peers(0)["north"].Position; got != 9 {
		t.Errorf("north has %d", got)
	}
	for n, want := range []eventlog.Position{0, 9, 7, 0} {
		if got := a.Reached(0, n); got != want {
			t.Errorf("%d peers have reached %d, want %d", n, got, want)
		}
	}
	a.begin("north", 0, 3) // it has cut its log and follows again
	if got := a.Reached(0, 1); got != 7 {
		t.Errorf("reached after north began anew: %d", got)
	}
	a.close()
	if err := <-other; !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if err := a.Wait(ctx, 0, 1000, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

// waiting waits until n wait.
func waiting(t *testing.T, a *Acks, n int) {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	for {
		a.mu.Lock()
		got := a.waiting
		a.mu.Unlock()
		if got == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait, want %d", got, n)
		}
		runtime.Gosched()
	}
}

func TestAcksWaitEndsWithItsContext(t *testing.T) {
	a := newAcks()
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan error, 3)
	for i := range 3 {
		go func() { results <- a.Wait(ctx, 0, eventlog.Position(i+1), 1) }()
	}
	waiting(t, a, 3)
	cancel()
	for range 3 {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	waiting(t, a, 0)
	a.waiting = maxWaiters
	if err := a.Wait(context.Background(), 0, 1, 1); !errors.Is(err, ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
}

// TestAcksWakeExactlyThoseWhoHaveWhatTheyWaitFor compares with a model, in steps that one goroutine decides on.
func TestAcksWakeExactlyThoseWhoHaveWhatTheyWaitFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newAcks()
		has := map[string]eventlog.Position{}
		type waits struct {
			w *waiter
			n int
		}
		var all []waits
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "wait") {
				n := rapid.IntRange(1, 3).Draw(t, "n")
				w := &waiter{position: eventlog.Position(rapid.IntRange(1, 20).Draw(t, "position")), done: make(chan struct{})}
				if reachedBy(has, n) < w.position {
					a.mu.Lock()
					a.pushLocked(a.shardLocked(0), n, w)
					a.mu.Unlock()
					all = append(all, waits{w, n})
				}
			} else {
				peer := fmt.Sprint(rapid.IntRange(1, 4).Draw(t, "peer"))
				pos := eventlog.Position(rapid.IntRange(1, 20).Draw(t, "acked"))
				if rapid.IntRange(0, 5).Draw(t, "anew") == 0 {
					a.begin(peer, 0, pos)
					has[peer] = pos
				} else {
					a.set(peer, 0, pos)
					if before, follows := has[peer]; follows {
						has[peer] = max(before, pos)
					}
				}
			}
			all = slices.DeleteFunc(all, func(w waits) bool {
				done := false
				select {
				case <-w.w.done:
					done = true
				default:
				}
				if due := reachedBy(has, w.n) >= w.w.position; due != done {
					t.Fatalf("waiter for %d at %d peers: woken %v, due %v, peers %v", w.w.position, w.n, done, due, has)
				}
				return done
			})
			if a.waiting != len(all) {
				t.Fatalf("%d wait, want %d", a.waiting, len(all))
			}
		}
	})
}

// reachedBy gives the highest position that n peers have.
func reachedBy(has map[string]eventlog.Position, n int) eventlog.Position {
	best := eventlog.Position(0)
	for _, pos := range has {
		count := 0
		for _, other := range has {
			if other >= pos {
				count++
			}
		}
		if count >= n {
			best = max(best, pos)
		}
	}
	return best
}

func TestAcksNoteWhatAnotherNodeWasTold(t *testing.T) {
	a := newAcks()
	wait := make(chan error, 1)
	go func() { wait <- a.Wait(testContext(t), 0, 7, 1) }()
	waiting(t, a, 1)
	a.Note("far", 0, 6)
	waiting(t, a, 1)
	a.Note("far", 0, 7)
	if err := <-wait; err != nil {
		t.Error(err)
	}
	a.Note("far", 0, 5) // late
	if got := a.Reached(0, 1); got != 7 {
		t.Errorf("reached %d", got)
	}
}

func TestOnlyPeersThatCountAreCounted(t *testing.T) {
	a := newAcks()
	for _, peer := range []string{"b", "c", "d"} {
		a.begin(peer, 0, 1)
	}
	a.Count([]string{"b", "c"})
	a.set("d", 0, 9)
	a.set("b", 0, 7)
	if one, two, three := a.Reached(0, 1), a.Reached(0, 2), a.Reached(0, 3); one != 7 || two != 1 || three != 0 {
		t.Errorf("1, 2 and 3 peers have %d, %d, %d", one, two, three)
	}
	done := make(chan error, 1)
	go func() { done <- a.Wait(context.Background(), 0, 9, 1) }()
	a.Count([]string{"d"})
	if err := <-done; err != nil {
		t.Error(err)
	}
}
