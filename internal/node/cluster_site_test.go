package node

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"angarium/channel"
	"angarium/internal/config"
)

func TestClusterLeadsOnlyWhenNoFarNodeCanHaveTakenItsPlace(t *testing.T) {
	tests := []struct {
		name  string
		far   farState
		known bool
		met   bool
		role  role
		boot  string
		want  bool
	}{
		{"nothing is known yet", farState{}, false, true, role{}, "cautious", false},
		{"nobody follows", farState{}, true, false, role{}, "cautious", true},
		{"followed, nobody met", farState{Followed: true}, true, false, role{}, "cautious", false},
		{"followed as this node's own file says", farState{}, true, false, role{Followed: true}, "cautious", false},
		{"followed and met", farState{Followed: true}, true, true, role{}, "cautious", true},
		{"followed, bold", farState{Followed: true}, true, false, role{}, "bold", true},
		{"superseded", farState{Followed: true, Superseded: "far"}, true, true, role{}, "bold", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := &Node{}
			n.opts.Config.Channel.Boot = tt.boot
			n.site = &site{node: n, role: tt.role}
			c := &cluster{node: n, far: tt.far, farKnown: tt.known}
			c.met.Store(tt.met)
			if got := c.mayLead(); got != tt.want {
				t.Errorf("may lead: %v", got)
			}
		})
	}
}

// entry is a lease as it is found.
type entry struct {
	jetstream.KeyValueEntry
	revision uint64
	node     string
}

func (e entry) Revision() uint64 { return e.revision }

func (e entry) Value() []byte {
	b, _ := json.Marshal(lease{Node: e.node}) // a struct of strings
	return b
}

func TestLeaseThatAnotherNodeRenewsTellsThatTheClusterLives(t *testing.T) {
	c := &cluster{node: &Node{name: "a"}, leases: make([]lease, 1)}
	revision := uint64(7)
	see := func(node string, times int) {
		for range times {
			revision++
			c.note(0, entry{revision: revision, node: node})
		}
	}
	see("a", 9) // its own, from before
	see("b", 1)
	for range 9 {
		c.note(0, entry{revision: revision, node: "b"}) // stands still
	}
	see("", 1)
	see("b", leaseMoves)
	if c.met.Load() {
		t.Fatal("a lease that was hardly renewed is taken for a sign of life")
	}
	see("b", 1)
	if !c.met.Load() {
		t.Error("a lease that is renewed is not taken for a sign of life")
	}
}

func TestJoinFileHoldsTokensOfSeveralNodes(t *testing.T) {
	var text []string
	for _, node := range []string{"a", "b", "c"} {
		token := channel.Token{Address: "127.0.0.1:1", Node: node, Peer: "far"}
		text = append(text, token.String())
	}
	other := channel.Token{Address: "127.0.0.1:1", Node: "d", Peer: "elsewhere"}
	file := filepath.Join(t.TempDir(), "tokens")
	n := &Node{name: "far", log: slog.New(slog.DiscardHandler), opts: Options{Config: config.Config{Channel: config.Channel{JoinFile: file}}}}
	for _, tt := range []struct {
		text string
		want int // -1: refused
	}{
		{text[0], 1},
		{strings.Join(text, "\n") + "\n\n", 3},
		{"", -1},
		{text[0] + "\n" + text[1][:20], -1},
		{text[0] + "\n" + other.String(), -1},
	} {
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		tokens, err := n.joinTokens()
		if got := len(tokens); (err != nil) != (tt.want < 0) || err == nil && got != tt.want {
			t.Errorf("%.60q: %d tokens, %v", tt.text, got, err)
		}
	}
}

func TestFreezeOfAnotherNodeEndsByItself(t *testing.T) {
	var open thaws
	ended := make(chan struct{})
	id := open.keep(func() { close(ended) })
	open.thaw(id)
	open.thaw(id) // once is enough
	<-ended
	for range maxThaws {
		open.keep(func() {})
	}
	full := make(chan struct{})
	open.keep(func() { close(full) })
	select {
	case <-full:
	case <-time.After(time.Minute):
		t.Error("there is no bound")
	}
}
