package mailstore_test

import (
	"context"
	"errors"
	"testing"

	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

// FuzzServe has the primary take any bytes as a forwarded write: it answers each, and no answer costs it its replica.
func FuzzServe(f *testing.F) {
	ctx := context.Background()
	ops := mailstore.Ops()
	pair := storetest.NewPair(f, 1, mailstore.Options{MaxMessage: 1 << 16, MaxMailboxes: 100})
	recorded := map[string][]byte{}
	pair.SetTap(func(op string, req []byte) { recorded[op] = req })
	pair.Replica().Account(f, "ann")
	pair.Replica().Append(f, "ann", "INBOX", mail, `\Deleted`)
	pair.SetHook(func(string) storetest.Fault { return storetest.Fault{Unsent: true} })
	everyWrite(f, pair.Replica().Store)
	if err := pair.Replica().Store.DeleteMailbox(ctx, ann, "ann", "x"); !errors.Is(err, mailstore.ErrUnavailable) {
		f.Fatal(err)
	}
	if err := pair.Replica().Store.CatchUp(ctx, ann, "ann"); !errors.Is(err, mailstore.ErrUnavailable) {
		f.Fatal(err)
	}
	pair.SetTap(nil)
	for i, op := range ops {
		if recorded[op] == nil {
			f.Fatalf("no request of %s was seen", op)
		}
		f.Add(byte(i), recorded[op])
		f.Add(byte(i+1), recorded[op])
	}
	f.Add(byte(0), []byte{})
	f.Fuzz(func(t *testing.T, n byte, req []byte) {
		resp, err := pair.Primary().Store.Serve(ctx, 0, ops[int(n)%len(ops)], req)
		if err != nil {
			t.Fatalf("%s %x: %v", ops[int(n)%len(ops)], req, err)
		}
		if err := mailstore.AnswerError(resp); err != nil && err.Error() == "" {
			t.Fatal("an error without text")
		}
		if err := pair.Primary().Replicas[0].Err(); err != nil {
			t.Fatalf("%s %x: %v", ops[int(n)%len(ops)], req, err)
		}
	})
}
