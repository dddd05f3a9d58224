package archive_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/eventlog/event"
)

// TestScanGivesWhatDecodingGives compares the scan of a log with the decoded whole.
func TestScanGivesWhatDecodingGives(t *testing.T) {
	env := history(t)
	ctx := testContext(t)
	prev := eventlog.Hash{}
	for pos := eventlog.Position(1); pos <= head(t, env.Logs[0]); pos++ {
		payload, err := env.Logs[0].Read(ctx, pos)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := eventlog.Decode(pos, payload)
		if err != nil {
			t.Fatal(err)
		}
		m := eventlog.Message{Position: pos, Payload: payload}
		for _, filter := range []archive.EventFilter{{}, {Account: "anna"}, {Account: "ben", Chunks: true}} {
			var want, got []archive.Event
			for i, e := range whole.Entries {
				if c, ok := e.Event.(*event.BodyChunk); ok {
					if !filter.Chunks {
						continue
					}
					bare := *c
					bare.Data = nil
					e.Event = &bare
				} else if filter.Account != "" && e.Event.AccountName() != filter.Account {
					continue
				}
				want = append(want, archive.Event{Position: pos, Index: whole.FirstIndex + uint64(i), Time: whole.Time, Entry: e})
			}
			hash, err := archive.ScanMessage(m, prev, filter, func(e archive.Event) error { got = append(got, e); return nil })
			if err != nil || hash != whole.Hash {
				t.Fatalf("position %d: %v", pos, err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(event.Meta{})); diff != "" {
				t.Fatalf("position %d (-want +got):\n%s", pos, diff)
			}
		}
		none := func(archive.Event) error { return nil }
		if _, err := archive.ScanMessage(m, eventlog.Hash{1}, archive.EventFilter{}, none); !errors.Is(err, eventlog.ErrHash) {
			t.Errorf("another history: %v", err)
		}
		m.Payload[int(pos)%len(m.Payload)] ^= 1
		if _, err := archive.ScanMessage(m, prev, archive.EventFilter{}, none); !errors.Is(err, eventlog.ErrCorrupt) {
			t.Errorf("a flipped bit: %v", err)
		}
		prev = whole.Hash
	}
}
