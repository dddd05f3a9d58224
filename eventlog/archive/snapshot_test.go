package archive_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/mailstore/storetest"
	"angarium/replica/state"
)

// snapshot makes a snapshot of what a log comes to at a position, at a time of its own.
func snapshot(t testing.TB, target archive.Target, key *archive.Key, log eventlog.Log, at eventlog.Position, when time.Time) *memoryReplica {
	t.Helper()
	r := replay(t, log, at)
	name, err := openShard(t, target, key).WriteSnapshot(testContext(t), archive.Source{Reader: r.Memory, At: r.at, Time: when})
	if err != nil {
		t.Fatalf("snapshot %s: %v", name, err)
	}
	return r
}

func more(t testing.TB, env *storetest.Env, n int) {
	t.Helper()
	for i := range n {
		env.Append(t, "anna", "INBOX", fmt.Sprintf("Subject: more %d\r\n\r\nafter %d\r\n", i, head(t, env.Logs[0])))
	}
}

func TestASnapshotReadsAsTheState(t *testing.T) {
	env := history(t)
	target, key := newDir(t), newKey(t)
	ship(t, target, env.Logs[0], archive.ShipperOptions{Key: key})
	want := snapshot(t, target, key, env.Logs[0], head(t, env.Logs[0]), time.Unix(1e9, 0))
	p, err := openShard(t, target, key).SnapshotUpTo(testContext(t), head(t, env.Logs[0]))
	if err != nil {
		t.Fatal(err)
	}
	boxes, err := state.Mailboxes(p, "anna")
	wantBoxes, wantErr := state.Mailboxes(want.Memory, "anna")
	if diff := cmp.Diff(wantBoxes, boxes); diff != "" || err != nil || wantErr != nil {
		t.Errorf("mailboxes: %v, %v (-want +got):\n%s", err, wantErr, diff)
	}
	rows := map[string][]byte{}
	if err := p.Scan([]byte{0}, []byte{0xff}, func(k, v []byte) (bool, error) { rows[string(k)] = v; return true, nil }); err != nil {
		t.Fatal(err)
	}
	for k, v := range want.Rows {
		if state.IsBodyKey([]byte(k)) {
			continue
		}
		if got, err := p.Get([]byte(k)); err != nil || string(got) != string(v) || string(rows[k]) != string(v) {
			t.Errorf("row %q: %x and %x, want %x (%v)", k, got, rows[k], v, err)
		}
	}
	if v, err := p.Get([]byte("Anobody")); v != nil || err != nil {
		t.Errorf("a row that is not there: %x, %v", v, err)
	}
	mustBeSound(t, target, key)
}

func TestRecoveryFromASnapshotIsExact(t *testing.T) {
	env := history(t)
	target := newDir(t)
	middle := head(t, env.Logs[0])
	ship(t, target, env.Logs[0], archive.ShipperOptions{SegmentBytes: 8 << 10})
	snapshot(t, target, nil, env.Logs[0], middle, time.Unix(1e9, 0))
	more(t, env, 5)
	ship(t, target, env.Logs[0], archive.ShipperOptions{})
	last := head(t, env.Logs[0])
	for _, to := range []eventlog.Position{middle, middle + 2, last} {
		r := newMemoryReplica()
		end, _, err := openShard(t, target, nil).Recover(testContext(t), archive.RecoverOptions{To: to, Replica: r, FromSnapshot: true})
		if err != nil {
			t.Fatal(err)
		}
		want := replay(t, env.Logs[0], to)
		sameState(t, r, want)
		if end != want.at {
			t.Errorf("recovered to %v, want %v", end, want.at)
		}
	}
}

