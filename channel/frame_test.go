package channel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"angarium/eventlog"
	"angarium/eventlog/logtest"
)

func TestBatchRoundTrip(t *testing.T) {
	var writer batchWriter // one for all: its buffers are used again
	rapid.Check(t, func(t *rapid.T) {
		var want []eventlog.Message
		first := eventlog.Position(rapid.Uint64Range(1, 1<<62).Draw(t, "first"))
		writer.reset()
		for i := range rapid.IntRange(1, 20).Draw(t, "count") {
			size := rapid.IntRange(eventlog.HashSize+1, 100_000).Draw(t, "size")
			payload := bytes.Repeat([]byte{byte(i)}, size)
			if rapid.Bool().Draw(t, "noise") {
				rand.NewChaCha8([32]byte{byte(i)}).Read(payload)
			}
			want = append(want, eventlog.Message{Position: first + eventlog.Position(i), Payload: payload})
			writer.add(want[i])
		}
		r := bytes.NewReader(append(bytes.Clone(writer.bytes()), "behind"...))
		got, err := readBatch(r)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(want, got, sameMessage) {
			t.Fatalf("%d envelopes are not the %d that went in", len(got), len(want))
		}
		if r.Len() != len("behind") {
			t.Fatalf("%d bytes are left", r.Len())
		}
	})
}

func sameMessage(a, b eventlog.Message) bool {
	return a.Position == b.Position && bytes.Equal(a.Payload, b.Payload)
}

func TestBatchIsBounded(t *testing.T) {
	var writer batchWriter
	writer.reset()
	for !writer.full() {
		writer.add(eventlog.Message{Position: 1, Payload: make([]byte, batchTargetBytes-8)})
	}
	if writer.count != 2 {
		t.Errorf("%d envelopes", writer.count)
	}
	writer.reset()
	for !writer.full() {
		writer.add(eventlog.Message{Position: 1, Payload: make([]byte, 33)})
	}
	if writer.count != maxBatchEnvelopes {
		t.Errorf("%d envelopes", writer.count)
	}
	writer.reset()
	if cap(writer.raw) > maxKeptBuffer {
		t.Errorf("a buffer of %d bytes is kept", cap(writer.raw))
	}
}

