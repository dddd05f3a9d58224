package event

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestKindsAreComplete(t *testing.T) {
	last := Kind(0)
	for _, k := range Kinds() {
		ev := newEvent(k)
		if ev == nil || ev.Kind() != k || k <= last {
			t.Errorf("kind %d: %T, after %d", k, ev, last)
		}
		if err := Validate(ev); k != KindCheckpoint && err == nil {
			t.Errorf("an empty %s is valid", k)
		}
		last = k
	}
	for k := range Kind(math.MaxUint16) {
		if listed := newEvent(k) != nil; listed && len(k.String()) > 4 && k.String()[:4] == "Kind" {
			t.Errorf("kind %d has no name", k)
		}
	}
}

func TestWhatIsNotKnownIsRefusedAsNewer(t *testing.T) {
	for name, s := range map[string]string{
		"unknown kind":           "821903e7",
		"kind 999":               "831903e7850060606060a0",
		"unknown field":          "8313850060606060a20161611863" + "01",
		"unknown encoding":       "831830850060606060a6015820" + hex.EncodeToString(make([]byte, 32)) + "0201030904010500064101",
		"unknown string field":   "8313850060606060a2016161617801",
		"unknown field, checked": "8301850060606060a30101026161" + "0301",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Decode(b)
		if name == "unknown kind" {
			if err == nil {
				t.Errorf("%s: an array of two was read", name)
			}
			continue
		}
		if !errors.Is(err, ErrNewer) {
			t.Errorf("%s: %v, want ErrNewer", name, err)
		}
	}
}

func TestMalformedEventsAreRefused(t *testing.T) {
	good, err := Encode(samples()["AccountDeleted"])
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"nothing":        {},
		"trailing bytes": append(bytes.Clone(good), 0),
		"cut":            good[:len(good)-1],
		"indefinite":     {0x9f, 0x13, 0xff},
		"not an array":   {0xa0},
		"deep nesting":   bytes.Repeat([]byte{0x81}, 10000),
		"huge array":     {0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		if e, err := Decode(b); err == nil {
			t.Errorf("%s: decoded to %+v", name, e)
		}
	}
}

func TestInvalidEventsAreNotEncoded(t *testing.T) {
	for name, ev := range map[string]Event{
		"nil":                nil,
		"no epoch":           &EpochStarted{},
		"no account":         &AccountDeleted{},
		"short key":          &CredentialSet{Account: "a", Credential: Credential{Iterations: 1, Salt: []byte{1}}},
		"modseq of 64 bits":  &MailboxDeleted{Account: "a", Mailbox: inbox, Modseq: 1 << 63},
		"no renames":         &MailboxRenamed{Account: "a", Modseq: 1},
		"no messages":        &MessagesAppended{Account: "a", Mailbox: inbox, Modseq: 1},
		"UIDs fall":          &MessagesAppended{Account: "a", Mailbox: inbox, Modseq: 1, Messages: []Message{{UID: 2}, {UID: 1}}},
		"empty flag":         &MessagesAppended{Account: "a", Mailbox: inbox, Modseq: 1, Messages: []Message{{UID: 2, Flags: []string{""}}}},
		"no UIDs":            &MessagesExpunged{Account: "a", Mailbox: inbox, Modseq: 1},
		"touching UIDs":      &MessagesExpunged{Account: "a", Mailbox: inbox, Modseq: 1, UIDs: UIDSet{{1, 2}, {3, 4}}},
		"reversed UIDs":      &MessagesExpunged{Account: "a", Mailbox: inbox, Modseq: 1, UIDs: UIDSet{{2, 1}}},
		"UIDs run out":       &MessagesCopied{Account: "a", Source: inbox, Dest: archive, SourceUIDs: UIDSet{{1, 2}}, FirstUID: math.MaxUint32, Modseq: 1},
		"chunk beyond body":  &BodyChunk{GUID: guid, Size: 1, Stored: 1, Offset: 1, Data: []byte{1}},
		"offset overflows":   &BodyChunk{GUID: guid, Size: 1, Stored: 1, Offset: math.MaxUint64, Data: []byte{1, 2}},
		"structure too soon": &BodyChunk{GUID: guid, Size: 2, Stored: 2, Data: []byte{1}, Structure: []byte{1}},
		"no flags":           &FlagsChanged{Account: "a", Mailbox: inbox, Modseq: 1, Changes: []FlagChange{{UIDs: UIDsOf(1)}}},
	} {
		if b, err := Encode(Entry{Event: ev}); err == nil {
			t.Errorf("%s: encoded to %x", name, b)
		}
	}
}

func TestUIDSetIsASetOfUIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		uids := rapid.SliceOf(rapid.OneOf(rapid.Uint32Range(0, 40), rapid.Uint32Range(math.MaxUint32-3, math.MaxUint32))).Draw(t, "uids")
		var want []uint32
		for _, u := range uids {
			if u > 0 && (len(want) == 0 || u > want[len(want)-1]) {
				want = append(want, u)
			}
		}
		set := UIDsOf(uids...)
		var got []uint32
		for u := range set.All() {
			got = append(got, u)
			if !set.Contains(u) {
				t.Fatalf("%s does not contain %d", set, u)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if set.Len() != len(want) || len(set) > 0 != (set.Validate() == nil) {
			t.Fatalf("Len %d, Validate %v", set.Len(), set.Validate())
		}
	})
}

func TestIDsReadWhatTheyWrote(t *testing.T) {
	if id, err := ParseMailboxID(inbox.String()); err != nil || id != inbox || id.IsZero() {
		t.Errorf("%v, %v", id, err)
	}
	if g, err := ParseGUID(guid.String()); err != nil || g != guid {
		t.Errorf("%v, %v", g, err)
	}
	for _, s := range []string{"", "xy", "00", inbox.String() + "00"} {
		if id, err := ParseMailboxID(s); err == nil {
			t.Errorf("ParseMailboxID(%q) gave %v", s, id)
		}
	}
}

// FuzzDecode: whatever is read is written again to something that reads the same.
func FuzzDecode(f *testing.F) {
	for _, entry := range samples() {
		b, err := Encode(entry)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		entry, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Encode(entry)
		if err != nil {
			t.Fatalf("what was decoded does not encode: %v", err)
		}
		if second, err := Decode(again); err != nil {
			t.Fatalf("what was encoded does not decode: %v", err)
		} else if third, err := Encode(second); err != nil || !bytes.Equal(again, third) {
			t.Fatalf("encoding is not stable: %x, %x, %v", again, third, err)
		}
	})
}
