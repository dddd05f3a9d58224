package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"angarium/notify"
	"angarium/notify/notifytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// secret of webhooks.
var secret = []byte("0123456789abcdef")

// waitFor asks until cond is true.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(patience); !cond(); <-ticker.C {
		if time.Now().After(end) {
			t.Fatal("it does not come to that: " + what)
		}
	}
}

// run runs a sink until stop.
func run(t testing.TB, s notify.Sink, feeds []*notify.Feed) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, feeds) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func caughtUp(s notify.Sink, feeds []*notify.Feed) func() bool {
	return func() bool {
		places := s.Status().Places
		return !slices.ContainsFunc(feeds, func(f *notify.Feed) bool { return places[f.Shard()].Position <= f.Head() })
	}
}

// receiver is a webhook's other side.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	ids    []string
	calls  int
	answer func(call int) int
}

func newReceiver(t *testing.T, answer func(call int) int) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		if err := notify.VerifySignature(secret, req.Header.Get(notify.HeaderSignature), body, time.Now(), time.Minute); err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls++
		status := r.answer(r.calls)
		if status == http.StatusOK {
			var batch struct{ Events []notify.Event }
			if err := json.Unmarshal(body, &batch); err != nil {
				t.Error(err)
			}
			for i := range batch.Events {
				r.ids = append(r.ids, batch.Events[i].ID())
			}
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ids)
}

func (r *receiver) sink(t *testing.T, dir string, change ...func(*notify.DeliveryOptions)) *notify.Delivery {
	t.Helper()
	w, err := notify.NewWebhook(notify.WebhookOptions{URL: r.URL, Secret: secret})
	must(t, err)
	return delivery(t, w, dir, change...)
}

func delivery(t *testing.T, target notify.Target, dir string, change ...func(*notify.DeliveryOptions)) *notify.Delivery {
	t.Helper()
	opts := notify.DeliveryOptions{Name: "test", Dir: dir, Start: notify.StartBeginning, RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond, Batch: 3, Gather: -1}
	for _, c := range change {
		c(&opts)
	}
	d, err := notify.NewDelivery(target, opts)
	must(t, err)
	return d
}

func someMail(t *testing.T, shards int) (*notifytest.Env, []*notify.Feed) {
	t.Helper()
	env := notifytest.New(t, shards)
	feeds := env.Feeds(t)
	for _, a := range []string{"anna", "bert", "cora"} {
		history(t, env, a)
	}
	for _, f := range feeds {
		settled(t, env, f)
	}
	return env, feeds
}

func idsOf(t *testing.T, feeds []*notify.Feed) []string {
	t.Helper()
	var list []string
	for _, f := range feeds {
		for _, e := range readAll(t, f, notify.Place{}) {
			list = append(list, e.ID())
		}
	}
	return list
}

