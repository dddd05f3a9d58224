package replica

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// TestDamagedBodiesAreWrittenAnew damages bodies, finds them slice by slice, and repairs them with what another replica has stored.
func TestDamagedBodiesAreWrittenAnew(t *testing.T) {
	s := newStory(t, 6)
	s.Weights[event.KindBodyChunk] = 80
	s.Weights[event.KindBodiesDropped] = 0 // what nothing refers to is not repaired
	s.tell(t, 40)
	var replicas [2]*Replica
	var opts [2]Options
	for i := range replicas {
		opts[i] = testOptions(vfs.NewMem(), s.rnd)
		opts[i].SegmentSize = 1 << 20
		replicas[i] = mustOpen(t, opts[i])
		if err := s.apply(replicas[i], 40); err != nil {
			t.Fatal(err)
		}
	}
	r, other := replicas[0], replicas[1]
	fs := opts[0].FS
	path := fs.PathJoin(bodyDir(fs, opts[0].Dir), "body-0000000001.seg")
	bad, err := readFile(fs, path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 100; i < len(bad); i += len(bad) / 9 {
		bad[i] ^= 0x10
	}
	if err := overwrite(fs, path, bad); err != nil {
		t.Fatal(err)
	}
	pass := func() (found []event.GUID, slices int) {
		for at := (event.GUID{}); ; slices++ {
			slice, err := r.CheckBodies(t.Context(), at, 1<<12)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, slice.Bad...)
			if slice.Done {
				return found, slices
			}
			at = slice.Last
		}
	}
	found, slices := pass()
	if len(found) == 0 || slices == 0 {
		t.Fatalf("%d damaged bodies in %d slices", len(found), slices)
	}
	for _, guid := range found {
		stored, err := other.StoredBody(guid)
		if err != nil {
			t.Fatal(err)
		}
		if wrong := append([]byte{1}, stored...); r.RepairBody(guid, wrong) == nil {
			t.Error("bytes that are not the body were taken")
		}
		if err := r.RepairBody(guid, stored); err != nil {
			t.Error(err)
		}
	}
	if found, _ := pass(); len(found) != 0 {
		t.Errorf("%d bodies are still damaged", len(found))
	}
	good, err := readFile(fs, path)
	if err != nil {
		t.Fatal(err)
	}
	same, err := readFile(opts[1].FS, opts[1].FS.PathJoin(bodyDir(opts[1].FS, opts[1].Dir), "body-0000000001.seg"))
	if err != nil || string(good) != string(same) {
		t.Errorf("the segments differ: %v", err)
	}
}

// TestSlicesOfACheckFindWhatTheWholeFinds compares Check with its slices, on a sound replica and on one with a damaged row.
func TestSlicesOfACheckFindWhatTheWholeFinds(t *testing.T) {
	s := newStory(t, 8)
	s.tell(t, 60)
	r := mustOpen(t, testOptions(vfs.NewMem(), s.rnd))
	if err := s.apply(r, 60); err != nil {
		t.Fatal(err)
	}
	sliced := func() (violations int, sum state.CheckSummary) {
		report := func(state.Violation) { violations++ }
		for id, done := (event.MailboxID{}), false; !done; {
			var part state.CheckSummary
			var err error
			if id, part, done, err = r.CheckMailboxes(id, 1, report); err != nil {
				t.Fatal(err)
			}
			sum.Mailboxes, sum.Messages = sum.Mailboxes+part.Mailboxes, sum.Messages+part.Messages
		}
		if _, err := r.CheckTables(report); err != nil {
			t.Fatal(err)
		}
		return violations, sum
	}
	whole, err := r.Check(t.Context(), CheckOptions{}, func(state.Violation) {})
	if err != nil {
		t.Fatal(err)
	}
	n, sum := sliced()
	if n != 0 || sum.Mailboxes != whole.Mailboxes || sum.Messages != whole.Messages || whole.Messages == 0 {
		t.Errorf("%d violations, %+v, the whole has %+v", n, sum, whole)
	}
	var victim *state.Mailbox
	err = state.ScanAllMailboxes(r.Reader(), func(m *state.Mailbox) (bool, error) {
		victim = m
		return m.Messages == 0, nil
	})
	if err != nil || victim == nil {
		t.Fatal(victim, err)
	}
	it, err := r.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var row []byte // of a message
	for ok := it.First(); ok; ok = it.Next() {
		if k := it.Key(); len(k) > 17 && event.MailboxID(k[1:17]) == victim.ID {
			row = bytes.Clone(k)
		}
	}
	if err := errors.Join(it.Close(), r.db.Delete(row, pebble.NoSync)); err != nil {
		t.Fatal(err)
	}
	if n, _ := sliced(); n == 0 {
		t.Error("a damaged row was not found")
	}
}
