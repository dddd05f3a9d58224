package wire

import (
	"cmp"
	"errors"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
)

// errTooManyRanges means that a set exceeds its number of ranges.
var errTooManyRanges = errors.New("wire: number set has too many ranges")

// errNumSet means that a text is no number set.
var errNumSet = errors.New("wire: invalid number set")

// A NumRange is the numbers Start to Stop, both included; 1 <= Start <= Stop.
type NumRange struct{ Start, Stop uint32 }

// A NumSet is a set of message numbers or UIDs (sequence-set of RFC 9051
// section 9). Its zero value is the empty set. Copies share storage, so only
// one of them may be added to.
//
// "*" is the largest number in use, which the set does not know; n:* and *:n
// stand for the same numbers, and * alone is kept as 4294967295:*.
type NumSet struct {
	ranges   []NumRange // sorted, neither overlapping nor adjacent
	starFrom uint32     // 0: no star
	saved    bool
}

// ParseNumSet parses a number set of at most maxRanges members.
func ParseNumSet(s string, maxRanges int) (NumSet, error) {
	var (
		set    NumSet
		ranges []NumRange
	)
	for n := 1; ; n++ {
		if n > maxRanges {
			return NumSet{}, errTooManyRanges
		}
		part, rest, more := strings.Cut(s, ",")
		if part == "$" {
			set.saved = true
		} else {
			a, b, err := parseRange(part)
			switch {
			case err != nil:
				return NumSet{}, err
			case a == 0 && b == 0:
				set.AddStar(math.MaxUint32)
			case a == 0 || b == 0:
				set.AddStar(max(a, b))
			default:
				ranges = append(ranges, NumRange{min(a, b), max(a, b)})
			}
		}
		if !more {
			break
		}
		s = rest
	}
	set.ranges = mergeRanges(ranges)
	return set, nil
}

// parseRange parses n, *, or two of them with a colon; 0 stands for *.
func parseRange(s string) (a, b uint32, err error) {
	first, second, pair := strings.Cut(s, ":")
	if a, err = parseNum(first); err != nil || !pair {
		return a, a, err
	}
	b, err = parseNum(second)
	return a, b, err
}

func parseNum(s string) (uint32, error) {
	if s == "*" {
		return 0, nil
	}
	if s == "" || s[0] < '1' || s[0] > '9' { // no sign, no leading zero
		return 0, errNumSet
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, errNumSet
	}
	return uint32(n), nil
}

// mergeRanges sorts ranges in place and joins those that touch.
func mergeRanges(ranges []NumRange) []NumRange {
	slices.SortFunc(ranges, func(a, b NumRange) int { return cmp.Compare(a.Start, b.Start) })
	out := ranges[:0]
	for _, next := range ranges {
		if n := len(out); n > 0 && uint64(next.Start) <= uint64(out[n-1].Stop)+1 {
			out[n-1].Stop = max(out[n-1].Stop, next.Stop)
			continue
		}
		out = append(out, next)
	}
	return out
}

// NumSetOf returns the set of nums, in any order; zeros are ignored.
func NumSetOf(nums ...uint32) NumSet {
	var set NumSet
	sorted := slices.IsSorted(nums)
	if !sorted {
		nums = slices.Clone(nums)
		slices.Sort(nums)
	}
	for _, n := range nums {
		set.Add(n, n)
	}
	return set
}

// Add adds the numbers between a and b, both included and in either order.
// Zeros are ignored. It is fast if numbers are added in ascending order.
func (s *NumSet) Add(a, b uint32) {
	if a == 0 || b == 0 {
		return
	}
	next := NumRange{min(a, b), max(a, b)}
	n := len(s.ranges)
	switch {
	case n == 0 || uint64(s.ranges[n-1].Stop)+1 < uint64(next.Start):
		s.ranges = append(s.ranges, next)
	case s.ranges[n-1].Start <= next.Start:
		s.ranges[n-1].Stop = max(s.ranges[n-1].Stop, next.Stop)
	default:
		s.ranges = mergeRanges(append(s.ranges, next))
	}
}

// AddStar adds from:*; a from of 4294967295 adds * alone. Zero is ignored.
func (s *NumSet) AddStar(from uint32) {
	if from != 0 && (s.starFrom == 0 || from < s.starFrom) {
		s.starFrom = from
	}
}

