package event

import (
	"fmt"
	"iter"
	"sort"
	"strconv"

	"github.com/fxamacker/cbor/v2"
)

// UIDsOf makes a set of ascending UIDs; a UID that does not exceed the one before it is left out.
func UIDsOf(uids ...uint32) UIDSet {
	var s UIDSet
	for _, u := range uids {
		s = s.Add(u)
	}
	return s
}

// Add returns the set with uid added, which must lie above all that is in the set; a uid that does not is ignored.
func (s UIDSet) Add(uid uint32) UIDSet {
	n := len(s)
	switch {
	case n == 0 && uid > 0:
	case n == 0 || uid <= s[n-1].Last:
		return s
	case s[n-1].Last+1 == uid:
		s[n-1].Last = uid
		return s
	}
	return append(s, UIDRange{uid, uid})
}

// Len counts the UIDs.
func (s UIDSet) Len() int {
	n := 0
	for _, r := range s {
		n += int(r.Last-r.First) + 1
	}
	return n
}

// Contains says whether uid is in the set.
func (s UIDSet) Contains(uid uint32) bool {
	k := sort.Search(len(s), func(i int) bool { return s[i].Last >= uid })
	return k < len(s) && s[k].First <= uid
}

// All yields the UIDs in ascending order.
func (s UIDSet) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, r := range s {
			for u := uint64(r.First); u <= uint64(r.Last); u++ {
				if !yield(uint32(u)) {
					return
				}
			}
		}
	}
}

// String gives the set in IMAP's form, "1:3,7"; an empty set is "".
func (s UIDSet) String() string { return string(s.Append(nil)) }

// Append appends the set in IMAP's form to dst.
func (s UIDSet) Append(dst []byte) []byte {
	for i, r := range s {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(dst, uint64(r.First), 10)
		if r.Last > r.First {
			dst = append(dst, ':')
			dst = strconv.AppendUint(dst, uint64(r.Last), 10)
		}
	}
	return dst
}

// Validate says what is wrong with a set that came from outside: an empty set is wrong too.
func (s UIDSet) Validate() error {
	if len(s) == 0 {
		return fmt.Errorf("empty UID set")
	}
	last := uint64(0)
	for i, r := range s {
		if r.First == 0 || r.First > r.Last || (i > 0 && uint64(r.First) <= last+1) {
			return fmt.Errorf("UID set not in canonical form at %d:%d", r.First, r.Last)
		}
		last = uint64(r.Last)
	}
	return nil
}

// MarshalCBOR writes the set as one flat array: first, last, first, last …
func (s UIDSet) MarshalCBOR() ([]byte, error) {
	flat := make([]uint32, 0, 2*len(s))
	for _, r := range s {
		flat = append(flat, r.First, r.Last)
	}
	return encMode.Marshal(flat)
}

// UnmarshalCBOR reads what MarshalCBOR wrote; the set may still be out of order, which Validate tells.
func (s *UIDSet) UnmarshalCBOR(b []byte) error {
	var flat []uint32
	if err := decMode.Unmarshal(b, &flat); err != nil {
		return err
	}
	if len(flat)%2 != 0 {
		return &cbor.UnmarshalTypeError{CBORType: "array of odd length", GoType: "event.UIDSet"}
	}
	*s = make(UIDSet, 0, len(flat)/2)
	for i := 0; i < len(flat); i += 2 {
		*s = append(*s, UIDRange{flat[i], flat[i+1]})
	}
	return nil
}
