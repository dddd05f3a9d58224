package eventlog_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/logtest"
)

// sealed puts the right hash behind a body.
func sealed(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

func TestDecodeRefusesWhatIsNoEnvelope(t *testing.T) {
	_, good := new(logtest.Builder).Epoch(t)
	body := good[:len(good)-eventlog.HashSize]
	edit := func(at int, b byte) []byte {
		c := bytes.Clone(body)
		c[at] = b
		return sealed(c)
	}
	flipped := bytes.Clone(good)
	flipped[20] ^= 4
	for name, test := range map[string]struct {
		payload []byte
		want    error
	}{
		"nothing":                    {nil, eventlog.ErrCorrupt},
		"only a hash":                {make([]byte, eventlog.HashSize), eventlog.ErrCorrupt},
		"a flipped bit":              {flipped, eventlog.ErrCorrupt},
		"cut":                        {good[:len(good)-1], eventlog.ErrCorrupt},
		"too large":                  {make([]byte, eventlog.MaxEnvelopeBytes+1), eventlog.ErrCorrupt},
		"a map":                      {sealed([]byte{0xa0}), eventlog.ErrCorrupt},
		"an empty array":             {sealed([]byte{0x80}), eventlog.ErrCorrupt},
		"an array without elements":  {sealed([]byte{0x86}), eventlog.ErrCorrupt},
		"text as format":             {edit(1, 0x61), eventlog.ErrCorrupt},
		"format 0":                   {edit(1, 0), eventlog.ErrCorrupt},
		"format 2":                   {edit(1, 2), event.ErrNewer},
		"format 2 of another shape":  {sealed([]byte{0x82, 0x02, 0xf6}), event.ErrNewer},
		"epoch 0":                    {edit(2, 0), eventlog.ErrCorrupt},
		"index 0":                    {edit(3, 0), eventlog.ErrCorrupt},
		"trailing bytes":             {sealed(append(bytes.Clone(body), 0)), eventlog.ErrCorrupt},
		"a hash of another length":   {edit(14, 31), eventlog.ErrCorrupt},
		"no events":                  {sealed(append(bytes.Clone(body[:47]), 0x80)), eventlog.ErrCorrupt},
		"an event of unknown kind":   {edit(49, 0x17), event.ErrNewer},
		"an event that is no array":  {sealed(append(bytes.Clone(body[:47]), 0x81, 0x01)), eventlog.ErrCorrupt},
		"an integer not in its form": {sealed(append([]byte{0x86, 0x01, 0x18, 0x01}, body[3:]...)), eventlog.ErrCorrupt},
		"deep nesting":               {sealed(bytes.Repeat([]byte{0x86}, 5000)), eventlog.ErrCorrupt},
	} {
		env, err := eventlog.Decode(1, test.payload)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v, want %v", name, env, err, test.want)
		}
	}
	if _, err := eventlog.Decode(1, good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestEncodeRefusesWhatDoesNotFit(t *testing.T) {
	for name, test := range map[string]struct{ count, size int }{
		"no events":       {0, 1},
		"too many events": {eventlog.MaxUnitEvents + 1, 1},
		"too many bytes":  {1, eventlog.MaxUnitBytes + 1},
	} {
		_, _, err := eventlog.Encode(eventlog.State{Epoch: 1}, time.Now(), test.count, make([]byte, test.size))
		if !errors.Is(err, eventlog.ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", name, err)
		}
	}
}

func TestDecodeGivesWhatWasEncoded(t *testing.T) {
	var b logtest.Builder
	b.Epoch(t)
	before := b.State
	_, payload := b.Next(t, logtest.Entry(1), logtest.Body(2, 100), logtest.Entry(3))
	env, err := eventlog.Decode(b.State.Position, payload)
	if err != nil {
		t.Fatal(err)
	}
	if env.State() != b.State || env.PrevHash != before.Hash || env.FirstIndex != 2 || len(env.Entries) != 3 ||
		!env.Time.Equal(time.Date(2024, 2, 29, 12, 0, 1, 0, time.UTC)) {
		t.Errorf("decoded %+v", env)
	}
	if chunk := env.Entries[1].Event.(*event.BodyChunk); len(chunk.Data) != 100 || chunk.Data[0] != 2 {
		t.Errorf("decoded %+v", chunk)
	}
}

func TestTimesBeforeTheEpochAreKept(t *testing.T) {
	at := time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC)
	e, err := event.Encode(logtest.Entry(1))
	if err != nil {
		t.Fatal(err)
	}
	payload, _, err := eventlog.Encode(eventlog.State{Epoch: 1}, at, 1, e)
	if err != nil {
		t.Fatal(err)
	}
	env, err := eventlog.Decode(1, payload)
	if err != nil || !env.Time.Equal(at) {
		t.Errorf("%v, %v, want %v", env.Time, err, at)
	}
}

func TestChainRefusesWhatDoesNotContinueIt(t *testing.T) {
	var b logtest.Builder
	chain := eventlog.NewChain(eventlog.State{})
	extend := func(_ eventlog.Mark, payload []byte) {
		t.Helper()
		if _, err := chain.Extend(eventlog.Message{Position: b.State.Position, Payload: payload}); err != nil {
			t.Fatal(err)
		}
	}
	extend(b.Epoch(t))
	extend(b.Small(t))
	epoch := func(n uint64) event.Entry { return event.Entry{Event: &event.EpochStarted{Epoch: n, Node: "b"}} }
	at := func(change func(*eventlog.State)) eventlog.State {
		s := b.State
		change(&s)
		return s
	}
	for name, test := range map[string]struct {
		state   eventlog.State // that the envelope continues
		entries []event.Entry
		want    error
	}{
		"a gap":               {at(func(s *eventlog.State) { s.Position++ }), []event.Entry{logtest.Entry(1)}, eventlog.ErrGap},
		"a repetition":        {at(func(s *eventlog.State) { s.Position-- }), []event.Entry{logtest.Entry(1)}, eventlog.ErrGap},
		"another history":     {at(func(s *eventlog.State) { s.Hash[0]++ }), []event.Entry{logtest.Entry(1)}, eventlog.ErrHash},
		"an index left out":   {at(func(s *eventlog.State) { s.NextIndex++ }), []event.Entry{logtest.Entry(1)}, eventlog.ErrIndexJump},
		"an index again":      {at(func(s *eventlog.State) { s.NextIndex-- }), []event.Entry{logtest.Entry(1)}, eventlog.ErrIndexJump},
		"a silent epoch":      {at(func(s *eventlog.State) { s.Epoch++ }), []event.Entry{logtest.Entry(1)}, eventlog.ErrEpoch},
		"an epoch left out":   {b.State, []event.Entry{epoch(3)}, eventlog.ErrEpoch},
		"the same epoch":      {b.State, []event.Entry{epoch(1)}, eventlog.ErrEpoch},
		"an epoch within":     {b.State, []event.Entry{logtest.Entry(1), epoch(2)}, eventlog.ErrEpoch},
		"two epochs":          {b.State, []event.Entry{epoch(2), epoch(3)}, eventlog.ErrEpoch},
		"the next epoch":      {b.State, []event.Entry{epoch(2), logtest.Entry(1)}, nil},
		"a plain next events": {b.State, []event.Entry{logtest.Entry(1)}, nil},
	} {
		other := logtest.Builder{State: test.state}
		_, payload := other.Next(t, test.entries...)
		fork := eventlog.NewChain(chain.State())
		_, err := fork.Extend(eventlog.Message{Position: other.State.Position, Payload: payload})
		var bad *eventlog.ChainError
		if !errors.Is(err, test.want) || err != nil && (!errors.As(err, &bad) || !strings.Contains(err.Error(), "position 3")) {
			t.Errorf("%s: %v, want %v at position 3", name, err, test.want)
		}
		if err != nil && fork.State() != chain.State() {
			t.Errorf("%s: the chain moved to %+v", name, fork.State())
		}
	}
}

func TestFirstEnvelopeStartsAnEpoch(t *testing.T) {
	b := logtest.Builder{State: eventlog.State{Epoch: 1}}
	_, payload := b.Small(t)
	if _, err := eventlog.NewChain(eventlog.State{}).Extend(eventlog.Message{Position: 1, Payload: payload}); !errors.Is(err, eventlog.ErrEpoch) {
		t.Errorf("%v, want ErrEpoch", err)
	}
}

// FuzzDecodeEnvelope seals the input, so that what is behind the hash is reached. Whatever is accepted is in the one form.
func FuzzDecodeEnvelope(f *testing.F) {
	_, payload := new(logtest.Builder).Epoch(f)
	f.Add(payload[:len(payload)-eventlog.HashSize])
	for _, e := range goldenBytes(f) {
		payload, _, err := eventlog.Encode(eventlog.State{Epoch: 3, NextIndex: 300}, time.UnixMicro(1), 2, e, e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload[:len(payload)-eventlog.HashSize])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := eventlog.Decode(1, body); err == nil {
			t.Fatalf("accepted without its hash: %x", body)
		}
		env, err := eventlog.Decode(1, sealed(body))
		if err != nil {
			if !errors.Is(err, eventlog.ErrCorrupt) && !errors.Is(err, event.ErrNewer) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		if env.FirstIndex == 0 || env.Epoch == 0 || len(env.Entries) == 0 {
			t.Fatalf("accepted %+v", env)
		}
	})
}
