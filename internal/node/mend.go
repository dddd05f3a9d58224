package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"angarium/channel"
	"angarium/eventlog"
	"angarium/eventlog/jslog"
)

const (
	// mendPause is how long a log that could not be mended is left, and maxMendPause how long after many attempts.
	mendPause    = 2 * time.Second
	maxMendPause = 5 * time.Minute
	// mendAskTime bounds how long a peer is waited for that is to give an envelope.
	mendAskTime = 20 * time.Second
)

// damage is what is wrong with the log of a shard.
type damage struct {
	at    eventlog.Position // the first envelope that is known to be missing or damaged; 0 when it is not known which
	err   error
	since time.Time
}

// mends are the logs that are being mended.
type mends struct {
	running map[int]bool
	next    map[int]time.Time     // when the next attempt may begin, by shard
	pause   map[int]time.Duration // behind the next attempt that fails
	failed  map[int]error         // why the last one did
}

// mendable says of an error that a log lacks what another node may have.
func mendable(err error) bool {
	for _, is := range []error{eventlog.ErrGap, eventlog.ErrCorrupt, eventlog.ErrBehind, jslog.ErrMissing} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// canMend says whether there may be another node that has what this one's log lacks.
func (n *Node) canMend() bool {
	if !n.opts.Serve || n.inCluster() || n.opts.Config.Log.URL != "" || !n.hasChannels() {
		return false
	}
	registry, err := channel.OpenRegistry(channelDir(n.opts.Data))
	return err == nil && len(registry.List()) > 0
}

// damaged notes that a log is damaged, if that is what an error says.
func (s *shard) damaged(err error) {
	if s.node.inCluster() || !mendable(err) {
		return
	}
	d := &damage{err: err, since: time.Now()}
	var chain *eventlog.ChainError
	var refusal *eventlog.Refusal
	if errors.As(err, &chain) && !errors.As(err, &refusal) { // a log that is not opened says where it begins
		d.at = chain.Position
	}
	if s.damage.CompareAndSwap(nil, d) {
		s.node.log.Error("the log is damaged", "shard", s.number, "position", uint64(d.at), "error", err)
	}
}

// putAside leaves the log alone until it is mended: reads go on, and nothing is written.
func (s *shard) putAside(err error) {
	s.damaged(err)
	// What is wrong is told in words only: to a peer that follows it must not look like the end of another history.
	s.broken = fmt.Errorf("shard %d: the log is damaged, and is fetched from another node: %v", s.number, err)
	if s.log != nil {
		err = s.log.Close()
	}
	s.log = brokenLog{errors.Join(s.broken, err)}
}

// broken says which log was damaged when it was opened; nil when none was.
func (n *Node) broken() error {
	for _, s := range n.shards {
		if s.broken != nil {
			return s.broken
		}
	}
	return nil
}

// checkEnd holds that the last envelope can be read: what is missing before it shows when something comes behind.
func (s *shard) checkEnd(ctx context.Context) error {
	_, err := channel.LogTip(ctx, s.log, s.base)
	if errors.Is(err, eventlog.ErrNotFound) {
		return fmt.Errorf("%w: %w", eventlog.ErrGap, err)
	}
	return err
}

// refused says what can be done about a log that does not fit the replica.
func (s *shard) refused(err error) error {
	var r *eventlog.Refusal
	if errors.Is(err, eventlog.ErrPurged) && s.replica.Applied().Position == 0 && s.base.Position > 0 {
		return &eventlog.Refusal{
			Err:    err,
			Detail: fmt.Sprintf("the replica of shard %d is gone, and the log begins at %d: it came from another node", s.number, s.base.Position+1),
			Hint:   "fetch it anew: empty the data directory and join again with a new token (docs/replication.md, Disk replaced)",
		}
	}
	if errors.As(err, &r) || !mendable(err) {
		return err
	}
	return &eventlog.Refusal{Err: err, Detail: fmt.Sprintf("the log of shard %d", s.number), Hint: "restore it from the archive: syncctl recover"}
}

// mendSoon begins to mend the logs that are damaged, in the background. The node then opens its directory again, with the copies in use.
func (s *site) mendSoon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started || s.busy || s.node.Restart == nil {
		return
	}
	m := &s.mends
	if m.running == nil {
		m.running, m.next, m.pause, m.failed = map[int]bool{}, map[int]time.Time{}, map[int]time.Duration{}, map[int]error{}
	}
	for _, sh := range s.node.shards {
		if sh.damage.Load() == nil || m.running[sh.number] || time.Now().Before(m.next[sh.number]) {
			continue
		}
		m.running[sh.number] = true
		s.done.Go(func() { s.mended(sh, s.mend(s.ctx, sh)) })
	}
}

// mended ends an attempt to mend a log.
func (s *site) mended(sh *shard, err error) {
	s.mu.Lock()
	m := &s.mends
	delete(m.running, sh.number)
	told := m.failed[sh.number]
	m.failed[sh.number] = err
	m.pause[sh.number] = min(max(2*m.pause[sh.number], mendPause), maxMendPause)
	m.next[sh.number] = time.Now().Add(m.pause[sh.number])
	if err == nil {
		m.running[sh.number] = true // until the restart
	}
	s.mu.Unlock()
	switch {
	case err == nil:
		s.node.Restart()
	case s.ctx.Err() == nil && (told == nil || told.Error() != err.Error()):
		s.log.Error("the damaged log cannot be mended yet", "shard", sh.number, "error", err, "hint", mendHint)
	}
}

