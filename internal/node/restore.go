package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/eventlog/event"
	"angarium/internal/control"
	"angarium/mailstore"
	"angarium/restore"
)

func (n *Node) restoreHandlers(mux *http.ServeMux) {
	mux.HandleFunc("POST "+control.PathRestore, n.handleRestore)
	mux.HandleFunc("POST "+control.PathHistory, n.handleHistory)
	mux.HandleFunc("POST "+control.PathRecall, n.handleRecall)
}

// Point reads a point of history as people write it, in local time, and gives it as the control API takes it.
func Point(text string) (string, error) {
	p, err := restore.ParsePoint(text, time.Now(), time.Local)
	if err != nil {
		return "", err
	}
	return p.String(), nil
}

// parsePoint reads a point of a request; "" is def.
func parsePoint(text string, def restore.Point) (restore.Point, error) {
	if text == "" {
		return def, nil
	}
	return restore.ParsePoint(text, time.Now(), time.UTC)
}

// restoreError says what an error of a restore means to whoever asked.
func restoreError(err error) error {
	e := &control.Error{}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, restore.ErrTooOld):
		e.Code, e.Hint = control.CodeNotFound, "name the archive with --archive URL, or a later point"
	case errors.Is(err, restore.ErrPoint), errors.Is(err, restore.ErrOptions), errors.Is(err, mailstore.ErrName):
		e.Code = control.CodeUsage
	case errors.Is(err, mailstore.ErrNoMailbox), errors.Is(err, mailstore.ErrNoAccount):
		e.Code = control.CodeNotFound
	case errors.Is(err, restore.ErrBodies):
		e.Code, e.Hint = control.CodeNotFound, "all else was restored; a second run with an archive that has them brings these back, too"
	case errors.Is(err, archive.ErrDamaged), errors.Is(err, archive.ErrMissing), errors.Is(err, archive.ErrKey), errors.Is(err, archive.ErrForeign):
		return archiveError(err)
	default:
		return err
	}
	e.Message = err.Error()
	return e
}

// pasts gives the histories of shards to one request.
type pasts struct {
	n    *Node
	ref  control.ArchiveRef
	arch *archive.Archive // opened when it is needed
	byNo map[int]restore.History
}

func (n *Node) pasts(ref control.ArchiveRef) *pasts {
	return &pasts{n: n, ref: ref, byNo: map[int]restore.History{}}
}

// of gives the history of a shard. The archive is opened only where the log does not have all.
func (p *pasts) of(ctx context.Context, s *shard) (restore.History, error) {
	if h, ok := p.byNo[s.number]; ok {
		return h, nil
	}
	h := restore.History{Log: s.log}
	head, err := s.log.Head(ctx)
	if err != nil {
		return h, err
	}
	if head.First > 1 && (p.ref.URL != "" || p.n.opts.Config.Archive.URL != "") {
		if p.arch == nil {
			if p.arch, err = (archiveAPI{node: p.n, log: p.n.log}).open(ctx, p.ref); err != nil {
				return h, err
			}
			if p.arch.Shards() != len(p.n.shards) {
				return h, archiveError(fmt.Errorf("%w: it has %d shards, this store %d", archive.ErrForeign, p.arch.Shards(), len(p.n.shards)))
			}
		}
		if h.Archive, err = p.arch.Shard(ctx, s.number); err != nil {
			return h, err
		}
	}
	p.byNo[s.number] = h
	return h, nil
}

func (p *pasts) bytesRead() int64 {
	if p.arch == nil {
		return 0
	}
	return p.arch.BytesRead()
}

func (n *Node) handleRestore(w http.ResponseWriter, r *http.Request) {
	var req control.RestoreRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	opts, err := n.restoreOptions(req)
	if err == nil && !req.DryRun && !n.restoring.TryLock() {
		err = &control.Error{Code: control.CodeUnavailable, Message: "a restore is under way"}
	} else if err == nil && !req.DryRun {
		defer n.restoring.Unlock()
	}
	if err != nil {
		fail(w, restoreError(err))
		return
	}
	out := newLines(w)
	run := &restoreRun{n: n, req: req, opts: opts, out: out, past: n.pasts(req.Archive)}
	begin := time.Now()
	err = run.run(r.Context())
	run.res.Seconds, run.res.ArchiveBytes = time.Since(begin).Seconds(), run.past.bytesRead()
	out.end(run.res, restoreError(err))
}

// restoreOptions reads a request.
func (n *Node) restoreOptions(req control.RestoreRequest) (restore.Options, error) {
	opts := restore.Options{Mailbox: req.Mailbox, Exact: req.Exact, Into: req.Into, Expunged: req.Expunged}
	var err error
	if req.Account != "" {
		if opts.Account, err = n.canonical(req.Account); err != nil {
			return opts, err
		}
	}
	for _, o := range req.Only {
		opts.Only = append(opts.Only, restore.Part(o))
	}
	if opts.At, err = parsePoint(req.At, restore.Point{}); err != nil {
		return opts, err
	}
	if opts.Until, err = parsePoint(req.Until, restore.Point{}); err != nil {
		return opts, err
	}
	if req.UIDs != "" {
		if opts.UIDs, err = parseUIDs(req.UIDs); err != nil {
			return opts, err
		}
	}
	usage := func(text string) error { return &control.Error{Code: control.CodeUsage, Message: text} }
	switch {
	case req.At == "" && !req.Expunged && !req.Deleted:
		return opts, usage("a restore needs a point to go back to")
	case opts.Account == "" && (opts.Mailbox != "" || opts.Into != "" || req.Deleted):
		return opts, usage("a mailbox is that of an account: name it")
	case req.Deleted && (opts.Mailbox == "" || req.At != "" || req.Expunged):
		return opts, usage("name the mailbox that was deleted, and no point")
	case opts.Account == "" && len(n.shards) > 1 && (isPosition(req.At, opts.At) || isPosition(req.Until, opts.Until)):
		return opts, usage(fmt.Sprintf("a position belongs to one of the %d shards: name an account, or a time", len(n.shards)))
	}
	return opts, nil
}

