package node

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"angarium/channel"
	"angarium/eventlog"
	"angarium/replica"
	"angarium/replica/compare"
)

const (
	// viewTime is how long a view is kept that a peer asked for and does not read.
	viewTime = 10 * time.Minute
	// maxViews bounds the views that are kept for peers.
	maxViews = 16
	// freezeTime bounds how long writes wait while two nodes take their views.
	freezeTime = 5 * time.Second
)

// views are what peers are comparing with, by number.
type views struct {
	mu   sync.Mutex
	next uint64
	open map[uint64]*keptView
}

type keptView struct {
	view  *replica.View
	thaw  func() // may be nil
	timer *time.Timer
}

// keep keeps a view for a while and gives its number.
func (v *views) keep(view *replica.View, thaw func()) (uint64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.open) >= maxViews {
		return 0, channel.Errorf(channel.CodeBusy, "%d comparisons run already", maxViews)
	}
	if v.open == nil {
		v.open = map[uint64]*keptView{}
	}
	v.next++
	id := v.next
	v.open[id] = &keptView{view: view, thaw: thaw, timer: time.AfterFunc(viewTime, func() {
		if k := v.take(id); k != nil {
			k.close()
		}
	})}
	return id, nil
}

// take gives a view away for good; nil when it is not there.
func (v *views) take(id uint64) *keptView {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := v.open[id]
	delete(v.open, id)
	if k != nil {
		k.timer.Stop()
	}
	return k
}

// thaw lets writes go on that wait for a view.
func (v *views) thaw(id uint64) {
	v.mu.Lock()
	k := v.open[id]
	v.mu.Unlock()
	if k != nil && k.thaw != nil {
		k.thaw()
	}
}

func (v *views) close() {
	v.mu.Lock()
	open := v.open
	v.open = nil
	v.mu.Unlock()
	for _, k := range open {
		k.timer.Stop()
		k.close()
	}
}

func (k *keptView) close() {
	if k.thaw != nil {
		k.thaw()
	}
	_ = k.view.Close() // a snapshot fails to close only when it is closed already
}

// viewCall asks for a view of a shard: where the writes stop now, or, on a node that does not lead, at a position.
type viewCall struct {
	Shard int  `cbor:"1,keyasint"`
	At    mark `cbor:"2,keyasint"`
	Lead  bool `cbor:"3,keyasint"` // stop the writes
}

type viewAnswer struct {
	ID uint64 `cbor:"1,keyasint"`
	At mark   `cbor:"2,keyasint"`
}

func (s *site) answerView(ctx context.Context, _ string, data []byte) ([]byte, error) {
	var req viewCall
	if err := decodeCall(data, &req); err != nil {
		return nil, err
	}
	if req.Shard < 0 || req.Shard >= len(s.node.shards) {
		return nil, channel.Errorf(channel.CodeNoShard, "no shard %d", req.Shard)
	}
	sh := s.node.shards[req.Shard]
	var view *replica.View
	var thaw func()
	var err error
	if req.Lead {
		view, thaw, err = sh.frozenView(ctx)
	} else {
		view, err = sh.viewAt(ctx, eventlog.Position(req.At.Position))
	}
	if err != nil {
		return nil, err
	}
	id, err := s.views.keep(view, thaw)
	if err != nil {
		(&keptView{view: view, thaw: thaw}).close()
		return nil, err
	}
	return cbor.Marshal(viewAnswer{id, mark{uint64(view.At.Position), view.At.Hash}})
}

func (s *site) answerThaw(_ context.Context, _ string, data []byte) ([]byte, error) {
	var id uint64
	if err := decodeCall(data, &id); err != nil {
		return nil, err
	}
	s.views.thaw(id)
	return nil, nil
}

// freeze stops the writes of a shard that this node leads, for freezeTime at most, and says where they stopped. thaw lets them go on.
func (sh *shard) freeze(ctx context.Context) (at eventlog.Position, thaw func(), err error) {
	release, err := sh.node.store.Freeze(ctx, sh.number)
	if err != nil {
		return 0, nil, err
	}
	w := sh.writer.Load()
	if w == nil {
		release()
		return 0, nil, channel.Errorf(codeNotPrimary, "node %s does not lead shard %d", sh.node.name, sh.number)
	}
	thaw = sync.OnceFunc(release)
	time.AfterFunc(freezeTime, thaw)
	return w.State().Position, thaw, nil
}