// inShard keeps the ids of a shard.
func inShard(list []string, shard int) []string {
	return slices.DeleteFunc(slices.Clone(list), func(id string) bool { return !strings.HasPrefix(id, fmt.Sprintf("%d:", shard)) })
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

func TestWebhookIsTriedAgainUntilItTakesTheEvents(t *testing.T) {
	_, feeds := someMail(t, 2)
	r := newReceiver(t, func(call int) int { return []int{503, 200, 429, 500}[call%4] })
	s := r.sink(t, t.TempDir())
	run(t, s, feeds)
	waitFor(t, "all events", caughtUp(s, feeds))
	for shard := range 2 {
		equal(t, "events of a shard", inShard(r.got(), shard), inShard(idsOf(t, feeds), shard))
	}
	if st := s.Status(); st.State != notify.SinkFollowing || st.DeadLettered != 0 || st.Delivered != uint64(len(idsOf(t, feeds))) {
		t.Errorf("status %+v", st)
	}
}

func TestWhatIsRefusedBecomesADeadLetter(t *testing.T) {
	_, feeds := someMail(t, 1)
	r := newReceiver(t, func(call int) int {
		if call <= 5 { // all attempts of the first batch
			return http.StatusBadRequest
		}
		return http.StatusOK
	})
	dir := t.TempDir()
	s := r.sink(t, dir)
	run(t, s, feeds)
	waitFor(t, "all events", caughtUp(s, feeds))
	all := idsOf(t, feeds)
	equal(t, "delivered", r.got(), all[3:])
	b, err := os.ReadFile(filepath.Join(dir, "test.dead.jsonl"))
	must(t, err)
	var dead []string
	for line := range bytes.Lines(b) {
		var d struct {
			Error string
			Event notify.Event
		}
		must(t, json.Unmarshal(line, &d))
		dead = append(dead, d.Event.ID())
		if !strings.Contains(d.Error, "400") {
			t.Errorf("error %q", d.Error)
		}
	}
	equal(t, "dead letters", dead, all[:3])
	if st := s.Status(); st.DeadLettered != 3 {
		t.Errorf("status %+v", st)
	}
}

func TestADeadReceiverHoldsUpNobodyElse(t *testing.T) {
	_, feeds := someMail(t, 1)
	r := newReceiver(t, func(int) int { return http.StatusServiceUnavailable })
	dead := r.sink(t, t.TempDir(), func(o *notify.DeliveryOptions) { o.Patience = -1; o.Name = "dead" })
	path := filepath.Join(t.TempDir(), "events.jsonl")
	file, err := notify.NewFile(notify.FileOptions{Path: path})
	must(t, err)
	alive := delivery(t, file, t.TempDir())
	run(t, dead, feeds)
	run(t, alive, feeds)
	waitFor(t, "the file", caughtUp(alive, feeds))
	waitFor(t, "a failure", func() bool { return dead.Status().State == notify.SinkFailing })
	if st := dead.Status(); st.Delivered != 0 || !strings.Contains(st.Error, "503") {
		t.Errorf("status %+v", st)
	}
}

func TestAReceiverThatIsDeadForLongGetsDeadLetters(t *testing.T) {
	_, feeds := someMail(t, 1)
	r := newReceiver(t, func(int) int { return http.StatusServiceUnavailable })
	s := r.sink(t, t.TempDir(), func(o *notify.DeliveryOptions) { o.Patience = 10 * time.Millisecond })
	run(t, s, feeds)
	waitFor(t, "all given up", caughtUp(s, feeds))
	if st, n := s.Status(), len(idsOf(t, feeds)); st.DeadLettered != uint64(n) {
		t.Errorf("%d of %d are dead letters", st.DeadLettered, n)
	}
}

func TestSinksGoOnWhereTheyStopped(t *testing.T) {
	env, feeds := someMail(t, 2)
	r := newReceiver(t, func(int) int { return http.StatusOK })
	dir := t.TempDir()
	for _, account := range []string{"dora", "emil"} {
		s := r.sink(t, dir)
		stop := run(t, s, feeds)
		waitFor(t, "all events", caughtUp(s, feeds))
		stop()
		history(t, env, account)
		for _, f := range feeds {
			settled(t, env, f)
		}
	}
	s := r.sink(t, dir)
	run(t, s, feeds)
	waitFor(t, "all events", caughtUp(s, feeds))
	for shard := range 2 {
		equal(t, "events of a shard", inShard(r.got(), shard), inShard(idsOf(t, feeds), shard))
	}
}

func TestNewSinksBeginNow(t *testing.T) {
	env, feeds := someMail(t, 1)
	before := len(idsOf(t, feeds))
	r := newReceiver(t, func(int) int { return http.StatusOK })
	s := r.sink(t, t.TempDir(), func(o *notify.DeliveryOptions) { o.Start = notify.StartNow })
	run(t, s, feeds)
	waitFor(t, "the start", caughtUp(s, feeds))
	history(t, env, "dora")
	settled(t, env, feeds[0])
	waitFor(t, "all events", caughtUp(s, feeds))
	equal(t, "events", r.got(), idsOf(t, feeds)[before:])
}

func TestFileHasEveryEventOnce(t *testing.T) {
	env, feeds := someMail(t, 1)
	dir := t.TempDir()
	path := filepath.Join(dir, "events.jsonl")
	open := func() *notify.Delivery {
		file, err := notify.NewFile(notify.FileOptions{Path: path, MaxBytes: 8 << 10, Keep: 50})
		must(t, err)
		return delivery(t, file, dir)
	}
	for i := range 6 {
		s := open()
		stop := run(t, s, feeds)
		waitFor(t, "all events", caughtUp(s, feeds))
		stop()
		// What a crash leaves behind: lines that the position does not know of, the last one torn.
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		must(t, err)
		_, err = fmt.Fprintf(f, "%s\n{\"event\":\"Mess", readAll(t, feeds[0], notify.Place{})[0].JSON())
		must(t, errors.Join(err, f.Close()))
		history(t, env, fmt.Sprintf("more%d", i))
		settled(t, env, feeds[0])
	}
	s := open()
	stop := run(t, s, feeds)
	waitFor(t, "all events", caughtUp(s, feeds))
	stop()
	var got []string
	names, err := filepath.Glob(path + "*")
	must(t, err)
	for i := len(names) - 1; i >= 0; i-- { // the oldest first
		name := path
		if i > 0 {
			name = fmt.Sprintf("%s.%d", path, i)
		}
		b, err := os.ReadFile(name)
		must(t, err)
		for line := range bytes.Lines(b) {
			var e notify.Event
			must(t, json.Unmarshal(line, &e))
			got = append(got, e.ID())
		}
	}
	if len(names) < 3 {
		t.Errorf("%d files: nothing was rotated", len(names))
	}
	equal(t, "lines", got, idsOf(t, feeds))
}

func TestExecGetsEachEventOnItsInput(t *testing.T) {
	_, feeds := someMail(t, 1)
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	// Fails the first time for each tenth event, and refuses AccountDelete for good.
	script := `
read -r event
case "$event" in *AccountDelete*) exit 65;; esac
n=$(wc -l < "$1.tries"); echo x >> "$1.tries"
if [ $((n % 10)) = 9 ]; then echo "not now" >&2; exit 75; fi
printf '%s\n' "$event" >> "$1"`
	must(t, os.WriteFile(out+".tries", nil, 0o600))
	x, err := notify.NewExec(notify.ExecOptions{Command: []string{"/bin/sh", "-c", script, "sh", out}})
	must(t, err)
	s := delivery(t, x, dir, func(o *notify.DeliveryOptions) { o.Batch = 1 })
	run(t, s, feeds)
	waitFor(t, "all events", caughtUp(s, feeds))
	b, err := os.ReadFile(out)
	must(t, err)
	var want []byte
	for _, e := range readAll(t, feeds[0], notify.Place{}) {
		if e.Event != notify.AccountDelete {
			want = append(append(want, e.JSON()...), '\n')
		}
	}
	if !bytes.Equal(b, want) {
		t.Errorf("got %d lines of %d bytes, want %d of %d", bytes.Count(b, []byte("\n")), len(b), bytes.Count(want, []byte("\n")), len(want))
	}
	if st := s.Status(); st.DeadLettered != 3 {
		t.Errorf("status %+v", st)
	}
}

func TestExecEndsWithWhatItStarted(t *testing.T) {
	x, err := notify.NewExec(notify.ExecOptions{Command: []string{"/bin/sh", "-c", "sleep 1000 & wait"}, Timeout: 50 * time.Millisecond})
	must(t, err)
	begin := time.Now()
	err = x.Deliver(context.Background(), []*notify.Event{{Origin: &notify.Origin{}}})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > patience {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
}

func TestSignatures(t *testing.T) {
	now := time.Unix(1709208000, 0)
	good := notify.Sign(secret, []byte("{}"), now)
	// printf '1709208000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef
	if want := "t=1709208000,v1=48def7b258af5657f0f169568e576f50ba3d4d8be45ddd010b5b76c802e68351"; good != want {
		t.Errorf("signed %s, want %s", good, want)
	}
	must(t, notify.VerifySignature(secret, good, []byte("{}"), now.Add(time.Minute), 5*time.Minute))
	for name, err := range map[string]error{
		"another body":   notify.VerifySignature(secret, good, []byte("{ }"), now, time.Minute),
		"another secret": notify.VerifySignature([]byte("x"), good, []byte("{}"), now, time.Minute),
		"too old":        notify.VerifySignature(secret, good, []byte("{}"), now.Add(time.Hour), time.Minute),
		"another time":   notify.VerifySignature(secret, strings.Replace(good, "t=17", "t=18", 1), []byte("{}"), now, time.Hour),
		"nothing":        notify.VerifySignature(secret, "", []byte("{}"), now, time.Hour),
	} {
		if !errors.Is(err, notify.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
