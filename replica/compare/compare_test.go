package compare_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"angarium/eventlog/event"
	"angarium/replica/compare"
	"angarium/replica/state"
	"angarium/replica/state/statetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

var box1, box2 = event.MailboxID{1}, event.MailboxID{2}

// sample is a state of two mailboxes and three messages.
func sample(t testing.TB) *state.Memory {
	t.Helper()
	raw := []byte("Subject: x\r\n\r\n")
	m := state.NewMemory()
	cred := event.Credential{Iterations: 1, Salt: []byte("salt"), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
	apply(t, m,
		&event.AccountCreated{Account: "ann", Credential: cred},
		&event.MailboxCreated{Account: "ann", Mailbox: box1, Name: "INBOX", UIDValidity: 1, Modseq: 1},
		&event.MailboxCreated{Account: "ann", Mailbox: box2, Name: "Other", UIDValidity: 2, Modseq: 2},
		&event.BodyChunk{GUID: event.GUID{1}, Size: uint64(len(raw)), Stored: uint64(len(raw)), Data: raw, Structure: []byte{1}},
		&event.BodyChunk{GUID: event.GUID{2}, Size: uint64(len(raw)), Stored: uint64(len(raw)), Data: raw, Structure: []byte{1}},
		&event.MessagesAppended{Account: "ann", Mailbox: box1, Modseq: 3, Messages: []event.Message{
			{UID: 1, GUID: event.GUID{1}, InternalDate: 5, SaveDate: 6, Flags: []string{`\Seen`}}, {UID: 2, GUID: event.GUID{2}}, {UID: 4, GUID: event.GUID{1}},
		}},
		&event.MessagesExpunged{Account: "ann", Mailbox: box1, Modseq: 4, UIDs: event.UIDsOf(2)},
	)
	return m
}

func apply(t testing.TB, m *state.Memory, events ...event.Event) {
	t.Helper()
	for _, e := range events {
		if _, err := state.Apply(m, event.Entry{Event: e}); err != nil {
			t.Fatal(err)
		}
	}
}

// keysOf lists the keys of a table.
func keysOf(m *state.Memory, table byte) []string {
	var keys []string
	for k := range m.Rows {
		if k[0] == table {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func deepDigests(m state.Reader) iter.Seq2[compare.Digest, error] {
	return compare.Digests(ctx, m, compare.Options{Deep: true})
}

// digestDiff says in one line each what differs.
func digestDiff(t testing.TB, a, b iter.Seq2[compare.Digest, error]) []string {
	t.Helper()
	var list []string
	for d, err := range compare.CompareDigests(a, b) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, line(d.A, d.B, d.Fields, func(x *compare.Digest) string { return x.Account + "/" + x.Mailbox }))
	}
	return list
}

func recordDiff(t testing.TB, a, b state.Reader) []string {
	t.Helper()
	var list []string
	for d, err := range compare.CompareRecords(compare.Records(ctx, a, "ann"), compare.Records(ctx, b, "ann")) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, line(d.A, d.B, d.Fields, func(x *compare.Record) string { return fmt.Sprintf("%s:%d", x.Mailbox, x.UID) }))
	}
	return list
}

func line[T any](a, b *T, fields []string, name func(*T) string) string {
	switch {
	case a == nil:
		return "only B: " + name(b)
	case b == nil:
		return "only A: " + name(a)
	}
	return name(a) + ": " + strings.Join(fields, " ")
}

func TestEveryChangeIsFound(t *testing.T) {
	cases := map[string]struct {
		change  func(*state.Memory)
		digests []string
		records []string
	}{
		"nothing": {func(*state.Memory) {}, nil, nil},
		"flags": {
			func(m *state.Memory) {
				apply(t, m, &event.FlagsChanged{Account: "ann", Mailbox: box1, Modseq: 5, Changes: []event.FlagChange{{UIDs: event.UIDsOf(4), Add: []string{"Work"}}}})
			},
			[]string{"ann/: highestmodseq row", "ann/INBOX: highestmodseq digest row content"},
			[]string{"INBOX:4: modseq flags"},
		},
		"a message more": {
			func(m *state.Memory) {
				apply(t, m, &event.MessagesCopied{Account: "ann", Source: box1, SourceUIDs: event.UIDsOf(1), Dest: box2, FirstUID: 1, Modseq: 5})
			},
			[]string{"ann/: highestmodseq row", "ann/Other: uidnext highestmodseq messages digest row content"},
			[]string{"only B: Other:1"},
		},
		"a message less": {
			func(m *state.Memory) {
				apply(t, m, &event.MessagesExpunged{Account: "ann", Mailbox: box1, Modseq: 5, UIDs: event.UIDsOf(1)})
			},
			[]string{"ann/: highestmodseq row", "ann/INBOX: highestmodseq messages digest row content"},
			[]string{"only A: INBOX:1"},
		},
		"a mailbox less": {
			func(m *state.Memory) { apply(t, m, &event.MailboxDeleted{Account: "ann", Mailbox: box2, Modseq: 5}) },
			[]string{"ann/: highestmodseq row", "only A: ann/Other"},
			nil,
		},
		"a subscription": {
			func(m *state.Memory) {
				apply(t, m, &event.SubscriptionSet{Account: "ann", Name: "x", Subscribed: true, Modseq: 5})
			},
			[]string{"ann/: highestmodseq row"},
			nil,
		},
		// Damage that leaves the digests in the rows as they were.
		"a record behind the back of the digest": {
			func(m *state.Memory) {
				k := keysOf(m, 'm')[0]
				v := bytes.Clone(m.Rows[k])
				v[0] ^= 1 // of the GUID
				m.Rows[k] = v
			},
			[]string{"ann/INBOX: content"},
			[]string{"INBOX:1: guid"},
		},
		"a record that is lost": {
			func(m *state.Memory) { delete(m.Rows, keysOf(m, 'm')[1]) },
			[]string{"ann/INBOX: content damage"},
			[]string{"INBOX:4: guid size damage"},
		},
		"a page that is lost": {
			func(m *state.Memory) { delete(m.Rows, keysOf(m, 'f')[0]) },
			[]string{"ann/INBOX: content damage"},
			[]string{"INBOX:1: modseq flags damage", "INBOX:4: modseq damage"},
		},
		"a tombstone that is lost": {
			func(m *state.Memory) { delete(m.Rows, keysOf(m, 'x')[0]) },
			[]string{"ann/INBOX: content"},
			nil,
		},
	}
	for name, c := range cases {
		a, b := sample(t), sample(t)
		c.change(b)
		if diff := cmp.Diff(c.digests, digestDiff(t, deepDigests(a), deepDigests(b))); diff != "" {
			t.Errorf("%s: digests (-want +got)\n%s", name, diff)
		}
		if diff := cmp.Diff(c.records, recordDiff(t, a, b)); diff != "" {
			t.Errorf("%s: records (-want +got)\n%s", name, diff)
		}
	}
}

