package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const secret = "a secret of the two ends"

// sinksFile has one sink of each kind. The program's is of one account: each of its events is a process.
const sinksFile = `
[[sink]]
name = "hook"
kind = "webhook"
url = "URL"
secret_file = "DIR/secret"
start = "beginning"
batch = 16

[[sink]]
name = "lines"
kind = "file"
path = "DIR/events.jsonl"
start = "beginning"

[[sink]]
name = "program"
kind = "exec"
command = ["sh", "-c", "cat >> DIR/program.jsonl"]
accounts = ["Carl@Example.org"]
events = ["MessageNew"]
start = "beginning"
`

// receiver is a webhook that fails now and then.
type receiver struct {
	t *testing.T

	mu       sync.Mutex
	requests int
	events   []event
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil { // the server was killed
		return
	}
	seconds, mac, _ := strings.Cut(strings.TrimPrefix(req.Header.Get("Angarium-Signature"), "t="), ",v1=")
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "%s.%s", seconds, body)
	if mac != hex.EncodeToString(h.Sum(nil)) {
		r.t.Errorf("bad signature %s", req.Header.Get("Angarium-Signature"))
	}
	var batch struct {
		Events []event `json:"events"`
	}
	if err := json.Unmarshal(body, &batch); err != nil || len(batch.Events) == 0 || len(batch.Events) > 16 {
		r.t.Errorf("%d events: %v", len(batch.Events), err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if r.requests%7 == 3 { // it has them, and the sender does not know
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	r.events = append(r.events, batch.Events...)
}

// once drops what came again, and checks the order by account of what came first.
func once(t *testing.T, what string, list []event) []event {
	t.Helper()
	seen := map[string]bool{}
	last := map[string]event{}
	var first []event
	for _, e := range list {
		if seen[e.id()] {
			continue
		}
		seen[e.id()] = true
		if l, ok := last[e.User]; ok && !l.before(e) {
			t.Errorf("%s: %s comes after %s", what, e.id(), l.id())
		}
		last[e.User] = e
		first = append(first, e)
	}
	return first
}

// load delivers mail to accounts until stop is called, whatever becomes of the server. stop gives how many messages were taken.
func (s *site) load(accounts ...string) (stop func() int) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken, end := 0, make(chan struct{})
	for _, a := range accounts {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-end:
					return
				default:
				}
				if s.deliver(a, fmt.Sprint(i)) == nil {
					mu.Lock()
					taken++
					mu.Unlock()
				}
			}
		})
	}
	return func() int { close(end); wg.Wait(); return taken }
}

func TestKillingTheServerLosesAndDoublesNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	hook := &receiver{t: t}
	web := httptest.NewServer(hook)
	defer web.Close()
	dir := t.TempDir()
	replace := strings.NewReplacer("DIR", dir, "URL", web.URL)
	must(t, os.WriteFile(dir+"/secret", []byte(secret+"\n"), 0o600))
	must(t, os.WriteFile(dir+"/sinks.toml", []byte(replace.Replace(sinksFile)), 0o600))
	s := newSite(t, fmt.Sprintf("[notify]\nsinks_file = %q\n", dir+"/sinks.toml"), "ann@example.org", "bob@example.org", "carl@example.org")
	nc := s.connect(s.consumer("all"))
	stop := s.load("ann@example.org", "bob@example.org")
	for range rounds(t, 5) {
		for i := range 3 {
			must(t, s.deliver("carl@example.org", fmt.Sprint(i)))
		}
		time.Sleep(time.Duration(200+random.IntN(600)) * time.Millisecond) // the load of a round: how long it lasts is its point
		s.kill()
		s.start()
	}
	taken := stop()
	s.settle("jetstream", "hook", "lines", "program")
	history := s.history()
	want := ids(history)
	t.Logf("%d messages taken, %d events", taken, len(want))
	if len(want) < taken {
		t.Errorf("%d messages were taken, and there are %d events", taken, len(want))
	}
	await(t, "no connection", nc.IsConnected)
	hook.mu.Lock()
	defer hook.mu.Unlock()
	for what, got := range map[string][]event{
		"stream":  stream(t, nc),
		"file":    fileOf(t, dir+"/events.jsonl"),
		"webhook": once(t, "webhook", hook.events),
	} {
		if diff := cmp.Diff(want, ids(got)); diff != "" {
			t.Errorf("%s (-log +%s): %s", what, what, diff)
		}
	}
	if diff := cmp.Diff(ids(s.history("--account", "carl@example.org", "--event", "MessageNew")), ids(once(t, "program", fileOf(t, dir+"/program.jsonl")))); diff != "" {
		t.Errorf("program (-log +program): %s", diff)
	}
}

func fileOf(t *testing.T, path string) []event {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return decodeLines(t, string(text))
}
