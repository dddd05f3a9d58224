package examples

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/notify"
	"angarium/notify/bus"
	"angarium/notify/notifytest"
)

const patience = 60 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// need finds a program. Where the examples are optional, the test is skipped without it.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil && os.Getenv("EXAMPLES_REQUIRED") == "" {
		t.Skip(err)
	}
	must(t, err)
	return path
}

// site is a node with a server of events.
type site struct {
	*notifytest.Env
	server *bus.Server
	keys   *bus.Keys
}

// newSite starts a node with further sinks.
func newSite(t *testing.T, sinks ...notify.Sink) *site {
	t.Helper()
	dir := t.TempDir()
	keys, err := bus.OpenKeys(filepath.Join(dir, "keys.json"))
	must(t, err)
	server, err := bus.StartServer(context.Background(), bus.ServerOptions{Dir: filepath.Join(dir, "store"), Keys: keys, Listen: "127.0.0.1:0"})
	must(t, err)
	t.Cleanup(server.Shutdown)
	publisher, err := bus.NewPublisher(bus.Options{Dir: dir, Connect: server.Connect, Start: notify.StartBeginning})
	must(t, err)
	s := &site{Env: notifytest.New(t, 1), server: server, keys: keys}
	n, err := notify.New(notify.Options{Host: notifytest.Host, Shards: 1, Sinks: append(sinks, publisher)})
	must(t, err)
	s.Followers[0].Run(t, n.Feed(0))
	n.Start()
	t.Cleanup(n.Close)
	return s
}

func (s *site) url() string { return "nats://" + s.server.Addr() }

func (s *site) credentials(t *testing.T, name, account string) string {
	t.Helper()
	creds, err := s.keys.Add(name, account, time.Now())
	must(t, err)
	path := filepath.Join(t.TempDir(), name+".creds")
	must(t, os.WriteFile(path, creds, 0o600))
	return path
}

func (s *site) deliver(t *testing.T, account, subject string) {
	t.Helper()
	b, err := s.Store.Prepare([]byte("Subject: " + subject + "\r\nMessage-ID: <" + subject + "@example.org>\r\n\r\n"))
	must(t, err)
	lmtp := mailstore.Identity{Service: "lmtp", Admin: true}
	for _, d := range s.Store.Deliver(context.Background(), lmtp, b, []mailstore.Recipient{{Account: account}}) {
		must(t, d.Err)
	}
}

// start runs a program and gives the lines that it prints. It is ended with the test.
func start(t *testing.T, dir, program string, args ...string) (lines <-chan string, stop func()) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	c := make(chan string, 1000)
	go func() {
		defer close(c)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			c <- sc.Text()
		}
	}()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		for range c {
		}
		_ = cmd.Wait() // by a signal
	})
	t.Cleanup(stop)
	return c, stop
}

// expect waits for a line.
func expect(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("it ended before it said %s", want)
			}
			if line == want {
				return
			}
		case <-timeout:
			t.Fatalf("it does not say %s", want)
		}
	}
}

func TestPushTellsTheGatewayOfEachMessageUntilItHears(t *testing.T) {
	goTool := need(t, "go")
	binary := filepath.Join(t.TempDir(), "push")
	out, err := exec.Command(goTool, "build", "-o", binary, "./push").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	type push struct {
		ID, User string
		Unseen   int
	}
	pushes := make(chan push, 100)
	refused := false
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p push
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
			t.Error(err)
		}
		if !refused { // the first one has to come again
			refused = true
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		pushes <- p
	}))
	defer gateway.Close()
	s := newSite(t)
	args := []string{"-nats", s.url(), "-creds", s.credentials(t, "push", ""), "-gateway", gateway.URL, "-max-age", "1000000h"}
	want := map[string]int{}
	for i := range 6 {
		account := []string{"anna", "bert.b@example.org"}[i%2]
		if i < 2 {
			s.Account(t, account)
		}
		s.deliver(t, account, fmt.Sprint(i))
		want[account]++ // what is unseen by then depends on how soon the push is made
	}
	_, stop := start(t, "", binary, args...)
	got := map[string]int{}
	take := func() {
		select {
		case p := <-pushes:
			got[p.User]++
		case <-time.After(patience):
			t.Fatalf("pushes: %v", got)
		}
	}
	for range 6 {
		take()
	}
	stop()
	s.deliver(t, "anna", "while it was away")
	want["anna"]++
	start(t, "", binary, args...)
	take()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("pushed %v, want %v", got, want)
	}
}

