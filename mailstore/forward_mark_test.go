package mailstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"angarium/eventlog"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

func TestWriteIsForwardedOnceToAPrimaryThatKnowsNoMarks(t *testing.T) {
	pair := storetest.NewPair(t, 1, mailstore.Options{})
	pair.Replica().Account(t, "ann")
	pair.SetHook(func(string) storetest.Fault { return storetest.Fault{Old: true} })
	pair.Replica().Append(t, "ann", "INBOX", mail)
	for _, env := range pair.Nodes {
		mb, err := env.Store.Open(context.Background(), ann, "ann", "INBOX", true)
		if err != nil {
			t.Fatal(err)
		}
		if n := mb.Snapshot().List.Len(); n != 1 {
			t.Errorf("%d messages, want 1", n)
		}
		mb.Close()
	}
}

// parted forwards to a primary, and tells of another history than that which the replica has by then.
type parted struct{ mailstore.Forwarder }

func (p parted) Forward(ctx context.Context, shard int, op string, req []byte) ([]byte, error) {
	resp, err := p.Forwarder.Forward(ctx, shard, op, req)
	if err != nil {
		return nil, err
	}
	var answer map[int]cbor.RawMessage
	if err := cbor.Unmarshal(resp, &answer); err != nil {
		return nil, err
	}
	answer[4], _ = cbor.Marshal(99)
	answer[5], _ = cbor.Marshal(make([]byte, eventlog.HashSize))
	return cbor.Marshal(answer)
}

func TestWriteOfAnotherHistoryIsNotAcknowledged(t *testing.T) {
	pair := storetest.NewPair(t, 1, mailstore.Options{})
	pair.Replica().Account(t, "ann")
	env := pair.Replica()
	holds := func(ctx context.Context, at eventlog.Mark) error { return eventlog.Check(ctx, env.Logs[0], at) }
	for _, way := range []mailstore.Forwarder{pair, parted{pair}} {
		store, err := mailstore.New(mailstore.Options{Shards: []mailstore.Shard{{
			Replica: env.Replicas[0], Remote: func() mailstore.Forwarder { return way }, Holds: holds,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		b, err := store.Prepare([]byte(mail))
		if err != nil {
			t.Fatal(err)
		}
		_, err = store.Append(context.Background(), ann, "ann", "INBOX", []mailstore.NewMessage{{Body: b}})
		if _, other := way.(parted); errors.Is(err, eventlog.ErrUnknown) != other {
			t.Errorf("parted %v: %v", other, err)
		}
	}
}
