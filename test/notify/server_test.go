package notify

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// patience bounds what a test waits for.
const patience = 60 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// programs is the directory of angarium and syncctl; "" in a short run.
var programs = os.Getenv("BIN")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if programs != "" || testing.Short() {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "notify-bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	out, err := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "angarium/cmd/angarium", "angarium/syncctl").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
		return 1
	}
	programs = dir
	return m.Run()
}

// site is a server with its data directory. It can be killed and started again, at the same addresses.
type site struct {
	t                *testing.T
	dir              string
	imap, lmtp, nats string
	args             []string // further ones of the server
	cmd              *exec.Cmd
	exited           chan struct{}
}

// newSite starts a server with accounts and a NATS listener. more is added to its configuration.
func newSite(t *testing.T, more string, accounts ...string) *site {
	t.Helper()
	return newSiteAt(t, freeAddress(t), more, accounts...)
}

// newSiteAt starts a server that listens for NATS clients at an address, or does not when that is "".
func newSiteAt(t *testing.T, natsAddress, more string, accounts ...string) *site {
	t.Helper()
	s := begin(t, natsAddress, more)
	var batch strings.Builder
	for _, a := range accounts {
		fmt.Fprintf(&batch, "%s secret\n", a)
	}
	s.syncctlWith(batch.String(), "account", "add", "--batch", "-")
	return s
}

// begin starts a server without accounts.
func begin(t *testing.T, natsAddress, more string, args ...string) *site {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs servers")
	}
	s := &site{t: t, dir: t.TempDir(), imap: freeAddress(t), lmtp: freeAddress(t), nats: natsAddress, args: args}
	config := "[http]\nlisten = []\n" + more
	must(t, os.WriteFile(s.path("angarium.toml"), []byte(config), 0o600))
	s.start()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			log, err := os.ReadFile(s.path("server.log"))
			t.Logf("the server's log (%v):\n%s", err, log)
		}
	})
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) data() string { return s.path("data") }

// start starts the server and waits until it serves.
func (s *site) start() {
	s.t.Helper()
	log, err := os.OpenFile(s.path("server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(s.t, err)
	s.cmd = exec.Command(filepath.Join(programs, "angarium"), "serve", "--config", s.path("angarium.toml"), "--data", s.data(),
		"--imap", s.imap, "--lmtp", s.lmtp)
	if s.nats != "" {
		s.cmd.Args = append(s.cmd.Args, "--nats", s.nats)
	}
	s.cmd.Args = append(s.cmd.Args, s.args...)
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	must(s.t, err)
	must(s.t, s.cmd.Start())
	s.exited = make(chan struct{})
	ready := make(chan bool, 1)
	go func(cmd *exec.Cmd, exited chan struct{}) {
		for sc := bufio.NewScanner(out); sc.Scan(); {
			if sc.Text() == "ready" {
				ready <- true
			}
		}
		_ = cmd.Wait() // it is killed
		_ = log.Close()
		close(exited)
	}(s.cmd, s.exited)
	select {
	case <-ready:
	case <-s.exited:
		s.t.Fatal("the server ended before it served")
	case <-time.After(patience):
		s.t.Fatal("the server does not serve")
	}
}

// kill ends the server with SIGKILL.
func (s *site) kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.exited
}

// syncctl runs the operator's tool and gives what it prints.
func (s *site) syncctl(args ...string) string {
	s.t.Helper()
	return s.syncctlWith("", args...)
}

func (s *site) syncctlWith(stdin string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(programs, "syncctl"), append([]string{"--data", s.data()}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("syncctl %s: %v: %s", args, err, &errs)
	}
	return string(out)
}

// consumer makes credentials and gives the name of the file that they are in.
func (s *site) consumer(name string, args ...string) string {
	s.t.Helper()
	path := s.path(name + ".creds")
	must(s.t, os.WriteFile(path, []byte(s.syncctl(append([]string{"consumer", "add", name}, args...)...)), 0o600))
	return path
}

func (s *site) connect(creds string, opts ...nats.Option) *nats.Conn {
	s.t.Helper()
	opts = append(opts, nats.UserCredentials(creds), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // refusals are looked at where they are expected
	nc, err := nats.Connect("nats://"+s.nats, opts...)
	must(s.t, err)
	s.t.Cleanup(nc.Close)
	return nc
}

// event is what tests look at of an event.
type event struct {
	Event    string `json:"event"`
	User     string `json:"user"`
	UIDs     string `json:"uidset"`
	Shard    int    `json:"shard"`
	Position uint64 `json:"position"`
	Index    int    `json:"index"`
}

func (e event) id() string { return fmt.Sprintf("%d:%d:%d", e.Shard, e.Position, e.Index) }

// before says whether an event comes before another of the same shard.
func (e event) before(f event) bool {
	return e.Position < f.Position || e.Position == f.Position && e.Index < f.Index
}

func decode(t testing.TB, data []byte) event {
	t.Helper()
	var e event
	must(t, json.Unmarshal(data, &e))
	return e
}

// decodeLines reads events, one a line.
func decodeLines(t testing.TB, text string) []event {
	t.Helper()
	var list []event
	for line := range strings.Lines(text) {
		list = append(list, decode(t, []byte(line)))
	}
	return list
}

func ids(events []event) []string {
	list := make([]string, 0, len(events))
	for _, e := range events {
		list = append(list, e.id())
	}
	return list
}

// history gives what the log says there was.
func (s *site) history(args ...string) []event {
	s.t.Helper()
	return decodeLines(s.t, s.syncctl(append([]string{"events", "--since", "1", "--json"}, args...)...))
}

// stream reads the whole stream of a consumer, as it is now.
func stream(t *testing.T, nc *nats.Conn) []event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	js, err := jetstream.New(nc)
	must(t, err)
	c, err := js.OrderedConsumer(ctx, "MAIL_NOTIFY", jetstream.OrderedConsumerConfig{})
	must(t, err)
	var list []event
	if c.CachedInfo().NumPending == 0 {
		return nil
	}
	messages, err := c.Messages()
	must(t, err)
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		must(t, err)
		e := decode(t, m.Data())
		if id := m.Headers().Get("Nats-Msg-Id"); id != e.id() {
			t.Errorf("the message of event %s has the id %s", e.id(), id)
		}
		list = append(list, e)
		meta, err := m.Metadata()
		must(t, err)
		if meta.NumPending == 0 {
			return list
		}
	}
}

