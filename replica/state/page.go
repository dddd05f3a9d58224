package state

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// Live is the part of a message that changes.
type Live struct {
	UID    uint32
	Modseq uint64
	Flags  Flags
}

// PageBits is the size of a page: live messages are kept in pages of 2^PageBits UIDs, so that a mailbox of 100,000 messages
// is opened by reading some 800 rows, and a flag change rewrites one.
const PageBits = 7

// PageOf gives the number of the page that a UID belongs to.
func PageOf(uid uint32) uint32 { return uid >> PageBits }

// Page is the live messages of one page, by ascending UID.
type Page []Live

// Find gives the index of uid in the page, or of the first one above it.
func (p Page) Find(uid uint32) (int, bool) {
	k := sort.Search(len(p), func(i int) bool { return p[i].UID >= uid })
	return k, k < len(p) && p[k].UID == uid
}

// encodePage writes each message as: place in the page, modseq, two words of flags.
func encodePage(dst []byte, p Page) []byte {
	for i := range p {
		dst = append(dst, byte(p[i].UID&(1<<PageBits-1)))
		dst = binary.AppendUvarint(dst, p[i].Modseq)
		dst = binary.AppendUvarint(dst, p[i].Flags[0])
		dst = binary.AppendUvarint(dst, p[i].Flags[1])
	}
	return dst
}

func decodePage(number uint32, b []byte) (Page, error) {
	p := make(Page, 0, 1<<PageBits)
	for len(b) > 0 {
		l := Live{UID: number<<PageBits | uint32(b[0])}
		ok := b[0] < 1<<PageBits && (len(p) == 0 || p[len(p)-1].UID < l.UID)
		b = b[1:]
		if ok {
			l.Modseq, b, ok = uvarint(b)
		}
		if ok {
			l.Flags[0], b, ok = uvarint(b)
		}
		if ok {
			l.Flags[1], b, ok = uvarint(b)
		}
		if !ok {
			return nil, fmt.Errorf("%w: page %d of live messages", ErrCorrupt, number)
		}
		p = append(p, l)
	}
	return p, nil
}