func isPosition(text string, p restore.Point) bool { return text != "" && p.Time.IsZero() }

// restoreRun is one restore.
type restoreRun struct {
	n    *Node
	req  control.RestoreRequest
	opts restore.Options
	out  *lines
	past *pasts
	res  control.RestoreResult
}

func (r *restoreRun) run(ctx context.Context) error {
	r.res.DryRun = r.req.DryRun
	if r.opts.Account != "" {
		return r.account(ctx, r.opts.Account, true)
	}
	accounts, err := r.accounts(ctx)
	if err != nil {
		return err
	}
	for i, account := range accounts {
		r.out.progress(control.Progress{What: "restore", Done: uint64(i), Total: uint64(len(accounts)), Unit: "accounts"})
		if err := r.account(ctx, account, false); err != nil {
			return fmt.Errorf("account %s: %w", account, err)
		}
	}
	return nil
}

// accounts lists those there are, and those that were deleted since the point.
func (r *restoreRun) accounts(ctx context.Context) ([]string, error) {
	set := map[string]bool{}
	list, err := r.n.store.Accounts(ctx, operator())
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		set[a.Name] = true
	}
	for _, s := range r.n.shards {
		h, err := r.past.of(ctx, s)
		if err != nil {
			return nil, err
		}
		at, err := h.Resolve(ctx, r.opts.At)
		if err != nil {
			return nil, err
		}
		last, err := h.Last(ctx)
		if err != nil {
			return nil, err
		}
		err = h.Events(ctx, at+1, last, archive.EventFilter{}, func(e restore.Event) error {
			if d, ok := e.Entry.Event.(*event.AccountDeleted); ok {
				set[d.Account] = true
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(set)), nil
}

// account restores one account. One that is not named may have nothing to come back to.
func (r *restoreRun) account(ctx context.Context, account string, named bool) error {
	s := r.n.shards[mailstore.ShardOf(account, len(r.n.shards))]
	h, err := r.past.of(ctx, s)
	if err != nil {
		return err
	}
	opts := r.opts
	opts.Account = account
	if r.req.Deleted {
		if opts.At.Position, err = lastDeletion(ctx, h, account, opts.Mailbox); err != nil {
			return err
		}
	}
	plan, err := restore.New(ctx, r.n.store, operator(), h, opts)
	if !named && errors.Is(err, mailstore.ErrNoAccount) {
		return nil // it was made after the point, or has gone
	}
	if err != nil {
		return err
	}
	if !named && plan.Empty() {
		return nil
	}
	told, err := control.Recoded[control.RestorePlan](plan)
	if err != nil {
		return err
	}
	told.Shard = s.number
	if err := r.out.item(told); err != nil {
		return err
	}
	r.out.flush()
	r.res.Undoes += plan.Undoes
	if plan.Empty() {
		return nil
	}
	r.res.Accounts++
	counts := told.Counts
	if !r.req.DryRun {
		counts, err = r.apply(ctx, h, plan)
	}
	r.res.Counts.Add(counts)
	return err
}

// apply carries a plan out. Bodies that are missing do not keep other accounts from being restored.
func (r *restoreRun) apply(ctx context.Context, h restore.History, plan *restore.Plan) (control.RestoreCounts, error) {
	done, err := restore.Apply(ctx, r.n.store, operatorAs(r.req.By), h, plan, func(p restore.Progress) {
		r.out.progress(control.Progress{What: "restore " + plan.Account, Done: uint64(p.Messages), Total: uint64(p.OfMessages), Unit: "messages"})
	})
	if room := restore.MaxUndone - len(r.res.Missing); room > 0 {
		r.res.Missing = append(r.res.Missing, done.Missing[:min(room, len(done.Missing))]...)
	}
	counts, recodeErr := control.Recoded[control.RestoreCounts](done.Counts)
	if errors.Is(err, restore.ErrBodies) && r.opts.Account == "" {
		r.n.log.Warn("a restore lacks bodies", "account", plan.Account, "error", err)
		err = nil
	}
	return counts, errors.Join(err, recodeErr)
}

// lastDeletion gives the position before the one at which a mailbox was last deleted.
func lastDeletion(ctx context.Context, h restore.History, account, mailbox string) (eventlog.Position, error) {
	var at eventlog.Position
	err := restore.List(ctx, h, restore.Query{Account: account, Mailbox: mailbox}, func(e restore.Happened) error {
		if e.Kind == event.KindMailboxDeleted.String() && e.Mailbox == mailbox {
			at = e.Position
		}
		return nil
	})
	if err == nil && at == 0 {
		err = fmt.Errorf("%w: no mailbox %q of %s was deleted, as far as the history reaches back", mailstore.ErrNoMailbox, mailbox, account)
	}
	return at - min(at, 1), err
}
