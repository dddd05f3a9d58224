package compare

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"angarium/replica/state"
)

// Record is one message as a node has it.
type Record struct {
	ID           string   `cbor:"1,keyasint" json:"id"`      // of the mailbox, in hex
	Mailbox      string   `cbor:"2,keyasint" json:"mailbox"` // its name
	UID          uint32   `cbor:"3,keyasint" json:"uid"`
	Modseq       uint64   `cbor:"4,keyasint,omitempty" json:"modseq"`
	Flags        []string `cbor:"5,keyasint,omitempty" json:"flags"` // in the order of the mailbox's table
	GUID         string   `cbor:"6,keyasint,omitempty" json:"guid"`  // in hex
	Size         uint64   `cbor:"7,keyasint,omitempty" json:"size"`
	InternalDate int64    `cbor:"8,keyasint,omitempty" json:"internaldate"` // seconds since 1970
	SaveDate     int64    `cbor:"9,keyasint,omitempty" json:"savedate"`     // seconds since 1970
	Damage       string   `cbor:"10,keyasint,omitempty" json:"damage,omitempty"`
}

// What Record.Damage says: a part of the message is there and the other is not.
const (
	NoRecord = "no record"   // of what never changes
	NotLive  = "record only" // nothing that changes
)

// order of a stream of records: by mailbox id, then UID.
func (r Record) order(s Record) int {
	return cmp.Or(cmp.Compare(r.ID, s.ID), cmp.Compare(r.UID, s.UID))
}

// Records yields the messages of an account: by mailbox id, then UID. It ends with the first error.
func Records(ctx context.Context, r state.Reader, account string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		boxes, err := state.Mailboxes(r, account)
		if err == nil {
			slices.SortFunc(boxes, func(a, b *state.Mailbox) int { return slices.Compare(a.ID[:], b.ID[:]) })
		}
		for i := 0; err == nil && i < len(boxes); i++ {
			var more bool
			more, err = scanRecords(r, boxes[i], func(rec Record) bool { return ctx.Err() == nil && yield(rec, nil) })
			if err == nil {
				err = ctx.Err()
			}
			if err == nil && !more {
				return
			}
		}
		if err != nil {
			yield(Record{}, fmt.Errorf("records of %s: %w", account, err))
		}
	}
}

// scanRecords yields the messages of a mailbox by UID: what never changes of each brought together with what does. The part that changes
// is kept in memory meanwhile, some 30 bytes of each message. more is false when yield ended it.
func scanRecords(r state.Reader, m *state.Mailbox, yield func(Record) bool) (more bool, err error) {
	var live []state.Live
	err = state.ScanPages(r, m.ID, func(_ uint32, p state.Page) (bool, error) {
		live = append(live, p...)
		return true, nil
	})
	if err != nil {
		return true, err
	}
	id := m.ID.String()
	withoutRecord := func(l state.Live) bool {
		return yield(Record{ID: id, Mailbox: m.Name, UID: l.UID, Modseq: l.Modseq, Flags: l.Flags.Names(m.Keywords), Damage: NoRecord})
	}
	more = true
	err = state.ScanMessages(r, m.ID, 0, 1<<32-1, func(msg state.Message) (bool, error) {
		for len(live) > 0 && live[0].UID < msg.UID {
			if more = withoutRecord(live[0]); !more {
				return false, nil
			}
			live = live[1:]
		}
		rec := Record{
			ID: id, Mailbox: m.Name, UID: msg.UID, GUID: msg.GUID.String(), Size: msg.Size,
			InternalDate: msg.InternalDate, SaveDate: msg.SaveDate, Damage: NotLive,
		}
		if len(live) > 0 && live[0].UID == msg.UID {
			rec.Modseq, rec.Flags, rec.Damage = live[0].Modseq, live[0].Flags.Names(m.Keywords), ""
			live = live[1:]
		}
		more = yield(rec)
		return more, nil
	})
	for err == nil && more && len(live) > 0 {
		more = withoutRecord(live[0])
		live = live[1:]
	}
	return more, err
}