// mendHint is what a person can do about a damaged log that no node mends.
const mendHint = "bring a node back that has it; or restore the log from the archive: syncctl recover"

// mend copies a damaged log into a new stream, with what is missing in it from peers, and reads the copy whole.
func (s *site) mend(ctx context.Context, sh *shard) error {
	d, known := sh.damage.Load(), sh.replica.Applied().Mark()
	others := s.copies(ctx, sh, known)
	if err := obtainable(ctx, others, d.at); err != nil {
		return err
	}
	into, err := sh.openCopy(ctx)
	if err != nil {
		return err
	}
	defer into.Close()
	from, to, err := sh.whatIsLeft(ctx)
	if err != nil {
		return err
	}
	m := eventlog.Mending{Base: sh.base, Into: into, Known: known, To: max(to, known.Position), Other: others, Progress: s.mendProgress(sh)}
	if from != nil {
		defer from.Close()
		m.From = from
	}
	s.log.Warn("mending the log", "shard", sh.number, "to", uint64(m.To), "damage", d.err)
	res, err := eventlog.Mend(ctx, m)
	if err != nil {
		if errors.Is(err, eventlog.ErrHash) { // what was copied is of another history
			err = errors.Join(err, sh.dropCopy(ctx))
		}
		return err
	}
	if err := readWhole(ctx, into, sh.base, res.State); err != nil {
		return errors.Join(fmt.Errorf("read the mended log: %w", err), sh.dropCopy(ctx))
	}
	for _, pos := range res.Healed {
		s.log.Warn("healed an envelope of the log from another node", "shard", sh.number, "position", uint64(pos))
	}
	s.log.Warn("mended the log", "shard", sh.number, "envelopes", res.Copied+res.Count, "healed", res.Count)
	if err := s.node.heals.add(healed{Envelopes: res.Count}); err != nil {
		return err
	}
	return s.node.setMending(sh.number, &mending{Complete: true})
}

func (s *site) mendProgress(sh *shard) func(eventlog.Position) {
	last := time.Now()
	return func(at eventlog.Position) {
		if time.Since(last) > 10*time.Second {
			last = time.Now()
			s.log.Info("mending the log", "shard", sh.number, "position", uint64(at))
		}
	}
}

// copies are the peers whose logs are of the same history as this one's, as far as can be told.
func (s *site) copies(ctx context.Context, sh *shard, known eventlog.Mark) []eventlog.Source {
	var list []eventlog.Source
	for _, p := range s.hub.Peers() {
		if !p.Connected() {
			continue
		}
		ask, cancel := context.WithTimeout(ctx, mendAskTime)
		theirs, err := p.Mark(ask, sh.number, known.Position)
		cancel()
		if err == nil && theirs != known {
			s.log.Warn("a peer has another history: it does not mend this node's log", "shard", sh.number, "peer", p.Name())
			continue
		}
		list = append(list, peerLog{p, sh.number})
	}
	return list
}

// peerLog is a peer's log as a source of envelopes.
type peerLog struct {
	peer  *channel.Peer
	shard int
}

// Name implements eventlog.Source.
func (p peerLog) Name() string { return "node " + p.peer.Name() }

// Envelope implements eventlog.Source.
func (p peerLog) Envelope(ctx context.Context, pos eventlog.Position) ([]byte, error) {
	ask, cancel := context.WithTimeout(ctx, mendAskTime)
	defer cancel()
	env, err := p.peer.Envelope(ask, p.shard, pos)
	return env.Payload, err
}

// obtainable holds that a peer has the envelope that is known to be damaged, before all the others are copied.
func obtainable(ctx context.Context, others []eventlog.Source, at eventlog.Position) error {
	if len(others) == 0 {
		return errors.New("no other node is reached that may have what is missing")
	}
	if at == 0 {
		return nil
	}
	var errs []error
	for _, o := range others {
		_, err := o.Envelope(ctx, at)
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", o.Name(), err))
	}
	return fmt.Errorf("no other node has the envelope at %d: %w", at, errors.Join(errs...))
}

// readWhole reads a log from behind a state and holds that it ends at another.
func readWhole(ctx context.Context, log eventlog.Log, from, to eventlog.State) error {
	if from.Position == to.Position {
		return nil
	}
	f, err := eventlog.Follow(ctx, log, from)
	if err != nil {
		return err
	}
	defer f.Close()
	for f.State().Position < to.Position {
		if _, err := f.Next(ctx); err != nil {
			return err
		}
	}
	if f.State() != to {
		return &eventlog.ChainError{Position: to.Position, Err: eventlog.ErrHash}
	}
	return nil
}

// logAlarms says what an operator should know of damaged logs.
func (n *Node) logAlarms() []string {
	var failed map[int]error
	if n.site != nil {
		n.site.mu.Lock()
		failed = maps.Clone(n.site.mends.failed)
		n.site.mu.Unlock()
	}
	var list []string
	for _, sh := range n.shards {
		d := sh.damage.Load()
		if d == nil {
			continue
		}
		text := fmt.Sprintf("shard %d: the log is damaged since %s (%v)", sh.number, d.since.UTC().Format(time.RFC3339), d.err)
		switch err := failed[sh.number]; {
		case n.site == nil:
			text += " (hint: " + mendHint + ")"
		case err != nil:
			text += fmt.Sprintf(": %v (hint: %s)", err, mendHint)
		default:
			text += ": it is being mended from another node"
		}
		list = append(list, text)
	}
	return list
}
