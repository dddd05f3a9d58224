package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"angarium/internal/control"
)

const (
	nodes = 3
	// patience bounds every wait: an election takes up to 9 seconds, and the machine may be busy.
	patience = 90 * time.Second
)

// node is one process of the cluster.
type node struct {
	t                   *testing.T
	bin, data, name     string
	route, lmtp, routes string   // without a route it is a node of its own
	flags               []string // further ones
	cmd                 *exec.Cmd
}

func TestNoAcknowledgedMessageIsLostWhenNodesDie(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and kills servers")
	}
	c := start(t, programs(t), func(*node) {})
	c[0].syncctl("account", "add", "--batch", batch(t))
	l := &ledger{acked: map[string]bool{}}
	l.deliver(t, c[0].lmtp, "before")

	leader := c.leader(c[0])
	other := c[(leader+1)%nodes]
	t.Logf("node %d leads and is killed", leader)
	c[leader].stop(syscall.SIGKILL)
	begin := time.Now()
	l.deliver(t, other.lmtp, "after the kill")
	t.Logf("writes again after %v", time.Since(begin).Round(100*time.Millisecond))
	c[leader].start()

	for i, n := range c { // one after the other, as for an upgrade; mail goes to a node that is up
		up := c[(i+1)%nodes].lmtp
		var wg sync.WaitGroup
		stop := make(chan struct{})
		wg.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
					l.deliver(t, up, fmt.Sprintf("restart %d, %d", i, k))
				}
			}
		})
		n.stop(syscall.SIGTERM)
		n.start()
		close(stop)
		wg.Wait()
	}
	c.agree(len(l.acked))
}

// ledger has the messages that were acknowledged.
type ledger struct {
	mu    sync.Mutex
	acked map[string]bool
}

// deliver delivers a message and tries again until it is acknowledged, as a transfer agent does; each try is a message of its own.
func (l *ledger) deliver(t *testing.T, addr, what string) {
	deadline := time.Now().Add(patience)
	for try := 0; ; try++ {
		subject := fmt.Sprintf("%s, try %d", what, try)
		err := send(addr, subject)
		if err == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.acked[subject] = true
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("deliver %q: %v", what, err)
			return
		}
		t.Logf("deliver %q: %v", what, err)
		time.Sleep(100 * time.Millisecond) // the pause of a transfer agent
	}
}

func send(addr, subject string) error {
	nc, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return err
	}
	c := smtp.NewClientLMTP(nc)
	defer c.Close()
	c.SubmissionTimeout = patience
	if err := c.Mail("me@example.org", nil); err != nil {
		return err
	}
	if err := c.Rcpt("ann", nil); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "Subject: %s\r\n\r\ntext\r\n", subject); err != nil {
		return err
	}
	return w.Close()
}

type site []*node

// programsDir is where build puts the programs; it goes away with the tests.
var programsDir string

var build = sync.OnceValue(func() error {
	out, err := exec.Command("go", "build", "-o", programsDir+"/", "angarium/cmd/angarium", "angarium/syncctl").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
})

