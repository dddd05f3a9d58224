package eventlog_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"angarium/eventlog/event"
)

// goldenEvents gives an event of every kind, from the corpus of package event.
func goldenEvents(t testing.TB) map[event.Kind]event.Event {
	t.Helper()
	events := map[event.Kind]event.Event{}
	for _, b := range goldenBytes(t) {
		entry, err := event.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		events[entry.Event.Kind()] = entry.Event
	}
	return events
}

// goldenBytes gives every encoded event of the corpus.
func goldenBytes(t testing.TB) [][]byte {
	t.Helper()
	paths, err := filepath.Glob("event/testdata/golden/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	var all [][]byte
	for _, path := range paths {
		var file struct{ CBOR string }
		if err := json.Unmarshal(readFile(t, path), &file); err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(file.CBOR)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
