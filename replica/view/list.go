package view

import (
	"iter"
	"slices"
	"sort"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// List is the live messages of a mailbox by ascending UID. The zero value is an empty mailbox. Message sequence numbers are
// counted from 1 (RFC 9051, section 2.3.1.2).
type List struct {
	pages  []*page
	starts []int // starts[i] is how many messages lie before pages[i]
	n      int
}

// page is never empty and never changes once it is in a List.
type page struct {
	number uint32
	live   state.Page
}

// Builder makes a List from pages in ascending order.
type Builder struct{ list List }

// Add adds the next page, which the list keeps.
func (b *Builder) Add(number uint32, p state.Page) {
	if len(p) > 0 {
		b.list.push(&page{number, p})
	}
}

// List gives what was added.
func (b *Builder) List() List { return b.list }

func (l *List) push(p *page) {
	l.pages = append(l.pages, p)
	l.starts = append(l.starts, l.n)
	l.n += len(p.live)
}

// Len counts the messages.
func (l List) Len() int { return l.n }

// At gives the message with a sequence number, 1 ≤ seq ≤ Len.
func (l List) At(seq int) state.Live {
	i := sort.SearchInts(l.starts, seq) - 1 // the last page that starts below seq
	return l.pages[i].live[seq-1-l.starts[i]]
}

// Seq gives the sequence number of a UID, and whether the message is there; if not, that of the first message above it,
// Len+1 when there is none.
func (l List) Seq(uid uint32) (seq int, ok bool) {
	i := l.find(state.PageOf(uid))
	if i == len(l.pages) {
		return l.n + 1, false
	}
	k, ok := l.pages[i].live.Find(uid)
	return l.starts[i] + k + 1, ok
}

// Get gives the message with a UID.
func (l List) Get(uid uint32) (state.Live, bool) {
	i := l.find(state.PageOf(uid))
	if i == len(l.pages) {
		return state.Live{}, false
	}
	k, ok := l.pages[i].live.Find(uid)
	if !ok {
		return state.Live{}, false
	}
	return l.pages[i].live[k], true
}

// find gives the index of the first page with this number or above.
func (l List) find(number uint32) int {
	return sort.Search(len(l.pages), func(i int) bool { return l.pages[i].number >= number })
}

// LastUID is the highest UID in the list, 0 in an empty one.
func (l List) LastUID() uint32 {
	if l.n == 0 {
		return 0
	}
	p := l.pages[len(l.pages)-1].live
	return p[len(p)-1].UID
}

// All yields sequence numbers and messages in order.
func (l List) All() iter.Seq2[int, state.Live] { return l.From(1) }

// From yields sequence numbers and messages, beginning with number seq ≥ 1.
func (l List) From(seq int) iter.Seq2[int, state.Live] {
	return func(yield func(int, state.Live) bool) {
		if seq > l.n {
			return
		}
		i := sort.SearchInts(l.starts, seq) - 1
		for ; i < len(l.pages); i++ {
			for k := max(0, seq-1-l.starts[i]); k < len(l.pages[i].live); k++ {
				if !yield(l.starts[i]+k+1, l.pages[i].live[k]) {
					return
				}
			}
		}
	}
}

// Append returns the list with messages added at its end.
func (l List) Append(live ...state.Live) List {
	out := List{pages: slices.Clone(l.pages), starts: slices.Clone(l.starts), n: l.n}
	for len(live) > 0 {
		number := state.PageOf(live[0].UID)
		k := 1
		for k < len(live) && state.PageOf(live[k].UID) == number {
			k++
		}
		if last := len(out.pages) - 1; last >= 0 && out.pages[last].number == number {
			out.pages[last] = &page{number, slices.Concat(out.pages[last].live, live[:k])}
			out.n += k
		} else {
			out.push(&page{number, slices.Clone(live[:k])})
		}
		live = live[k:]
	}
	return out
}

// Set returns the list with messages, by ascending UID, replaced by what is given. One that is not there is left out.
func (l List) Set(live ...state.Live) List {
	out := List{pages: slices.Clone(l.pages), starts: l.starts, n: l.n}
	for len(live) > 0 {
		number := state.PageOf(live[0].UID)
		i := out.find(number)
		var p state.Page
		if i < len(out.pages) && out.pages[i].number == number {
			p = slices.Clone(out.pages[i].live)
			out.pages[i] = &page{number, p}
		}
		for ; len(live) > 0 && state.PageOf(live[0].UID) == number; live = live[1:] {
			if k, ok := p.Find(live[0].UID); ok {
				p[k] = live[0]
			}
		}
	}
	return out
}

// Remove returns the list without the messages in uids.
func (l List) Remove(uids event.UIDSet) List {
	var out List
	out.pages = make([]*page, 0, len(l.pages))
	out.starts = make([]int, 0, len(l.pages))
	for _, p := range l.pages {
		lo, hi := p.live[0].UID, p.live[len(p.live)-1].UID
		k := sort.Search(len(uids), func(i int) bool { return uids[i].Last >= lo })
		if k == len(uids) || uids[k].First > hi {
			out.push(p)
			continue
		}
		kept := make(state.Page, 0, len(p.live))
		for _, m := range p.live {
			if !uids.Contains(m.UID) {
				kept = append(kept, m)
			}
		}
		if len(kept) > 0 {
			out.push(&page{p.number, kept})
		}
	}
	return out
}
