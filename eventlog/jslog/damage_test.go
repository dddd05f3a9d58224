package jslog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/jslog"
	"angarium/eventlog/logtest"
)

// damagedSeed makes the offsets of the flipped bits.
const damagedSeed = 20240229

// store is a log on disk, and what was written to it.
type store struct {
	dir      string
	payloads [][]byte
	last     eventlog.Mark
}

func newStore(t *testing.T) store {
	t.Helper()
	s := store{dir: t.TempDir()}
	e := startEmbedded(t, jslog.EmbeddedOptions{Dir: s.dir})
	c := connect(t, e)
	log := create(t, c)
	ctx := testContext(t)
	var b logtest.Builder
	s.payloads = logtest.Fill(t, ctx, log, &b, 1)
	for i := range 40 {
		after, payload := b.Next(t, logtest.Body(i, 1500), logtest.Entry(i))
		if err := <-log.Append(ctx, after, payload); err != nil {
			t.Fatal(err)
		}
		s.payloads = append(s.payloads, payload)
	}
	s.last = b.State.Mark()
	log.Close()
	c.Close()
	e.Shutdown()
	return s
}

// files gives the files of the stream with a name that matches pattern.
func files(t *testing.T, dir, pattern string) []string {
	t.Helper()
	stream := filepath.Join(dir, "jetstream", "$G", "streams", "LOG_"+shard)
	found, err := filepath.Glob(filepath.Join(stream, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s in %s: %v", pattern, stream, err)
	}
	return found
}

// verdict reads a damaged log as a replica that has read all of it does, or one that is new. It fails the test when the log
// gives anything but what was written, and returns the error that says what is wrong, nil when all is there.
func (s store) verdict(t *testing.T, dir string, known eventlog.Mark) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	e, err := jslog.StartEmbedded(ctx, jslog.EmbeddedOptions{Dir: dir, MinFreeBytes: -1})
	if err != nil {
		return err
	}
	defer e.Shutdown()
	c, err := e.Connect()
	if err != nil {
		return err
	}
	defer c.Close()
	log, err := jslog.Open(ctx, c, jslog.StreamConfig{Shard: shard}, known)
	if err != nil {
		return err
	}
	defer log.Close()
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	follower, err := eventlog.Follow(ctx, log, eventlog.State{})
	if err != nil {
		return err
	}
	defer follower.Close()
	for follower.State().Position < head.Last {
		env, err := follower.Next(ctx)
		if err != nil {
			return err
		}
		if !bytes.Equal(env.Payload, s.payloads[env.Position-1]) {
			t.Fatalf("envelope %d is not what was written", env.Position)
		}
	}
	if head.Last < s.last.Position {
		return errShort
	}
	return nil
}

// errShort is for a log that lost its end, which a replica that has read nothing of it cannot know.
var errShort = errors.New("the log ends early")

// named says whether an error tells what is wrong with the log, rather than that something took too long.
func named(err error) bool {
	var r *eventlog.Refusal
	var c *eventlog.ChainError
	return errors.As(err, &r) || errors.As(err, &c)
}

func TestDamagedStoreIsNeverServed(t *testing.T) {
	s := newStore(t)
	size := len(read(t, files(t, s.dir, "msgs/*.blk")[0]))
	rnd := rand.New(rand.NewPCG(damagedSeed, 0))
	damage := map[string]func(*testing.T, string){
		"no index":         func(t *testing.T, dir string) { remove(t, files(t, dir, "msgs/index.db")) },
		"no stream meta":   func(t *testing.T, dir string) { remove(t, files(t, dir, "meta.inf")) },
		"no blocks":        func(t *testing.T, dir string) { remove(t, files(t, dir, "msgs/*.blk")) },
		"no blocks, index": func(t *testing.T, dir string) { remove(t, files(t, dir, "msgs/*")) },
		"meta zeroed":      func(t *testing.T, dir string) { write(t, files(t, dir, "meta.inf")[0], make([]byte, 100)) },
		"index zeroed":     func(t *testing.T, dir string) { write(t, files(t, dir, "msgs/index.db")[0], make([]byte, 100)) },
		"block of zeroes":  func(t *testing.T, dir string) { write(t, files(t, dir, "msgs/*.blk")[0], make([]byte, size)) },
		"end of zeroes":    func(t *testing.T, dir string) { zeroEnd(t, files(t, dir, "msgs/*.blk")[0], 5000) },
		"garbage at the end": func(t *testing.T, dir string) {
			path := files(t, dir, "msgs/*.blk")[0]
			write(t, path, append(read(t, path), bytes.Repeat([]byte{0xa5}, 3000)...))
		},
	}
	for _, cut := range []int{1, 7, 100, 1700, 20000} {
		damage[fmt.Sprintf("cut by %d", cut)] = cutter(cut, false)
		damage[fmt.Sprintf("cut by %d, no index", cut)] = cutter(cut, true)
	}
	for i := range 24 {
		bit := rnd.IntN(8 * size)
		damage[fmt.Sprintf("bit %d", bit)] = flipper(bit, i%2 == 0)
	}
	for name, do := range damage {
		t.Run(name, func(t *testing.T) {
			for who, known := range map[string]eventlog.Mark{"a replica that has it all": s.last, "a new replica": {}} {
				dir := filepath.Join(t.TempDir(), "store")
				if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
					t.Fatal(err)
				}
				do(t, dir)
				err := s.verdict(t, dir, known)
				t.Logf("%s: %v", who, err)
				if err != nil && !named(err) && (known != eventlog.Mark{} || !errors.Is(err, errShort)) {
					t.Errorf("%s: %v, want the whole log or an error that names the damage", who, err)
				}
			}
		})
	}
}

func cutter(n int, dropIndex bool) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		path := files(t, dir, "msgs/*.blk")[0]
		b := read(t, path)
		write(t, path, b[:len(b)-n])
		if dropIndex {
			remove(t, files(t, dir, "msgs/index.db"))
		}
	}
}

func flipper(bit int, dropIndex bool) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		path := files(t, dir, "msgs/*.blk")[0]
		b := read(t, path)
		b[bit/8] ^= 1 << (bit % 8)
		write(t, path, b)
		if dropIndex {
			remove(t, files(t, dir, "msgs/index.db"))
		}
	}
}

func zeroEnd(t *testing.T, path string, n int) {
	t.Helper()
	b := read(t, path)
	clear(b[len(b)-n:])
	write(t, path, b)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, paths []string) {
	t.Helper()
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
