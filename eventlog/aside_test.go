package eventlog_test

import (
	"bytes"
	"errors"
	"testing"

	"angarium/eventlog"
	"angarium/eventlog/logtest"
)

func TestWhatWasSetAsideComesBack(t *testing.T) {
	var b logtest.Builder
	var want []eventlog.Message
	for i := range 20 {
		var payload []byte
		if i == 0 {
			_, payload = b.Epoch(t)
		} else {
			_, payload = b.Small(t)
		}
		want = append(want, eventlog.Message{Position: b.State.Position, Payload: payload})
	}
	var file bytes.Buffer
	n, err := eventlog.WriteAside(&file, func(yield func(eventlog.Message, error) bool) {
		for _, m := range want {
			if !yield(m, nil) {
				return
			}
		}
	})
	if err != nil || n != len(want) {
		t.Fatalf("wrote %d: %v", n, err)
	}
	read := func(data []byte) (got int, err error) {
		for env, err := range eventlog.ReadAside(bytes.NewReader(data)) {
			if err != nil {
				return got, err
			}
			if env.Position != want[got].Position || !bytes.Equal(env.Payload, want[got].Payload) {
				return got, errors.New("an envelope came back as another")
			}
			got++
		}
		return got, nil
	}
	if got, err := read(file.Bytes()); err != nil || got != len(want) {
		t.Fatalf("read %d: %v", got, err)
	}
	for _, cut := range []int{3, 20, file.Len() / 2, file.Len() - 1} {
		if got, err := read(file.Bytes()[:cut]); !errors.Is(err, eventlog.ErrCorrupt) {
			t.Errorf("cut at %d: read %d: %v", cut, got, err)
		}
	}
	flipped := bytes.Clone(file.Bytes())
	flipped[file.Len()/2] ^= 1
	if _, err := read(flipped); err == nil {
		t.Error("a flipped bit was not noticed")
	}
}
