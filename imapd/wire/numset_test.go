package wire

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestParseNumSet(t *testing.T) {
	for in, want := range map[string]string{
		"1": "1", "4:2": "2:4", "3,1,2": "1:3", "1:5,3:9,20": "1:9,20", "*": "*", "*:*": "*", "5:*": "5:*",
		"*:5": "5:*", "9:*,5:*,*": "5:*", "1:3,4:*": "1:3,4:*", "$": "$", "2,$": "2,$", "1:4294967295": "1:4294967295",
		"4294967295,4294967294": "4294967294:4294967295", "7:7": "7",
	} {
		if set, err := ParseNumSet(in, 10); err != nil || set.String() != want {
			t.Errorf("%s: %v, %v, want %s", in, set, err, want)
		}
	}
	for _, in := range []string{"", ",", "1,", ",1", "0", "01", "1:", ":1", "1:2:3", "0:3", "+1", "-1", "4294967296", "$:1", "1:$", "**", "a", "1 "} {
		if set, err := ParseNumSet(in, 10); err == nil {
			t.Errorf("%q gives %v", in, set)
		}
	}
	if _, err := ParseNumSet("1,1,1", 2); err != errTooManyRanges {
		t.Errorf("too many ranges: %v", err)
	}
}

func TestResolve(t *testing.T) {
	tests := []struct {
		in      string
		largest uint32
		want    string
	}{
		{"*", 7, "7"}, {"5:*", 7, "5:7"}, {"9:*", 7, "7"}, {"1:3,9:*", 7, "1:3,7"}, {"1:6,9:*", 7, "1:7"},
		{"1:9", 7, "1:7"}, {"8:9", 7, ""}, {"1,3,7:9,12", 7, "1,3,7"}, {"1:*", 0, ""}, {"*", 0, ""}, {"3:*,1:4", 10, "1:10"},
		{"$", 7, ""}, {"*", math.MaxUint32, "4294967295"}, {"1:4,6,2:*", 3, "1:3"},
	}
	for _, tt := range tests {
		set, err := ParseNumSet(tt.in, 10)
		if got := set.Resolve(tt.largest).String(); err != nil || got != tt.want {
			t.Errorf("%s with %d: %q, want %q", tt.in, tt.largest, got, tt.want)
		}
	}
}

func TestNumSetAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		num := rapid.Uint32Range(1, 40)
		var set NumSet
		model := map[uint32]bool{}
		for range rapid.IntRange(0, 15).Draw(t, "ranges") {
			a, b := num.Draw(t, "a"), num.Draw(t, "b")
			set.Add(a, b)
			for n := min(a, b); n <= max(a, b); n++ {
				model[n] = true
			}
		}
		want := slices.Sorted(func(yield func(uint32) bool) {
			for n := range model {
				if !yield(n) {
					return
				}
			}
		})
		if got := slices.Collect(set.All()); !slices.Equal(got, want) || set.Count() != uint64(len(want)) {
			t.Fatalf("got %v, want %v", got, want)
		}
		for n := range uint32(45) {
			if set.Contains(n, 40) != model[n] {
				t.Fatalf("%v contains %d: %v", set, n, !model[n])
			}
		}
		text := string(AppendNums(nil, want))
		if text != set.String() || text != NumSetOf(rapid.Permutation(want).Draw(t, "order")...).String() {
			t.Fatalf("%q, %q", text, set)
		}
		if len(want) > 0 {
			if again, err := ParseNumSet(text, 100); err != nil || again.String() != text {
				t.Fatalf("%q: %v, %v", text, again, err)
			}
		}
	})
}

func TestNumSetZeroAndEnds(t *testing.T) {
	set := NumSetOf(0, math.MaxUint32)
	set.Add(0, 5)
	set.AddStar(0)
	if fmt.Sprint(slices.Collect(set.All())) != "[4294967295]" || set.IsEmpty() || !(NumSet{}).IsEmpty() {
		t.Errorf("got %v", set)
	}
	if from, ok := set.Star(); ok || from != 0 || set.Saved() {
		t.Errorf("star %d, %v", from, ok)
	}
}

func FuzzNumSet(f *testing.F) {
	for _, in := range []string{"1:3,7", "*", "5:*,$", "9,8,7:*", "4294967295:1", "1:2:3"} {
		f.Add(in, uint32(6))
	}
	f.Fuzz(func(t *testing.T, in string, largest uint32) {
		set, err := ParseNumSet(in, 50)
		if err != nil {
			return
		}
		again, err := ParseNumSet(set.String(), 50)
		if err != nil || again.String() != set.String() {
			t.Fatalf("%q gives %v, then %v, %v", in, set, again, err)
		}
		resolved := set.Resolve(largest)
		for _, r := range resolved.Ranges() {
			for _, n := range []uint32{r.Start - 1, r.Start, r.Stop, r.Stop + 1} {
				want := n >= r.Start && n <= r.Stop
				if n == 0 || n > largest {
					want = false
				}
				if resolved.Contains(n, largest) != want || n <= largest && set.Contains(n, largest) != want {
					t.Fatalf("%v resolved by %d to %v: %d", set, largest, resolved, n)
				}
			}
		}
	})
}
