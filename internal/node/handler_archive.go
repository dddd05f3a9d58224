package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/internal/control"
)

// archiveAPI serves what can be asked of an archive, with or without a node.
type archiveAPI struct {
	node *Node // nil: only archives that are named
	log  *slog.Logger
}

// ArchiveHandler serves what of the control API needs an archive and no store: the requests have to name one.
func ArchiveHandler(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	archiveAPI{log: log}.handlers(mux)
	return mux
}

func (n *Node) archiveHandlers(mux *http.ServeMux) {
	archiveAPI{node: n, log: n.log}.handlers(mux)
	mux.HandleFunc("POST "+control.PathBackup, n.handleBackup)
	mux.HandleFunc("POST "+control.PathUsage, n.handleUsage)
	mux.HandleFunc("POST "+control.PathPurge, n.handlePurge)
	mux.HandleFunc("POST "+control.PathCompact, n.handleCompact)
}

func (a archiveAPI) handlers(mux *http.ServeMux) {
	mux.HandleFunc("POST "+control.PathSnapshots, a.handleSnapshots)
	mux.HandleFunc("POST "+control.PathPrune, a.handlePrune)
	mux.HandleFunc("POST "+control.PathVerifyArchive, a.handleVerify)
}

// errNoArchive says that no archive is named.
func errNoArchive() error {
	return &control.Error{
		Code: control.CodeUsage, Message: "this node has no archive",
		Hint: "start the server with --archive URL, set url in [archive] of its configuration, or name one with --archive URL",
	}
}

// open opens the archive of a request.
func (a archiveAPI) open(ctx context.Context, ref control.ArchiveRef) (*archive.Archive, error) {
	if ref.URL == "" && a.node != nil {
		ref = archiveRef(a.node.opts.Config.Archive)
	}
	if ref.URL == "" {
		return nil, errNoArchive()
	}
	target, key, err := openTarget(ref)
	if err != nil {
		return nil, err
	}
	arch, err := archive.Open(ctx, target, key)
	return arch, archiveError(err)
}

func snapshotOf(i archive.SnapshotInfo) control.Snapshot {
	return control.Snapshot{
		Shard: i.Shard, Position: uint64(i.Position), Time: i.Time, Rows: i.Rows, Bodies: i.Bodies, Bytes: i.Bytes, Object: i.Object,
	}
}

func snapshotsOf(list []archive.SnapshotInfo) []control.Snapshot {
	out := make([]control.Snapshot, 0, len(list))
	for _, i := range list {
		out = append(out, snapshotOf(i))
	}
	return out
}

func (a archiveAPI) handleSnapshots(w http.ResponseWriter, r *http.Request) {
	var ref control.ArchiveRef
	err := decode(w, r, &ref)
	var list control.SnapshotList
	if err == nil {
		list, err = a.snapshots(r.Context(), ref)
	}
	answer(w, list, archiveError(err))
}

func (a archiveAPI) snapshots(ctx context.Context, ref control.ArchiveRef) (control.SnapshotList, error) {
	list := control.SnapshotList{Shards: []control.ArchivedShard{}}
	arch, err := a.open(ctx, ref)
	if err != nil {
		return list, err
	}
	list.Target = arch.String()
	if list.Objects, list.Bytes, err = arch.Size(ctx); err != nil {
		return list, err
	}
	for i := range arch.Shards() {
		shard, err := arch.Shard(ctx, i)
		if err != nil {
			return list, err
		}
		one := control.ArchivedShard{Shard: i}
		first, last := shard.Extent()
		snapshots, damaged := shard.Snapshots(ctx)
		one.Snapshots = snapshotsOf(snapshots)
		_, when, headErr := shard.Head(ctx)
		if n := len(snapshots); last == 0 && n > 0 { // all before it was pruned, and nothing came since
			first, last, when = snapshots[n-1].Position, snapshots[n-1].Position, snapshots[n-1].Time
		}
		one.First, one.Last, one.Time = uint64(first), uint64(last), when
		if err := errors.Join(damaged, headErr); err != nil {
			one.Error = err.Error()
		}
		list.Shards = append(list.Shards, one)
	}
	return list, nil
}

func (a archiveAPI) handlePrune(w http.ResponseWriter, r *http.Request) {
	var req control.PruneRequest
	err := decode(w, r, &req)
	var res control.PruneResult
	if err == nil {
		res, err = a.prune(r.Context(), req)
	}
	answer(w, res, archiveError(err))
}

