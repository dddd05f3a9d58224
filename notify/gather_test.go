package notify_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"angarium/notify"
	"angarium/notify/notifytest"
)

func TestEventsGatherWhileTheyComeOneByOne(t *testing.T) {
	env := notifytest.New(t, 1)
	feeds := env.Feeds(t)
	env.Account(t, "anna")
	settled(t, env, feeds[0])
	r := newReceiver(t, func(int) int { return http.StatusOK })
	s := r.sink(t, t.TempDir(), func(o *notify.DeliveryOptions) { o.Batch, o.Gather = 256, 2*time.Second })
	run(t, s, feeds)
	waitFor(t, "what is there", caughtUp(s, feeds))
	const n = 40
	for i := range n {
		deliver(t, env, fmt.Sprintf("Subject: %d\r\n\r\n", i), "anna")
		settled(t, env, feeds[0])
	}
	waitFor(t, "all events", caughtUp(s, feeds))
	equal(t, "events", r.got(), idsOf(t, feeds))
	if r.calls > n/2 {
		t.Errorf("%d requests for %d events", r.calls, n)
	}
}

func TestASinkBeyondTheEndOfTheLogComesBack(t *testing.T) {
	env, feeds := someMail(t, 1)
	before := len(idsOf(t, feeds))
	r := newReceiver(t, func(int) int { return http.StatusOK })
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "test.json"), []byte(`{"format":1,"shards":{"0":{"position":1000000,"index":0}},"mark":-1}`), 0o600))
	s := r.sink(t, dir)
	stop := run(t, s, feeds)
	env.Account(t, "dora") // perhaps before the sink has come back: then it gets what follows
	waitFor(t, "an event", func() bool {
		deliver(t, env, letter, "dora")
		settled(t, env, feeds[0])
		return len(r.got()) > 0
	})
	all := idsOf(t, feeds)
	waitFor(t, "all events", func() bool { got := r.got(); return got[len(got)-1] == all[len(all)-1] })
	stop()
	got := r.got()
	if len(got) > len(all)-before {
		t.Errorf("%d events of before came", len(got)-len(all)+before)
	}
	equal(t, "events", got, all[len(all)-len(got):])
}
