package node

import (
	"context"
	"errors"
	"fmt"

	"angarium/eventlog"
	"angarium/eventlog/jslog"
)

// whatIsLeft opens a damaged log for reading, and says where it ends; nil when there is nothing left of it.
func (sh *shard) whatIsLeft(ctx context.Context) (*jslog.Log, eventlog.Position, error) {
	from, err := jslog.OpenDamaged(ctx, sh.node.conn, sh.node.streamConfig(sh.number))
	if errors.Is(err, jslog.ErrMissing) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	head, err := from.Head(ctx)
	if err != nil {
		return nil, 0, errors.Join(err, from.Close())
	}
	return from, head.Last, nil
}

// openCopy opens the stream that takes the place of a damaged log, or makes it. A copy that was begun, and is damaged itself, is made anew.
func (sh *shard) openCopy(ctx context.Context) (*jslog.Log, error) {
	n := sh.node
	cfg := copiedStream(sh.number, n.streams(sh.number)+1)
	if err := n.setMending(sh.number, &mending{}); err != nil {
		return nil, err
	}
	log, err := jslog.Open(ctx, n.conn, cfg, sh.base.Mark())
	if err != nil && mendable(err) && !errors.Is(err, jslog.ErrMissing) {
		err = errors.Join(jslog.Delete(ctx, n.conn, cfg), jslog.ErrMissing)
	}
	if errors.Is(err, jslog.ErrMissing) {
		cfg.First = sh.base.Position + 1
		log, err = jslog.Create(ctx, n.conn, cfg)
	}
	return log, err
}

func (sh *shard) dropCopy(ctx context.Context) error {
	return jslog.Delete(ctx, sh.node.conn, copiedStream(sh.number, sh.node.streams(sh.number)+1))
}

func (n *Node) streams(shard int) int {
	n.layoutLock.Lock()
	defer n.layoutLock.Unlock()
	return n.layout.Streams[shard]
}

// setMending notes in the layout how far the mending of a shard's log is; nil when it is done.
func (n *Node) setMending(shard int, m *mending) error {
	n.layoutLock.Lock()
	defer n.layoutLock.Unlock()
	l := n.layout
	if m == nil {
		delete(l.Mending, shard)
		return l.write(n.opts.Data)
	}
	if l.Mending == nil {
		l.Mending = map[int]mending{}
	}
	l.Mending[shard] = *m
	return l.write(n.opts.Data)
}

// takeMended puts the complete copy of a damaged log in its place, with what was appended since. Each step can be repeated after a crash; a copy
// that is not complete is gone on with when the node runs.
func (s *shard) takeMended(ctx context.Context, known eventlog.Mark) error {
	n := s.node
	copies := n.layout.Streams[s.number]
	if copies > 0 {
		if err := jslog.Delete(ctx, n.conn, copiedStream(s.number, copies-1)); err != nil { // left by a crash
			return err
		}
	}
	m, ok := n.layout.Mending[s.number]
	if !ok {
		return nil
	}
	err := eventlog.ErrGap
	if m.Complete {
		err = s.finishCopy(ctx, known)
	}
	if err != nil {
		s.damaged(&eventlog.ChainError{Err: fmt.Errorf("the mending of the log is not finished: %w", err)})
		return n.setMending(s.number, &mending{})
	}
	if n.layout.Streams == nil {
		n.layout.Streams = map[int]int{}
	}
	n.layout.Streams[s.number] = copies + 1
	if err := n.setMending(s.number, nil); err != nil {
		return err
	}
	return jslog.Delete(ctx, n.conn, copiedStream(s.number, copies))
}

// finishCopy adds to a copy what was appended to the log since it was made.
func (s *shard) finishCopy(ctx context.Context, known eventlog.Mark) error {
	into, err := jslog.Open(ctx, s.node.conn, copiedStream(s.number, s.node.layout.Streams[s.number]+1), s.base.Mark())
	if err != nil {
		return err
	}
	defer into.Close()
	m := eventlog.Mending{Base: s.base, Into: into, Known: known}
	from, to, err := s.whatIsLeft(ctx)
	if err != nil {
		return err
	}
	if from != nil {
		defer from.Close()
		m.From = from
	}
	m.To = max(to, known.Position)
	if _, err := eventlog.Mend(ctx, m); err != nil {
		return err
	}
	return eventlog.Check(ctx, into, known)
}
