package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"angarium/mailstore"
)

const (
	// simTime is how long the seeds of TestSimulatedSites may take altogether, times ANGARIUM_SIM; and simSeeds how many there are at most, times its square.
	simTime  = 15 * time.Second
	simSeeds = 24
	// simHeal is how long a site may take, by its own clock, to be one again when all faults are mended.
	simHeal = 3 * time.Minute
)

// simKnown are seeds that found something.
var simKnown = []uint64{
	31, // a fetch that the link broke was never tried again
	7,  // the end of a chain was promoted by force, and the primary at its other end never learned of it
}

// TestSimulatedSites runs sites of real nodes, whose clock, network and logs are simulated, through crashes, cuts, promotions and returns. A seed
// decides on all of it but the order of goroutines within one instant: most failures come again with
//
//	ANGARIUM_SIM_SEED=n go test -count=1 -v -run TestSimulatedSites ./internal/node/
//
// which also shows what happened.
func TestSimulatedSites(t *testing.T) {
	if text := os.Getenv("ANGARIUM_SIM_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		simulate(t, seed, true)
		return
	}
	factor := 1
	if n, err := strconv.Atoi(os.Getenv("ANGARIUM_SIM")); err == nil {
		factor = n
	}
	for _, seed := range simKnown {
		simulate(t, seed, false)
	}
	var mu sync.Mutex
	next, done, end := uint64(0), 0, time.Now().Add(time.Duration(factor)*simTime)
	take := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next >= uint64(factor*factor*simSeeds) || time.Now().After(end) || t.Failed() {
			return 0, false
		}
		next++
		return next, true
	}
	t.Run("seeds", func(t *testing.T) {
		for range 2 {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				for seed, ok := take(); ok; seed, ok = take() {
					simulate(t, seed, false)
					mu.Lock()
					done++
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("%d seeds", done)
	if done == 0 {
		t.Error("no seed was simulated")
	}
}

func simulate(t *testing.T, seed uint64, verbose bool) {
	root, err := os.MkdirTemp(simDir(), "angarium-sim-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	synctest.Test(t, func(t *testing.T) {
		s := newSimSite(seed, root, verbose)
		s.run()
		if err := s.err(); err != nil {
			t.Errorf("seed %d: %v\n%s\nreplay: ANGARIUM_SIM_SEED=%d go test -count=1 -v -run TestSimulatedSites ./internal/node/", seed, err, s.story(), seed)
		} else if verbose {
			t.Log(s.story())
		}
	})
}

// simDir is a file system in memory, where there is one: nothing of a simulation is about the disk.
func simDir() string {
	if _, err := os.Stat("/dev/shm"); err == nil {
		return "/dev/shm"
	}
	return ""
}

// simSite is a simulated site.
type simSite struct {
	root      string
	rnd       *rand.Rand // of the story
	net       *simNet
	nodes     []*simNode
	shards    int
	ackPolicy string
	acks      bool // writes wait for a replica
	chain     bool // the third node joins the second
	accounts  []string
	ledger    *simLedger
	verbose   bool
	began     time.Time

	mu     sync.Mutex
	lines  []string
	errs   []error
	forked bool // a promotion was forced, and the nodes have not been one again since
}

func newSimSite(seed uint64, root string, verbose bool) *simSite {
	rnd := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
	s := &simSite{root: root, rnd: rnd(0), net: newSimNet(rnd(1)), shards: 1, ackPolicy: "refuse", verbose: verbose, began: time.Now()}
	s.acks = s.rnd.IntN(3) == 0
	if s.rnd.IntN(4) == 0 {
		s.shards = 2
	}
	if s.rnd.IntN(3) == 0 {
		s.ackPolicy = "degrade"
	}
	names := []string{"a", "b"}
	if s.rnd.IntN(3) == 0 {
		names = append(names, "c")
		s.chain = s.rnd.IntN(2) == 0
	}
	for i, name := range names {
		s.nodes = append(s.nodes, &simNode{site: s, name: name, dir: filepath.Join(root, name), logs: newSimLogs(rnd(uint64(10 + i)))})
	}
	s.accounts = []string{"ann", "bob"}
	s.ledger = newSimLedger(s)
	s.tracef("seed %d: nodes %v, %d shards, acks %v (%s), chain %v", seed, names, s.shards, s.acks, s.ackPolicy, s.chain)
	return s
}

func (s *simSite) path(name string) string { return filepath.Join(s.root, name) }

func (s *simSite) tracef(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf("%9.4f ", time.Since(s.began).Seconds())+fmt.Sprintf(format, args...))
}

func (s *simSite) failf(format string, args ...any) {
	s.tracef("FAILED: "+format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, fmt.Errorf(format, args...))
}

func (s *simSite) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.errs...)
}

