package state_test

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"angarium/eventlog/event"
	"angarium/replica/state"
	"angarium/replica/state/statetest"
)

// mutations calls fn with every copy of a struct in which one leaf differs.
func mutations[T any](v T, fn func(field string, changed T)) {
	for i := range reflect.TypeOf(v).NumField() {
		field := reflect.TypeOf(v).Field(i)
		c := v
		f := reflect.ValueOf(&c).Elem().Field(i)
		switch f.Kind() {
		case reflect.Uint32, reflect.Uint64:
			f.SetUint(f.Uint() ^ 1)
		case reflect.Int64:
			f.SetInt(f.Int() ^ 1)
		case reflect.String:
			f.SetString(f.String() + "x")
		case reflect.Bool:
			f.SetBool(!f.Bool())
		case reflect.Slice:
			if f.Type().Elem().Kind() != reflect.String {
				continue
			}
			f.Set(reflect.Append(f.Slice3(0, f.Len(), f.Len()), reflect.ValueOf("x")))
		case reflect.Array: // ids and words of flags
			e := f.Index(f.Len() - 1)
			e.SetUint(e.Uint() ^ 1)
		case reflect.Struct:
			n := f.FieldByName("Iterations")
			n.SetUint(n.Uint() ^ 1)
		}
		fn(field.Name, c)
	}
}

func TestEveryFieldCountsInTheDigest(t *testing.T) {
	l := state.Live{UID: 7, Modseq: 9, Flags: state.Flags{1, 2}}
	mutations(l, func(field string, c state.Live) {
		if state.DigestLive(c) == state.DigestLive(l) {
			t.Errorf("%s of a live message does not count", field)
		}
	})
	m := state.Message{UID: 7, GUID: event.GUID{3}, Size: 5, InternalDate: 6, SaveDate: 8}
	mutations(m, func(field string, c state.Message) {
		if state.DigestFixed(&c) == state.DigestFixed(&m) {
			t.Errorf("%s of a record does not count", field)
		}
	})
}

// TestRowsCountInTheDigest changes one field of one row and sees whether the check misses the digest of the whole state.
func TestRowsCountInTheDigest(t *testing.T) {
	h := mailboxWithMessages(t, 3)
	b := onlyMailbox(h)
	missed := func(what string, m *state.Memory) {
		found := false
		_, err := state.Check(m, state.CheckOptions{}, func(v state.Violation) { found = found || (v.Kind == "digest" && v.Mailbox.IsZero()) })
		if err != nil || !found {
			t.Errorf("%s does not count in the digest of the state (%v)", what, err)
		}
	}
	row, err := state.GetMailbox(h.State, b.ID)
	if err != nil {
		t.Fatal(err)
	}
	mutations(*row, func(field string, c state.Mailbox) {
		m := clone(h.State)
		rows{m, t, b.ID}.put(state.KeyMailbox(b.ID), &c)
		missed("mailbox "+field, m)
	})
	account, err := state.GetAccount(h.State, b.Account)
	if err != nil {
		t.Fatal(err)
	}
	mutations(*account, func(field string, c state.Account) {
		m := clone(h.State)
		rows{m, t, b.ID}.put(state.KeyAccount(b.Account), &c)
		missed("account "+field, m)
	})
}

// TestDigestTellsStatesApart runs through histories: whenever anything that counts is different, so is the digest, and what is put
// back gives the old digest again.
func TestDigestTellsStatesApart(t *testing.T) {
	digests := map[uint64]string{}
	for seed := range uint64(4 * simFactor(t)) {
		h := statetest.New(statetest.Seeded(seed))
		for range 300 {
			if _, err := h.Next(); err != nil {
				t.Fatal(err)
			}
			totals, err := state.GetTotals(h.State)
			if err != nil {
				t.Fatal(err)
			}
			content := ""
			for _, table := range []byte{'A', 'M', 'S'} {
				err := h.State.Scan([]byte{table}, []byte{table + 1}, func(k, v []byte) (bool, error) {
					content += fmt.Sprintf("%q=%x;", k, v)
					return true, nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if was, ok := digests[totals.Digest]; ok && was != content {
				t.Fatalf("one digest for\n%s\nand\n%s", was, content)
			}
			digests[totals.Digest] = content
		}
	}
	// An event and its opposite.
	h := mailboxWithMessages(t, 3)
	before, err := state.GetTotals(h.State)
	if err != nil {
		t.Fatal(err)
	}
	for _, disabled := range []bool{true, false} {
		if err := h.Apply(event.Entry{Event: &event.AccountDisabled{Account: "ann", Disabled: disabled}}); err != nil {
			t.Fatal(err)
		}
		after, err := state.GetTotals(h.State)
		if err != nil {
			t.Fatal(err)
		}
		if (after.Digest == before.Digest) == disabled {
			t.Errorf("disabled %v: digest %x, before %x", disabled, after.Digest, before.Digest)
		}
	}
}

func TestPagesAndRecordsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Uint32Range(0, 1<<25-1).Draw(t, "page")
		var p state.Page
		for _, place := range rapid.SliceOfNDistinct(rapid.Uint32Range(0, 127), 0, 128, rapid.ID).Draw(t, "places") {
			p = append(p, state.Live{
				UID: number<<state.PageBits | place, Modseq: rapid.Uint64().Draw(t, "modseq"),
				Flags: state.Flags{rapid.Uint64().Draw(t, "low"), rapid.Uint64().Draw(t, "high")},
			})
		}
		sortByUID(p)
		got, err := state.DecodePage(number, state.EncodePage(p))
		if err != nil || (len(p)+len(got) > 0 && !reflect.DeepEqual(got, p)) {
			t.Fatalf("%v became %v, %v", p, got, err)
		}
		m := state.Message{
			UID: rapid.Uint32().Draw(t, "uid"), Size: rapid.Uint64().Draw(t, "size"), InternalDate: rapid.Int64().Draw(t, "internal"),
			SaveDate: rapid.Int64().Draw(t, "saved"), Structure: rapid.SliceOf(rapid.Byte()).Draw(t, "structure"),
		}
		copy(m.GUID[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "guid"))
		back, err := state.DecodeMessage(m.UID, state.EncodeMessage(&m))
		if err != nil || string(back.Structure) != string(m.Structure) {
			t.Fatalf("%+v became %+v, %v", m, back, err)
		}
		back.Structure = m.Structure
		if !reflect.DeepEqual(m, back) {
			t.Fatalf("%+v became %+v", m, back)
		}
	})
}
