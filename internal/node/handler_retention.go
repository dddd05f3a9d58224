package node

import (
	"context"
	"errors"
	"net/http"

	"angarium/internal/control"
)

func (n *Node) handlePurge(w http.ResponseWriter, r *http.Request) {
	var req control.PurgeRequest
	err := decode(w, r, &req)
	if err == nil {
		err = n.purgeReason()
	}
	if err != nil {
		fail(w, err)
		return
	}
	out := newLines(w)
	res := control.PurgeResult{DryRun: req.DryRun, Shards: []control.PurgedShard{}}
	for _, s := range n.shards {
		one, err := n.retention.purge(r.Context(), s, req.DryRun, out.progress)
		if err != nil {
			out.end(nil, err)
			return
		}
		res.Shards = append(res.Shards, one)
	}
	out.end(res, nil)
}

func (n *Node) handleCompact(w http.ResponseWriter, r *http.Request) {
	var req control.CompactRequest
	err := decode(w, r, &req)
	if err == nil && n.opts.Config.Replica.KeepBodies <= 0 {
		err = &control.Error{Code: control.CodeUsage, Message: "bodies are kept for good", Hint: `set keep_bodies in [replica], as keep_bodies = "720h"`}
	}
	if err != nil {
		fail(w, err)
		return
	}
	out := newLines(w)
	res := control.CompactResult{DryRun: req.DryRun, Shards: []control.CompactedShard{}}
	do := n.retention.tidy
	if req.DryRun {
		do = n.retention.tidyPlan
	}
	for _, s := range n.shards {
		one, err := do(r.Context(), s, out.progress)
		if err != nil {
			out.end(nil, err)
			return
		}
		res.Shards = append(res.Shards, one)
	}
	out.end(res, nil)
}

// tidyPlan says what tidy would do. What it would drop first is not counted among what could be given back.
func (r *retention) tidyPlan(ctx context.Context, s *shard, _ func(control.Progress)) (control.CompactedShard, error) {
	res := control.CompactedShard{Shard: s.number}
	u, err := s.replica.BodyUse(ctx, 0)
	if err != nil {
		return res, err
	}
	res.Segments, res.Freed = u.Candidate, u.Reclaim
	res.Before = control.BodyUse{Bytes: u.Bytes, Live: u.Live, Garbage: u.Bytes - min(u.Live, u.Bytes)}
	res.After = res.Before
	res.After.Bytes -= min(u.Reclaim, res.After.Bytes)
	res.After.Garbage -= min(u.Reclaim, res.After.Garbage)
	res.Waiting, _, err = s.replica.Marks()
	return res, err
}

// report says for the usage of the disk what a shard keeps, and why.
func (r *retention) report(ctx context.Context, s *shard) (*control.Retention, error) {
	rep := &control.Retention{Log: control.PurgedShard{Shard: s.number, Holds: []control.Hold{}}}
	var reason *control.Error
	if errors.As(r.node.purgeReason(), &reason) {
		rep.Reason = reason.Message
		if reason.Hint != "" {
			rep.Reason += ": " + reason.Hint
		}
		head, err := s.log.Head(ctx)
		if err != nil {
			return nil, err
		}
		rep.Log.First, rep.Log.Last, rep.Log.Before = uint64(head.First), uint64(head.Last), uint64(head.First)
		if head.First <= head.Last {
			if rep.Log.FirstTime, err = s.timeOf(ctx, head.First); err != nil {
				return nil, err
			}
		}
	} else {
		var err error
		if rep.Log, err = r.purge(ctx, s, true, nil); err != nil {
			return nil, err
		}
		rep.Reason = holding(rep.Log)
	}
	var err error
	if rep.Bodies, err = s.bodyUse(ctx); err != nil {
		return nil, err
	}
	if rep.Waiting, rep.Oldest, err = s.replica.Marks(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	rep.Running = r.running[s.number]
	return rep, nil
}