func TestPruneKeepsWhatKeptPointsNeed(t *testing.T) {
	env := history(t)
	target := newDir(t)
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	type point struct {
		at   eventlog.Position
		want *memoryReplica
	}
	var points []point
	for day := range 10 {
		more(t, env, 3)
		ship(t, target, env.Logs[0], archive.ShipperOptions{SegmentBytes: 2 << 10})
		at := head(t, env.Logs[0])
		points = append(points, point{at, snapshot(t, target, nil, env.Logs[0], at, now.AddDate(0, 0, day-10))})
	}
	more(t, env, 3)
	ship(t, target, env.Logs[0], archive.ShipperOptions{SegmentBytes: 2 << 10})
	last := head(t, env.Logs[0])
	before := objects(t, target)
	policy := archive.Policy{Last: 2, Daily: 5, Within: 72 * time.Hour}
	dry, err := openShard(t, target, nil).Prune(testContext(t), policy, now, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, objects(t, target)); diff != "" {
		t.Errorf("a dry run changed the archive (-before +after):\n%s", diff)
	}
	if len(dry.Keep) != 5 || len(dry.Remove) != 5 || dry.From != points[7].at || dry.Bytes == 0 {
		t.Errorf("plan keeps %d, removes %d snapshots, from %d (want %d), %d bytes", len(dry.Keep), len(dry.Remove), dry.From, points[7].at, dry.Bytes)
	}
	plan, err := openShard(t, target, nil).Prune(testContext(t), policy, now, false)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Packed == 0 {
		t.Error("no bodies were packed")
	}
	mustBeSound(t, target, nil)
	checkPoint := func(to eventlog.Position) {
		r := newMemoryReplica()
		if _, _, err := openShard(t, target, nil).Recover(testContext(t), archive.RecoverOptions{To: to, Replica: r}); err != nil {
			t.Errorf("recover to %d: %v", to, err)
			return
		}
		sameState(t, r, replay(t, env.Logs[0], to))
	}
	for _, p := range points[5:] {
		checkPoint(p.at)
	}
	for to := points[7].at; to <= last; to++ {
		checkPoint(to)
	}
	_, _, err = openShard(t, target, nil).Recover(testContext(t), archive.RecoverOptions{To: points[3].at, Replica: newMemoryReplica()})
	if !errors.Is(err, archive.ErrMissing) {
		t.Errorf("a point that was not kept: %v", err)
	}
	again, err := openShard(t, target, nil).Prune(testContext(t), policy, now, false)
	if err != nil || len(again.Objects) != 0 {
		t.Errorf("a second run removes %v, %v", again.Objects, err)
	}
	ship(t, target, env.Logs[0], archive.ShipperOptions{}) // the shipper goes on behind what was pruned
	more(t, env, 1)
	ship(t, target, env.Logs[0], archive.ShipperOptions{})
	mustBeSound(t, target, nil)
}

// TestAnInterruptedPruneLosesNothing ends prune at each write and deletion in turn.
func TestAnInterruptedPruneLosesNothing(t *testing.T) {
	env := history(t)
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for call := 1; ; call++ {
		target := newDir(t)
		ship(t, target, env.Logs[0], archive.ShipperOptions{SegmentBytes: 8 << 10})
		last := head(t, env.Logs[0])
		snapshot(t, target, nil, env.Logs[0], last/2, now.Add(-2*time.Hour))
		want := snapshot(t, target, nil, env.Logs[0], last, now.Add(-time.Hour))
		calls := 0
		crash := func() error {
			if calls++; calls >= call {
				return errBroken
			}
			return nil
		}
		broken := &hooked{Target: target, del: func(string) error { return crash() }}
		broken.put = func(_ string, store func() error) error { return errors.Join(crash(), store()) }
		_, err := openShard(t, broken, nil).Prune(testContext(t), archive.Policy{Last: 1}, now, false)
		if err == nil && calls < 5 {
			t.Fatalf("prune made only %d calls", calls)
		}
		if err == nil {
			return
		}
		mustRecover := func() {
			r := newMemoryReplica()
			if _, _, err := openShard(t, target, nil).Recover(testContext(t), archive.RecoverOptions{To: last, Replica: r, FromSnapshot: true}); err != nil {
				t.Fatalf("crash at call %d: %v", call, err)
			}
			sameState(t, r, want)
		}
		mustRecover()
		if _, err := openShard(t, target, nil).Prune(testContext(t), archive.Policy{Last: 1}, now, false); err != nil {
			t.Fatal(err)
		}
		mustRecover()
		mustBeSound(t, target, nil)
	}
}

func objects(t testing.TB, target archive.Target) []string {
	t.Helper()
	list, err := target.List(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, info := range list {
		names = append(names, info.Name)
	}
	return names
}
