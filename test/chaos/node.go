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

	"angarium/internal/control"
)

const (
	// startTimeout is how long a node may take to serve, and to stop.
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

// node is a node of the site, with its process while one runs. Its addresses stay.
type node struct {
	name       string
	server     []string // the program, with what it is run by
	env        []string // beside that of this process
	bin, data  string
	logFile    string
	imap, lmtp string   // addresses
	args       []string // for its links
	proc       *process // nil while none runs
}

// process is one life of a node.
type process struct {
	cmd     *exec.Cmd
	ready   chan error // gets one value: nil once it serves
	exited  chan struct{}
	exitErr error // set before exited is closed
}

// newNode makes a node, in a namespace of its own where there are hosts.
func newNode(opts options, name string, h *hosts, i int) (*node, error) {
	n := &node{
		name: name, bin: opts.Bin, data: filepath.Join(opts.Dir, name), logFile: filepath.Join(opts.Dir, name+".log"),
		server: []string{filepath.Join(opts.Bin, "angarium")},
	}
	if opts.Stepped != "" {
		n.server, n.env = []string{opts.Stepped}, []string{clockVariable + "=" + n.data + ".clock"}
		if err := errors.Join(os.MkdirAll(opts.Dir, 0o700), n.setClock(0)); err != nil {
			return nil, err
		}
	}
	if h != nil {
		n.server = append([]string{"ip", "netns", "exec", h.ns(i)}, n.server...)
		n.imap, n.lmtp = net.JoinHostPort(h.addr(i), portIMAP), net.JoinHostPort(h.addr(i), portLMTP)
		file, err := opts.hostConfig()
		n.args = []string{"--config", file}
		return n, errors.Join(err, os.MkdirAll(n.data, 0o700))
	}
	for _, addr := range []*string{&n.imap, &n.lmtp} {
		var err error
		if *addr, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	return n, os.MkdirAll(n.data, 0o700)
}

// hostConfig writes the configuration of nodes whose addresses are not of the loopback interface, and gives its name.
func (o options) hostConfig() (string, error) {
	secret, file := filepath.Join(o.Dir, "secret"), filepath.Join(o.Dir, "angarium.toml")
	text := fmt.Sprintf("[imap]\nplaintext_login = \"always\"\nmax_connections_per_ip = 0\n[lmtp]\npeers = [\"198.18.0.0/16\"]\n[cluster]\nsecret_file = %q\n", secret)
	return file, errors.Join(os.MkdirAll(o.Dir, 0o700), os.WriteFile(secret, []byte("chaos-secret\n"), 0o600), os.WriteFile(file, []byte(text), 0o600))
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// start starts the node and waits until it serves.
func (n *node) start(ctx context.Context) error {
	for try := 1; ; try++ {
		p, err := n.launch()
		if err != nil {
			return err
		}
		timeout := time.NewTimer(startTimeout)
		defer timeout.Stop()
		select {
		case err = <-p.ready:
		case <-timeout.C:
			err = fmt.Errorf("not ready after %v", startTimeout)
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err == nil {
			n.proc = p
			return nil
		}
		p.kill()
		if try < startTries && strings.Contains(n.tail(), "address already in use") {
			continue
		}
		return fmt.Errorf("start node %s: %w\n%s", n.name, err, n.tail())
	}
}

// launch starts a process without waiting for it.
func (n *node) launch() (*process, error) {
	stderr, err := os.OpenFile(n.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	args := append(n.server[1:len(n.server):len(n.server)], "serve", "--data", n.data, "--node", n.name, "--imap", n.imap, "--lmtp", n.lmtp)
	p := &process{cmd: exec.Command(n.server[0], append(args, n.args...)...), ready: make(chan error, 1), exited: make(chan struct{})}
	p.cmd.Stderr, p.cmd.Env = stderr, append(os.Environ(), n.env...)
	p.cmd.SysProcAttr = dieWithParent()
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err := errors.Join(err, stderr.Close()); err != nil {
		return nil, fmt.Errorf("start node %s: %w", n.name, err)
	}
	go p.watch(out)
	return p, nil
}

// watch waits for the word that the node serves, and for its end.
func (p *process) watch(out io.Reader) {
	told := false
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if sc.Text() == "ready" && !told {
			told = true
			p.ready <- nil
		}
	}
	p.exitErr = p.cmd.Wait()
	if !told {
		p.ready <- fmt.Errorf("ended before it served: %w", errors.Join(errEnded, p.exitErr))
	}
	close(p.exited)
}

var errEnded = errors.New("process ended")

// kill ends the process with SIGKILL, also one that is stopped.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it has ended already
	<-p.exited
}

// kill ends the node's process, if one runs.
func (n *node) kill() {
	if n.proc != nil {
		n.proc.kill()
		n.proc = nil
	}
}

// stop ends the node's process with SIGTERM.
func (n *node) stop() error {
	p := n.proc
	n.proc = nil
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-p.exited:
		return p.exitErr
	case <-timeout.C:
		p.kill()
		return fmt.Errorf("node %s did not end %v after SIGTERM", n.name, startTimeout)
	}
}

// signal stops (SIGSTOP) or continues (SIGCONT) the node's process.
func (n *node) signal(s syscall.Signal) error { return n.proc.cmd.Process.Signal(s) }

// alive says whether the process that was started has not ended by itself.
func (n *node) alive() error {
	if n.proc == nil {
		return nil
	}
	select {
	case <-n.proc.exited:
		return fmt.Errorf("node %s ended by itself: %w\n%s", n.name, errors.Join(errEnded, n.proc.exitErr), n.tail())
	default:
		return nil
	}
}

// syncctl runs the operator's tool on the node and gives its standard output.
func (n *node) syncctl(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(n.bin, "syncctl"), append([]string{"--data", n.data}, args...)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("on %s: syncctl %s: %w\n%s%s", n.name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// control connects to the node's control API.
func (n *node) control(ctx context.Context) (*control.Client, error) {
	return control.Dial(ctx, n.data)
}

// status asks the node how it does.
func (n *node) status(ctx context.Context) (control.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	c, err := n.control(ctx)
	if err != nil {
		return control.Status{}, err
	}
	return c.Status(ctx)
}

// statusTimeout is how long a node may take to say how it does. One that opens its directory again says nothing for a while.
const statusTimeout = 10 * time.Second

// maxTail is how much of a node's log is shown after a failure, in bytes.
const maxTail = 6 << 10

// tail gives the end of the node's log.
func (n *node) tail() string {
	b, err := os.ReadFile(n.logFile)
	if err != nil {
		return ""
	}
	return "end of the log of " + n.name + ":\n" + string(b[max(len(b)-maxTail, 0):])
}
