package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/eventlog/jslog"
	"angarium/internal/config"
	"angarium/internal/control"
	"angarium/internal/durable"
	"angarium/replica"
	"angarium/replica/state"
	"angarium/restore"
)

// RecoverOptions says what to recover and where to.
type RecoverOptions struct {
	Archive      control.ArchiveRef
	Data         string // an empty directory, or that of a recovery that was interrupted
	At           string // a point as Point gives it; "": all there is
	FromSnapshot bool   // begin at the newest snapshot, with no history from before it
	ConfigFile   string // may be empty
	Logger       *slog.Logger
	Progress     func(control.Progress, time.Duration) // with an estimate of the time that remains; may be nil
}

// recoveringName is the file that says what a data directory is being recovered from.
const recoveringName = "recovering.json"

// recovering is what it holds.
type recovering struct {
	Target       string   `json:"target"`
	To           []uint64 `json:"to"` // by shard
	FromSnapshot bool     `json:"from_snapshot"`
}

// recovery makes a store of an archive.
type recovery struct {
	opts  RecoverOptions
	cfg   config.Config
	arch  *archive.Archive
	plan  recovering
	conn  *jslog.Conn
	bases map[int]base
	epoch map[int]uint64 // the first one after the recovery, by shard
	res   control.RecoverResult
}

// Recover makes a store in a new data directory out of an archive: what serves it has the same UIDVALIDITY, UIDs, modseqs and flags as the one
// that was archived. A recovery that was interrupted goes on when it is run again. Until it is complete the directory holds no layout, so
// that no server opens it.
func Recover(ctx context.Context, opts RecoverOptions) (control.RecoverResult, error) {
	r := &recovery{opts: opts, bases: map[int]base{}, epoch: map[int]uint64{}, res: control.RecoverResult{Data: opts.Data, Shards: []control.RecoveredShard{}}}
	begin := time.Now()
	err := r.run(ctx)
	r.res.Seconds = time.Since(begin).Seconds()
	return r.res, archiveError(err)
}

func (r *recovery) run(ctx context.Context) (err error) {
	if r.cfg, err = loadConfig(r.opts.ConfigFile); err != nil {
		return err
	}
	if r.cfg.Log.URL != "" {
		return &control.Error{Code: control.CodeUsage, Message: "a store is recovered with its log embedded, not into an external one"}
	}
	if r.opts.Archive.URL == "" {
		r.opts.Archive = archiveRef(r.cfg.Archive)
	}
	if r.arch, err = (archiveAPI{}).open(ctx, r.opts.Archive); err != nil {
		return err
	}
	r.res.Target = r.arch.String()
	if err := os.MkdirAll(r.opts.Data, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	lock, err := lockDir(r.opts.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := r.begin(ctx); err != nil {
		return err
	}
	server, err := jslog.StartEmbedded(ctx, jslog.EmbeddedOptions{
		Dir: filepath.Join(r.opts.Data, "log"), Domain: r.cfg.Log.Domain, MaxStoreBytes: int64(r.cfg.Log.MaxStore), MinFreeBytes: minFree(r.cfg.Log),
		Logger: r.opts.Logger.With("part", "log"),
	})
	if err != nil {
		return err
	}
	defer server.Shutdown()
	if r.conn, err = server.Connect(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.conn.Close()) }()
	for i := range r.arch.Shards() {
		if err := r.shard(ctx, i); err != nil {
			return fmt.Errorf("recover shard %d: %w", i, err)
		}
	}
	return r.finish()
}

// begin checks the directory and settles where to stop, or takes that from the attempt before.
func (r *recovery) begin(ctx context.Context) error {
	path := filepath.Join(r.opts.Data, recoveringName)
	data, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(data, &r.plan); err != nil || len(r.plan.To) != r.arch.Shards() {
			return &control.Error{Code: control.CodeUsage, Message: path + " is damaged", Hint: "begin again in an empty directory"}
		}
		if r.plan.Target != r.arch.String() || r.plan.FromSnapshot != r.opts.FromSnapshot {
			return &control.Error{
				Code: control.CodeUsage, Message: fmt.Sprintf("%s holds an unfinished recovery from %s", r.opts.Data, r.plan.Target),
				Hint: "finish it with the same options, or begin again in an empty directory",
			}
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := os.ReadDir(r.opts.Data)
	if err != nil {
		return fmt.Errorf("open data directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() != "LOCK" {
			return &control.Error{
				Code: control.CodeExists, Message: fmt.Sprintf("%s holds %q", r.opts.Data, e.Name()), Hint: "a store is recovered into an empty directory",
			}
		}
	}
	r.plan = recovering{Target: r.arch.String(), FromSnapshot: r.opts.FromSnapshot}
	for i := range r.arch.Shards() {
		to, err := r.end(ctx, i)
		if err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
		r.plan.To = append(r.plan.To, uint64(to))
	}
	if data, err = json.Marshal(r.plan); err != nil {
		return err
	}
	return durable.WriteFile(path, append(data, '\n'))
}

// end is the position at which a shard's recovery ends.
func (r *recovery) end(ctx context.Context, shard int) (eventlog.Position, error) {
	s, err := r.arch.Shard(ctx, shard)
	if err != nil {
		return 0, err
	}
	last, err := lastArchived(ctx, s)
	if err != nil {
		return 0, err
	}
	if r.opts.At == "" {
		return last, nil
	}
	p, err := parsePoint(r.opts.At, restore.Point{})
	if err != nil {
		return 0, restoreError(err)
	}
	if !p.Time.IsZero() {
		return s.At(ctx, p.Time)
	}
	if r.arch.Shards() > 1 {
		return 0, &control.Error{Code: control.CodeUsage, Message: fmt.Sprintf("a position belongs to one of the %d shards: name a time", r.arch.Shards())}
	}
	if p.Position > last || p.Position == 0 {
		return 0, &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("position %d is not in the archive, which ends at %d", p.Position, last)}
	}
	return p.Position, nil
}

// shard recovers one shard.
func (r *recovery) shard(ctx context.Context, number int) (err error) {
	s, err := r.arch.Shard(ctx, number)
	if err != nil {
		return err
	}
	begin := time.Now()
	one := control.RecoveredShard{Shard: number, First: 1}
	rep, err := r.openReplica(number)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rep.Close()) }()
	var log *jslog.Log
	defer func() {
		if log != nil {
			err = errors.Join(err, log.Close())
		}
	}()
	open := func(ctx context.Context, after eventlog.State) (eventlog.Log, error) {
		var err error
		if log, err = r.openLog(ctx, number, after); err != nil {
			return nil, err
		}
		if after.Position > 0 {
			r.bases[number], one.First = baseOf(after), uint64(after.Position)+1
		}
		return log, nil
	}
	to := eventlog.Position(r.plan.To[number])
	if to == 0 { // nothing of this shard was archived: it begins empty
		if _, err := open(ctx, eventlog.State{}); err != nil {
			return err
		}
		r.res.Shards = append(r.res.Shards, one)
		return nil
	}
	_, p, err := s.Recover(ctx, archive.RecoverOptions{
		To: to, OpenLog: open, Replica: rep, FromSnapshot: r.opts.FromSnapshot,
		Progress: func(p archive.RecoverProgress) {
			if r.opts.Progress != nil {
				what := fmt.Sprintf("recover shard %d", number)
				r.opts.Progress(control.Progress{What: what, Done: uint64(p.Done), Total: uint64(p.Total), Unit: "envelopes"}, p.Remains)
			}
		},
	})
	if err != nil {
		return err
	}
	one.Envelopes, one.Events, one.Bytes, one.Seconds = p.Envelopes, p.Events, p.Bytes, time.Since(begin).Seconds()
	return r.recovered(rep, one)
}