func batchHead(kind, encoding byte, first uint64, count, raw, wire uint32) []byte {
	b := []byte{kind, encoding}
	b = binary.BigEndian.AppendUint64(b, first)
	for _, n := range []uint32{count, raw, wire} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

func TestBatchesThatAreNoneAreRefused(t *testing.T) {
	small := append(binary.AppendUvarint(nil, 40), make([]byte, 40)...)
	n := uint32(len(small))
	tests := map[string][]byte{
		"kind":              append(batchHead(9, 0, 1, 1, n, n), small...),
		"encoding":          append(batchHead(1, 2, 1, 1, n, n), small...),
		"oversized":         batchHead(1, 0, 1, 1, maxBatchBytes+1, maxBatchBytes+1),
		"larger than raw":   batchHead(1, 1, 1, 1, 10, 11),
		"lengths differ":    append(batchHead(1, 0, 1, 1, n+1, n), small...),
		"no envelope":       batchHead(1, 0, 1, 0, 0, 0),
		"too many":          batchHead(1, 0, 1, maxBatchEnvelopes+1, 100, 100),
		"position 0":        append(batchHead(1, 0, 0, 1, n, n), small...),
		"position too high": append(batchHead(1, 0, 1<<63+1, 1, n, n), small...),
		"one missing":       append(batchHead(1, 0, 1, 2, n, n), small...),
		"bytes behind":      append(append(batchHead(1, 0, 1, 1, n+1, n+1), small...), 0),
		"short envelope":    append(batchHead(1, 0, 1, 1, 3, 3), 2, 0, 0),
		"no s2":             append(batchHead(1, 1, 1, 1, n, n), small...),
		"s2 of more":        append(batchHead(1, 1, 1, 1, 10, 6), 0xff, 0xff, 0xff, 0x7f, 0, 0),
	}
	for name, b := range tests {
		if _, err := readBatch(bytes.NewReader(b)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
	whole := append(batchHead(1, 0, 1, 1, n, n), small...)
	for cut := range whole {
		_, err := readBatch(bytes.NewReader(whole[:cut]))
		if want := io.ErrUnexpectedEOF; err != want && !(cut == 0 || cut == batchHeadSize) {
			t.Errorf("cut at %d: %v", cut, err)
		}
		if err == nil {
			t.Errorf("cut at %d is whole", cut)
		}
	}
}

func TestPeekAgreesWithDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMicro(rapid.Int64Range(-1<<50, 1<<60).Draw(t, "time")).UTC()
		after := eventlog.State{
			Position: 1, Hash: eventlog.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash")),
			NextIndex: rapid.Uint64Range(1, 1<<62).Draw(t, "index"), Epoch: rapid.Uint64Range(1, 1<<40).Draw(t, "epoch"),
		}
		payload, _, err := eventlog.Encode(after, at, 1, []byte{0x83, 1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		got, err := peek(payload)
		want := header{epoch: after.Epoch, index: after.NextIndex, time: at, prev: after.Hash}
		if err != nil || got != want {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
	})
}

func FuzzBatch(f *testing.F) {
	var writer batchWriter
	builder := new(logtest.Builder)
	writer.reset()
	for i := range 3 {
		_, payload := builder.Epoch(f)
		if i > 0 {
			_, payload = builder.Small(f)
		}
		writer.add(eventlog.Message{Position: builder.State.Position, Payload: payload})
	}
	f.Add(bytes.Clone(writer.bytes()))
	writer.add(eventlog.Message{Position: 9, Payload: make([]byte, 5000)})
	f.Add(bytes.Clone(writer.bytes()))
	f.Add(batchHead(1, 1, 1, 1, 10, 6))
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, err := readBatch(bytes.NewReader(b))
		if err != nil {
			return
		}
		var again batchWriter
		again.reset()
		for i, m := range batch {
			if len(m.Payload) <= eventlog.HashSize || len(m.Payload) > eventlog.MaxEnvelopeBytes {
				t.Fatalf("envelope of %d bytes", len(m.Payload))
			}
			if m.Position != batch[0].Position+eventlog.Position(i) {
				t.Fatalf("position %d behind %d", m.Position, batch[0].Position)
			}
			again.add(m)
		}
		same, err := readBatch(bytes.NewReader(again.bytes()))
		if err != nil || !slices.EqualFunc(batch, same, sameMessage) {
			t.Fatalf("not the same when sent on: %v", err)
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add(Token{Address: "host:1", Node: "a", Peer: "b"}.String())
	f.Add(Token{Address: "[::1]:7443", Node: "east", Peer: "ü"}.String())
	f.Add(tokenPrefix + "AAAAAAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			if !errors.Is(err, ErrToken) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if again, err := ParseToken(token.String()); err != nil || again != token {
			t.Fatalf("%+v does not survive: %+v, %v", token, again, err)
		}
	})
}

// FuzzMessages reads what peers send in CBOR.
func FuzzMessages(f *testing.F) {
	for _, v := range []any{
		hello{Protocol: 1, Name: "west", Secret: make([]byte, 32), Session: make([]byte, 16)}, welcome{Protocol: 1, Name: "east"},
		stateAnswer{Known: 1, Node: "east", Shards: []shardWire{{Role: "primary", Hash: make([]byte, 32), Time: 5}}},
		seedManifest{ID: "x", Hash: make([]byte, 32), Files: []seedFile{{"a/b", 5}}}, errorWire{Code: "c", Text: "t", Hash: make([]byte, 32)},
	} {
		var b bytes.Buffer
		if err := writeMessage(&b, v); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h hello
		if readMessage(bytes.NewReader(b), &h) == nil && h.check() == nil && (len(h.Secret) != SecretBytes || h.Name == "") {
			t.Fatalf("hello: %+v", h)
		}
		if len(b) < 4 {
			return
		}
		body := b[4:]
		var s stateAnswer
		if decode(body, &s) == nil {
			s.state()
		}
		var m seedManifest
		if decode(body, &m) == nil && m.check() == nil {
			m.state()
		}
		if err := decodeError(body); err == nil {
			t.Fatal("no error")
		}
		peek(body)
	})
}
