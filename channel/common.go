package channel

import (
	"context"
	"errors"
	"fmt"

	"angarium/eventlog"
)

type positionRequest struct {
	Shard    int    `cbor:"1,keyasint"`
	Position uint64 `cbor:"2,keyasint,omitempty"`
}

type headAnswer struct {
	First uint64 `cbor:"1,keyasint"`
	Last  uint64 `cbor:"2,keyasint,omitempty"`
}

// markAnswer is the hash of an envelope and that of the one before it.
type markAnswer struct {
	Hash []byte `cbor:"1,keyasint"`
	Prev []byte `cbor:"2,keyasint"`
}

func (h *Hub) serveHead(ctx context.Context, _ string, req []byte) ([]byte, error) {
	_, log, err := h.positionRequest(req)
	if err != nil {
		return nil, err
	}
	head, err := log.Head(ctx)
	if err != nil {
		return nil, err
	}
	return encode(headAnswer{First: uint64(head.First), Last: uint64(head.Last)})
}

func (h *Hub) serveMark(ctx context.Context, _ string, req []byte) ([]byte, error) {
	pos, log, err := h.positionRequest(req)
	if err != nil {
		return nil, err
	}
	m, err := readMark(ctx, log, pos)
	if err != nil {
		return nil, err
	}
	return encode(markAnswer{Hash: m.hash[:], Prev: m.prev[:]})
}

func (h *Hub) serveEnvelope(ctx context.Context, _ string, req []byte) ([]byte, error) {
	pos, log, err := h.positionRequest(req)
	if err != nil {
		return nil, err
	}
	payload, err := log.Read(ctx, pos)
	if err != nil {
		return nil, err
	}
	if _, err := eventlog.Decode(pos, payload); err != nil {
		return nil, Errorf(CodeDamaged, "%v", err)
	}
	return payload, nil
}

func (h *Hub) positionRequest(req []byte) (eventlog.Position, eventlog.Log, error) {
	var in positionRequest
	if err := decode(req, &in); err != nil {
		return 0, nil, Errorf(CodeProtocol, "%v", err)
	}
	log, err := h.shardLog(in.Shard)
	return eventlog.Position(in.Position), log, err
}

// Head asks the peer which positions its log holds.
func (p *Peer) Head(ctx context.Context, shard int) (eventlog.Head, error) {
	var out headAnswer
	err := p.ask(ctx, opHead, positionRequest{Shard: shard}, &out)
	return eventlog.Head{First: eventlog.Position(out.First), Last: eventlog.Position(out.Last)}, err
}

// Envelope asks the peer for one envelope. It is whole, and what its hash says; that it is the right one is for the caller to check.
// eventlog.ErrNotFound: the peer does not have it.
func (p *Peer) Envelope(ctx context.Context, shard int, position eventlog.Position) (eventlog.Envelope, error) {
	req, err := encode(positionRequest{Shard: shard, Position: uint64(position)})
	if err != nil {
		return eventlog.Envelope{}, err
	}
	payload, err := p.Call(ctx, opEnvelope, req)
	if err != nil {
		return eventlog.Envelope{}, err
	}
	env, err := eventlog.Decode(position, payload)
	if err != nil {
		return eventlog.Envelope{}, fmt.Errorf("envelope %d of %q: %w", position, p.name, err)
	}
	return env, nil
}

// Mark asks the peer for the mark at a position: eventlog.ErrNotFound when it has no envelope there.
func (p *Peer) Mark(ctx context.Context, shard int, position eventlog.Position) (eventlog.Mark, error) {
	m, err := p.mark(ctx, shard, position)
	return eventlog.Mark{Position: position, Hash: m.hash}, err
}

func (p *Peer) mark(ctx context.Context, shard int, position eventlog.Position) (hashes, error) {
	var out markAnswer
	if err := p.ask(ctx, opMark, positionRequest{Shard: shard, Position: uint64(position)}, &out); err != nil {
		return hashes{}, err
	}
	if len(out.Hash) != eventlog.HashSize || len(out.Prev) != eventlog.HashSize {
		return hashes{}, fmt.Errorf("%w: hashes of %d and %d bytes", ErrProtocol, len(out.Hash), len(out.Prev))
	}
	return hashes{hash: eventlog.Hash(out.Hash), prev: eventlog.Hash(out.Prev)}, nil
}

// ask is Call with CBOR on both ways.
func (p *Peer) ask(ctx context.Context, op string, req, resp any) error {
	b, err := encode(req)
	if err != nil {
		return err
	}
	if b, err = p.Call(ctx, op, b); err != nil {
		return err
	}
	return decode(b, resp)
}

// hashes are those of an envelope and of the one before it.
type hashes struct {
	hash, prev eventlog.Hash
}

func readMark(ctx context.Context, log eventlog.Log, position eventlog.Position) (hashes, error) {
	payload, err := log.Read(ctx, position)
	if err != nil {
		return hashes{}, err
	}
	head, err := peek(payload)
	if err != nil || len(payload) <= eventlog.HashSize {
		return hashes{}, fmt.Errorf("position %d: %w", position, eventlog.ErrCorrupt)
	}
	return hashes{hash: eventlog.Hash(payload[len(payload)-eventlog.HashSize:]), prev: head.prev}, nil
}

