package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"angarium/channel"
	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/internal/control"
	"angarium/replica"
)

// Kinds of holds.
const (
	holdRetain   = "retain"
	holdReplica  = "replica"
	holdPeer     = "peer"
	holdArchive  = "archive"
	holdReceiver = "receiver"
	holdSalvage  = "salvage"
)

const (
	// purgeStep is how many positions are purged at once.
	purgeStep = 20_000
	// askTime bounds how long a peer or an archive may take to say what it has.
	askTime = 30 * time.Second
)

// purgeReason says why the logs of this node are not purged at all; nil when they are.
func (n *Node) purgeReason() error {
	c := n.opts.Config
	e := &control.Error{Code: control.CodeUsage}
	switch {
	case c.Log.Retain <= 0:
		e.Message, e.Hint = "the log is kept for good", `set retain in [log], as retain = "720h"`
	case n.inCluster() || n.server == nil:
		e.Message, e.Hint = "the log is not this node's alone", "it is not known here who else needs it: purging is for a log in the embedded server of one node"
	case c.Archive.URL == "" && !c.Log.RetainWithoutArchive:
		e.Message, e.Hint = "there is no archive: what is purged would be lost as history", "set url in [archive], or accept it with retain_without_archive = true in [log]"
	case !n.opts.Serve:
		e.Message, e.Hint = "no server runs: it is not known who still needs the log", "start the server, and run this beside it"
	default:
		return nil
	}
	return e
}

// purge purges what of a shard's log is old enough and needed by nobody. A dry run only says so.
func (r *retention) purge(ctx context.Context, s *shard, dryRun bool, progress func(control.Progress)) (control.PurgedShard, error) {
	n := r.node
	res := control.PurgedShard{Shard: s.number, Holds: []control.Hold{}}
	if err := n.purgeReason(); err != nil {
		return res, err
	}
	if !dryRun {
		// These read the log from far back.
		for _, busy := range []struct {
			lock interface {
				TryLock() bool
				Unlock()
			}
			what string
		}{{&r.purging, "a purge"}, {&n.restoring, "a restore"}, {&n.rebuilding, "a rebuild"}} {
			if !busy.lock.TryLock() {
				return res, &control.Error{Code: control.CodeUnavailable, Message: busy.what + " is under way"}
			}
			defer busy.lock.Unlock()
		}
	}
	if err := r.plan(ctx, s, &res); err != nil || res.Before <= res.First {
		return res, err
	}
	res.Purged = res.Before - res.First
	if dryRun {
		return res, nil
	}
	if err := s.anchor(ctx, eventlog.Position(res.Before)); err != nil {
		return res, err
	}
	for at := res.First; at < res.Before; {
		step := min(purgeStep, res.Before-at)
		at += step
		if err := s.log.(eventlog.Purger).Purge(ctx, eventlog.Position(at)); err != nil {
			return res, err
		}
		r.count(s.number, func(t *RetentionTotals) { t.Purged += step })
		progress(control.Progress{What: fmt.Sprintf("purge the log of shard %d", s.number), Done: at - res.First, Total: res.Purged, Unit: "positions"})
	}
	n.log.Info("purged the log", "shard", s.number, "before", res.Before, "positions", res.Purged)
	return res, nil
}

// plan finds what the log is kept for.
func (r *retention) plan(ctx context.Context, s *shard, res *control.PurgedShard) error {
	head, err := s.log.Head(ctx)
	if err != nil {
		return err
	}
	res.First, res.Last, res.Before = uint64(head.First), uint64(head.Last), uint64(head.First)
	if head.First >= head.Last {
		return nil
	}
	if res.FirstTime, err = s.timeOf(ctx, head.First); err != nil {
		return err
	}
	retain := r.node.opts.Config.Log.Retain.Std()
	old, err := s.firstSince(ctx, head, time.Now().Add(-retain))
	if err != nil {
		return err
	}
	hold := func(h control.Hold) { res.Holds = append(res.Holds, h) }
	hold(control.Hold{Kind: holdRetain, Position: uint64(old), Detail: "younger than " + retain.String()})
	if old > head.First { // else nothing else matters
		if err := r.holds(ctx, s, head, old, hold); err != nil {
			return err
		}
	}
	slices.SortStableFunc(res.Holds, func(a, b control.Hold) int { return cmp.Compare(a.Position, b.Position) })
	res.Before = max(res.First, min(res.Holds[0].Position, res.Last))
	return nil
}

