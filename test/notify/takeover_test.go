package notify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// rounds is how many faults a test makes: NOTIFY_ROUNDS, or a few.
func rounds(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv("NOTIFY_ROUNDS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// pair is two nodes of which one follows the other.
type pair struct {
	t      *testing.T
	random *rand.Rand
	nodes  [2]*site
	leader int
	creds  [2]string // of a consumer, on each node
	first  uint64    // position from which on both nodes have the log
}

func newPair(t *testing.T, random *rand.Rand, accounts ...string) *pair {
	t.Helper()
	channel := freeAddress(t)
	east := begin(t, freeAddress(t), "", "--node", "east", "--channel-listen", channel)
	var batch string
	for _, a := range accounts {
		batch += a + " secret\n"
	}
	east.syncctlWith(batch, "account", "add", "--batch", "-")
	token := filepath.Join(t.TempDir(), "west.token")
	must(t, os.WriteFile(token, []byte(east.syncctl("channel", "add", "west", "--address", channel)), 0o600))
	west := begin(t, freeAddress(t), "", "--node", "west", "--join-file", token)
	p := &pair{t: t, random: random, nodes: [2]*site{east, west}}
	for i, s := range p.nodes {
		p.creds[i] = s.consumer("all")
	}
	must(t, east.deliver(accounts[0], "first")) // west's log begins behind what it was given when it joined
	await(t, "west gets nothing", func() bool {
		all := decodeLines(t, east.syncctl("events", "--since", "1", "--event", "MessageNew", "--json"))
		p.first = all[0].Position
		cmd := exec.Command(filepath.Join(programs, "syncctl"), "--data", west.data(), "events", "--since", fmt.Sprint(p.first), "--json")
		out, err := cmd.Output()
		return err == nil && len(out) > 0
	})
	return p
}

// since drops the events before the first position that both nodes have.
func (p *pair) since(list []event) []string {
	return ids(slices.DeleteFunc(slices.Clone(list), func(e event) bool { return e.Position < p.first }))
}

// promote makes the other node lead; it may have to catch up first.
func (p *pair) promote() {
	p.t.Helper()
	other := p.nodes[1-p.leader]
	await(p.t, "no promotion", func() bool {
		out, err := exec.Command(filepath.Join(programs, "syncctl"), "--data", other.data(), "promote", "--yes").CombinedOutput()
		if err != nil {
			p.t.Logf("promote: %s", out)
		}
		return err == nil
	})
	p.leader = 1 - p.leader
}

// load delivers mail to an account through both nodes in turn, whatever becomes of them, until stop is called. stop gives how many messages were taken.
func (p *pair) load(account string) (stop func() int) {
	end, done, taken := make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			default:
			}
			if p.nodes[i%2].deliver(account, fmt.Sprint(i)) == nil {
				taken++
				continue
			}
			time.Sleep(10 * time.Millisecond) // nobody can take it yet
		}
	}()
	return func() int { close(end); <-done; return taken }
}

// follower is a consumer that keeps the ids it had in memory, and goes on behind the last of them, on any node.
type follower struct {
	t *testing.T

	mu   sync.Mutex
	seen []event
}

// follow reads the stream of a node until ctx ends. What it has had is passed over.
func (f *follower) follow(ctx context.Context, s *site, creds string) {
	nc, err := nats.Connect("nats://"+s.nats, nats.UserCredentials(creds), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.RetryOnFailedConnect(true), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // the server is killed
	if err != nil {
		f.t.Error(err)
		return
	}
	defer nc.Close()
	for ctx.Err() == nil {
		if err := f.read(ctx, nc); err != nil && ctx.Err() == nil { // the server is being killed or started
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

func (f *follower) read(ctx context.Context, nc *nats.Conn) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	c, err := js.OrderedConsumer(ctx, "MAIL_NOTIFY", jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	messages, err := c.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		e := decode(f.t, m.Data())
		f.mu.Lock()
		if n := len(f.seen); n == 0 || f.seen[n-1].before(e) {
			f.seen = append(f.seen, e)
		}
		f.mu.Unlock()
	}
}

func (f *follower) had() []event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

// follow has a consumer read a node until stop is called.
func (p *pair) follow(f *follower, node int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.follow(ctx, p.nodes[node], p.creds[node])
	}()
	return func() { cancel(); <-done }
}

func TestATakeoverSkipsAndDoublesNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	p := newPair(t, rand.New(rand.NewPCG(seed, 0)), "ann@example.org", "bob@example.org")
	f := &follower{t: t}
	reads := 0 // the node that the consumer reads
	stopFollowing := p.follow(f, reads)
	defer func() { stopFollowing() }()
	stopAnn, stopBob := p.load("ann@example.org"), p.load("bob@example.org")
	for round := range rounds(t, 4) {
		time.Sleep(time.Duration(100+p.random.IntN(500)) * time.Millisecond) // the load of a round: how long it lasts is its point
		fault := p.random.IntN(4)
		if round == 1 { // in a short run too
			fault = 0
		}
		t.Logf("round %d: fault %d; %s leads", round, fault, []string{"east", "west"}[p.leader])
		switch fault {
		case 0:
			p.promote()
		case 1, 2:
			s := p.nodes[fault-1]
			s.kill()
			s.start()
		}
		stopFollowing()
		if p.random.IntN(2) == 0 {
			reads = 1 - reads
		}
		stopFollowing = p.follow(f, reads)
	}
	taken := stopAnn() + stopBob()
	var want []string
	await(t, "the nodes do not come to the same", func() bool {
		histories := [2][]string{}
		for i, s := range p.nodes {
			histories[i] = ids(decodeLines(t, s.syncctl("events", "--since", fmt.Sprint(p.first), "--json")))
		}
		want = histories[p.leader]
		return slices.Equal(histories[0], histories[1])
	})
	t.Logf("%d messages taken, %d events", taken, len(want))
	if len(want) < taken {
		t.Errorf("%d messages were taken, and there are %d events", taken, len(want))
	}
	for i, s := range p.nodes {
		await(t, "a stream is behind", func() bool { return s.sinks()["jetstream"].Behind == 0 })
		if diff := cmp.Diff(want, p.since(stream(t, s.connect(p.creds[i])))); diff != "" {
			t.Errorf("stream of node %d (-log +stream): %s", i, diff)
		}
	}
	await(t, "the consumer does not get all", func() bool { return len(p.since(f.had())) >= len(want) })
	if diff := cmp.Diff(want, p.since(f.had())); diff != "" {
		t.Errorf("consumer (-log +consumer): %s", diff)
	}
}