// frozenView stops the writes of a shard that this node or its cluster leads, and gives a view of where they stopped.
func (sh *shard) frozenView(ctx context.Context) (*replica.View, func(), error) {
	wait, cancel := context.WithTimeout(ctx, freezeTime)
	defer cancel()
	freeze := sh.freeze
	if c := sh.node.cluster; c != nil && sh.writer.Load() == nil {
		freeze = func(ctx context.Context) (eventlog.Position, func(), error) { return c.freeze(ctx, sh.number) }
	}
	at, thaw, err := freeze(wait)
	if err != nil {
		return nil, nil, err
	}
	view, err := sh.viewAt(wait, at)
	if err != nil {
		thaw()
		return nil, nil, err
	}
	return view, thaw, nil
}

// viewAt gives a view of a shard at a position at which the log rests.
func (sh *shard) viewAt(ctx context.Context, at eventlog.Position) (*replica.View, error) {
	if err := sh.replica.Wait(ctx, at); err != nil {
		return nil, err
	}
	view, err := sh.replica.View()
	if err != nil {
		return nil, err
	}
	if view.At.Position != at {
		_ = view.Close()
		return nil, channel.Errorf(channel.CodeBusy, "shard %d is at %d already, not at %d", sh.number, view.At.Position, at)
	}
	return view, nil
}

// rowsCall asks for what a view holds.
type rowsCall struct {
	ID      uint64 `cbor:"1,keyasint"`
	Account string `cbor:"2,keyasint"`
	Deep    bool   `cbor:"3,keyasint"`
	Records bool   `cbor:"4,keyasint"` // of messages, of one account; else digests
}

func (s *site) answerRows(ctx context.Context, _ string, data []byte, w io.Writer) error {
	var req rowsCall
	if err := decodeCall(data, &req); err != nil {
		return err
	}
	k := s.views.take(req.ID)
	if k == nil {
		return channel.Errorf(channel.CodeNotFound, "no such view")
	}
	defer k.close()
	if req.Records {
		return compare.Write(w, compare.Records(ctx, k.view, req.Account))
	}
	return compare.Write(w, compare.Digests(ctx, k.view, compare.Options{Account: req.Account, Deep: req.Deep}))
}

// bothViews gives a view of a shard here and the number of one at a peer, of the same position. One of the two leads.
func (s *site) bothViews(ctx context.Context, p *channel.Peer, sh *shard) (*replica.View, uint64, error) {
	if c := s.node.cluster; sh.writer.Load() != nil || c != nil && c.supersededBy() == "" {
		view, thaw, err := sh.frozenView(ctx)
		if err != nil {
			return nil, 0, err
		}
		defer thaw()
		wait, cancel := context.WithTimeout(ctx, freezeTime)
		defer cancel()
		theirs, err := s.peerView(wait, p, viewCall{Shard: sh.number, At: mark{uint64(view.At.Position), view.At.Hash}})
		if err != nil {
			_ = view.Close()
			return nil, 0, err
		}
		return s.same(view, theirs, p)
	}
	theirs, err := s.peerView(ctx, p, viewCall{Shard: sh.number, Lead: true})
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if id, err := cbor.Marshal(theirs.ID); err == nil {
			_, _ = p.Call(ctx, callThaw, id) // else the peer goes on by itself
		}
	}()
	wait, cancel := context.WithTimeout(ctx, freezeTime)
	defer cancel()
	view, err := sh.viewAt(wait, eventlog.Position(theirs.At.Position))
	if err != nil {
		return nil, 0, err
	}
	return s.same(view, theirs, p)
}

func (s *site) peerView(ctx context.Context, p *channel.Peer, call viewCall) (viewAnswer, error) {
	var answer viewAnswer
	req, err := cbor.Marshal(call)
	if err != nil {
		return answer, err
	}
	data, err := p.Call(ctx, callView, req)
	if err != nil {
		return answer, fmt.Errorf("node %s: %w", p.Name(), err)
	}
	return answer, decodeCall(data, &answer)
}

// same holds that both views are of the same history.
func (s *site) same(view *replica.View, theirs viewAnswer, p *channel.Peer) (*replica.View, uint64, error) {
	if uint64(view.At.Position) != theirs.At.Position || view.At.Hash != theirs.At.Hash {
		err := fmt.Errorf("the logs have parted: %s here, %d:%x on %s", view.At.Mark(), theirs.At.Position, theirs.At.Hash[:4], p.Name())
		_ = view.Close()
		return nil, 0, err
	}
	return view, theirs.ID, nil
}
