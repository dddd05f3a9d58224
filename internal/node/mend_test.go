package node

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"angarium/eventlog"
	"angarium/replica"
)

// mailOf is a message that differs from others.
func mailOf(i int) string {
	return fmt.Sprintf("Subject: mail %d\r\n\r\n%s\r\n", i, strings.Repeat(fmt.Sprintf("line %d of it. ", i*7919), 40))
}

// filled is a pair with mail from before west joined and from after, and the position at which west's log begins.
func filled(t *testing.T) (*pair, eventlog.Position) {
	p := newPair(t, nil)
	for i := range 5 {
		appendMail(t, p.east.node, "ann", mailOf(i))
	}
	p.join()
	for i := range 15 {
		appendMail(t, p.east.node, "ann", mailOf(100+i))
	}
	p.even()
	return p, p.west.node.shards[0].base.Position + 1
}

// flip damages an envelope in the files of a member, which is stopped. Without its index the server reads them at the start.
func (m *member) flip(payload []byte, dropIndex bool) {
	m.t.Helper()
	for _, path := range m.blocks() {
		data, err := os.ReadFile(path)
		if err != nil {
			m.t.Fatal(err)
		}
		if at := bytes.Index(data, payload); at >= 0 {
			data[at+len(payload)/2] ^= 4
			if err := os.WriteFile(path, data, 0o600); err != nil {
				m.t.Fatal(err)
			}
			if index := filepath.Join(filepath.Dir(path), "index.db"); dropIndex {
				if err := os.Remove(index); err != nil {
					m.t.Fatal(err)
				}
			}
			return
		}
	}
	m.t.Fatal("the envelope is in no block")
}

func (m *member) payload(pos eventlog.Position) []byte {
	m.t.Helper()
	payload, err := m.node.shards[0].log.Read(m.t.Context(), pos)
	if err != nil {
		m.t.Fatal(err)
	}
	return payload
}

// wholeLog holds that the log of a member can be read from where it begins to where its replica stands.
func (m *member) wholeLog() {
	m.t.Helper()
	s := m.node.shards[0]
	if err := readWhole(m.t.Context(), s.log, s.base, s.replica.Applied()); err != nil {
		m.t.Errorf("the log of %s: %v", m.cfg.Server.Node, err)
	}
}

// healthy holds that both nodes are whole again, and take mail.
func (p *pair) healthy(healedAt *member, envelopes uint64) {
	p.t.Helper()
	p.until("the log to be mended", func() bool {
		st := healedAt.status()
		return st.Healed.Envelopes >= envelopes && st.Shards[0].State != replica.Halted && healedAt.node.shards[0].damage.Load() == nil
	})
	p.until("east to lead", func() bool { return p.east.node.leads() })
	appendMail(p.t, p.east.node, "ann", mailOf(999))
	p.even()
	p.east.wholeLog()
	p.west.wholeLog()
}

func TestDamagedLogIsMendedFromTheOtherNode(t *testing.T) {
	for _, who := range []string{"primary", "replica"} {
		for name, damage := range map[string]func(*member, []byte){
			"bit flipped": func(m *member, payload []byte) { m.flip(payload, true) },
			"end cut off": func(m *member, payload []byte) {
				for _, path := range m.blocks() {
					data, err := os.ReadFile(path)
					if err != nil {
						m.t.Fatal(err)
					}
					if at := bytes.Index(data, payload); at >= 0 {
						if err := os.Truncate(path, int64(at+len(payload)/2)); err != nil {
							m.t.Fatal(err)
						}
					}
				}
			},
		} {
			t.Run(who+", "+name, func(t *testing.T) {
				t.Parallel()
				p, first := filled(t)
				m := map[string]*member{"primary": p.east, "replica": p.west}[who]
				head := m.node.shards[0].replica.Applied().Position
				payload := m.payload(first + 5)
				m.stop()
				damage(m, payload)
				m.start()
				p.healthy(m, uint64(head-(first+5)+1)) // the server gives up all that comes behind the damage in its file
			})
		}
	}
}

func TestReplicaWhoseLogIsGoneFetchesItsEnvelopes(t *testing.T) {
	t.Parallel()
	p, first := filled(t)
	head := p.west.node.shards[0].replica.Applied().Position
	p.west.stop()
	for _, path := range p.west.blocks() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	p.west.start()
	p.healthy(p.west, uint64(head-first+1))
}

func TestDamagedLogWaitsForANodeThatHasIt(t *testing.T) {
	t.Parallel()
	p, first := filled(t)
	payload := p.east.payload(first + 3)
	p.east.stop()
	p.west.stop()
	p.east.flip(payload, true)
	p.east.start()
	sh := p.east.node.shards[0]
	p.until("east to say that nobody mends its log", func() bool {
		st := p.east.status()
		return strings.Contains(strings.Join(st.Alarms, "\n"), "syncctl recover")
	})
	if st := p.east.status(); st.Shards[0].State != replica.Halted || p.east.node.Ready(t.Context()) == nil {
		t.Errorf("a node without its log is %q", st.Shards[0].State)
	}
	if _, err := p.east.node.store.Mailbox(t.Context(), operator(), "ann", "INBOX"); err != nil {
		t.Errorf("reads do not go on: %v", err)
	}
	if _, err := sh.log.Read(t.Context(), first+3); err == nil {
		t.Error("the damaged envelope was served")
	}
	p.west.start()
	p.healthy(p.east, 1)
}

// A mending that ends at any moment goes on at the next start.
func TestMendingGoesOnAfterACrash(t *testing.T) {
	for _, after := range []string{"half a copy", "a complete copy"} {
		t.Run(after, func(t *testing.T) {
			t.Parallel()
			p, first := filled(t)
			payload := p.east.payload(first + 3)
			p.east.stop()
			p.east.flip(payload, true)
			p.east.start()
			n := p.east.node
			sh := n.shards[0]
			n.site.mu.Lock()
			n.site.busy = true // nothing is begun in the background
			n.site.mu.Unlock()
			p.until("west to be linked", func() bool { return n.site.anyPeer() != nil })
			var err error
			if after == "half a copy" {
				var into eventlog.Log
				if into, err = sh.openCopy(t.Context()); err == nil {
					from, _, openErr := sh.whatIsLeft(t.Context())
					if openErr != nil {
						t.Fatal(openErr)
					}
					_, err = eventlog.Mend(t.Context(), eventlog.Mending{Base: sh.base, From: from, Into: into, To: first + 1})
					_ = from.Close()
					_ = into.Close()
				}
			} else if n.site.mends.running[0] {
				t.Skip("it was begun already")
			} else {
				err = n.site.mend(t.Context(), sh)
			}
			if err != nil {
				t.Fatal(err)
			}
			p.east.stop()
			p.east.start()
			p.healthy(p.east, 1)
			if got := p.east.node.layout; got.Streams[0] != 1 || len(got.Mending) != 0 {
				t.Errorf("the layout says %+v", got)
			}
		})
	}
}
