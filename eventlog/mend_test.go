package eventlog_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"angarium/eventlog"
	"angarium/eventlog/logtest"
	"angarium/eventlog/memlog"
)

// holed is a log of which some envelopes are missing or damaged.
type holed struct {
	eventlog.Log
	bad map[eventlog.Position][]byte // what is read instead; nil: nothing is
}

func (h holed) Read(ctx context.Context, pos eventlog.Position) ([]byte, error) {
	if payload, ok := h.bad[pos]; ok {
		if payload == nil {
			return nil, eventlog.ErrNotFound
		}
		return payload, nil
	}
	return h.Log.Read(ctx, pos)
}

// copyOf is another copy of a log.
type copyOf struct{ eventlog.Log }

func (copyOf) Name() string { return "the copy" }

func (c copyOf) Envelope(ctx context.Context, pos eventlog.Position) ([]byte, error) {
	return c.Read(ctx, pos)
}

// mendingSeed makes the damage.
const mendingSeed = 7

func sameHistory(t *testing.T, got, want eventlog.Log, to eventlog.Position) {
	t.Helper()
	for pos := eventlog.Position(1); pos <= to; pos++ {
		a, errA := got.Read(t.Context(), pos)
		b, errB := want.Read(t.Context(), pos)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Fatalf("envelope %d: %v, %v, equal %t", pos, errA, errB, bytes.Equal(a, b))
		}
	}
}

func TestMendTakesFromAnotherCopyWhatIsDamaged(t *testing.T) {
	var b logtest.Builder
	whole := memlog.New()
	logtest.Fill(t, t.Context(), whole, &b, 40)
	last := b.State.Position
	rnd := rand.New(rand.NewPCG(mendingSeed, 0))
	bad := map[eventlog.Position][]byte{1: nil, last: nil}
	for range 10 {
		pos := eventlog.Position(1 + rnd.IntN(int(last)))
		payload, err := whole.Read(t.Context(), pos)
		if err != nil {
			t.Fatal(err)
		}
		payload = bytes.Clone(payload)
		payload[rnd.IntN(len(payload))] ^= 1 << rnd.IntN(8)
		bad[pos] = payload
	}
	into := memlog.New()
	m := eventlog.Mending{From: holed{whole, bad}, Into: into, Known: b.State.Mark(), To: last, Other: []eventlog.Source{copyOf{whole}}}
	short := m
	short.To, short.Known = last/2, eventlog.Mark{} // a crash on the way
	first, err := eventlog.Mend(t.Context(), short)
	if err != nil {
		t.Fatal(err)
	}
	second, err := eventlog.Mend(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if got := int(first.Count + second.Count); got != len(bad) || second.State != b.State {
		t.Errorf("%d envelopes were healed, want %d; state %+v, want %+v", got, len(bad), second.State, b.State)
	}
	sameHistory(t, into, whole, last)
}

func TestMendNamesWhatNoCopyHas(t *testing.T) {
	var b logtest.Builder
	whole := memlog.New()
	logtest.Fill(t, t.Context(), whole, &b, 10)
	bad := map[eventlog.Position][]byte{4: nil}
	into := memlog.New()
	_, err := eventlog.Mend(t.Context(), eventlog.Mending{
		From: holed{whole, bad}, Into: into, Known: b.State.Mark(), To: b.State.Position, Other: []eventlog.Source{copyOf{holed{whole, bad}}},
	})
	var chain *eventlog.ChainError
	if !errors.As(err, &chain) || chain.Position != 4 || !errors.Is(err, eventlog.ErrGap) {
		t.Errorf("got %v, want that 4 is missing", err)
	}
	sameHistory(t, into, whole, 3)
}

func TestMendTakesNothingOfAnotherHistory(t *testing.T) {
	var ours, theirs logtest.Builder
	whole, other := memlog.New(), memlog.New()
	logtest.Fill(t, t.Context(), whole, &ours, 10)
	for pos := eventlog.Position(1); pos <= 5; pos++ { // the histories part behind 5
		payload, err := whole.Read(t.Context(), pos)
		if err != nil {
			t.Fatal(err)
		}
		env, err := eventlog.Decode(pos, payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-other.Append(t.Context(), theirs.State.Mark(), payload); err != nil {
			t.Fatal(err)
		}
		theirs.State = env.State()
	}
	after, payload := theirs.Next(t, logtest.Entry(99))
	if err := <-other.Append(t.Context(), after, payload); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]eventlog.Mending{
		"the next shows it":  {Known: eventlog.Mark{}, To: 8},
		"the mark shows it":  {Known: mark(t, whole, 6), To: 6},
		"nobody has the end": {Known: eventlog.Mark{}, To: 8},
	} {
		t.Run(name, func(t *testing.T) {
			m.From, m.Into = holed{whole, map[eventlog.Position][]byte{6: nil}}, memlog.New()
			m.Other = []eventlog.Source{copyOf{other}}
			if name == "nobody has the end" {
				m.From = holed{whole, map[eventlog.Position][]byte{6: nil, 7: nil, 8: nil}}
			}
			if _, err := eventlog.Mend(t.Context(), m); !errors.Is(err, eventlog.ErrHash) && !errors.Is(err, eventlog.ErrGap) {
				t.Errorf("got %v, want that the histories differ", err)
			}
		})
	}
}

func mark(t *testing.T, log eventlog.Log, pos eventlog.Position) eventlog.Mark {
	t.Helper()
	payload, err := log.Read(t.Context(), pos)
	if err != nil {
		t.Fatal(err)
	}
	env, err := eventlog.Decode(pos, payload)
	if err != nil {
		t.Fatal(err)
	}
	return env.State().Mark()
}
