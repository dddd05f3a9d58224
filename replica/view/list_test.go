package view

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

func contents(l List) []state.Live {
	var out []state.Live
	for _, m := range l.All() {
		out = append(out, m)
	}
	return out
}

// TestListMatchesSlice runs random histories on a List and on a plain slice.
func TestListMatchesSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list List
		var model []state.Live
		next, modseq := uint32(1), uint64(1)
		old, oldModel := list, slices.Clone(model)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				var add []state.Live
				for range rapid.IntRange(1, 80).Draw(t, "n") {
					next += uint32(rapid.SampledFrom([]int{1, 1, 1, 2, 200}).Draw(t, "gap"))
					add = append(add, state.Live{UID: next, Modseq: modseq})
				}
				list, model = list.Append(add...), append(model, add...)
			},
			"flag": func(t *rapid.T) {
				modseq++
				var set []state.Live
				for i := range model {
					if rapid.IntRange(0, 9).Draw(t, "pick") == 0 {
						model[i].Modseq, model[i].Flags = modseq, model[i].Flags.With(state.Seen)
						set = append(set, model[i])
					}
				}
				list = list.Set(set...)
			},
			"expunge": func(t *rapid.T) {
				var gone event.UIDSet
				kept := model[:0:0]
				for _, m := range model {
					if rapid.IntRange(0, 4).Draw(t, "pick") == 0 {
						gone = gone.Add(m.UID)
					} else {
						kept = append(kept, m)
					}
				}
				list, model = list.Remove(gone), kept
			},
			"sync": func(*rapid.T) { old, oldModel = list, slices.Clone(model) },
			"": func(t *rapid.T) {
				checkAgainst(t, list, model)
				checkAgainst(t, old, oldModel) // a snapshot never changes
				checkDiff(t, Diff(old, list), oldModel, model)
			},
		})
	})
}

func checkAgainst(t *rapid.T, list List, model []state.Live) {
	if diff := cmp.Diff(model, contents(list)); diff != "" && len(model)+list.Len() > 0 {
		t.Fatalf("contents differ: %s", diff)
	}
	if list.Len() != len(model) {
		t.Fatalf("Len %d, want %d", list.Len(), len(model))
	}
	for i, m := range model {
		if list.At(i+1) != m {
			t.Fatalf("At(%d) = %v, want %v", i+1, list.At(i+1), m)
		}
		if seq, ok := list.Seq(m.UID); !ok || seq != i+1 {
			t.Fatalf("Seq(%d) = %d, %v, want %d", m.UID, seq, ok, i+1)
		}
		if seq, ok := list.Seq(m.UID + 1); seq != i+2 || ok != (i+1 < len(model) && model[i+1].UID == m.UID+1) {
			t.Fatalf("Seq(%d) = %d, %v", m.UID+1, seq, ok)
		}
	}
}

func checkDiff(t *rapid.T, d Difference, old, next []state.Live) {
	was, is := map[uint32]state.Live{}, map[uint32]state.Live{}
	for _, m := range old {
		was[m.UID] = m
	}
	for _, m := range next {
		is[m.UID] = m
	}
	for _, m := range next {
		w, ok := was[m.UID]
		if ok != !slices.Contains(d.Appended, m) || (ok && w != m) != slices.Contains(d.Changed, m) {
			t.Fatalf("message %v, before %v (%v): difference %+v", m, w, ok, d)
		}
	}
	for _, m := range old {
		if _, ok := is[m.UID]; ok == d.Expunged.Contains(m.UID) {
			t.Fatalf("message %v: there %v, difference %+v", m, ok, d)
		}
	}
}
