package state_test

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"slices"
	"testing"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

func sortByUID(p state.Page) {
	slices.SortFunc(p, func(a, b state.Live) int { return cmp.Compare(a.UID, b.UID) })
}

// FuzzPage decodes any bytes: an error, or a page that is in order and comes out the same when it is written again.
func FuzzPage(f *testing.F) {
	f.Add(uint32(0), []byte{})
	f.Add(uint32(3), state.EncodePage(state.Page{{UID: 3 << 7, Modseq: 1}, {UID: 3<<7 + 127, Modseq: 1 << 62, Flags: state.Flags{1 << 63, 5}}}))
	f.Add(uint32(1<<25-1), []byte{127, 1, 0, 0})
	f.Add(uint32(0), []byte{5, 0x80})
	f.Add(uint32(0), []byte{5, 1, 1, 1, 5, 1, 1, 1})
	f.Add(uint32(0), []byte{128, 1, 1, 1})
	f.Fuzz(func(t *testing.T, number uint32, b []byte) {
		number %= 1 << 25
		p, err := state.DecodePage(number, b)
		if err != nil {
			if !errors.Is(err, state.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		for i, l := range p {
			if state.PageOf(l.UID) != number || (i > 0 && p[i-1].UID >= l.UID) {
				t.Fatalf("page %d has UID %d after %v", number, l.UID, p[:i])
			}
			if k, ok := p.Find(l.UID); !ok || k != i {
				t.Fatalf("UID %d found at %d, %v", l.UID, k, ok)
			}
		}
		again, err := state.DecodePage(number, state.EncodePage(p))
		if err != nil || !slices.Equal(again, p) {
			t.Fatalf("%v became %v, %v", p, again, err)
		}
	})
}

// FuzzRows decodes any bytes as every kind of row, and reads a whole state in which they stand in the place of one row.
func FuzzRows(f *testing.F) {
	for _, row := range []any{
		&state.Account{Name: "ann", Modseq: 1}, &state.Mailbox{Name: "INBOX", Keywords: []string{"a"}}, &state.Totals{Epoch: 1, Digest: 1 << 63},
		&state.Body{Size: 1, Stored: 1, Extents: []state.Extent{{Segment: 1, Length: 1}}}, event.UIDsOf(1, 2, 9),
	} {
		b, err := state.EncodeRow(row)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(0), b)
	}
	f.Add(uint8(1), state.EncodeMessage(&state.Message{Size: 1, Structure: []byte{1}}))
	f.Add(uint8(2), []byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add(uint8(3), bytes.Repeat([]byte{0x81}, 100))
	f.Fuzz(func(t *testing.T, place uint8, b []byte) {
		for _, err := range []error{
			second(state.DecodeRow[state.Account](b)), second(state.DecodeRow[state.Mailbox](b)), second(state.DecodeRow[state.Body](b)),
			second(state.DecodeRow[state.Totals](b)), second(state.DecodeRow[event.UIDSet](b)), second(state.DecodeMessage(1, b)),
		} {
			if err != nil && !errors.Is(err, state.ErrCorrupt) {
				t.Fatal(err)
			}
		}
		h := mailboxWithMessages(t, 3)
		keys := slices.Sorted(maps.Keys(h.State.Rows))
		h.State.Rows[keys[int(place)%len(keys)]] = b
		_, err := state.Check(h.State, state.CheckOptions{Body: func(event.GUID, *state.Body) error { return nil }}, func(state.Violation) {})
		if err != nil {
			t.Fatal(err)
		}
		box := onlyMailbox(h)
		_, err = state.Apply(h.State, event.Entry{Event: &event.FlagsChanged{Account: box.Account, Mailbox: box.ID, Modseq: box.Modseq + 1,
			Changes: []event.FlagChange{{UIDs: event.UIDsOf(2), Add: []string{"x"}}}}})
		if err != nil && !errors.Is(err, state.ErrCorrupt) && !errors.Is(err, state.ErrDiverged) {
			t.Fatal(err)
		}
	})
}

func second[T any](_ T, err error) error { return err }
