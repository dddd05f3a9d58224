package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"angarium/eventlog"
	"angarium/eventlog/archive"
)

// memory is a target in memory.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func newMemory() *memory { return &memory{objects: map[string][]byte{}} }

func (m *memory) String() string { return "memory" }

func (m *memory) Put(_ context.Context, name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[name]; ok {
		return archive.ErrExists
	}
	m.objects[name] = bytes.Clone(data)
	return nil
}

func (m *memory) Get(_ context.Context, name string, offset, length int64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.objects[name]
	if !ok {
		return nil, archive.ErrNotFound
	}
	if length < 0 {
		length = int64(len(b)) - offset
	}
	if offset < 0 || length < 0 || offset+length > int64(len(b)) {
		return nil, io.ErrUnexpectedEOF
	}
	return bytes.Clone(b[offset : offset+length]), nil
}

func (m *memory) List(_ context.Context, prefix string) ([]archive.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []archive.Info
	for _, name := range slices.Sorted(maps.Keys(m.objects)) {
		if strings.HasPrefix(name, prefix) {
			list = append(list, archive.Info{Name: name, Size: int64(len(m.objects[name]))})
		}
	}
	return list, nil
}

func (m *memory) Delete(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
	return nil
}

func (m *memory) clone() *memory {
	c := newMemory()
	for name, b := range m.objects {
		c.objects[name] = bytes.Clone(b)
	}
	return c
}

// TestDamageIsNamedAndNeverRestored flips, cuts and removes bytes anywhere in an archive.
func TestDamageIsNamedAndNeverRestored(t *testing.T) {
	env := history(t)
	log, last := env.Logs[0], head(t, env.Logs[0])
	for name, key := range map[string]*archive.Key{"plain": nil, "encrypted": newKey(t)} {
		t.Run(name, func(t *testing.T) {
			whole := newMemory()
			ship(t, whole, log, archive.ShipperOptions{SegmentBytes: 8 << 10, Key: key})
			snapshot(t, whole, key, log, last/2, time.Unix(1e9, 0))
			want := replay(t, log, last)
			names := slices.Sorted(maps.Keys(whole.objects))
			rapid.Check(t, func(rt *rapid.T) {
				m := whole.clone()
				object := rapid.SampledFrom(names).Draw(rt, "object")
				b := m.objects[object]
				at := rapid.IntRange(0, len(b)-1).Draw(rt, "at")
				switch rapid.SampledFrom([]string{"flip", "cut", "insert", "remove bytes"}).Draw(rt, "damage") {
				case "flip":
					b[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
				case "cut":
					b = b[:at]
				case "insert":
					b = slices.Insert(b, at, 'x')
				case "remove bytes":
					b = slices.Delete(b, at, min(at+rapid.IntRange(1, 100).Draw(rt, "n"), len(b)))
				}
				m.objects[object] = b
				checkDamaged(rt, m, key, object, want)
			})
		})
	}
}

// checkDamaged checks an archive of which one object is damaged.
func checkDamaged(t *rapid.T, m *memory, key *archive.Key, object string, want *memoryReplica) {
	ctx := context.Background()
	a, err := archive.Open(ctx, m, key)
	if object == "archive.json" {
		if err == nil {
			t.Fatal("a damaged manifest was taken")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	named := false
	_, err = a.Verify(ctx, archive.VerifyOptions{Report: func(f archive.Finding) {
		named = named || (f.Object == object && !f.Harmless())
	}})
	if err != nil || !named {
		t.Fatalf("%s is not named by verify: %v", object, err)
	}
	s, err := a.Shard(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fromSnapshot := range []bool{false, true} {
		r := newMemoryReplica()
		_, _, err = s.Recover(ctx, archive.RecoverOptions{To: want.at.Position, Replica: r, FromSnapshot: fromSnapshot})
		if err != nil {
			if !errors.Is(err, archive.ErrDamaged) && !errors.Is(err, archive.ErrMissing) && !errors.Is(err, archive.ErrKey) {
				t.Fatalf("recover: %v", err)
			}
			continue
		}
		if r.at != want.at || !maps.EqualFunc(r.Rows, want.Rows, bytes.Equal) || !maps.EqualFunc(r.Bodies, want.Bodies, bytes.Equal) {
			t.Fatalf("recovered to another state, without an error (snapshot: %v)", fromSnapshot)
		}
	}
	checkBodies(t, s, want)
}

// checkBodies holds that every body that the archive gives is right, and that only those of one object are missing.
func checkBodies(t *rapid.T, s *archive.Shard, want *memoryReplica) {
	all := guidsOf(t, want)
	left := maps.Clone(all)
	err := s.Bodies(context.Background(), left, rightBody(t, all))
	if err != nil && !errors.Is(err, archive.ErrDamaged) && !errors.Is(err, archive.ErrKey) {
		t.Fatal(err)
	}
	if len(left) > 0 && err == nil {
		t.Fatalf("%d bodies are missing, and nothing is damaged", len(left))
	}
	if len(left) == len(all) {
		t.Fatalf("none of %d bodies can be read any more", len(all))
	}
}

func TestAMissingSegmentIsNamedAndTheRestIsThere(t *testing.T) {
	env := history(t)
	log := env.Logs[0]
	whole := newMemory()
	ship(t, whole, log, archive.ShipperOptions{SegmentBytes: 2 << 10})
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(whole.objects)), func(n string) bool { return !strings.HasSuffix(n, ".seg") })
	if len(names) < 4 {
		t.Fatalf("only %d segments", len(names))
	}
	m := whole.clone()
	delete(m.objects, names[2])
	var first, end eventlog.Position
	if _, err := fmt.Sscanf(names[2], "shard-0000/log/%d-%d.seg", &first, &end); err != nil {
		t.Fatal(err)
	}
	a, err := archive.Open(testContext(t), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	named := false
	if _, err := a.Verify(testContext(t), archive.VerifyOptions{Report: func(f archive.Finding) {
		named = named || (f.Kind == archive.FindingMissing && f.Position == first && strings.Contains(f.Detail, fmt.Sprintf("%d to %d", first, end)))
	}}); err != nil || !named {
		t.Errorf("positions %d to %d are not said to be missing: %v", first, end, err)
	}
	_, r := recoverTo(t, openShard(t, m, nil), archive.RecoverOptions{To: first - 1})
	sameState(t, r, replay(t, log, first-1))
	if _, _, err := openShard(t, m, nil).Recover(testContext(t), archive.RecoverOptions{To: first, Replica: newMemoryReplica()}); !errors.Is(err, archive.ErrMissing) {
		t.Errorf("recover beyond: %v", err)
	}
	ship(t, m, log, archive.ShipperOptions{}) // while the log still has it, the shipper fills the gap
	mustBeSound(t, m, nil)
}
