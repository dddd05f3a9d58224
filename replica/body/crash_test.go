package body

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"
)

// powerCutsEnv sets how many power cuts TestPowerCuts simulates.
const powerCutsEnv = "BODY_POWER_CUTS"

const powerCutsDefault = 2500

// world is a replica as far as this package is concerned: a log of bodies that can be replayed, a disk, and an index that
// becomes durable from time to time.
type world struct {
	rng     *rand.Rand
	opts    Options
	log     []sample
	exts    []Extent // where each body of the log went when it was first appended
	durable int      // the index on the disk holds so many bodies
	noSync  bool     // break the rule: the index becomes durable without a Sync

	disk  *vfs.MemFS
	after *vfs.MemFS // the disk after the cut
	until int        // operations on the disk until the power is cut
	cuts  int        // of the power, so far
}

func newWorld(seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 1))
	return &world{rng: rng, disk: vfs.NewCrashableMem(), opts: Options{SegmentSize: 2000 + rng.Uint64N(30_000), OpenFiles: 2}}
}

func (w *world) mark(bodies int) Mark {
	if bodies == 0 {
		return Mark{}
	}
	return w.exts[bodies-1].End()
}

// MaybeError implements errorfs.Injector: it never fails an operation, but takes a picture of the disk before one of them.
func (w *world) MaybeError(errorfs.Op) error {
	if w.until--; w.until == 0 {
		w.cut()
	}
	return nil
}

func (w *world) String() string { return "power cut" }

func (w *world) cut() {
	w.after = w.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 20, 50, 80, 100}[w.rng.IntN(5)], RNG: w.rng})
}

// live opens the store at the durable mark, replays and goes on until the power is cut, which puts the disk in the state
// after the cut, or until the process dies. It returns what does not hold.
func (w *world) live() error {
	w.after, w.until = nil, 1+w.rng.IntN(120)
	fs := errorfs.Wrap(w.disk, w)
	s, err := Open(fs, testDir, w.mark(w.durable), w.opts)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := w.verify(s, w.durable); err != nil {
		return err
	}
	applied := w.durable
	for steps := w.rng.IntN(60); steps > 0 && w.after == nil; steps-- {
		switch w.rng.IntN(8) {
		default:
			if err := w.append(s, applied); err != nil {
				return err
			}
			applied++
		case 0:
			if err := w.failedBatch(s, applied); err != nil {
				return err
			}
		case 1, 2:
			flushed := applied
			if w.rng.IntN(2) == 0 { // the index is flushed at an earlier position than the segments are synced
				if err := w.append(s, applied); err != nil {
					return err
				}
				applied++
			}
			if !w.noSync {
				if err := s.Sync(); err != nil {
					return err
				}
			}
			if w.after == nil {
				w.durable = flushed
			}
		}
	}
	if w.after == nil {
		if w.rng.IntN(2) == 0 {
			return nil // the process dies, and the disk is as the kernel has it
		}
		w.cut()
	}
	w.disk, w.cuts = w.after, w.cuts+1
	return nil
}

// append appends the i-th body of the log, which is a new one or must go where it went before.
func (w *world) append(s *Store, i int) error {
	if i == len(w.log) {
		w.log = append(w.log, newSample(w.rng, w.rng.IntN([]int{10, 500, 9000}[w.rng.IntN(3)])))
	}
	ext, err := s.Append(w.log[i].guid, w.log[i].blob)
	if err != nil {
		return err
	}
	if i == len(w.exts) {
		w.exts = append(w.exts, ext)
	}
	if ext != w.exts[i] {
		return fmt.Errorf("body %d went to %v after a crash, to %v before", i, ext, w.exts[i])
	}
	return nil
}

// failedBatch appends bodies that are not committed, and takes them back.
func (w *world) failedBatch(s *Store, applied int) error {
	mark := s.Mark()
	for range 1 + w.rng.IntN(5) {
		junk := newSample(w.rng, w.rng.IntN(3000))
		if _, err := s.Append(junk.guid, junk.blob); err != nil {
			return err
		}
	}
	if err := s.Rollback(mark); err != nil {
		return err
	}
	return w.verify(s, applied)
}

// verify checks that the bodies before n are there, and nothing else.
func (w *world) verify(s *Store, n int) error {
	if s.Mark() != w.mark(n) {
		return fmt.Errorf("store is at %v, want %v", s.Mark(), w.mark(n))
	}
	for i := range n {
		got, err := s.Read(w.exts[i], w.log[i].guid, nil)
		if err != nil {
			return fmt.Errorf("body %d: %w", i, err)
		}
		if !bytes.Equal(got, w.log[i].blob) {
			return fmt.Errorf("body %d has changed", i)
		}
	}
	var found error
	_, err := Check(context.Background(), w.disk, testDir, s.Mark(), nil, nil, func(v Violation) error {
		found = errors.Join(found, errors.New(v.String()))
		return nil
	})
	return errors.Join(found, err)
}

func powerCuts(t *testing.T) int {
	env := os.Getenv(powerCutsEnv)
	if env == "" {
		return powerCutsDefault
	}
	n, err := strconv.Atoi(env)
	if err != nil {
		t.Fatalf("%s: %v", powerCutsEnv, err)
	}
	return n
}

func TestPowerCuts(t *testing.T) {
	const lives = 6
	cuts := 0
	for seed := uint64(0); cuts < powerCuts(t); seed++ {
		w := newWorld(seed)
		for life := range lives {
			if err := w.live(); err != nil {
				t.Fatalf("seed %d, life %d: %v", seed, life, err)
			}
		}
		cuts += w.cuts
	}
}

// The simulation must be able to notice a broken rule, or TestPowerCuts says nothing.
func TestPowerCutsBreakAStoreThatIsNotSynced(t *testing.T) {
	const worlds = 100
	broken := 0
	for seed := range uint64(worlds) {
		w := newWorld(seed)
		w.noSync = true
		for range 3 {
			if err := w.live(); err != nil {
				if !errors.Is(err, ErrShort) && !errors.Is(err, ErrCorrupt) {
					t.Fatalf("seed %d: loss shows as %v", seed, err)
				}
				broken++
				break
			}
		}
	}
	if broken < worlds/2 {
		t.Fatalf("only %d of %d worlds lost bodies", broken, worlds)
	}
}

// TestHistoriesMatchAModel compares random histories, crashes included, with a slice of bodies.
func TestHistoriesMatchAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.Uint64().Draw(t, "seed"))
		s, err := Open(w.disk, testDir, Mark{}, w.opts)
		if err != nil {
			t.Fatal(err)
		}
		applied := 0
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		reopen := func(disk *vfs.MemFS) {
			_ = s.Close()
			w.disk, applied = disk, w.durable
			s, err = Open(w.disk, testDir, w.mark(w.durable), w.opts)
			must(err)
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(*rapid.T) {
				must(w.append(s, applied))
				applied++
			},
			"sync": func(*rapid.T) {
				must(s.Sync())
				w.durable = applied
			},
			"fail a batch": func(*rapid.T) { must(w.failedBatch(s, applied)) },
			"kill the process": func(*rapid.T) {
				reopen(w.disk)
			},
			"cut the power": func(*rapid.T) {
				w.cut()
				reopen(w.after)
			},
			"": func(*rapid.T) { must(w.verify(s, applied)) },
		})
		must(s.Close())
	})
}
