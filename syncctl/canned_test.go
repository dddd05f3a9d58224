package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"angarium/eventlog"
	"angarium/internal/control"
	"angarium/internal/node"
	"angarium/replica"
)

// patience bounds what a test waits for.
const patience = 30 * time.Second

// askedKey is the key of a script's value: the channel of cannedServer.asked.
type askedKey struct{}

// canned is a table of answers by "METHOD /path", or "METHOD /path?query".
type canned map[string]cannedAnswer

type cannedAnswer struct {
	Status int               `json:"status"` // 0: 200
	Body   json.RawMessage   `json:"body"`
	Lines  []json.RawMessage `json:"lines"` // instead of Body
	Cut    bool              `json:"cut"`   // break the connection after Lines
	Hang   bool              `json:"hang"`  // wait for the client to go after Lines
	// Accounts answers AddAccounts: what is wrong with an account by its name.
	Accounts map[string]*control.Error `json:"accounts"`
}

func loadCanned(files ...string) (canned, error) {
	all := canned{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var one canned
		if err := json.Unmarshal(data, &one); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		maps.Copy(all, one)
	}
	return all, nil
}

// cannedServer gives canned answers and writes down what was asked.
type cannedServer struct {
	answers canned
	record  string        // a file
	asked   chan struct{} // gets one for each request while there is room

	mu sync.Mutex
}

// ServeHTTP implements http.Handler.
func (s *cannedServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = s.note(r, body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	select {
	case s.asked <- struct{}{}:
	default:
	}
	a, ok := s.answers[r.Method+" "+r.URL.RequestURI()]
	if !ok {
		a, ok = s.answers[r.Method+" "+r.URL.EscapedPath()]
	}
	if !ok {
		http.Error(w, "no canned answer for "+r.Method+" "+r.URL.RequestURI(), http.StatusNotImplemented)
		return
	}
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	lines := json.NewEncoder(w)
	for _, line := range a.Lines {
		_ = lines.Encode(line) // compact; the client has gone if this fails
	}
	if a.Accounts != nil {
		a.addAccounts(lines, body)
	}
	fmt.Fprintf(w, "%s", a.Body)
	w.(http.Flusher).Flush()
	if a.Hang {
		<-r.Context().Done()
	}
	if a.Cut {
		panic(http.ErrAbortHandler)
	}
}

func (a *cannedAnswer) addAccounts(lines *json.Encoder, body []byte) {
	var req control.AddAccounts
	_ = json.Unmarshal(body, &req) // a bad one adds nothing
	for _, n := range req.Accounts {
		e := a.Accounts[n.Name]
		_ = lines.Encode(map[string]control.AccountResult{"item": {Name: n.Name, OK: e == nil, Error: e}})
	}
	_ = lines.Encode(map[string]struct{}{"done": {}})
}

func (s *cannedServer) note(r *http.Request, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := os.OpenFile(s.record, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	line := r.Method + " " + r.URL.RequestURI()
	if len(body) > 0 {
		line += " " + string(body)
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

// openCanned stands for node.OfflineHandler.
func openCanned(_ context.Context, dataDir, configFile string, write bool, logger *slog.Logger) (http.Handler, io.Closer, error) {
	what := os.Getenv("OFFLINE")
	switch what {
	case "":
		return nil, nil, fmt.Errorf("%w: %s is empty", node.ErrNotInitialised, "DIR")
	case "in use":
		return nil, nil, fmt.Errorf("%w: %s", node.ErrInUse, "DIR")
	case "halted":
		return nil, nil, fmt.Errorf("lead shard 0: %w: gap at 7", replica.ErrHalted)
	case "refused":
		return nil, nil, fmt.Errorf("open shard 0: %w", &eventlog.Refusal{Err: errors.New("log is behind"), Detail: "at 3 of 7", Hint: "restore the log"})
	case "denied":
		return nil, nil, fmt.Errorf("lock data directory: %w", os.ErrPermission)
	case "damaged":
		return nil, nil, errors.New("open data directory: layout.json is damaged")
	}
	answers, err := loadCanned(os.Getenv("CANNED"), what)
	if err != nil {
		return nil, nil, err
	}
	logger.Info("opened")
	logger.Warn("opened by the tool", "data", filepath.Base(dataDir) != "", "config", filepath.Base(configFile), "write", write)
	return &cannedServer{answers: answers, record: os.Getenv("REQUESTS"), asked: make(chan struct{})}, cannedCloser{}, nil
}

type cannedCloser struct{}

// Close implements io.Closer.
func (cannedCloser) Close() error {
	if os.Getenv("CLOSE_FAILS") != "" {
		return errors.New("disk gone")
	}
	return nil
}

func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: serve [FILE]")
	}
	files := []string{ts.Getenv("CANNED")}
	for _, a := range args {
		files = append(files, ts.MkAbs(a))
	}
	answers, err := loadCanned(files...)
	ts.Check(err)
	h := &cannedServer{answers: answers, record: ts.Getenv("REQUESTS"), asked: ts.Value(askedKey{}).(chan struct{})}
	l, err := net.Listen("unix", filepath.Join(ts.Getenv("ANGARIUM_DATA"), control.SocketName))
	ts.Check(err)
	s := httptest.NewUnstartedServer(h)
	ts.Check(s.Listener.Close())
	s.Listener = l
	s.Start()
	ts.Defer(s.Close)
}

// scriptInterrupt runs a command, interrupts it, and expects exit code 130.
func scriptInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[0] != "asked" && args[0] != "printed" {
		ts.Fatalf("usage: interrupt asked|printed COMMAND")
	}
	program, err := exec.LookPath(args[1]) // the scripts' commands are on the PATH of the test, too
	ts.Check(err)
	out := &watched{Writer: ts.Stdout(), printed: make(chan struct{}, 1)}
	begun := map[string]chan struct{}{"asked": ts.Value(askedKey{}).(chan struct{}), "printed": out.printed}[args[0]]
	for len(begun) > 0 { // of commands before
		<-begun
	}
	cmd := exec.Command(program, args[2:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), out, ts.Stderr()
	cmd.Env = append(os.Environ(), "ANGARIUM_DATA="+ts.Getenv("ANGARIUM_DATA"))
	ts.Check(cmd.Start())
	select {
	case <-begun:
		err = cmd.Process.Signal(os.Interrupt)
	case <-time.After(patience):
		err = errors.Join(errors.New("nothing came"), cmd.Process.Kill())
	}
	_ = cmd.Wait() // its exit code tells
	ts.Check(err)
	if got := cmd.ProcessState.ExitCode(); got != exitInterrupted {
		ts.Fatalf("exit code %d, want %d", got, exitInterrupted)
	}
}

// watched is a writer that tells when something was written.
type watched struct {
	io.Writer
	printed chan struct{}
}

// Write implements io.Writer.
func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	select {
	case w.printed <- struct{}{}:
	default:
	}
	return n, err
}

func scriptStale(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: stale")
	}
	l, err := net.Listen("unix", filepath.Join(ts.Getenv("ANGARIUM_DATA"), control.SocketName))
	ts.Check(err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	ts.Check(l.Close())
}

func scriptCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
