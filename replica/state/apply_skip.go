package state

import (
	"fmt"
	"slices"

	"angarium/eventlog/event"
)

// maxSkipped bounds the ranges of modseqs that an account remembers as left out. The oldest two become one, with what is between them:
// a client that knew a modseq of there is told more than it needs.
const maxSkipped = 16

// lastFloor is the highest UID that the next message of a mailbox can be made to have.
const lastFloor = 1<<32 - 2

// numbersSkipped touches no mailbox's UIDNEXT and HIGHESTMODSEQ: a client that knows this history alone notices nothing.
func (w *work) numbersSkipped(e *event.NumbersSkipped) error {
	if err := w.Flush(); err != nil { // which makes all mailboxes of the account readable
		return err
	}
	if err := w.open(e.Account); err != nil {
		return err
	}
	a := w.account
	if e.Modseq <= a.Modseq || e.UIDValidity < a.UIDValidity {
		return fmt.Errorf("%w: modseqs up to %d and UIDVALIDITY up to %d are left out after %d and %d",
			ErrDiverged, e.Modseq, e.UIDValidity, a.Modseq, a.UIDValidity)
	}
	a.Skipped = append(a.Skipped, Skipped{After: a.Modseq, UpTo: e.Modseq, Epoch: e.Epoch})
	if len(a.Skipped) > maxSkipped {
		a.Skipped[1].After = a.Skipped[0].After
		a.Skipped = slices.Delete(a.Skipped, 0, 1)
	}
	a.Modseq, a.UIDValidity = e.Modseq, e.UIDValidity
	list, err := Mailboxes(w.tx, e.Account)
	if err != nil {
		return err
	}
	for _, row := range list {
		b, err := w.openBox(row.ID)
		if err != nil {
			return err
		}
		if floor := skipUIDs(b.row.FirstUID(), e.UIDs); floor > b.row.UIDNext {
			b.row.UIDFloor = floor
		}
	}
	return w.skipInGraves(e)
}

func skipUIDs(uid, n uint32) uint32 {
	return uint32(max(uint64(uid), min(uint64(uid)+uint64(n), lastFloor)))
}

func (w *work) skipInGraves(e *event.NumbersSkipped) error {
	graves := map[event.MailboxID]*Grave{}
	err := ScanGraves(w.tx, e.Account, func(id event.MailboxID, g *Grave) (bool, error) {
		graves[id] = g
		return true, nil
	})
	if err != nil {
		return err
	}
	for id, g := range graves {
		g.UIDNext = skipUIDs(g.UIDNext, e.UIDs)
		if err := w.set(keyNamed(tableGrave, e.Account, string(id[:])), g); err != nil {
			return err
		}
	}
	return nil
}
