package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/logtest"
	"angarium/eventlog/memlog"
	"angarium/replica/state"
	"angarium/replica/state/statetest"
)

// simFactor multiplies the length of the long tests; ANGARIUM_SIM sets it.
func simFactor(t testing.TB) int {
	env := os.Getenv("ANGARIUM_SIM")
	if env == "" {
		return 1
	}
	n, err := strconv.Atoi(env)
	if err != nil || n < 1 {
		t.Fatalf("ANGARIUM_SIM=%q is no factor", env)
	}
	return n
}

// noLeaks fails the test if goroutines are left that it started.
func noLeaks(t *testing.T) {
	current := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, current) })
}

// story is a history in a log, with the rows of the reference state after each envelope.
type story struct {
	*statetest.History
	builder logtest.Builder
	log     *memlog.Log
	envs    []eventlog.Envelope
	rows    []map[string]string // rows[i] after i envelopes
	rnd     *rand.Rand
}

func newStory(tb testing.TB, seed uint64) *story {
	rnd := rand.New(rand.NewPCG(seed, 0x570e1))
	s := &story{History: statetest.New(rnd), log: memlog.New(), rnd: rnd, rows: []map[string]string{{}}}
	s.Weights = map[event.Kind]int{event.KindAccountDeleted: 0, event.KindMailboxDeleted: 1, event.KindBodyChunk: 30}
	tb.Cleanup(func() { s.log.Close() })
	return s
}

// tell writes so many envelopes of some events each.
func (s *story) tell(tb testing.TB, envelopes int) {
	tb.Helper()
	var next *event.Entry
	var totals []byte // before next
	for range envelopes {
		var entries []event.Entry
		for range 1 + s.rnd.IntN(4) {
			if next == nil {
				totals = s.State.Rows["T"]
				e, err := s.Next()
				if err != nil {
					tb.Fatal(err)
				}
				next = &e
			}
			if _, epoch := next.Event.(*event.EpochStarted); epoch && len(entries) > 0 {
				break // it begins an envelope
			}
			entries, next = append(entries, *next), nil
		}
		s.append(tb, entries...)
		if next != nil { // the history is one event ahead, which changed nothing but the totals
			s.rows[len(s.rows)-1]["T"] = string(totals)
		}
	}
	if next != nil {
		s.append(tb, *next)
	}
}

// append writes one envelope; the events are applied to the history already.
func (s *story) append(tb testing.TB, entries ...event.Entry) {
	tb.Helper()
	before := s.builder.State
	after, payload := s.builder.Next(tb, entries...)
	if err := <-s.log.Append(context.Background(), after, payload); err != nil {
		tb.Fatal(err)
	}
	env, err := eventlog.NewChain(before).Extend(eventlog.Message{Position: before.Position + 1, Payload: payload})
	if err != nil {
		tb.Fatal(err)
	}
	s.envs = append(s.envs, env)
	rows, err := rowsOf(s.State)
	if err != nil {
		tb.Fatal(err)
	}
	s.rows = append(s.rows, rows)
}

// rowsOf reads all rows; of the extents of bodies only their lengths.
func rowsOf(r state.Reader) (map[string]string, error) {
	rows := map[string]string{}
	err := r.Scan([]byte{1}, []byte{0xff}, func(k, v []byte) (bool, error) {
		if k[0] != 'b' && k[0] != 'p' {
			rows[string(k)] = string(v)
			return true, nil
		}
		var b state.Body
		if err := cbor.Unmarshal(v, &b); err != nil {
			return false, err
		}
		for i := range b.Extents {
			b.Extents[i] = state.Extent{Length: b.Extents[i].Length}
		}
		rows[string(k)] = fmt.Sprint(b)
		return true, nil
	})
	return rows, err
}

func testOptions(fs vfs.FS, rnd *rand.Rand) Options {
	return Options{
		FS: fs, Dir: "shard", CacheBytes: 1 << 20, MemtableBytes: 64 << 10, SegmentSize: 1000 + rnd.Uint64N(8000),
		Logger: slog.New(slog.DiscardHandler),
	}
}

func mustOpen(tb testing.TB, opts Options) *Replica {
	tb.Helper()
	r, err := Open(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Close(); err != nil {
			tb.Error(err)
		}
	})
	return r
}

// apply applies envelopes from where the replica stands up to a position, in batches of random size.
func (s *story) apply(r *Replica, to int) error {
	for at := int(r.Applied().Position); at < to; {
		n := min(1+s.rnd.IntN(8), to-at)
		if err := r.Apply(s.envs[at : at+n]); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// verify says how a replica differs from what it must be at its position.
func (s *story) verify(r *Replica) error {
	at := r.Applied().Position
	if int(at) >= len(s.rows) {
		return fmt.Errorf("replica is at %d of %d", at, len(s.envs))
	}
	got, err := rowsOf(r.Reader())
	if err != nil {
		return err
	}
	if want := s.rows[at]; !maps.Equal(want, got) {
		return fmt.Errorf("rows at %d differ: %s", at, cmp.Diff(want, got))
	}
	var found error
	_, err = r.Check(context.Background(), CheckOptions{Deep: true}, func(v state.Violation) { found = errors.Join(found, errors.New(v.String())) })
	return errors.Join(found, err)
}

// image is every byte that a replica keeps: the rows of its index and its segment files.
func image(r *Replica) (map[string]string, error) {
	all := map[string]string{}
	err := r.Reader().Scan([]byte{0}, []byte{0xff}, func(k, v []byte) (bool, error) {
		all["row "+string(k)] = string(v)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	dir := bodyDir(r.opts.FS, r.opts.Dir)
	names, err := r.opts.FS.List(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		b, err := readFile(r.opts.FS, r.opts.FS.PathJoin(dir, n))
		if err != nil {
			return nil, err
		}
		all["file "+n] = string(b)
	}
	return all, nil
}

func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

func writeFile(fs vfs.FS, path string, b []byte) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.Clone(b)) // a vfs.File may change what it is given
	return errors.Join(err, f.Sync(), f.Close())
}

// running runs a replica on a log until the test ends or stop is called, which gives what Run returned.
func running(tb testing.TB, r *Replica, log eventlog.Log) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, log) }()
	var ended bool
	var err error
	stop = func() error {
		if !ended {
			cancel()
			err, ended = <-done, true
		}
		return err
	}
	tb.Cleanup(func() { _ = stop() })
	return stop
}
