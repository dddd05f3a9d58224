package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/logtest"
	"angarium/eventlog/memlog"
)

// sent is what became of one unit of two events, which are named after it.
type sent struct {
	receipt eventlog.Receipt
	err     error
}

// TestWriterUnderFaults checks, whatever the log does to appends: a unit that was acknowledged is in the log once, where its receipt
// says; one that was refused for certain is not there; one with unknown outcome is there at most once; the chain is sound.
func TestWriterUnderFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		faulty := rapid.IntRange(0, 60).Draw(t, "percent of faulty appends")
		writers := rapid.IntRange(1, 8).Draw(t, "appenders")
		each := rapid.IntRange(1, 15).Draw(t, "units each")
		inFlight := rapid.IntRange(1, 4).Draw(t, "in flight")
		rivalAfter := rapid.IntRange(0, 2*writers*each).Draw(t, "acks before a rival takes over")

		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		log := memlog.New()
		defer log.Close()
		state, err := eventlog.Fence(ctx, log, eventlog.State{}, "a")
		if err != nil {
			t.Fatal(err)
		}
		rnd := rand.New(rand.NewPCG(seed, seed))
		log.SetHook(func(eventlog.Mark, []byte) memlog.Fault { return randomFault(rnd, faulty) })
		w := eventlog.NewWriter(log, state, eventlog.Options{InFlight: inFlight, RetryDelay: 50 * time.Microsecond})

		acks := make(chan struct{}, writers*each)
		results := appendAll(ctx, w, writers, each, acks)
		rival := make(chan error, 1)
		go func() { rival <- takeOver(ctx, log, acks, rivalAfter) }()
		all := <-results
		close(acks)
		if err := w.Close(ctx); err != nil && !errors.Is(err, eventlog.ErrFenced) {
			t.Fatalf("Close: %v", err)
		}
		if err := <-rival; err != nil {
			t.Fatalf("Fence of the rival: %v", err)
		}
		log.SetHook(nil)
		checkUnits(ctx, t, log, all)
	})
}

func randomFault(rnd *rand.Rand, percent int) memlog.Fault {
	if rnd.IntN(100) >= percent {
		return memlog.Fault{}
	}
	switch rnd.IntN(4) {
	case 0:
		return memlog.Fault{Refuse: fmt.Errorf("store is full: %w", eventlog.ErrNoSpace)}
	case 1:
		return memlog.Fault{Refuse: fmt.Errorf("lost on the way: %w", eventlog.ErrUnknown)}
	case 2:
		return memlog.Fault{Refuse: eventlog.ErrUnavailable}
	}
	return memlog.Fault{Lose: true}
}

// appendAll has each appender append its units one after the other; some give up waiting.
func appendAll(ctx context.Context, w *eventlog.Writer, writers, each int, acks chan<- struct{}) <-chan map[string]sent {
	var mu sync.Mutex
	all := map[string]sent{}
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for k := range each {
				name := fmt.Sprintf("%d.%d", i, k)
				waiting, cancel := context.WithCancel(ctx)
				if k%5 == 4 {
					cancel()
				}
				r, err := w.Append(waiting, named(name+".a"), named(name+".b"))
				cancel()
				if err == nil {
					acks <- struct{}{}
				}
				mu.Lock()
				all[name] = sent{r, err}
				mu.Unlock()
			}
		})
	}
	done := make(chan map[string]sent, 1)
	go func() {
		wg.Wait()
		done <- all
	}()
	return done
}

func takeOver(ctx context.Context, log eventlog.Log, acks <-chan struct{}, after int) error {
	for range after {
		if _, ok := <-acks; !ok {
			return nil
		}
	}
	for {
		_, err := eventlog.Fence(ctx, log, eventlog.State{}, "rival")
		if !errors.Is(err, eventlog.ErrNoSpace) {
			return err
		}
	}
}

func named(name string) event.Entry {
	e := logtest.Entry(1)
	e.Event.(*event.SubscriptionSet).Name = name
	return e
}

func checkUnits(ctx context.Context, t *rapid.T, log eventlog.Log, all map[string]sent) {
	head, err := log.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	follower, err := eventlog.Follow(ctx, log, eventlog.State{})
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	found := map[string]eventlog.Receipt{}
	for follower.State().Position < head.Last {
		env, err := follower.Next(ctx)
		if err != nil {
			t.Fatalf("chain: %v", err)
		}
		for i, entry := range env.Entries {
			set, ok := entry.Event.(*event.SubscriptionSet)
			if !ok {
				continue
			}
			if _, again := found[set.Name]; again {
				t.Fatalf("%s is in the log twice", set.Name)
			}
			found[set.Name] = eventlog.Receipt{Position: env.Position, FirstIndex: env.FirstIndex + uint64(i)}
		}
	}
	for name, s := range all {
		a, inLog := found[name+".a"]
		b, bothIn := found[name+".b"]
		switch {
		case inLog != bothIn || inLog && (b.Position != a.Position || b.FirstIndex != a.FirstIndex+1):
			t.Fatalf("unit %s is torn: %+v, %+v", name, a, b)
		case s.err == nil && (!inLog || a != s.receipt):
			t.Fatalf("unit %s was acknowledged at %+v and is at %+v", name, s.receipt, a)
		case s.err != nil && !errors.Is(s.err, eventlog.ErrUnknown) && inLog:
			t.Fatalf("unit %s was refused (%v) and is at %+v", name, s.err, a)
		}
	}
}