// recovered notes a shard that is done, once its replica is on disk.
func (r *recovery) recovered(rep *replica.Replica, one control.RecoveredShard) error {
	if err := rep.Flush(); err != nil {
		return err
	}
	totals, err := state.GetTotals(rep.Reader())
	if err != nil {
		return err
	}
	one.Position, one.Mailboxes, one.Messages, one.Digest = uint64(rep.Applied().Position), totals.Mailboxes, totals.Messages, digestText(totals.Digest)
	r.res.Shards = append(r.res.Shards, one)
	r.epoch[one.Shard] = totals.Epoch + 1
	return nil
}

// openReplica opens the replica to fill. One that has applied nothing may hold part of a snapshot: it is made anew.
func (r *recovery) openReplica(number int) (*replica.Replica, error) {
	dir := shardDir(r.opts.Data, number)
	opts := replica.Options{
		Dir: dir, Shard: number, CacheBytes: int64(r.cfg.Replica.CacheSize), MemtableBytes: int(r.cfg.Replica.MemtableSize),
		Logger: r.opts.Logger.With("part", "replica", "shard", number),
	}
	rep, err := replica.Open(opts)
	if err != nil || rep.Applied().Position > 0 {
		return rep, err
	}
	if err := errors.Join(rep.Close(), os.RemoveAll(dir)); err != nil {
		return nil, fmt.Errorf("remove an unfinished replica: %w", err)
	}
	return replica.Open(opts)
}

// openLog opens the log that an attempt before has begun, or makes it.
func (r *recovery) openLog(ctx context.Context, number int, after eventlog.State) (*jslog.Log, error) {
	cfg := streamConfig(number)
	log, err := jslog.Open(ctx, r.conn, cfg, after.Mark())
	if !errors.Is(err, jslog.ErrMissing) {
		return log, err
	}
	cfg.First = after.Position + 1
	return jslog.Create(ctx, r.conn, cfg)
}

// finish makes the directory one that a server opens.
func (r *recovery) finish() error {
	l := &layout{Format: layoutFormat, Shards: r.arch.Shards(), Created: time.Now().UTC().Truncate(time.Second), LogsMade: true, Bases: r.bases, Recovered: r.epoch}
	if err := l.write(r.opts.Data); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(r.opts.Data, recoveringName)); err != nil {
		return fmt.Errorf("finish the recovery: %w", err)
	}
	return durable.SyncDir(r.opts.Data)
}

// minFree is the disk space that the embedded log keeps free; less than 0 for none.
func minFree(c config.Log) int64 {
	if c.MinFree == 0 {
		return -1
	}
	return int64(c.MinFree)
}
