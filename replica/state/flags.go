package state

import (
	"fmt"
	"math/bits"
	"strings"
)

// Flags is a set of flags as bits: the five system flags first, then the mailbox's keywords by their place in its table.
type Flags [2]uint64

// The system flags of RFC 9051, section 2.3.2, as bits of Flags.
const (
	Seen = iota
	Answered
	Flagged
	Deleted
	Draft
	systemFlags
)

// MaxKeywords bounds how many different keywords a mailbox can have.
const MaxKeywords = 128 - systemFlags

var systemNames = [systemFlags]string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`}

// Has says whether bit is set.
func (f Flags) Has(bit int) bool { return f[bit>>6]&(1<<(bit&63)) != 0 }

// With returns the set with bit added.
func (f Flags) With(bit int) Flags { f[bit>>6] |= 1 << (bit & 63); return f }

// Or returns the union.
func (f Flags) Or(g Flags) Flags { return Flags{f[0] | g[0], f[1] | g[1]} }

// AndNot returns what is in f and not in g.
func (f Flags) AndNot(g Flags) Flags { return Flags{f[0] &^ g[0], f[1] &^ g[1]} }

// IsEmpty says whether no flag is set.
func (f Flags) IsEmpty() bool { return f == Flags{} }

// top gives the highest bit that is set, -1 for none.
func (f Flags) top() int {
	if f[1] != 0 {
		return 127 - bits.LeadingZeros64(f[1])
	}
	return 63 - bits.LeadingZeros64(f[0])
}

// FlagBit finds the bit of a flag in a mailbox with these keywords; ok is false for a keyword the mailbox does not have.
// Flags are compared without regard to case (RFC 9051, section 2.3.2).
func FlagBit(keywords []string, name string) (bit int, ok bool) {
	if strings.HasPrefix(name, `\`) {
		for i, n := range systemNames {
			if strings.EqualFold(n, name) {
				return i, true
			}
		}
		return 0, false
	}
	for i, k := range keywords {
		if strings.EqualFold(k, name) {
			return systemFlags + i, true
		}
	}
	return 0, false
}

// Names lists the flags in the order of their bits.
func (f Flags) Names(keywords []string) []string {
	var names []string
	for half, word := range f {
		for ; word != 0; word &= word - 1 {
			names = append(names, FlagName(keywords, half<<6+bits.TrailingZeros64(word)))
		}
	}
	return names
}

// FlagName names one bit, "" for a bit that the mailbox does not have.
func FlagName(keywords []string, bit int) string {
	if bit < systemFlags {
		return systemNames[bit]
	}
	if bit -= systemFlags; bit < len(keywords) {
		return keywords[bit]
	}
	return ""
}

// bitsFor turns names into bits, adding unknown keywords to the mailbox's table.
func (m *Mailbox) bitsFor(names []string) (Flags, error) {
	var f Flags
	for _, n := range names {
		bit, ok := FlagBit(m.Keywords, n)
		if !ok {
			if strings.HasPrefix(n, `\`) || len(m.Keywords) >= MaxKeywords {
				return f, fmt.Errorf("%w: mailbox %s cannot hold flag %q", ErrDiverged, m.ID, n)
			}
			bit = systemFlags + len(m.Keywords)
			m.Keywords = append(m.Keywords[:len(m.Keywords):len(m.Keywords)], n)
		}
		f = f.With(bit)
	}
	return f, nil
}
