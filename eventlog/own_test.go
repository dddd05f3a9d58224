package eventlog

import (
	"errors"
	"testing"
	"time"

	"angarium/eventlog/event"
)

// What was handed over in memory is not hashed again; everything else is.
func TestOwnEnvelopesAreNotHashedAgain(t *testing.T) {
	ev, err := event.Encode(event.Entry{Event: &event.EpochStarted{Epoch: 1}})
	if err != nil {
		t.Fatal(err)
	}
	payload, _, err := Encode(State{Epoch: 1}, time.Unix(1, 0), 1, ev)
	if err != nil {
		t.Fatal(err)
	}
	payload[len(payload)-1] ^= 1
	if _, err := NewChain(State{}).Extend(Message{Position: 1, Payload: payload}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a wrong hash: %v", err)
	}
	if _, err := NewChain(State{}).Extend(Message{Position: 1, Payload: payload, Own: true}); err != nil {
		t.Errorf("its own: %v", err)
	}
}
