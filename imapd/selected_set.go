package imapd

import (
	"cmp"
	"slices"

	"angarium/eventlog/event"
	"angarium/imapd/wire"
)

// uidsOf gives the numbers of a set without star as UIDs.
func uidsOf(set wire.NumSet) event.UIDSet {
	var uids event.UIDSet
	for _, r := range set.Ranges() {
		uids = append(uids, event.UIDRange{First: r.Start, Last: r.Stop})
	}
	return uids
}

// mergeUIDs makes a set of ranges in any order, which it takes over.
func mergeUIDs(ranges []event.UIDRange) event.UIDSet {
	slices.SortFunc(ranges, func(a, b event.UIDRange) int { return cmp.Compare(a.First, b.First) })
	out := ranges[:0]
	for _, r := range ranges {
		if n := len(out); n > 0 && uint64(r.First) <= uint64(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// unionUIDs gives what is in a or in b.
func unionUIDs(a, b event.UIDSet) event.UIDSet { return mergeUIDs(slices.Concat(a, b)) }

// intersectUIDs gives what is in both a and b.
func intersectUIDs(a, b event.UIDSet) event.UIDSet {
	var out event.UIDSet
	for len(a) > 0 && len(b) > 0 {
		if r := (event.UIDRange{First: max(a[0].First, b[0].First), Last: min(a[0].Last, b[0].Last)}); r.First <= r.Last {
			out = append(out, r)
		}
		if a[0].Last < b[0].Last {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
}

// without gives the UIDs of uids that are not among the messages of the client's view.
func (b *selected) without(uids event.UIDSet) event.UIDSet {
	var out event.UIDSet
	for _, r := range uids {
		first := uint64(r.First)
		for _, live := range b.among(event.UIDSet{r}) {
			if first < uint64(live.UID) {
				out = append(out, event.UIDRange{First: uint32(first), Last: live.UID - 1})
			}
			first = uint64(live.UID) + 1
		}
		if first <= uint64(r.Last) {
			out = append(out, event.UIDRange{First: uint32(first), Last: r.Last})
		}
	}
	return out
}

// countUIDs counts the messages of the client's view that are in uids.
func (b *selected) countUIDs(uids event.UIDSet) int {
	n := 0
	for _, r := range uids {
		first, _ := b.told.Seq(r.First)
		last, found := b.told.Seq(r.Last)
		if found {
			last++
		}
		n += last - first
	}
	return n
}
