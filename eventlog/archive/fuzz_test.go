package archive

import (
	"bytes"
	"context"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
)

// fuzzTarget holds one segment.
type fuzzTarget struct {
	Target
	b []byte
}

func (f *fuzzTarget) Get(_ context.Context, _ string, offset, length int64) ([]byte, error) {
	if offset < 0 || length < 0 || offset+length > int64(len(f.b)) {
		return nil, ErrNotFound
	}
	return bytes.Clone(f.b[offset : offset+length]), nil
}

func sampleSegment(t testing.TB, zip *compressor) []byte {
	t.Helper()
	chunk := &event.BodyChunk{GUID: event.GUID{1}, Size: 100, Stored: 100, Data: bytes.Repeat([]byte{'x'}, 100), Structure: []byte{1}}
	var encoded []byte
	for _, e := range []event.Event{&event.EpochStarted{Epoch: 1, Node: "n"}, chunk, &event.AccountDeleted{Account: "anna"}} {
		b, err := event.Encode(event.Entry{Event: e})
		if err != nil {
			t.Fatal(err)
		}
		encoded = append(encoded, b...)
	}
	payload, _, err := eventlog.Encode(eventlog.State{Epoch: 1}, time.Unix(0, 0), 3, encoded)
	if err != nil {
		t.Fatal(err)
	}
	env, err := eventlog.Decode(1, payload)
	if err != nil {
		t.Fatal(err)
	}
	w := newSegmentWriter(kindSegment, 0, eventlog.State{}, nil, zip, nil)
	if err := w.add(&env); err != nil {
		t.Fatal(err)
	}
	b, err := w.finish()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readAll reads everything that there is to read of a segment.
func readAll(b []byte, dec *compressor) {
	ctx := context.Background()
	a := &Archive{target: &counted{Target: &fuzzTarget{b: b}}, dec: dec.dec, shards: 1}
	n := named{Info: Info{Name: "shard-0000/log/x.seg", Size: int64(len(b))}, first: 1, last: 1}
	o, err := a.openObject(ctx, n, kindSegment, 0)
	if err != nil {
		return
	}
	chain := eventlog.NewChain(o.foot.before())
	_ = o.messages(ctx, nil, func(m eventlog.Message) error { _, err := chain.Extend(m); return err })
	for _, f := range []EventFilter{{}, {Account: "anna"}, {Chunks: true}} {
		_ = o.events(ctx, 1, 1, f, func(Event) error { return nil })
	}
	if g, err := NewGatherer(); err == nil {
		_ = o.bodies(ctx, g, map[event.GUID]bool{{1}: true}, func(event.GUID, []byte) error { return nil })
	}
	_, _ = o.whole(ctx)
}

// FuzzSegment: no bytes make the reader panic.
func FuzzSegment(f *testing.F) {
	zip, err := newCompressor()
	if err != nil {
		f.Fatal(err)
	}
	b := sampleSegment(f, zip)
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Add([]byte(magicHead))
	f.Fuzz(func(_ *testing.T, b []byte) { readAll(b, zip) })
}

// FuzzFrames: neither do any frames whose checksums are right.
func FuzzFrames(f *testing.F) {
	zip, err := newCompressor()
	if err != nil {
		f.Fatal(err)
	}
	b := sampleSegment(f, zip)
	a := &Archive{target: &counted{Target: &fuzzTarget{b: b}}, dec: zip.dec, shards: 1}
	n := named{Info: Info{Name: "x", Size: int64(len(b))}, first: 1, last: 1}
	o, err := a.openObject(context.Background(), n, kindSegment, 0)
	if err != nil {
		f.Fatal(err)
	}
	frames := map[byte][]byte{}
	for _, ref := range o.foot.Frames {
		if frames[ref.Type], err = o.parseIn(b, ref); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(frames[frameRecords], frames[frameBodies], frames[frameAccounts], frames[frameGUIDs])
	f.Add([]byte{}, []byte{}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, records, bodies, accounts, guids []byte) {
		w := newObjectWriter(kindSegment, nil, zip, nil)
		for _, frame := range []struct {
			typ byte
			b   []byte
		}{{frameRecords, records}, {frameBodies, bodies}, {frameAccounts, accounts}, {frameGUIDs, guids}} {
			if _, err := w.add(frame.typ, frame.b, false); err != nil {
				t.Skip(err)
			}
		}
		foot := &footer{Kind: kindSegment, First: 1}
		foot.setBefore(eventlog.State{})
		foot.setAfter(eventlog.State{Position: 1, NextIndex: 2, Epoch: 1})
		obj, err := w.finish(foot)
		if err != nil {
			t.Skip(err)
		}
		readAll(obj, zip)
	})
}
