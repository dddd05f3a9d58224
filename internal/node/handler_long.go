package node

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/internal/control"
	"angarium/replica/state"
)

func (n *Node) handleVerify(w http.ResponseWriter, r *http.Request) {
	var req control.VerifyRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	out := newLines(w)
	res, err := n.verify(r.Context(), req.Deep, func(v state.Violation) { _ = out.item(v) }, out.progress)
	out.end(res, err)
}

func (n *Node) handleLog(w http.ResponseWriter, r *http.Request) {
	s, err := n.shardOf(r)
	var from, to, limit uint64
	for _, q := range []struct {
		name string
		v    *uint64
	}{{"from", &from}, {"to", &to}, {"limit", &limit}} {
		if err == nil {
			*q.v, err = number(r, q.name, 0)
		}
	}
	if err != nil {
		fail(w, err)
		return
	}
	q := r.URL.Query()
	account := q.Get("account")
	if account != "" {
		if account, err = n.canonical(account); err != nil {
			fail(w, err)
			return
		}
	}
	show := &logShow{
		out: newLines(w), s: s, account: account, kind: q.Get("kind"), limit: limit,
		follow: q.Get("follow") == "true",
	}
	out := show.out
	err = show.run(r, eventlog.Position(from), eventlog.Position(to))
	if errors.Is(err, errEnough) {
		err = nil
	}
	out.end(struct{}{}, err)
}

// errEnough ends a listing at its limit.
var errEnough = errors.New("enough")

type logShow struct {
	out           *lines
	s             *shard
	account, kind string
	limit, shown  uint64
	follow        bool
}

func (l *logShow) run(r *http.Request, from, to eventlog.Position) error {
	last := from
	head, err := l.s.log.Head(r.Context())
	if err != nil {
		return err
	}
	if from > 0 && from < head.First {
		return &control.Error{
			Code:    control.CodeNotFound,
			Message: fmt.Sprintf("history no longer here: the log of shard %d begins at %d", l.s.number, head.First),
			Hint:    fmt.Sprintf("it is in the archive (syncctl history, snapshots); here, ask from %d on", head.First),
		}
	}
	err = l.s.eachEnvelope(r.Context(), from, to, func(env *eventlog.Envelope, _ eventlog.Position) error {
		last = env.Position + 1
		return l.show(env)
	})
	if err != nil || !l.follow || to != 0 {
		return err
	}
	l.out.flush()
	after, err := l.s.stateBefore(r.Context(), last-1)
	if err != nil {
		return err
	}
	f, err := eventlog.Follow(r.Context(), l.s.log, after)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		env, err := f.Next(r.Context())
		if err != nil {
			return err
		}
		if env.Position < last {
			continue
		}
		if err := l.show(&env); err != nil {
			return err
		}
		l.out.flush()
	}
}

func (l *logShow) show(env *eventlog.Envelope) error {
	events, err := logEvents(l.s.number, env, func(e event.Entry) bool {
		return (l.account == "" || e.Event.AccountName() == l.account) && (l.kind == "" || e.Event.Kind().String() == l.kind)
	})
	if err != nil {
		return err
	}
	for i := range events {
		if l.limit > 0 && l.shown == l.limit {
			return errEnough
		}
		l.shown++
		if err := l.out.item(&events[i]); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) handleLogStat(w http.ResponseWriter, r *http.Request) {
	s, err := n.shardOf(r)
	if err != nil {
		fail(w, err)
		return
	}
	out := newLines(w)
	st := control.LogStat{Shard: s.number, Kinds: map[string]uint64{}}
	err = s.eachEnvelope(r.Context(), 0, 0, func(env *eventlog.Envelope, head eventlog.Position) error {
		if st.Envelopes == 0 {
			st.First, st.From = uint64(env.Position), env.Time
		}
		st.Last, st.To = uint64(env.Position), env.Time
		st.Envelopes++
		st.Events += uint64(len(env.Entries))
		st.Bytes += uint64(len(env.Payload))
		for _, e := range env.Entries {
			st.Kinds[e.Event.Kind().String()]++
		}
		out.progress(control.Progress{What: "read log", Done: uint64(env.Position), Total: uint64(head), Unit: "envelopes"})
		return nil
	})
	out.end(st, err)
}

func (n *Node) handleRebuild(w http.ResponseWriter, r *http.Request) {
	var req control.RebuildRequest
	err := decode(w, r, &req)
	if err == nil && req.Shard != nil && (*req.Shard < 0 || *req.Shard >= len(n.shards)) {
		err = &control.Error{Code: control.CodeNotFound, Message: "no such shard"}
	}
	if err == nil && !n.rebuilding.TryLock() {
		err = &control.Error{Code: control.CodeUnavailable, Message: "a rebuild is under way"}
	}
	if err != nil {
		fail(w, err)
		return
	}
	defer n.rebuilding.Unlock()
	out := newLines(w)
	var res control.RebuildResult
	for _, s := range n.shards {
		if req.Shard != nil && *req.Shard != s.number {
			continue
		}
		one, err := s.rebuild(r.Context(), func(done, total uint64) {
			out.progress(control.Progress{What: "replay", Done: done, Total: total, Unit: "envelopes"})
		})
		if err != nil {
			out.end(nil, errors.Join(err, n.dropRebuilt()))
			return
		}
		res.Shards = append(res.Shards, one)
	}
	out.end(res, nil)
	out.flush()
	if n.Restart != nil {
		time.AfterFunc(restartPause, n.Restart) // the answer is read before the control socket closes
	}
}

// dropRebuilt removes what a rebuild that failed has made: it would be put in place at some later start.
func (n *Node) dropRebuilt() error {
	var errs []error
	for _, s := range n.shards {
		errs = append(errs, os.RemoveAll(rebuildDir(shardDir(n.opts.Data, s.number))))
	}
	return errors.Join(errs...)
}

// restartPause is how long a restart waits for the answer that announces it to be read.
const restartPause = 100 * time.Millisecond
