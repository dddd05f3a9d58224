package archive_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/eventlog/memlog"
)

func newKey(t testing.TB) *archive.Key {
	t.Helper()
	key, err := archive.ParseKey(archive.NewKeyText())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestWhatWasShippedComesBackExactly(t *testing.T) {
	for name, c := range map[string]struct {
		target func(testing.TB) archive.Target
		key    *archive.Key
		opts   archive.ShipperOptions
	}{
		"one tail":       {func(t testing.TB) archive.Target { return newDir(t) }, nil, archive.ShipperOptions{}},
		"many segments":  {func(t testing.TB) archive.Target { return newDir(t) }, nil, archive.ShipperOptions{SegmentBytes: 1 << 10}},
		"encrypted":      {func(t testing.TB) archive.Target { return newDir(t) }, newKey(t), archive.ShipperOptions{SegmentBytes: 4 << 10}},
		"S3":             {newS3, nil, archive.ShipperOptions{SegmentBytes: 4 << 10}},
		"throttled":      {func(t testing.TB) archive.Target { return newDir(t) }, nil, archive.ShipperOptions{BytesPerSecond: 100 << 20}},
		"encrypted, S3 ": {newS3, newKey(t), archive.ShipperOptions{}},
	} {
		t.Run(name, func(t *testing.T) {
			env := history(t)
			target := c.target(t)
			c.opts.Key = c.key
			ship(t, target, env.Logs[0], c.opts)
			last := head(t, env.Logs[0])
			want := replay(t, env.Logs[0], last)
			res := mustBeSound(t, target, c.key)
			if res.Envelopes < uint64(last) || res.Bodies == 0 || res.Folded == 0 {
				t.Errorf("verify looked at %+v", res)
			}
			log, r := recoverTo(t, openShard(t, target, c.key), archive.RecoverOptions{})
			sameState(t, r, want)
			sameLog(t, log, env.Logs[0], last)
		})
	}
}

func sameLog(t testing.TB, got, want eventlog.Log, last eventlog.Position) {
	t.Helper()
	ctx := testContext(t)
	if h := head(t, got); h != last {
		t.Errorf("the log ends at %d, want %d", h, last)
	}
	for p := eventlog.Position(1); p <= last; p++ {
		a, err1 := got.Read(ctx, p)
		b, err2 := want.Read(ctx, p)
		if err1 != nil || err2 != nil || string(a) != string(b) {
			t.Fatalf("envelope %d differs: %v, %v", p, err1, err2)
		}
	}
}

func TestAWrongKeyIsSaid(t *testing.T) {
	env := history(t)
	target, key := newDir(t), newKey(t)
	ship(t, target, env.Logs[0], archive.ShipperOptions{Key: key})
	for name, k := range map[string]*archive.Key{"none": nil, "another": newKey(t)} {
		if _, err := archive.Open(testContext(t), target, k); !errors.Is(err, archive.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	list, err := target.List(testContext(t), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range list {
		b, err := target.Get(testContext(t), info.Name, 0, -1)
		if err != nil || strings.Contains(string(b), "anna") || strings.Contains(string(b), "example.org") {
			t.Errorf("%s holds plain text, or %v", info.Name, err)
		}
	}
}

// TestAnInterruptedShipperGoesOn ends the shipper at each of its uploads and deletions in turn, before and after the target did what it was
// told, and starts it anew.
func TestAnInterruptedShipperGoesOn(t *testing.T) {
	env := history(t)
	log, last := env.Logs[0], head(t, env.Logs[0])
	want := replay(t, log, last)
	for call := int64(1); ; call++ {
		for _, after := range []bool{false, true} {
			dir := newDir(t)
			var calls atomic.Int64
			ctx, kill := context.WithCancel(testContext(t))
			crash := func(do func() error) error {
				if calls.Add(1) < call {
					return do()
				}
				if after && calls.Load() == call {
					if err := do(); err != nil {
						t.Error(err)
					}
				}
				kill()
				return errBroken
			}
			target := &hooked{Target: dir, put: func(_ string, store func() error) error { return crash(store) }}
			target.del = func(string) error { return crash(func() error { return nil }) }
			s, err := archive.NewShipper(target, log, archive.ShipperOptions{SegmentBytes: 8 << 10, TailDelay: time.Microsecond, Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			flushed := s.Flush(ctx, last)
			kill()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if flushed == nil && calls.Load() < call {
				if call < 5 {
					t.Errorf("only %d calls of the target", calls.Load())
				}
				return
			}
			ship(t, dir, log, archive.ShipperOptions{SegmentBytes: 8 << 10})
			mustBeSound(t, dir, nil)
			_, r := recoverTo(t, openShard(t, dir, nil), archive.RecoverOptions{})
			sameState(t, r, want)
			if t.Failed() {
				t.Fatalf("crash at call %d, after: %v", call, after)
			}
		}
	}
}

func TestABrokenTargetIsTriedAgainAndSaid(t *testing.T) {
	env := history(t)
	var broken atomic.Bool
	broken.Store(true)
	target := &hooked{Target: newDir(t), put: func(_ string, store func() error) error {
		if broken.Load() {
			return errBroken
		}
		return store()
	}}
	failed := make(chan error, 1000)
	s, err := archive.NewShipper(target, env.Logs[0], archive.ShipperOptions{
		RetryMin: time.Millisecond, RetryMax: time.Millisecond, Logger: quiet,
		Hooks: archive.ShipperHooks{Failed: func(err error) { failed <- err }},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(testContext(t))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for range 3 {
		if err := <-failed; !errors.Is(err, errBroken) {
			t.Errorf("failed: %v", err)
		}
	}
	if st := s.Status(); st.Error == "" || st.Since.IsZero() || st.Failures < 2 || st.Shipped != 0 {
		t.Errorf("status of a broken target: %+v", st)
	}
	env.Append(t, "anna", "INBOX", "Subject: meanwhile\r\n\r\n") // the store goes on
	broken.Store(false)
	if err := s.Flush(ctx, head(t, env.Logs[0])); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(); st.Error != "" || !st.Since.IsZero() || st.Shipped != head(t, env.Logs[0]) || st.Time.IsZero() {
		t.Errorf("status afterwards: %+v", st)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	mustBeSound(t, target, nil)
}

func TestAnotherHistoryIsRefused(t *testing.T) {
	env, other := history(t), history(t)
	target := newDir(t)
	ship(t, target, env.Logs[0], archive.ShipperOptions{})
	shorter := memlog.New()
	for name, log := range map[string]eventlog.Log{"another store": other.Logs[0], "a log that lost its end": shorter} {
		ctx, stop := context.WithCancel(testContext(t))
		failed := make(chan error, 100)
		s, err := archive.NewShipper(target, log, archive.ShipperOptions{
			Logger: quiet, RetryMin: time.Hour, Hooks: archive.ShipperHooks{Failed: func(err error) { failed <- err }},
		})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		if err := <-failed; !errors.Is(err, archive.ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
		stop()
		<-done
	}
	if _, err := archive.Create(testContext(t), target, 2, nil); !errors.Is(err, archive.ErrForeign) {
		t.Errorf("an archive of another number of shards: %v", err)
	}
}

func TestEventsOfOneAccountReadOnlyItsFrames(t *testing.T) {
	env := history(t)
	target := newDir(t)
	ship(t, target, env.Logs[0], archive.ShipperOptions{})
	ctx := testContext(t)
	last := head(t, env.Logs[0])
	count := func(account string) int {
		n := 0
		err := openShard(t, target, nil).Events(ctx, 1, last, archive.EventFilter{Account: account}, func(e archive.Event) error {
			if name := e.Entry.Event.AccountName(); account != "" && name != account {
				t.Errorf("an event of %q", name)
			}
			n++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	all, anna, ben, none := count(""), count("anna"), count("ben"), count("nobody")
	if anna == 0 || ben == 0 || none != 0 || all < anna+ben {
		t.Errorf("%d events, %d of anna, %d of ben, %d of nobody", all, anna, ben, none)
	}
}
