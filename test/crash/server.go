package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
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
	if _, err := os.Stat(configPath(dir)); err == nil {
		s.cmd.Args = append(s.cmd.Args, "--config", configPath(dir))
	}
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

func configPath(dir string) string { return filepath.Join(dir, "angarium.toml") }

// configure writes the configuration of a store of several shards.
func configure(dir string, shards int) error {
	text := fmt.Sprintf("[server]\nshards = %d\n[http]\nlisten = []\n", shards)
	return os.WriteFile(configPath(dir), []byte(text), 0o600)
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