// firstSince gives the first position that is not older than a time. Times ascend, unless the primary's clock was set back: then it is one of
// several.
func (s *shard) firstSince(ctx context.Context, head eventlog.Head, t time.Time) (eventlog.Position, error) {
	var failed error
	n := sort.Search(int(head.Last-head.First)+1, func(i int) bool {
		if failed != nil {
			return true
		}
		at, err := s.timeOf(ctx, head.First+eventlog.Position(i))
		failed = err
		return err != nil || !at.Before(t)
	})
	return head.First + eventlog.Position(n), failed
}

// holds tells of all but the age. want is the position up to which the log is old enough.
func (r *retention) holds(ctx context.Context, s *shard, head eventlog.Head, want eventlog.Position, hold func(control.Hold)) error {
	at, err := s.durable()
	if err != nil {
		hold(control.Hold{Kind: holdReplica, Position: uint64(head.First), Detail: err.Error()})
	} else {
		hold(control.Hold{Kind: holdReplica, Position: uint64(at), Detail: "not on disk in the replica of this node yet"})
	}
	n := r.node
	n.layoutLock.Lock()
	_, fetched := n.layout.Fetched[s.number]
	aside, salvage := n.layout.Salvage[s.number]
	n.layoutLock.Unlock()
	if fetched || salvage {
		hold(control.Hold{Kind: holdSalvage, Name: aside, Position: uint64(head.First), Detail: "what was set aside is not carried over yet"})
	}
	if n.site != nil {
		for _, rec := range n.site.hub.Records() {
			hold(n.site.heldBy(ctx, s, rec.Peer, head, want))
		}
	}
	if n.opts.Config.Archive.URL != "" {
		hold(s.heldByArchive(ctx, head))
	}
	r.heldByReceivers(s.number, head, hold)
	return nil
}

// durable makes what the replica has applied durable, and says how far that goes.
func (s *shard) durable() (eventlog.Position, error) {
	if st, err := s.replica.Status(); err != nil || st.State == replica.Halted {
		return 0, errors.Join(err, s.replica.Err())
	}
	at := s.replica.Applied().Position
	return at, s.replica.Flush()
}

// heldBy asks a peer how far its log goes, and whether that is the history of this one. What it acknowledged counts while it cannot be
// reached.
func (s *site) heldBy(ctx context.Context, sh *shard, peer string, head eventlog.Head, want eventlog.Position) control.Hold {
	h := control.Hold{Kind: holdPeer, Name: peer, Position: uint64(head.First)}
	ack, acked := s.hub.Acks().Peers(sh.number)[peer]
	p, ok := s.hub.Peer(peer)
	if !ok || !p.Connected() {
		h.Detail = "it is not connected, and has not been since the start (syncctl channel remove gives it up)"
		if acked {
			h.Position, h.Detail = uint64(ack.Position), "it has acknowledged no more, and is not connected"
		}
		return h
	}
	ask, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	theirs, err := p.Head(ask, sh.number)
	switch {
	case err != nil:
		h.Detail = "it does not say what it has: " + err.Error()
	case theirs.Last < want:
		h.Position, h.Detail = uint64(theirs.Last), "its log goes no further"
	case theirs.First > want: // it was seeded later, or has purged its own
		h.Position, h.Detail = uint64(theirs.Last), "its log goes no further"
	default:
		h.Position, h.Detail = s.sameAt(ask, sh, p, theirs, want, head)
	}
	return h
}

// sameAt compares hashes at a position that both logs hold.
func (s *site) sameAt(ctx context.Context, sh *shard, p *channel.Peer, theirs eventlog.Head, at eventlog.Position, head eventlog.Head) (uint64, string) {
	at = min(at, head.Last)
	mark, err := p.Mark(ctx, sh.number, at)
	if err != nil {
		return uint64(head.First), "it does not say what it has: " + err.Error()
	}
	if err := eventlog.Check(ctx, sh.log, mark); err != nil {
		return uint64(head.First), "its log has parted from this one: " + err.Error()
	}
	return uint64(theirs.Last), "its log goes no further"
}