func (a archiveAPI) prune(ctx context.Context, req control.PruneRequest) (control.PruneResult, error) {
	res := control.PruneResult{DryRun: req.DryRun, Shards: []control.PrunedShard{}}
	policy := policyOf(req.Keep)
	if policy == (archive.Policy{}) && a.node != nil {
		policy = policyOf(keepOf(a.node.opts.Config.Archive))
	}
	if policy == (archive.Policy{}) {
		return res, &control.Error{Code: control.CodeUsage, Message: "nothing says what to keep", Hint: "as --keep-daily 7 --keep-weekly 5 --keep-within 7d"}
	}
	arch, err := a.open(ctx, req.Archive)
	if err != nil {
		return res, err
	}
	if a.node != nil && a.node.archiving != nil {
		if err := a.node.archiving.chore(ctx); err != nil {
			return res, err
		}
		defer a.node.archiving.chores.Unlock()
	}
	now := time.Now()
	for i := range arch.Shards() {
		shard, err := arch.Shard(ctx, i)
		if err != nil {
			return res, err
		}
		plan, err := shard.Prune(ctx, policy, now, req.DryRun)
		if err != nil {
			return res, fmt.Errorf("prune shard %d: %w", i, err)
		}
		res.Shards = append(res.Shards, control.PrunedShard{
			Shard: i, Keep: snapshotsOf(plan.Keep), Remove: snapshotsOf(plan.Remove), From: uint64(plan.From), Objects: len(plan.Objects),
			Bytes: plan.Bytes, Packed: plan.Packed,
		})
	}
	return res, nil
}

func (a archiveAPI) handleVerify(w http.ResponseWriter, r *http.Request) {
	var req control.VerifyArchiveRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	arch, err := a.open(r.Context(), req.Archive)
	if err != nil {
		fail(w, err)
		return
	}
	live := map[int]archive.Digest{}
	for _, s := range req.Live {
		d, err := strconv.ParseUint(s.Digest, 16, 64)
		if err != nil {
			fail(w, &control.Error{Code: control.CodeUsage, Message: fmt.Sprintf("digest %q: want 16 hex digits", s.Digest)})
			return
		}
		live[s.Shard] = archive.Digest{Position: eventlog.Position(s.Position), Digest: d}
	}
	out := newLines(w)
	res, err := verifyArchive(r.Context(), a.log, arch, verification{
		deep: req.Deep, live: live, scratch: req.Scratch, progress: out.progress,
		report: func(f archive.Finding) {
			_ = out.item(control.ArchiveFinding{ // it always has a JSON
				Kind: f.Kind, Shard: f.Shard, Object: f.Object, Position: uint64(f.Position), Detail: f.Detail, Harmless: f.Harmless(),
			})
		},
	})
	out.end(control.VerifyArchiveResult{
		OK: res.Faults == 0, Target: arch.String(), Objects: res.Objects, Bytes: res.Bytes, Envelopes: res.Envelopes, Events: res.Events,
		Bodies: res.Bodies, Snapshots: res.Snapshots, Folded: res.Folded, Faults: res.Faults, Harmless: res.Harmless,
	}, archiveError(err))
}

func (n *Node) handleBackup(w http.ResponseWriter, r *http.Request) {
	var ref control.ArchiveRef
	if err := decode(w, r, &ref); err != nil {
		fail(w, err)
		return
	}
	a := n.archiving
	if a == nil || ref.URL != "" {
		var err error
		if a, err = n.temporaryArchiving(r.Context(), ref); err != nil {
			fail(w, err)
			return
		}
		defer a.close()
	}
	out := newLines(w)
	res, err := a.backup(r.Context(), out.progress)
	out.end(res, err)
}

// lastArchived is the last position that a shard of an archive can come back to.
func lastArchived(ctx context.Context, s *archive.Shard) (eventlog.Position, error) {
	_, last := s.Extent()
	if last > 0 {
		return last, nil
	}
	snap, err := s.SnapshotUpTo(ctx, 1<<63)
	if errors.Is(err, archive.ErrMissing) && !errors.Is(err, archive.ErrDamaged) {
		return 0, nil // nothing was archived yet
	}
	if err != nil {
		return 0, err
	}
	return snap.At().Position, nil
}
