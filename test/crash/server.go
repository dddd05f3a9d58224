package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"angarium/internal/control"
)

const (
	// startTimeout is how long a server may take to serve.
	startTimeout = 60 * time.Second
	// startTries is how often a start is tried that fails for a port that somebody else took meanwhile.
	startTries = 5
)

// build builds the server and the operator's tool.
func build(ctx context.Context, into string) error {
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "go", "build", "-o", into+string(filepath.Separator), "angarium/cmd/angarium", "angarium/syncctl").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the server: %w\n%s", err, out)
	}
	return nil
}

// server is a server process.
type server struct {
	cmd        *exec.Cmd
	data       string
	imap, lmtp string // addresses
	stderr     *os.File
	ready      chan error // gets one value: nil once it serves
	exited     chan struct{}
	exitErr    error // set before exited is closed
}

// launch starts a server process without waiting for it.
func launch(bin, dir string) (*server, error) {
	s := &server{data: filepath.Join(dir, "data"), ready: make(chan error, 1), exited: make(chan struct{})}
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		return nil, err
	}
	var err error
	if s.imap, err = freeAddress(); err == nil {
		s.lmtp, err = freeAddress()
	}
	if err != nil {
		return nil, err
	}
	if s.stderr, err = os.OpenFile(filepath.Join(dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(filepath.Join(bin, "angarium"), "serve", "--data", s.data, "--imap", s.imap, "--lmtp", s.lmtp)
	s.cmd.Stderr = s.stderr
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		_ = s.stderr.Close()
		return nil, fmt.Errorf("start the server: %w", err)
	}
	go s.watch(out)
	return s, nil
}

// watch waits for the word that the server serves, and for its end.
func (s *server) watch(out io.Reader) {
	sc := bufio.NewScanner(out)
	told := false
	for sc.Scan() {
		if sc.Text() == "ready" && !told {
			told = true
			s.ready <- nil
		}
	}
	s.exitErr = s.cmd.Wait()
	_ = s.stderr.Close()
	if !told {
		s.ready <- fmt.Errorf("server ended before it served: %w", errors.Join(errEnded, s.exitErr))
	}
	close(s.exited)
}

var errEnded = errors.New("server ended")

// start starts a server and waits until it serves.
func start(ctx context.Context, bin, dir string) (*server, error) {
	for try := 1; ; try++ {
		s, err := launch(bin, dir)
		if err != nil {
			return nil, err
		}
		timeout := time.NewTimer(startTimeout)
		defer timeout.Stop()
		select {
		case err = <-s.ready:
		case <-timeout.C:
			err = fmt.Errorf("server is not ready after %v", startTimeout)
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err == nil {
			return s, nil
		}
		s.kill()
		if try < startTries && strings.Contains(tail(dir), "address already in use") {
			continue
		}
		return nil, fmt.Errorf("%w\n%s", err, tail(dir))
	}
}

// kill ends the server with SIGKILL.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// stop ends the server with SIGTERM.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-s.exited:
		return s.exitErr
	case <-timeout.C:
		s.kill()
		return fmt.Errorf("server did not end %v after SIGTERM", startTimeout)
	}
}

// alive says whether the process has not ended by itself.
func (s *server) alive() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// tail gives the end of the server's log.
func tail(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "server.log"))
	if err != nil {
		return ""
	}
	if len(b) > 4<<10 {
		b = b[len(b)-4<<10:]
	}
	return "end of the server's log:\n" + string(b)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// call makes a request of the control API and decodes the answer into res, if that is not nil.
func (s *server) call(ctx context.Context, method, path string, req, res any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.data, control.SocketName))
		},
	}}
	hr, err := http.NewRequestWithContext(ctx, method, "http://control"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := client.Do(hr)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s: %s", path, answer.Status, all)
	}
	if res == nil {
		return nil
	}
	return json.Unmarshal(all, res)
}

// status gives the status of the only shard.
func (s *server) status(ctx context.Context) (control.ShardStatus, error) {
	var st control.Status
	if err := s.call(ctx, http.MethodGet, control.PathStatus, nil, &st); err != nil {
		return control.ShardStatus{}, err
	}
	if len(st.Shards) != 1 {
		return control.ShardStatus{}, fmt.Errorf("status tells of %d shards", len(st.Shards))
	}
	return st.Shards[0], nil
}

// verify has the operator's tool verify the store, with or without a server that runs.
func verify(ctx context.Context, bin, data string) error {
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "syncctl"), "--data", data, "verify", "--deep", "--json").CombinedOutput()
	if err != nil {
		return fmt.Errorf("syncctl verify: %w\n%s", err, out)
	}
	return nil
}