func TestBadgeFollowsTheUnseenMessages(t *testing.T) {
	node, npm := need(t, "node"), need(t, "npm")
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("badge")))
	if out, err := command(dir, npm, "ci", "--no-audit", "--no-fund").CombinedOutput(); err != nil {
		if os.Getenv("EXAMPLES_REQUIRED") == "" {
			t.Skipf("no packages for Node: %v\n%s", err, out)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	s := newSite(t)
	s.Account(t, "anna")
	s.Account(t, "bert")
	ctx := context.Background()
	id := mailstore.Identity{Account: "anna", Service: "imap"}
	_, err := s.Store.CreateMailbox(ctx, id, "anna", mailstore.NewMailbox{Name: "Archive"})
	must(t, err)
	s.deliver(t, "anna", "one")
	s.deliver(t, "bert", "of no business to anna")
	lines, _ := start(t, dir, node, "badge.mjs", s.url(), s.credentials(t, "badge", "anna"))
	expect(t, lines, `{"user":"anna","unseen":1}`)
	s.deliver(t, "anna", "two")
	expect(t, lines, `{"user":"anna","unseen":2}`)
	box, err := s.Store.Open(ctx, id, "anna", "INBOX", false)
	must(t, err)
	defer box.Close()
	_, err = box.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: event.UIDsOf(1), Op: mailstore.AddFlags, Flags: []string{`\Seen`}})
	must(t, err)
	expect(t, lines, `{"user":"anna","unseen":1}`)
	_, err = box.Move(ctx, event.UIDsOf(2), "Archive")
	must(t, err)
	expect(t, lines, `{"user":"anna","unseen":0}`)
}

func command(dir, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	return cmd
}

func TestAuditTrailHasEverythingOnceAndShowsChanges(t *testing.T) {
	python := need(t, "python3")
	dir := t.TempDir()
	secret, trail := filepath.Join(dir, "secret"), filepath.Join(dir, "trail")
	must(t, os.WriteFile(secret, []byte("a secret of the two\n"), 0o600))
	port := "0"
	begin := func() (stop func()) {
		lines, stop := start(t, "", python, "audit/audit.py", "--port", port, "--secret-file", secret, "--trail", trail)
		select {
		case line := <-lines:
			port = strings.TrimPrefix(line, "listening at ")
		case <-time.After(patience):
			t.Fatal("it does not listen")
		}
		return stop
	}
	stop := begin()
	hook, err := notify.NewWebhook(notify.WebhookOptions{URL: "http://127.0.0.1:" + port + "/", Secret: []byte("a secret of the two")})
	must(t, err)
	sink, err := notify.NewDelivery(hook, notify.DeliveryOptions{
		Name: "audit", Dir: filepath.Join(dir, "sink"), Start: notify.StartBeginning, RetryMin: 10 * time.Millisecond, RetryMax: 100 * time.Millisecond,
	})
	must(t, err)
	s := newSite(t, sink)
	s.Account(t, "anna")
	for i := range 10 {
		s.deliver(t, "anna", fmt.Sprint(i))
		if i == 5 { // it goes away, and leaves a torn line
			stop()
			f, err := os.OpenFile(trail, os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = io.WriteString(f, `{"id":"0:9`)
			must(t, err)
			must(t, f.Close())
			begin()
		}
	}
	// Whoever does not have the secret is turned away.
	resp, err := http.Post("http://127.0.0.1:"+port+"/", "application/json", strings.NewReader(`{"events":[{"shard":0,"position":99999,"index":0}]}`))
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a request without signature: %s", resp.Status)
	}
	var b []byte
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(patience); bytes.Count(b, []byte(`"MessageNew"`)) < 10; <-ticker.C {
		if time.Now().After(end) {
			t.Fatalf("the trail has %d events of ten", bytes.Count(b, []byte(`"MessageNew"`)))
		}
		b, err = os.ReadFile(trail)
		must(t, err)
	}
	verify := func() (string, error) {
		out, err := exec.Command(python, "audit/audit.py", "--verify", "--trail", trail).CombinedOutput()
		return string(out), err
	}
	if out, err := verify(); err != nil || bytes.Count(b, []byte(`"MessageNew"`)) != 10 {
		t.Errorf("%v: %s", err, out)
	}
	must(t, os.WriteFile(trail, bytes.Replace(b, []byte(`"uidset":"3"`), []byte(`"uidset":"4"`), 1), 0o600))
	if out, err := verify(); err == nil || !strings.Contains(out, "broken") {
		t.Errorf("a changed trail: %v: %s", err, out)
	}
}