func TestOneAccountAndShallow(t *testing.T) {
	m := sample(t)
	cred := event.Credential{Iterations: 1, Salt: []byte("salt"), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
	apply(t, m, &event.AccountCreated{Account: "bob", Credential: cred})
	for account, want := range map[string]int{"": 4, "ann": 3, "bob": 1, "nobody": 0} {
		n := 0
		for d, err := range compare.Digests(ctx, m, compare.Options{Account: account}) {
			if err != nil {
				t.Fatal(err)
			}
			if d.Content != 0 {
				t.Errorf("%+v was computed from the records", d)
			}
			n++
		}
		if n != want {
			t.Errorf("%d digests of account %q, want %d", n, account, want)
		}
	}
}

// Any two histories that differ in one event differ in a digest; the same history differs in nothing, also across a link.
func TestHistoriesDifferWhereTheyDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := statetest.New(statetest.Drawn{T: t})
		a, b := state.NewMemory(), state.NewMemory()
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			e, err := h.Next()
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []*state.Memory{a, b} {
				if _, err := state.Apply(m, e); err != nil {
					t.Fatal(err)
				}
			}
		}
		var link bytes.Buffer
		if err := compare.Write(&link, deepDigests(a)); err != nil {
			t.Fatal(err)
		}
		for d, err := range compare.CompareDigests(compare.Read[compare.Digest](&link), deepDigests(b)) {
			t.Fatalf("%+v, %v", d, err)
		}
		last, err := h.Next()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := state.Apply(b, last); err != nil {
			t.Fatal(err)
		}
		switch last.Event.(type) {
		case *event.EpochStarted, *event.Checkpoint, *event.BodiesDropped, *event.BodyChunk, *event.AccountDisabled, *event.CredentialSet, *event.RecentTaken:
			return // no account or mailbox need differ
		}
		for range compare.CompareDigests(deepDigests(a), deepDigests(b)) {
			return
		}
		t.Fatalf("%s was not noticed", last.Event.Kind())
	})
}

func TestStreamsThatAreNone(t *testing.T) {
	var whole bytes.Buffer
	if err := compare.Write(&whole, compare.Records(ctx, sample(t), "ann")); err != nil {
		t.Fatal(err)
	}
	for n := range whole.Len() {
		var last error
		for _, err := range compare.Read[compare.Record](bytes.NewReader(whole.Bytes()[:n])) {
			last = err
		}
		if !errors.Is(last, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d of %d: %v", n, whole.Len(), last)
		}
	}
	for name, b := range map[string][]byte{"huge": {0xff, 0xff, 0xff, 0xff}, "no CBOR": {0, 0, 0, 1, 0xff}, "another type": {0, 0, 0, 1, 0x01}} {
		for _, err := range compare.Read[compare.Record](bytes.NewReader(b)) {
			if !errors.Is(err, compare.ErrStream) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	failing := func(yield func(compare.Record, error) bool) { yield(compare.Record{}, io.ErrClosedPipe) }
	if err := compare.Write(io.Discard, failing); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

func TestStreamOutOfOrderIsRefused(t *testing.T) {
	twice := func(yield func(compare.Record, error) bool) {
		_ = yield(compare.Record{ID: "b", UID: 2}, nil) && yield(compare.Record{ID: "b", UID: 2}, nil)
	}
	none := func(func(compare.Record, error) bool) {}
	var last error
	for _, err := range compare.CompareRecords(twice, none) {
		last = err
	}
	if !errors.Is(last, compare.ErrOrder) {
		t.Error(last)
	}
}

func TestEndedContextEndsTheStream(t *testing.T) {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, err := range compare.Digests(ended, sample(t), compare.Options{}) {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	for _, err := range compare.Records(ended, sample(t), "ann") {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := compare.Write(&b, compare.Records(ctx, sample(f), "ann")); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var again bytes.Buffer
		if err := compare.Write(&again, compare.Read[compare.Record](bytes.NewReader(b))); err != nil {
			return
		}
		for d, err := range compare.CompareRecords(compare.Read[compare.Record](bytes.NewReader(b)), compare.Read[compare.Record](&again)) {
			if err == nil && len(d.Fields) != 1 {
				t.Fatalf("%+v", d)
			}
		}
	})
}
