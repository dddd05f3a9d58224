package imapd

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"angarium/eventlog/event"
	"angarium/imapd/wire"
)

func parseUIDs(t testing.TB, s string) event.UIDSet {
	t.Helper()
	set, err := wire.ParseNumSet(s, 100)
	if err != nil {
		t.Fatal(err)
	}
	return uidsOf(set)
}

func TestUIDSetArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		uids := rapid.SliceOfN(rapid.Uint32Range(1, 40), 0, 20)
		la, lb := uids.Draw(t, "a"), uids.Draw(t, "b")
		a, b := uidsOf(wire.NumSetOf(la...)), uidsOf(wire.NumSetOf(lb...))
		union, both := unionUIDs(a, b), intersectUIDs(a, b)
		for _, s := range []event.UIDSet{union, both} {
			if err := s.Validate(); len(s) > 0 && err != nil {
				t.Fatal(err)
			}
		}
		for u := uint32(1); u <= 41; u++ {
			inA, inB := slices.Contains(la, u), slices.Contains(lb, u)
			if union.Contains(u) != (inA || inB) || both.Contains(u) != (inA && inB) {
				t.Fatalf("%d in %v and %v: union %v, intersection %v", u, a, b, union, both)
			}
		}
	})
}
