package view

import (
	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Difference is what happened between two lists of one mailbox.
type Difference struct {
	Expunged event.UIDSet // were in the old one and are not in the new one
	Changed  []state.Live // are in both, with another modseq or flags: as they are now
	Appended []state.Live // are above all that the old one ever had
}

// IsEmpty says whether nothing happened.
func (d *Difference) IsEmpty() bool {
	return len(d.Expunged) == 0 && len(d.Changed) == 0 && len(d.Appended) == 0
}

// Diff compares two lists of one mailbox, of which next is the later one. A UID that is only in the new one came after all
// that is in the old one, since UIDs only grow. Pages that both share are skipped.
func Diff(old, next List) Difference {
	var d Difference
	i, j := 0, 0
	for i < len(old.pages) || j < len(next.pages) {
		switch {
		case j == len(next.pages) || (i < len(old.pages) && old.pages[i].number < next.pages[j].number):
			d.pages(old.pages[i].live, nil)
			i++
		case i == len(old.pages) || old.pages[i].number > next.pages[j].number:
			d.pages(nil, next.pages[j].live)
			j++
		default:
			if old.pages[i] != next.pages[j] {
				d.pages(old.pages[i].live, next.pages[j].live)
			}
			i++
			j++
		}
	}
	return d
}

func (d *Difference) pages(old, next state.Page) {
	i, j := 0, 0
	for i < len(old) || j < len(next) {
		switch {
		case j == len(next) || (i < len(old) && old[i].UID < next[j].UID):
			d.Expunged = d.Expunged.Add(old[i].UID)
			i++
		case i == len(old) || old[i].UID > next[j].UID:
			d.Appended = append(d.Appended, next[j])
			j++
		default:
			if old[i] != next[j] {
				d.Changed = append(d.Changed, next[j])
			}
			i++
			j++
		}
	}
}