func (s *simSite) story() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// simWriter makes lines of a log lines of the story.
type simWriter struct {
	site *simSite
	who  string
}

func (w simWriter) Write(b []byte) (int, error) {
	w.site.tracef("%s: %s", w.who, strings.TrimSpace(string(b)))
	return len(b), nil
}

func (s *simSite) logHandler(name string, life int) slog.Handler {
	var out io.Writer = simWriter{s, fmt.Sprintf("%s/%d", name, life)}
	return slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
}

// run is the story of a site.
func (s *simSite) run() {
	if err := s.begin(); err != nil {
		s.failf("begin: %v", err)
	} else {
		ctx, cancel := context.WithCancel(context.Background())
		var clients sync.WaitGroup
		for i := range 3 {
			clients.Go(func() { s.client(ctx, i, rand.New(rand.NewPCG(s.rnd.Uint64(), uint64(i)))) })
		}
		for range 2 + s.rnd.IntN(4) {
			s.sleep(3 * time.Second)
			s.act()
		}
		s.sleep(3 * time.Second)
		s.heal()
		s.sleep(2 * time.Second)
		cancel()
		clients.Wait()
		s.settle()
	}
	for _, n := range s.nodes {
		n.stop()
	}
	for _, n := range s.nodes {
		n.wg.Wait()
	}
}

func (s *simSite) sleep(most time.Duration) { time.Sleep(time.Duration(s.rnd.Int64N(int64(most)))) }

var simAdmin = mailstore.Identity{Service: "sim", Admin: true}

// begin starts the nodes, one joining another, and makes the accounts.
func (s *simSite) begin() error {
	for i, n := range s.nodes {
		if i > 0 {
			host := s.nodes[0]
			if s.chain && i == 2 {
				host = s.nodes[1]
			}
			if err := s.admit(host, n, n.name+".join"); err != nil {
				return err
			}
			n.join = n.name + ".join"
		}
		if err := n.start(); err != nil {
			return err
		}
		if i == 0 {
			for _, a := range s.accounts {
				if err := n.life.store().CreateAccount(context.Background(), simAdmin, a, simCredential()); err != nil {
					return err
				}
			}
		}
	}
	if len(s.nodes) == 3 && !s.chain { // the replicas are linked, too: one of them may lead the other
		hub := s.nodes[1].life.node.site.hub
		token, err := hub.Admit("c", "b:1")
		if err != nil {
			return err
		}
		if _, err := s.nodes[2].life.node.site.hub.Join(token); err != nil {
			return err
		}
	}
	for _, n := range s.nodes {
		if err := s.setAck(n); err != nil {
			return err
		}
	}
	return nil
}

func (s *simSite) admit(host, joiner *simNode, file string) error {
	token, err := host.life.node.site.hub.Admit(joiner.name, host.name+":1")
	if err != nil {
		return err
	}
	return os.WriteFile(s.path(file), []byte(token.String()), 0o600)
}

func (s *simSite) setAck(n *simNode) error {
	if !s.acks {
		return nil
	}
	for _, r := range n.life.node.site.hub.Records() {
		if err := n.life.node.site.hub.SetAck(r.Peer, ackReplica); err != nil {
			return err
		}
	}
	return nil
}

// leader is the node that leads in the highest epoch, as nobody inside could know; nil when none does.
func (s *simSite) leader() *simNode {
	var best *simNode
	var top uint64
	for _, n := range s.nodes {
		if l := n.current(); l != nil && l.node.leads() && l.node.epoch() > top {
			best, top = n, l.node.epoch()
		}
	}
	return best
}