// deliver delivers a message to an account.
func (s *site) deliver(account, subject string) error {
	l, err := s.dialLMTP()
	if err != nil {
		return err
	}
	defer l.Close()
	return send(l, fmt.Sprintf("From: from@example.org\r\nSubject: %s\r\n\r\n%s\r\n", subject, subject), account)
}

func (s *site) dialLMTP() (*smtp.Client, error) {
	c, err := net.DialTimeout("tcp", s.lmtp, patience)
	if err != nil {
		return nil, err
	}
	l := smtp.NewClientLMTP(c)
	if err := l.Hello("notify.test"); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// send delivers a message.
func send(l *smtp.Client, message string, accounts ...string) error {
	if err := l.Mail("from@example.org", nil); err != nil {
		return err
	}
	for _, a := range accounts {
		if err := l.Rcpt(a, nil); err != nil {
			return err
		}
	}
	w, err := l.Data()
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, message)
	return errors.Join(err, w.Close())
}

// await waits until cond holds.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(patience); !cond(); <-ticker.C {
		if time.Now().After(end) {
			t.Fatal("timeout: " + what)
		}
	}
}

// sinkStatus is what tests look at of syncctl notify status.
type sinkStatus struct {
	Name         string `json:"name"`
	State        string `json:"state"`
	Behind       uint64 `json:"behind"`
	DeadLettered uint64 `json:"dead_lettered"`
	Lost         uint64 `json:"lost"`
}

func (s *site) sinks() map[string]sinkStatus {
	s.t.Helper()
	var st struct {
		Sinks []sinkStatus `json:"sinks"`
	}
	must(s.t, json.Unmarshal([]byte(s.syncctl("notify", "status", "--json")), &st))
	m := map[string]sinkStatus{}
	for _, one := range st.Sinks {
		m[one.Name] = one
	}
	return m
}

// settle waits until all sinks have delivered what there is.
func (s *site) settle(names ...string) {
	s.t.Helper()
	await(s.t, "not all is delivered", func() bool {
		sinks := s.sinks()
		for _, n := range names {
			if st, ok := sinks[n]; !ok || st.Behind > 0 || st.State != "following" {
				return false
			}
		}
		return true
	})
	for _, n := range names {
		if st := s.sinks()[n]; st.Lost > 0 || st.DeadLettered > 0 {
			s.t.Errorf("%+v", st)
		}
	}
}

// follow runs a command of syncctl that goes on, and gives what it prints. It is interrupted with the test.
func (s *site) follow(args ...string) <-chan string {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(programs, "syncctl"), append([]string{"--data", s.data()}, args...)...)
	out, err := cmd.StdoutPipe()
	must(s.t, err)
	must(s.t, cmd.Start())
	lines := make(chan string, 10_000)
	go func() {
		defer close(lines)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			lines <- sc.Text()
		}
	}()
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended
		for range lines {
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
			s.t.Errorf("syncctl %s: %v", args, err)
		}
	})
	return lines
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}
