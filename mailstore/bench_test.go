package mailstore_test

import (
	"context"
	"testing"

	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

// BenchmarkDeliver is a delivery to one recipient of a body that is known, on a log and a replica in memory.
func BenchmarkDeliver(b *testing.B) {
	ctx := context.Background()
	env := storetest.New(b, 1, mailstore.Options{})
	env.Account(b, "ann")
	body := prepare(b, env, mail)
	to := []mailstore.Recipient{{Account: "ann"}}
	b.ReportAllocs()
	for b.Loop() {
		if res := env.Store.Deliver(ctx, storetest.Admin, body, to); res[0].Err != nil {
			b.Fatal(res[0].Err)
		}
	}
}
