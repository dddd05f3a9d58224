package replica

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// TestACheckpointIsAReplica copies a replica in the middle of a history, goes on with both, and checks that neither disturbs the other.
func TestACheckpointIsAReplica(t *testing.T) {
	noLeaks(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := newStory(t, rapid.Uint64().Draw(rt, "seed"))
		s.tell(t, rapid.IntRange(2, 40).Draw(rt, "envelopes"))
		opts := testOptions(vfs.NewMem(), s.rnd)
		r, err := Open(opts)
		if err != nil {
			rt.Fatal(err)
		}
		middle := rapid.IntRange(1, len(s.envs)).Draw(rt, "middle")
		if err := s.apply(r, middle); err != nil {
			rt.Fatal(err)
		}
		view, err := r.View()
		if err != nil {
			rt.Fatal(err)
		}
		if err := opts.FS.MkdirAll("copy", 0o700); err != nil {
			rt.Fatal(err)
		}
		at, err := r.Checkpoint("copy")
		if err != nil || int(at.Position) != middle || at != view.At {
			rt.Fatalf("a checkpoint of position %d stands at %+v, a view at %+v: %v", middle, at, view.At, err)
		}
		copied := opts
		copied.Dir = "copy"
		c, err := Open(copied)
		if err != nil {
			rt.Fatal(err)
		}
		if err := s.verify(c); err != nil {
			rt.Fatal("copy:", err)
		}
		for _, each := range []*Replica{c, r} {
			if err := s.apply(each, len(s.envs)); err != nil {
				rt.Fatal(err)
			}
		}
		for _, each := range []*Replica{c, r} {
			if err := s.verify(each); err != nil {
				rt.Fatalf("%s: %v", each.opts.Dir, err)
			}
		}
		rows, err := rowsOf(view)
		if err != nil || rows["T"] != s.rows[middle]["T"] {
			rt.Fatalf("the view changed: %v", err)
		}
		for _, close := range []func() error{view.Close, c.Close, r.Close} {
			if err := close(); err != nil {
				rt.Fatal(err)
			}
		}
	})
}
