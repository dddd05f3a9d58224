package replica

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"angarium/eventlog/event"
)

// TestDamagedBodiesAreHealed damages a segment and reads every body with help from elsewhere, which may not be trusted either.
func TestDamagedBodiesAreHealed(t *testing.T) {
	s := newStory(t, 5)
	s.Weights[event.KindBodyChunk] = 80
	s.tell(t, 40)
	fs := vfs.NewMem()
	opts := testOptions(fs, s.rnd)
	opts.SegmentSize = 1 << 20
	var give func(guid event.GUID) ([]byte, error)
	asked := 0
	opts.Hooks.Heal = func(guid event.GUID) ([]byte, error) {
		asked++
		return give(guid)
	}
	r := mustOpen(t, opts)
	if err := s.apply(r, 40); err != nil {
		t.Fatal(err)
	}
	path := fs.PathJoin(bodyDir(fs, opts.Dir), "body-0000000001.seg")
	bad, err := readFile(fs, path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 24; i < len(bad); i += 7 {
		bad[i] ^= 0x55
	}
	if err := overwrite(fs, path, bad); err != nil {
		t.Fatal(err)
	}
	give = func(guid event.GUID) ([]byte, error) { return s.Raw(guid), nil }
	for guid := range s.Model.Bodies {
		if raw, err := r.ReadBody(guid); err != nil || string(raw) != string(s.Raw(guid)) {
			t.Fatalf("body %s was not healed: %v", guid, err)
		}
	}
	if asked == 0 {
		t.Fatal("nothing was damaged")
	}
	give = func(guid event.GUID) ([]byte, error) { return append(s.Raw(guid), '!'), nil }
	refused := 0
	for guid := range s.Model.Bodies {
		raw, err := r.ReadBody(guid)
		if err == nil && string(raw) != string(s.Raw(guid)) {
			t.Fatalf("body %s: bytes that do not hash to it were served", guid)
		}
		if err != nil {
			refused++
		}
	}
	if refused == 0 {
		t.Fatal("wrong bytes from elsewhere were not noticed")
	}
}