func TestMain(m *testing.M) {
	var err error
	if programsDir, err = os.MkdirTemp("", "angarium-cluster"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(programsDir) // it is in a directory for temporary files
	os.Exit(status)
}

// programs gives where the programs are, which it builds the first time.
func programs(t *testing.T) (dir string) {
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return programsDir
}

// start starts all nodes of a cluster, each as prepare has left it.
func start(t *testing.T, bin string, prepare func(*node)) site {
	var c site
	for i := range nodes {
		c = append(c, &node{t: t, bin: bin, data: filepath.Join(t.TempDir(), "data"), name: fmt.Sprintf("n%d", i), route: free(t), lmtp: free(t)})
	}
	for _, n := range c {
		var routes []string
		for _, other := range c {
			if other != n {
				routes = append(routes, other.route)
			}
		}
		n.routes = strings.Join(routes, ",")
		prepare(n)
	}
	c.start()
	return c
}

// start starts the nodes, of which none is ready before most are there.
func (c site) start() {
	var wg sync.WaitGroup
	for _, n := range c {
		wg.Go(n.start)
	}
	wg.Wait()
	if c[0].t.Failed() {
		c[0].t.FailNow()
	}
}

func free(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts the node and waits until it serves.
func (n *node) start() {
	args := append([]string{"serve", "--data", n.data, "--node", n.name, "--lmtp", n.lmtp}, n.flags...)
	if n.route != "" {
		args = append(args, "--cluster-listen", n.route, "--routes", n.routes, "--replicas", fmt.Sprint(nodes))
	}
	n.cmd = exec.Command(filepath.Join(n.bin, "angarium"), args...)
	log, err := os.OpenFile(n.data+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.t.Error(err)
		return
	}
	defer log.Close()
	n.cmd.Stderr = log
	out, err := n.cmd.StdoutPipe()
	if err == nil {
		err = n.cmd.Start()
	}
	if err != nil {
		n.t.Error(err)
		return
	}
	cmd := n.cmd
	n.t.Cleanup(func() { _ = cmd.Process.Kill() })
	ready := make(chan struct{})
	go func() {
		if line, err := bufio.NewReader(out).ReadString('\n'); err == nil && line == "ready\n" {
			close(ready)
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case <-ready:
	case <-time.After(patience):
		text, _ := os.ReadFile(n.data + ".log")
		n.t.Errorf("%s is not ready:\n%.3000s", n.name, text)
	}
}

func (n *node) stop(sig syscall.Signal) {
	if err := n.cmd.Process.Signal(sig); err != nil {
		n.t.Error(err)
	}
	_ = n.cmd.Wait() // it was killed
}

// syncctl runs a command until it succeeds, and gives what it prints.
func (n *node) syncctl(args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		var said strings.Builder
		cmd := exec.CommandContext(ctx, filepath.Join(n.bin, "syncctl"), append([]string{"--data", n.data}, args...)...)
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err == nil {
			return string(out)
		}
		if ctx.Err() != nil {
			n.t.Fatalf("syncctl %v: %v\n%s%s", args, err, out, said.String())
		}
		time.Sleep(200 * time.Millisecond) // the cluster has no primary yet
	}
}

func (n *node) status() (control.Status, error) {
	var st control.Status
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(n.bin, "syncctl"), "--data", n.data, "status", "--json").Output()
	if err == nil {
		err = json.Unmarshal(out, &st)
	}
	return st, err
}

// leader is the number of the node that leads, as one of them says.
func (c site) leader(asked *node) int {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		st, err := asked.status()
		for i, n := range c {
			if err == nil && n.name == st.Primary {
				return i
			}
		}
		time.Sleep(100 * time.Millisecond) // nobody leads yet
	}
	asked.t.Fatal("no node leads")
	return 0
}

// agree waits until all nodes have the same state, with as many messages as were acknowledged or a few more: one whose outcome was not
// known may be there, too.
func (c site) agree(acked int) {
	t := c[0].t
	deadline := time.Now().Add(patience)
	for {
		digests, messages := map[string]bool{}, uint64(0)
		for _, n := range c {
			if st, err := n.status(); err == nil && len(st.Shards) == 1 {
				digests[st.Shards[0].Digest] = true
				messages = st.Shards[0].Messages
			} else {
				digests[n.name] = true
			}
		}
		if len(digests) == 1 && int(messages) >= acked {
			t.Logf("%d messages acknowledged, %d there, on all nodes", acked, messages)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages were acknowledged, %d are there; digests %v", acked, messages, digests)
		}
		time.Sleep(200 * time.Millisecond) // a node catches up
	}
}

func batch(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "accounts")
	if err := os.WriteFile(path, []byte("ann secret-password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