// Ranges returns the ranges without star, sorted, neither overlapping nor
// adjacent. The caller must not change them.
func (s NumSet) Ranges() []NumRange { return s.ranges }

// Star returns the start of the range that ends with *, if there is one; it is
// 4294967295 for * alone.
func (s NumSet) Star() (from uint32, ok bool) { return s.starFrom, s.starFrom != 0 }

// Saved reports whether the set holds $, the result of the last search with
// SAVE (RFC 5182). The caller adds its numbers.
func (s NumSet) Saved() bool { return s.saved }

// IsEmpty reports whether the set has neither numbers nor * nor $.
func (s NumSet) IsEmpty() bool { return len(s.ranges) == 0 && s.starFrom == 0 && !s.saved }

// Resolve returns the set with * replaced by largest, the largest number in
// use (0: none), and without $ and the numbers above largest.
func (s NumSet) Resolve(largest uint32) NumSet {
	if largest == 0 {
		return NumSet{}
	}
	n := s.search(largest)
	if n < len(s.ranges) && s.ranges[n].Start <= largest {
		n++
	}
	out := NumSet{ranges: slices.Clone(s.ranges[:n])}
	if n > 0 {
		out.ranges[n-1].Stop = min(out.ranges[n-1].Stop, largest)
	}
	if s.starFrom != 0 {
		out.Add(min(s.starFrom, largest), largest)
	}
	return out
}

// search returns the index of the first range that does not end below num.
func (s NumSet) search(num uint32) int {
	i, _ := slices.BinarySearchFunc(s.ranges, num, func(r NumRange, n uint32) int {
		return cmp.Compare(r.Stop, n)
	})
	return i
}

// Contains reports whether num is in the set, where * is largest.
func (s NumSet) Contains(num, largest uint32) bool {
	if s.starFrom != 0 && num != 0 && num <= largest && num >= min(s.starFrom, largest) {
		return true
	}
	i := s.search(num)
	return i < len(s.ranges) && s.ranges[i].Start <= num
}

// Count returns the number of numbers in the set, * and $ not counted.
func (s NumSet) Count() uint64 {
	n := uint64(0)
	for _, r := range s.ranges {
		n += uint64(r.Stop-r.Start) + 1
	}
	return n
}

// All yields the numbers in ascending order, * and $ left out. Resolve bounds
// a set that came from a client first.
func (s NumSet) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, r := range s.ranges {
			for n := r.Start; ; n++ {
				if !yield(n) {
					return
				}
				if n == r.Stop {
					break
				}
			}
		}
	}
}

// String returns the set as in "1:3,7,9:*"; the empty set gives "".
func (s NumSet) String() string { return string(s.AppendTo(nil)) }

// AppendTo appends what String returns.
func (s NumSet) AppendTo(b []byte) []byte {
	start := len(b)
	for _, r := range s.ranges {
		b = appendRange(appendComma(b, start), r)
	}
	if s.starFrom != 0 {
		b = appendComma(b, start)
		if s.starFrom != math.MaxUint32 {
			b = append(strconv.AppendUint(b, uint64(s.starFrom), 10), ':')
		}
		b = append(b, '*')
	}
	if s.saved {
		b = append(appendComma(b, start), '$')
	}
	return b
}

// AppendNums appends nums, which must be in ascending order, as a number set.
func AppendNums(b []byte, nums []uint32) []byte {
	start := len(b)
	for i := 0; i < len(nums); {
		r := NumRange{nums[i], nums[i]}
		for i++; i < len(nums) && nums[i]-r.Stop <= 1; i++ {
			r.Stop = nums[i]
		}
		b = appendRange(appendComma(b, start), r)
	}
	return b
}

func appendComma(b []byte, start int) []byte {
	if len(b) > start {
		return append(b, ',')
	}
	return b
}

func appendRange(b []byte, r NumRange) []byte {
	b = strconv.AppendUint(b, uint64(r.Start), 10)
	if r.Stop != r.Start {
		b = strconv.AppendUint(append(b, ':'), uint64(r.Stop), 10)
	}
	return b
}
