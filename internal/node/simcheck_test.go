package node

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/internal/control"
	"angarium/mailstore/salvage"
	"angarium/replica"
	"angarium/replica/state"
)

// settle waits until the nodes are one again, and checks what they hold.
func (s *simSite) settle() {
	s.tracef("settling")
	why := ""
	for end := time.Now().Add(simHeal); ; time.Sleep(200 * time.Millisecond) {
		if why = s.apart(); why == "" {
			break
		}
		if time.Now().After(end) {
			s.failf("the nodes are not one after %v: %s", simHeal, why)
			return
		}
	}
	s.tracef("settled: %d acknowledged, %d unknown, %d refused", s.ledger.acked, s.ledger.unknown, s.ledger.refused)
	for _, n := range s.nodes {
		s.verify(n)
	}
	lead := s.leader().current()
	seen, err := s.observe(lead.node)
	if err != nil {
		s.failf("observe: %v", err)
		return
	}
	s.ledger.check(seen)
	s.salvageTwice(lead.node)
}

// apart says what keeps the nodes from being one; "" when they are.
func (s *simSite) apart() string {
	lead := s.leader()
	if lead == nil {
		return "nobody leads"
	}
	for _, n := range s.nodes {
		l := n.current()
		if l == nil {
			return n.name + " is down"
		}
		if left := l.node.unsalvaged(); len(left) > 0 {
			return fmt.Sprintf("%s has not carried over %v", n.name, left)
		}
		if n != lead && (l.node.leads() || l.node.site.current().Role != roleReplica) {
			return n.name + " is primary, too"
		}
		for i, sh := range l.node.shards {
			head, err := sh.log.Head(context.Background())
			if err != nil {
				return fmt.Sprintf("%s: %v", n.name, err)
			}
			st, err := sh.replica.Status()
			top, topErr := lead.current().node.shards[i].replica.Status()
			if err != nil || topErr != nil || st.State != replica.Following {
				return fmt.Sprintf("%s: shard %d: %s %s, %v, %v", n.name, i, st.State, st.Reason, err, topErr)
			}
			if st.Applied != top.Applied || st.Totals.Digest != top.Totals.Digest || head.Last != st.Applied.Position {
				return fmt.Sprintf("%s: shard %d is at %s (log %d), %s at %s", n.name, i, st.Applied.Mark(), head.Last, lead.name, top.Applied.Mark())
			}
		}
	}
	return ""
}

// verify holds a node to the invariants of its replicas and of its log.
func (s *simSite) verify(n *simNode) {
	l := n.current()
	for _, sh := range l.node.shards {
		_, err := sh.replica.Check(context.Background(), replica.CheckOptions{Deep: true}, func(v state.Violation) {
			s.failf("%s: %+v", n.name, v)
		})
		if err != nil {
			s.failf("verify %s: %v", n.name, err)
		}
		if _, err := sh.verifyLog(context.Background(), func(v state.Violation) { s.failf("%s: %+v", n.name, v) }, func(control.Progress) {}); err != nil {
			s.failf("verify log of %s: %v", n.name, err)
		}
	}
}

// simSeen is where a message is.
type simSeen struct {
	simPlace
	flagged bool
}

// observe reads where all messages are.
func (s *simSite) observe(n *Node) (map[event.GUID][]simSeen, error) {
	seen := map[event.GUID][]simSeen{}
	ctx := context.Background()
	for _, account := range s.accounts {
		list, err := n.store.Mailboxes(ctx, simAdmin, account)
		if err != nil {
			return nil, err
		}
		for _, b := range list {
			mb, err := n.store.Open(ctx, simAdmin, account, b.Name, true)
			if err != nil {
				return nil, err
			}
			snap := mb.Snapshot()
			err = mb.Messages(1, 1<<32-1, func(m state.Message) (bool, error) {
				live, _ := snap.List.Get(m.UID)
				flagged := slices.Contains(live.Flags.Names(snap.Mailbox.Keywords), `\Flagged`)
				seen[m.GUID] = append(seen[m.GUID], simSeen{simPlace{b.ID, m.UID}, flagged})
				return true, nil
			})
			mb.Close()
			if err != nil {
				return nil, err
			}
		}
	}
	return seen, nil
}