// heldByArchive says how far the archive goes, once it is sure that it is the archive of this log.
func (s *shard) heldByArchive(ctx context.Context, head eventlog.Head) control.Hold {
	c := s.node.opts.Config.Archive
	h := control.Hold{Kind: holdArchive, Position: uint64(head.First)}
	ask, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	end, name, err := s.archived(ask, archiveRef(c))
	h.Name = name
	if err != nil {
		h.Detail = err.Error()
		return h
	}
	h.Position, h.Detail = uint64(end.Position), "it is not in the archive yet"
	return h
}

// archived gives the end of the archive of a shard, which is an envelope of this log.
func (s *shard) archived(ctx context.Context, ref control.ArchiveRef) (end eventlog.State, name string, err error) {
	target, key, err := openTarget(ref)
	if err != nil {
		return end, ref.URL, err
	}
	name = target.String()
	arch, err := archive.Open(ctx, target, key)
	if err != nil {
		return end, name, err
	}
	shard, err := arch.Shard(ctx, s.number)
	if err != nil {
		return end, name, err
	}
	if end, _, err = shard.Head(ctx); err != nil {
		return end, name, err
	}
	if first, _ := shard.Extent(); first > 1 {
		if _, err := shard.SnapshotUpTo(ctx, end.Position); err != nil {
			return end, name, fmt.Errorf("there is no snapshot in it for a restore to begin with: %w", err)
		}
	}
	if err := s.replica.Wait(ctx, end.Position); err != nil { // on a replica the archive may be ahead
		return end, name, fmt.Errorf("the archive goes on behind this log: %w", err)
	}
	if err := eventlog.Check(ctx, s.log, end.Mark()); err != nil {
		return end, name, fmt.Errorf("it is not the archive of this log: %w", err)
	}
	return end, name, nil
}

// heldByReceivers says from where on the receivers of events need the log.
func (r *retention) heldByReceivers(shard int, head eventlog.Head, hold func(control.Hold)) {
	no := r.node.notification
	if no == nil {
		return
	}
	r.mu.Lock()
	settled := r.settled
	r.mu.Unlock()
	for _, st := range no.notifier.Status() {
		h := control.Hold{Kind: holdReceiver, Name: st.Name, Position: uint64(head.First), Detail: fmt.Sprintf("it was not seen for %s yet", settleTime)}
		if at, ok := settled[st.Name][shard]; ok {
			h.Position, h.Detail = uint64(at.Position), fmt.Sprintf("it was not further %s ago", settleTime)
		}
		hold(h)
	}
}

// anchor notes, before a log is purged, the state that it begins behind then: with it the chain is checked across the purge, and a log that lost
// more than was purged is recognised.
func (s *shard) anchor(ctx context.Context, before eventlog.Position) error {
	after, err := s.stateBefore(ctx, before)
	if err != nil {
		return err
	}
	if err := eventlog.Check(ctx, s.log, after.Mark()); err != nil {
		return fmt.Errorf("the log cannot be purged before %d: %w", before, err)
	}
	n := s.node
	n.layoutLock.Lock()
	defer n.layoutLock.Unlock()
	if n.layout.Bases == nil {
		n.layout.Bases = map[int]base{}
	}
	n.layout.Bases[s.number] = baseOf(after)
	return n.layout.write(n.opts.Data)
}

// anchored says what is wrong with the beginning of a log; nil when it begins where it was purged to, or before.
func (s *shard) anchored(ctx context.Context, head eventlog.Head) error {
	n := s.node
	n.layoutLock.Lock()
	at, err := n.layout.Bases[s.number].state()
	n.layoutLock.Unlock()
	if err != nil || head.First > head.Last || head.First <= at.Position {
		return err
	}
	if head.First > at.Position+1 {
		return &eventlog.ChainError{Position: at.Position + 1, Err: fmt.Errorf("%w: the log begins at %d, and was purged up to %d", eventlog.ErrGap, head.First, at.Position)}
	}
	before, err := s.stateBefore(ctx, head.First)
	if err != nil {
		return err
	}
	if at.NextIndex == 0 {
		at.NextIndex = 1
	}
	if before != at {
		return &eventlog.ChainError{Position: head.First, Err: fmt.Errorf("%w: it continues %s, and the log was purged up to %s", eventlog.ErrHash, before.Mark(), at.Mark())}
	}
	return nil
}
