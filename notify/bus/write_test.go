package bus_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/notify/notifytest"
)

// write goes on writing mail and flags until stop is called. written gets a value now and then.
func write(t *testing.T, env *notifytest.Env, accounts []string) (written <-chan struct{}, stop func()) {
	t.Helper()
	c := make(chan struct{})
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			if err := change(env, accounts[i%len(accounts)], i); err != nil {
				t.Error(err)
			}
			if i%20 != 0 {
				continue
			}
			select {
			case c <- struct{}{}:
			case <-quit:
				return
			}
		}
	})
	return c, sync.OnceFunc(func() {
		close(quit)
		wg.Wait()
	})
}

// change appends a message, and gives it a flag that is spoken of and one that is not.
func change(env *notifytest.Env, account string, i int) error {
	ctx := context.Background()
	b, err := env.Store.Prepare(fmt.Appendf(nil, "Subject: %d\r\n\r\n", i))
	if err != nil {
		return err
	}
	id := storetest.User(account)
	a, err := env.Store.Append(ctx, id, account, "INBOX", []mailstore.NewMessage{{Body: b}})
	if err != nil {
		return err
	}
	box, err := env.Store.Open(ctx, id, account, "INBOX", false)
	if err != nil {
		return err
	}
	defer box.Close()
	for _, flag := range []string{"$Work", `\Flagged`} {
		_, err := box.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: event.UIDsOf(a.First), Op: mailstore.AddFlags, Flags: []string{flag}})
		if err != nil {
			return err
		}
	}
	return nil
}