// FindCommon gives the last mark that both log and the peer's log of a shard hold: the zero Mark when they have nothing in common but
// their beginning. Where the peer's log begins behind a checkpoint and does not reach back to it, others are asked that have the same
// history and more of it. ErrNoCommon means that nobody who could be asked reaches back.
//
// As each envelope holds the hash of the one before, logs that agree on one position agree on all before it: it takes one question for
// each halving of what both hold.
func FindCommon(ctx context.Context, p *Peer, shard int, log eventlog.Log, others ...*Peer) (eventlog.Mark, error) {
	mark, err := findCommon(ctx, p, shard, log)
	if errors.Is(err, ErrNoCommon) {
		mark, err = commonThrough(ctx, p, shard, log, others)
	}
	if err != nil {
		return eventlog.Mark{}, fmt.Errorf("find the common history with %q: %w", p.name, err)
	}
	return mark, nil
}

// commonThrough finds the common mark through a peer whose log holds what p's log begins behind, and so all that was before it.
func commonThrough(ctx context.Context, p *Peer, shard int, log eventlog.Log, others []*Peer) (eventlog.Mark, error) {
	base, err := p.base(ctx, shard)
	if err != nil {
		return eventlog.Mark{}, err
	}
	for _, other := range others {
		if there, err := other.Mark(ctx, shard, base.Position); err != nil || there != base {
			continue // it does not reach back either, cannot be asked, or has another history
		}
		if mark, err := findCommon(ctx, other, shard, log); err == nil {
			return mark, nil
		}
	}
	return eventlog.Mark{}, ErrNoCommon
}

// base gives what the peer's log begins behind.
func (p *Peer) base(ctx context.Context, shard int) (eventlog.Mark, error) {
	head, err := p.Head(ctx, shard)
	if err != nil {
		return eventlog.Mark{}, err
	}
	if head.First <= head.Last {
		m, err := p.mark(ctx, shard, head.First)
		return eventlog.Mark{Position: head.First - 1, Hash: m.prev}, err
	}
	state, _ := p.State()
	if sh, ok := state.Shard(shard); ok && sh.Tip.Position == head.Last {
		return sh.Tip.Mark(), nil
	}
	return eventlog.Mark{}, ErrNoCommon
}

func findCommon(ctx context.Context, p *Peer, shard int, log eventlog.Log) (eventlog.Mark, error) {
	ours, err := log.Head(ctx)
	if err != nil {
		return eventlog.Mark{}, err
	}
	theirs, err := p.Head(ctx, shard)
	if err != nil {
		return eventlog.Mark{}, err
	}
	first, last := max(ours.First, theirs.First, 1), min(ours.Last, theirs.Last)
	if last < first {
		if last == 0 { // one of them is empty
			return eventlog.Mark{}, nil
		}
		return adjacent(ctx, p, shard, log, ours, theirs)
	}
	// All up to low are common, none from high on is. Positions before first cannot be asked for.
	low, high, mark := first-1, last+1, eventlog.Mark{}
	for low+1 < high {
		middle := low + (high-low)/2
		mine, err := readMark(ctx, log, middle)
		if err != nil {
			return eventlog.Mark{}, err
		}
		other, err := p.mark(ctx, shard, middle)
		if err != nil {
			return eventlog.Mark{}, err
		}
		switch {
		case mine.hash == other.hash:
			low, mark = middle, eventlog.Mark{Position: middle, Hash: mine.hash}
		case mine.prev == other.prev:
			return eventlog.Mark{Position: middle - 1, Hash: mine.prev}, nil
		default:
			high = middle
		}
	}
	if mark.Position == 0 && first > 1 {
		return eventlog.Mark{}, ErrNoCommon
	}
	return mark, nil
}

// adjacent finds the common mark of logs of which one begins where the other one ends.
func adjacent(ctx context.Context, p *Peer, shard int, log eventlog.Log, ours, theirs eventlog.Head) (eventlog.Mark, error) {
	var end, next hashes
	var err, nextErr error
	at := min(ours.Last, theirs.Last)
	switch {
	case ours.First == theirs.Last+1 && ours.First <= ours.Last && theirs.First <= theirs.Last:
		end, err = p.mark(ctx, shard, at)
		next, nextErr = readMark(ctx, log, at+1)
	case theirs.First == ours.Last+1 && theirs.First <= theirs.Last && ours.First <= ours.Last:
		end, err = readMark(ctx, log, at)
		next, nextErr = p.mark(ctx, shard, at+1)
	default:
		return eventlog.Mark{}, ErrNoCommon
	}
	if err = errors.Join(err, nextErr); err != nil {
		return eventlog.Mark{}, err
	}
	if end.hash != next.prev {
		return eventlog.Mark{}, ErrNoCommon
	}
	return eventlog.Mark{Position: at, Hash: end.hash}, nil
}
