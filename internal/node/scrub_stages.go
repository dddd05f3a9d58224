package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/fxamacker/cbor/v2"

	"angarium/channel"
	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/internal/control"
	"angarium/replica/state"
)

// scrubLog reads the envelopes of a shard and checks that each continues the one before. At the first that does not it ends: the log is
// then mended as a whole.
func (s *scrubber) scrubLog(ctx context.Context, sh *shard) error {
	if sh.broken != nil || sh.damage.Load() != nil {
		s.found(control.ScrubFinding{Shard: sh.number, Kind: "log", Detail: "the log is damaged, as is known already"})
		return nil
	}
	at, err := s.at().Log.state()
	if err != nil || at == (eventlog.State{}) || eventlog.Check(ctx, sh.log, at.Mark()) != nil {
		at = sh.base
	}
	head, err := sh.log.Head(ctx)
	if err != nil {
		return err
	}
	if head.First > at.Position+1 && head.First <= head.Last { // what came before was purged
		if at, err = sh.stateBefore(ctx, head.First); err != nil {
			return s.logDamage(sh, err)
		}
	}
	limit := s.limiter()
	chain := eventlog.NewChain(at)
	var bytes uint64
	for pos := at.Position + 1; pos <= head.Last; pos++ {
		payload, err := sh.log.Read(ctx, pos)
		if errors.Is(err, eventlog.ErrNotFound) {
			now, headErr := sh.log.Head(ctx)
			if headErr != nil {
				return headErr
			}
			if now.First > pos {
				return nil // it was purged meanwhile; the next pass reads what is left
			}
			return s.logDamage(sh, &eventlog.ChainError{Position: pos, Err: fmt.Errorf("%w: it cannot be read", eventlog.ErrGap)})
		}
		if err != nil {
			return err
		}
		if _, err := chain.Extend(eventlog.Message{Position: pos, Payload: payload}); err != nil {
			return s.logDamage(sh, err)
		}
		if bytes += uint64(len(payload)); bytes < scrubSlice && pos < head.Last {
			continue
		}
		step := control.Progress{Done: uint64(pos), Total: uint64(head.Last), Unit: "envelopes"}
		if err := s.read(ctx, limit, bytes, func(p *scrubPlace) { p.Log = baseOf(chain.State()) }, step); err != nil {
			return err
		}
		bytes = 0
	}
	return nil
}

// logDamage notes damage of the log. The site sees to it that it is mended, if this node is in one.
func (s *scrubber) logDamage(sh *shard, err error) error {
	var chain *eventlog.ChainError
	if !errors.As(err, &chain) {
		return err
	}
	s.found(control.ScrubFinding{Shard: sh.number, Kind: "log", Detail: err.Error()})
	sh.damaged(err)
	if s.node.site != nil {
		s.node.site.poke()
	}
	return nil
}

// scrubBodies reads every body, and writes those that are damaged anew from another node's.
func (s *scrubber) scrubBodies(ctx context.Context, sh *shard) error {
	var at event.GUID
	if b, err := hex.DecodeString(s.at().Behind); err == nil && len(b) == len(at) {
		at = event.GUID(b)
	}
	limit := s.limiter()
	done := uint64(0)
	for {
		slice, err := sh.replica.CheckBodies(ctx, at, scrubSlice)
		if err != nil {
			return err
		}
		for _, guid := range slice.Bad {
			f := control.ScrubFinding{Shard: sh.number, Kind: "body", Detail: "body " + guid.String()}
			if err := s.node.repairBody(ctx, sh, guid); err != nil {
				f.Detail += ": " + err.Error()
			} else {
				f.Healed = true
			}
			s.found(f)
		}
		at = slice.Last
		done += slice.Bytes
		st, err := sh.replica.Status()
		if err != nil {
			return err
		}
		step := control.Progress{Done: done, Total: max(st.Bodies, done), Unit: "bytes"}
		if err := s.read(ctx, limit, slice.Bytes, func(p *scrubPlace) { p.Behind = hex.EncodeToString(at[:]) }, step); err != nil {
			return err
		}
		if slice.Done {
			return nil
		}
	}
}

// scrubIndex checks the invariants of the index, some mailboxes at a time, and then of the whole.
func (s *scrubber) scrubIndex(ctx context.Context, sh *shard) error {
	var at event.MailboxID
	if b, err := hex.DecodeString(s.at().Behind); err == nil && len(b) == len(at) {
		at = event.MailboxID(b)
	}
	report := func(v state.Violation) {
		s.found(control.ScrubFinding{Shard: sh.number, Kind: v.Kind, Detail: v.String()})
	}
	limit := s.limiter()
	boxes := uint64(0)
	for {
		last, sum, done, err := sh.replica.CheckMailboxes(at, scrubMessages, report)
		if err != nil {
			return err
		}
		at = last
		boxes += sum.Mailboxes
		st, err := sh.replica.Status()
		if err != nil {
			return err
		}
		step := control.Progress{Done: boxes, Total: max(st.Totals.Mailboxes, boxes), Unit: "mailboxes"}
		bytes := (sum.Messages + sum.Mailboxes) * scrubMessageBytes
		if err := s.read(ctx, limit, bytes, func(p *scrubPlace) { p.Behind = hex.EncodeToString(at[:]) }, step); err != nil {
			return err
		}
		if done {
			break
		}
	}
	_, err := sh.replica.CheckTables(report)
	return err
}

// callStored asks a peer for a body as it is stored.
const callStored = "body.stored"

// repairBody writes a damaged body anew from the first peer that has it whole.
func (n *Node) repairBody(ctx context.Context, sh *shard, guid event.GUID) error {
	if n.site == nil || n.site.hub == nil {
		return errors.New("there is no other node to ask")
	}
	req, err := cbor.Marshal(bodyCall{sh.number, guid})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healTime)
	defer cancel()
	var errs []error
	for _, p := range n.site.hub.Peers() {
		stored, err := p.Call(ctx, callStored, req)
		if err == nil {
			err = sh.replica.RepairBody(guid, stored)
		}
		if err == nil {
			n.log.Warn("healed a body from another node", "shard", sh.number, "guid", guid.String(), "from", p.Name())
			return n.heals.add(healed{Bodies: 1})
		}
		errs = append(errs, fmt.Errorf("node %s: %w", p.Name(), err))
	}
	return errors.Join(append(errs, errors.New("no other node gave it"))...)
}

func (s *site) answerStored(_ context.Context, _ string, data []byte) ([]byte, error) {
	var req bodyCall
	if err := decodeCall(data, &req); err != nil {
		return nil, err
	}
	if req.Shard < 0 || req.Shard >= len(s.node.shards) {
		return nil, channel.Errorf(channel.CodeNoShard, "no shard %d", req.Shard)
	}
	return s.node.shards[req.Shard].replica.StoredBody(req.GUID)
}

func (n *Node) handleScrub(w http.ResponseWriter, r *http.Request) {
	var req control.ScrubRequest
	err := decode(w, r, &req)
	if err == nil && n.scrub == nil {
		err = &control.Error{
			Code: control.CodeUnavailable, Message: "no server runs on this data directory", Hint: "syncctl verify --deep reads it without a server",
		}
	}
	if err != nil {
		fail(w, err)
		return
	}
	out := newLines(w)
	n.scrub.now(req.FullSpeed)
	if !req.Background {
		err = n.scrub.watch(r.Context(), n.scrub.at().Started, func(f control.ScrubFinding) error { return out.item(f) }, out.progress)
	}
	out.end(n.scrub.status(), err)
}
