package replica

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"angarium/eventlog/event"
	"angarium/internal/codec"
	"angarium/replica/body"
)

// powerCuts is how many power cuts TestPowerCuts simulates, times ANGARIUM_SIM; fewer with the race detector.
const powerCuts = 2000

// machine is a computer with a replica on its disk whose power is cut again and again.
type machine struct {
	*story
	open func(Options) (*Replica, error)
	opts Options

	mu    sync.Mutex
	disk  *vfs.MemFS
	after *vfs.MemFS           // the disk after the cut, once there was one
	until int                  // operations on the disk until the power is cut
	seeds *rand.Rand           // of the cut; the story's is for one goroutine
	chore func(*Replica) error // done now and then; may be nil
}

// MaybeError implements errorfs.Injector: nothing fails, but before one of the operations the power is cut.
func (m *machine) MaybeError(errorfs.Op) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.until--; m.until == 0 {
		m.cutLocked()
	}
	return nil
}

func (m *machine) String() string { return "power cut" }

func (m *machine) cutLocked() {
	m.after = m.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 20, 50, 80, 100}[m.seeds.IntN(5)], RNG: m.seeds})
}

func (m *machine) isOff() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.after != nil
}

// live opens the replica, looks whether it is right, and goes on until the power is cut. It says what was wrong.
func (m *machine) live() error {
	m.after, m.until = nil, 1+m.rnd.IntN(200)
	m.opts.FS = errorfs.Wrap(m.disk, m)
	r, err := m.open(m.opts)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { _ = r.Close() }() // of a machine that is off: its disk is not looked at any more
	if err := m.verify(r); err != nil {
		return err
	}
	for !m.isOff() && int(r.Applied().Position) < len(m.envs) && m.rnd.IntN(40) > 0 {
		if err := m.apply(r, min(int(r.Applied().Position)+1+m.rnd.IntN(8), len(m.envs))); err != nil {
			return err
		}
		if m.rnd.IntN(4) == 0 {
			if _, err := r.db.AsyncFlush(); err != nil {
				return err
			}
		}
		if m.chore != nil && m.rnd.IntN(3) == 0 {
			if err := m.chore(r); err != nil && !m.isOff() {
				return err
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.after == nil {
		m.cutLocked()
	}
	m.until, m.disk = 0, m.after
	return nil
}

func newMachine(t *testing.T, seed uint64, open func(Options) (*Replica, error)) *machine {
	m := &machine{story: newStory(t, seed), open: open, disk: vfs.NewCrashableMem(), seeds: rand.New(rand.NewPCG(seed, 0xc07))}
	m.opts = testOptions(m.disk, m.rnd)
	m.BodyBytes = 1500
	m.Weights[event.KindBodyChunk] = 60
	m.tell(t, 50)
	return m
}

// TestPowerCuts cuts the power at random moments, with any part of what was not synced on the disk. Afterwards the replica stands at
// some earlier position with exactly the rows of it and all bodies; and what is applied again goes where it went before.
func TestPowerCuts(t *testing.T) {
	noLeaks(t)
	const lives = 25
	cuts, positions := 0, map[string]int{}
	for seed := uint64(0); cuts < powerCuts*simFactor(t)/slowdown; seed++ {
		m := newMachine(t, seed, Open)
		for life := range lives {
			if err := m.live(); err != nil {
				t.Fatalf("seed %d, life %d: %v", seed, life, err)
			}
			cuts++
		}
		m.opts.FS = m.disk
		r, err := Open(m.opts)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		positions[fmt.Sprintf("%d0%%", 10*int(r.Applied().Position)/len(m.envs))]++
		if err := m.apply(r, len(m.envs)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		got, err := image(r)
		if err := errors.Join(err, m.verify(r), r.Close()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		m.opts.FS = vfs.NewMem()
		whole, err := Open(m.opts)
		if err != nil {
			t.Fatal(err)
		}
		err = m.apply(whole, len(m.envs))
		want, imageErr := image(whole)
		if err := errors.Join(err, imageErr, whole.Close()); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(want, got) {
			t.Fatalf("seed %d: after power cuts the replica is not what it would have been without", seed)
		}
	}
	t.Logf("%d power cuts; position after the last one: %v", cuts, positions)
}

// openUnruled is Open without the rule that bodies are synced ahead of the MANIFEST.
func openUnruled(opts Options) (*Replica, error) {
	opts = opts.withDefaults()
	c, err := codec.New()
	if err != nil {
		return nil, err
	}
	r := &Replica{opts: opts, codec: c, status: Stopped, boxes: map[event.MailboxID]*Box{}}
	if err := opts.FS.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, err
	}
	if r.db, err = openIndex(&r.opts, opts.FS, &r.health); err != nil {
		return nil, err
	}
	if err := r.openBodies(); err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	return r, nil
}

// The simulation must notice a broken rule, or TestPowerCuts says nothing.
func TestPowerCutsBreakAReplicaWithoutTheRule(t *testing.T) {
	const machines = 20
	broken := 0
	for seed := range uint64(machines) {
		m := newMachine(t, seed, openUnruled)
		for range 10 {
			if err := m.live(); err != nil {
				if !errors.Is(err, body.ErrShort) && !errors.Is(err, body.ErrCorrupt) {
					t.Logf("seed %d: %v", seed, err)
				}
				broken++
				break
			}
		}
	}
	if broken < machines/5 { // how many do depends on when the index happens to be flushed
		t.Fatalf("only %d of %d machines lost bodies", broken, machines)
	}
	t.Logf("%d of %d machines lost bodies", broken, machines)
}
