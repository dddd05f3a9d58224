package node

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"angarium/internal/config"
	"angarium/internal/control"
	"angarium/replica"
)

// pairDeadline bounds what the tests of two nodes wait for.
const pairDeadline = 60 * time.Second

// member is a node of a site in this process, which opens its directory again when it asks to be restarted.
type member struct {
	t       *testing.T
	cfg     config.Config
	dir     string
	node    *Node
	listen  net.Listener
	restart chan struct{}
	starts  int
}

func newMember(t *testing.T, name string, change func(*config.Config)) *member {
	m := &member{t: t, dir: filepath.Join(t.TempDir(), name), cfg: config.Default(), restart: make(chan struct{}, 1)}
	m.cfg.Server.Node, m.cfg.Server.Shards, m.cfg.Log.MinFree = name, 1, 0
	m.cfg.Scrub.Rate = 0
	if change != nil {
		change(&m.cfg)
	}
	t.Cleanup(m.stop)
	return m
}

// open opens the node and serves its links.
func (m *member) open() error {
	n, err := Open(m.t.Context(), Options{Data: m.dir, Config: m.cfg, Create: true, Serve: true, Logger: discard})
	if err != nil {
		return err
	}
	m.node = n
	m.starts++
	n.Restart = func() {
		select {
		case m.restart <- struct{}{}:
		default:
		}
	}
	if len(m.cfg.Channel.Listen) > 0 {
		if m.listen, err = net.Listen("tcp", m.cfg.Channel.Listen[0]); err != nil {
			return err
		}
		m.cfg.Channel.Listen = []string{m.listen.Addr().String()} // the same after a restart
		n.ChannelAddr = func() string { return m.cfg.Channel.Listen[0] }
		go func(l net.Listener) { _ = n.ServeChannels(l) }(m.listen) // ends with the node
	}
	return n.Lead(m.t.Context())
}

func (m *member) start() {
	m.t.Helper()
	if err := m.open(); err != nil {
		m.t.Fatal(err)
	}
}

func (m *member) stop() {
	if m.node == nil {
		return
	}
	if err := m.node.Close(context.Background()); err != nil {
		m.t.Error(err)
	}
	if m.listen != nil {
		_ = m.listen.Close() // the node may have closed it
	}
	m.node = nil
}

func (m *member) client() *control.Client { return control.NewClient(m.node.Handler()) }

func (m *member) status() control.Status {
	m.t.Helper()
	st, err := m.node.Status(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	return st
}

// pair is two nodes of which west follows east.
type pair struct {
	t          *testing.T
	east, west *member
}

func newPair(t *testing.T, change func(*config.Config)) *pair {
	t.Helper()
	p := &pair{t: t, east: newMember(t, "east", change), west: newMember(t, "west", change)}
	p.east.cfg.Channel.Listen = []string{"127.0.0.1:0"}
	p.west.cfg.Channel.JoinFile = filepath.Join(t.TempDir(), "token")
	p.east.start()
	if _, err := p.east.node.AddAccount(t.Context(), "ann", "secret-password"); err != nil {
		t.Fatal(err)
	}
	return p
}

// join lets west join and waits until it follows.
func (p *pair) join() {
	p.t.Helper()
	token, err := p.east.client().AddChannel(p.t.Context(), control.NewChannel{Name: "west"})
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(p.west.cfg.Channel.JoinFile, []byte(token.Token), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.west.start()
	p.even()
}

// until waits for something, and restarts the nodes that ask for it meanwhile.
func (p *pair) until(what string, done func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(pairDeadline)
	for {
		for _, m := range []*member{p.east, p.west} {
			select {
			case <-m.restart: // nil of one that is not there
				m.stop()
				m.start()
			default:
			}
		}
		if done() {
			return
		}
		if time.Now().After(deadline) {
			for _, m := range []*member{p.east, p.west} {
				if m.node != nil {
					st := m.status()
					p.t.Logf("%s: %+v %v", m.cfg.Server.Node, st.Shards, st.Alarms)
				}
			}
			p.t.Fatalf("waited in vain for: %s", what)
		}
		time.Sleep(5 * time.Millisecond) // between looks
	}
}

// even waits until west has all that east has, and follows it.
func (p *pair) even() {
	p.t.Helper()
	p.until("west to have what east has", func() bool {
		e, w := p.east.status(), p.west.status()
		for i := range e.Shards {
			if e.Shards[i].Applied != w.Shards[i].Applied || e.Shards[i].HeadHash != w.Shards[i].HeadHash ||
				e.Shards[i].Digest != w.Shards[i].Digest || w.Shards[i].State != replica.Following || e.Shards[i].State != "serving" {
				return false
			}
		}
		return true
	})
}

// blocks are the files of a member's log.
func (m *member) blocks() []string {
	m.t.Helper()
	found, err := filepath.Glob(filepath.Join(m.dir, "log", "jetstream", "$G", "streams", "LOG_*", "msgs", "*.blk"))
	if err != nil || len(found) == 0 {
		m.t.Fatalf("no blocks: %v", err)
	}
	return found
}
