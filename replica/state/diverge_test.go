package state_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"angarium/eventlog/event"
	"angarium/replica/state"
	"angarium/replica/state/statetest"
)

func clone(m *state.Memory) *state.Memory {
	c := state.NewMemory()
	c.Rows, c.Bodies = maps.Clone(m.Rows), maps.Clone(m.Bodies)
	return c
}

func TestEventsThatDoNotFitDiverge(t *testing.T) {
	reasons := map[string]bool{}
	for seed := range uint64(3 * simFactor(t)) {
		h := statetest.New(statetest.Seeded(seed))
		for i := range 400 {
			if _, err := h.Next(); err != nil {
				t.Fatal(err)
			}
			if i%10 != 0 {
				continue
			}
			for _, misfit := range h.Misfits() {
				reasons[misfit.Why] = true
				if err := event.Validate(misfit.Event); err != nil {
					t.Fatalf("%s: shape of %+v: %v", misfit.Why, misfit.Event, err)
				}
				if _, err := state.Apply(clone(h.State), event.Entry{Event: misfit.Event}); !errors.Is(err, state.ErrDiverged) {
					t.Fatalf("seed %d, event %d: %s was accepted (%v): %+v", seed, i, misfit.Why, err, misfit.Event)
				}
			}
		}
	}
	if len(reasons) < 30 {
		t.Errorf("only %d reasons came up: %v", len(reasons), slices.Sorted(maps.Keys(reasons)))
	}
}

// A hostile set of UIDs must not make a replica copy its own copies without end.
func TestCopyWithinAMailboxTakesOnlyWhatWasThere(t *testing.T) {
	h := mailboxWithMessages(t, 1)
	b := onlyMailbox(h)
	e := &event.MessagesCopied{
		Account: b.Account, Source: b.ID, SourceUIDs: event.UIDSet{{First: 1, Last: 1 << 31}}, Dest: b.ID, FirstUID: 2, Modseq: b.Modseq + 1,
	}
	if _, err := state.Apply(clone(h.State), event.Entry{Event: e}); !errors.Is(err, state.ErrDiverged) {
		t.Fatal(err)
	}
}

// TestUIDsAndModseqsOnlyGrow watches every mailbox through its life, and those of deleted accounts that come again.
func TestUIDsAndModseqsOnlyGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := statetest.New(statetest.Drawn{T: t})
		type birth struct {
			id  event.MailboxID
			uid uint32
		}
		given := map[birth]event.GUID{}
		last := map[event.MailboxID]state.Mailbox{}
		validities := map[string]map[uint32]bool{}
		modseqs := map[string]uint64{}
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			entry, err := h.Next()
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range h.Changes {
				if c.Mailbox == nil {
					continue
				}
				was, known := last[c.ID]
				if c.Mailbox.UIDNext < was.UIDNext || c.Mailbox.HighestModseq < was.HighestModseq {
					t.Fatalf("%+v goes back to %+v", was, *c.Mailbox)
				}
				if !known {
					if validities[c.Account][c.Mailbox.UIDValidity] || c.Mailbox.HighestModseq <= modseqs[c.Account] {
						t.Fatalf("UIDVALIDITY or modseq of %+v were there before", *c.Mailbox)
					}
					if validities[c.Account] == nil {
						validities[c.Account] = map[uint32]bool{}
					}
					validities[c.Account][c.Mailbox.UIDValidity] = true
				}
				last[c.ID] = *c.Mailbox
				for _, l := range c.Appended {
					m, ok, err := state.GetMessage(h.State, c.ID, l.UID)
					if err != nil || !ok {
						t.Fatal(ok, err)
					}
					if _, used := given[birth{c.ID, l.UID}]; used || l.UID < was.UIDNext {
						t.Fatalf("UID %d of mailbox %s came twice, with %+v", l.UID, c.ID, entry.Event)
					}
					given[birth{c.ID, l.UID}] = m.GUID
				}
				for _, l := range slices.Concat(c.Appended, c.Flagged) {
					if l.Modseq <= was.HighestModseq || l.Modseq != c.Mailbox.HighestModseq {
						t.Fatalf("modseq %d of UID %d after HIGHESTMODSEQ %d", l.Modseq, l.UID, was.HighestModseq)
					}
				}
				modseqs[c.Account] = max(modseqs[c.Account], c.Mailbox.HighestModseq)
			}
		}
	})
}

// mailboxWithMessages makes an account with one mailbox and some messages in it.
func mailboxWithMessages(t testing.TB, n int) *statetest.History {
	t.Helper()
	h := statetest.New(statetest.Seeded(1))
	apply := func(ev event.Event) {
		t.Helper()
		if err := h.Apply(event.Entry{Event: ev}); err != nil {
			t.Fatal(err)
		}
	}
	box, guid := event.MailboxID{1}, event.GUID{1}
	apply(&event.EpochStarted{Epoch: 1, Node: "a"})
	apply(&event.AccountCreated{Account: "ann", Credential: event.Credential{Iterations: 1, Salt: []byte{1}, StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}})
	apply(&event.MailboxCreated{Account: "ann", Mailbox: box, Name: "INBOX", UIDValidity: 1, Modseq: 1})
	apply(&event.BodyChunk{GUID: guid, Size: 3, Stored: 3, Data: []byte("abc"), Structure: []byte{1}})
	for i := range n {
		apply(&event.MessagesAppended{Account: "ann", Mailbox: box, Modseq: uint64(i + 2), Messages: []event.Message{{
			UID: uint32(i + 1), GUID: guid, InternalDate: 5, SaveDate: 6, Flags: []string{`\Answered`, "Work"},
		}}})
	}
	return h
}

func onlyMailbox(h *statetest.History) *statetest.Mailbox {
	for _, b := range h.Model.Mailboxes {
		return b
	}
	return nil
}