// check compares what is there with what the clients were told.
func (l *simLedger) check(seen map[event.GUID][]simSeen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := map[event.GUID]bool{}
	for _, m := range l.messages {
		known[m.guid] = true
		at := seen[m.guid]
		most := 1
		if l.ever { // what was moved stays where it was, when the move is salvaged
			most += m.moves
		}
		boxes := map[event.MailboxID]int{}
		for _, p := range at {
			if boxes[p.box]++; boxes[p.box] > 1 && !(l.ever && m.moves > 1) {
				l.site.failf("%.6s of %s is twice in one mailbox: %v", m.guid, m.account, at)
			}
		}
		switch {
		case m.fate == simMust && len(at) == 0:
			l.site.failf("%.6s of %s was acknowledged and is lost", m.guid, m.account)
		case m.fate == simGone && len(at) > 0:
			l.site.failf("%.6s of %s was refused or expunged and is there: %v", m.guid, m.account, at)
		case len(at) > most:
			l.site.failf("%.6s of %s is there %d times: %v", m.guid, m.account, len(at), at)
		case l.ever && m.moves > 0: // a flag that is salvaged does not look for a message that went elsewhere meanwhile
		case len(at) == 1 && m.flagged == simMust && !at[0].flagged, len(at) == 1 && m.flagged == simGone && at[0].flagged:
			l.site.failf("%.6s of %s: flagged %v, is %v", m.guid, m.account, m.flagged, at[0].flagged)
		}
	}
	for guid, at := range seen {
		if !known[guid] {
			l.site.failf("%.6s was sent by nobody: %v", guid, at)
		}
	}
	l.checkUIDs(seen)
}

// lossyAfter says whether a promotion was forced behind an epoch.
func (l *simLedger) lossyAfter(epoch uint64) bool {
	return slices.ContainsFunc(l.forced, func(f uint64) bool { return f > epoch })
}

// checkUIDs holds that UIDs were given once, in the order of the appends, and stay. Those that a primary gave whose successor was made by force
// may be given again.
func (l *simLedger) checkUIDs(seen map[event.GUID][]simSeen) {
	var safe []simTold
	by := map[simPlace]event.GUID{}
	for _, t := range l.told {
		if l.lossyAfter(t.epoch) {
			continue
		}
		safe = append(safe, t)
		if other, ok := by[t.at]; ok && other != t.guid {
			l.site.failf("%.6s was given UID %d, which %.6s has", t.guid, t.at.uid, other)
		}
		by[t.at] = t.guid
		at := seen[t.guid]
		if len(at) > 0 && !slices.ContainsFunc(at, func(p simSeen) bool { return p.simPlace == t.at || p.box != t.at.box }) && l.unmoved(t.guid) {
			l.site.failf("%.6s was given UID %d, and is %v", t.guid, t.at.uid, at)
		}
	}
	for guid, at := range seen {
		for _, p := range at {
			if other, ok := by[p.simPlace]; ok && other != guid {
				l.site.failf("%.6s has UID %d, which was given to %.6s", guid, p.uid, other)
			}
		}
	}
	slices.SortFunc(safe, func(x, y simTold) int { return cmp.Compare(x.at.uid, y.at.uid) })
	for i, x := range safe {
		for _, y := range safe[i+1:] {
			if x.at.box == y.at.box && y.acked.Before(x.sent) {
				l.site.failf("%.6s was given UID %d behind %.6s with UID %d", x.guid, x.at.uid, y.guid, y.at.uid)
			}
		}
	}
}

func (l *simLedger) unmoved(guid event.GUID) bool {
	return !slices.ContainsFunc(l.messages, func(m *simMessage) bool { return m.guid == guid && m.moves > 0 })
}

// salvageTwice salvages again what was set aside: the second time there is nothing left to do.
func (s *simSite) salvageTwice(n *Node) {
	for _, of := range s.nodes {
		files, err := filepath.Glob(filepath.Join(of.dir, "aside", "*", tailFile))
		if err != nil {
			s.failf("%v", err)
		}
		for _, file := range files {
			tail := func(yield func(eventlog.Envelope, error) bool) {
				f, err := os.Open(file)
				if err != nil {
					yield(eventlog.Envelope{}, err)
					return
				}
				defer f.Close()
				eventlog.ReadAside(f)(yield)
			}
			for i := range 2 {
				report, err := salvage.Apply(context.Background(), n.store, tail, salvage.Options{Session: "again"})
				switch {
				case err != nil:
					s.failf("salvage %s again: %v", file, err)
				case i == 1 && report.Applied > 0:
					s.failf("salvage %s for the third time: %d applied: %+v", file, report.Applied, report.Records)
				}
			}
		}
	}
}
