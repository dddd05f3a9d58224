package node

import (
	"context"
	"time"

	"angarium/internal/control"
)

// act lets something happen to the site.
func (s *simSite) act() {
	n := s.nodes[s.rnd.IntN(len(s.nodes))]
	silent := s.rnd.IntN(2) == 0
	switch s.rnd.IntN(10) {
	case 0, 1:
		s.planned(n)
	case 2, 3, 4:
		s.force(n)
	case 5:
		s.tracef("act: crash %s, silent %v", n.name, silent)
		if n.crash(silent) {
			s.sleep(6 * time.Second)
			s.start(n)
		}
	case 6:
		s.tracef("act: restart %s", n.name)
		if n.stop() {
			s.sleep(2 * time.Second)
			s.start(n)
		}
	case 7:
		m := s.other(n)
		both := s.rnd.IntN(2) == 0
		s.cut(n, m, both)
		s.sleep(8 * time.Second)
		s.uncut(n, m)
	case 8:
		m := s.other(n)
		s.tracef("act: reset %s-%s", n.name, m.name)
		s.net.reset(n.name, m.name)
	case 9:
		s.pause(n)
	}
}

func (s *simSite) other(n *simNode) *simNode {
	for {
		if m := s.nodes[s.rnd.IntN(len(s.nodes))]; m != n {
			return m
		}
	}
}

func (s *simSite) start(n *simNode) {
	if !n.isDown() {
		return
	}
	s.tracef("act: start %s", n.name)
	if err := n.start(); err != nil {
		s.failf("%v", err)
	}
}

func (s *simSite) cut(a, b *simNode, both bool) {
	s.tracef("act: cut %s>%s, both ways %v", a.name, b.name, both)
	s.net.setCut(a.name, b.name, true)
	if both {
		s.net.setCut(b.name, a.name, true)
	}
}

func (s *simSite) uncut(a, b *simNode) {
	s.tracef("act: mend %s-%s", a.name, b.name)
	s.net.setCut(a.name, b.name, false)
	s.net.setCut(b.name, a.name, false)
}

// promote promotes a node.
func (s *simSite) promote(n *simNode, force bool) (control.Promotion, bool) {
	l, leave := n.enter()
	if l == nil {
		return control.Promotion{}, false
	}
	defer leave()
	ctx, cancel := context.WithTimeout(l.ctx, time.Minute)
	defer cancel()
	p, err := l.node.site.promote(ctx, force, func(string) {})
	s.tracef("act: promote %s, force %v: epoch %d, %v", n.name, force, l.node.epoch(), err)
	return p, err == nil
}

func (s *simSite) planned(n *simNode) {
	if !s.isForked() { // an operator who has two primaries sees to that first
		s.promote(n, false)
	}
}

func (s *simSite) isForked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forked
}

// force promotes a node by force: of a primary that is cut off, dead, or not gone at all.
func (s *simSite) force(n *simNode) {
	old := s.leader()
	if s.isForked() || old == nil || old == n || n.current() == nil {
		return
	}
	how := s.rnd.IntN(4)
	s.mu.Lock()
	s.forked = true
	s.mu.Unlock()
	switch how {
	case 0:
		s.tracef("act: %s is killed", old.name)
		old.crash(s.rnd.IntN(2) == 0)
	case 1:
		s.cut(old, n, true)
	case 2:
		s.cut(n, old, false)
	case 3: // it is alive and well: a slip of the operator
	}
	s.sleep(4 * time.Second)
	s.ledger.fork()
	if _, ok := s.promote(n, true); ok {
		s.ledger.mu.Lock()
		s.ledger.forced = append(s.ledger.forced, s.epochOf(n))
		s.ledger.mu.Unlock()
	}
	s.sleep(6 * time.Second)
	s.uncut(old, n)
	s.start(old)
}

// epochOf is the epoch that a node is in; that of the future when it is down.
func (s *simSite) epochOf(n *simNode) uint64 {
	if l, leave := n.enter(); l != nil {
		defer leave()
		return l.node.epoch()
	}
	return 1 << 62
}

func (s *simSite) pause(n *simNode) {
	m := s.other(n)
	for _, on := range []bool{true, false} {
		if l, leave := n.enter(); l != nil {
			if err := l.node.site.hub.SetPaused(m.name, on); err == nil {
				s.tracef("act: pause %s at %s: %v", m.name, n.name, on)
			}
			leave()
		}
		s.sleep(4 * time.Second)
	}
}

// heal mends everything.
func (s *simSite) heal() {
	s.tracef("act: all is mended")
	s.net.mend()
	for _, n := range s.nodes {
		s.start(n)
		if l, leave := n.enter(); l != nil {
			for _, m := range s.nodes {
				_ = l.node.site.hub.SetPaused(m.name, false) // those that it has no channel to do not matter
			}
			leave()
		}
	}
}
