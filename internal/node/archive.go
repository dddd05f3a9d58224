package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/internal/config"
	"angarium/internal/control"
)

const (
	// leadPoll is how often it is looked whether this node leads a shard.
	leadPoll = time.Second
	// choreEvery is how often it is looked whether a snapshot or a self-test is due, and how long one that failed is left alone.
	choreEvery = time.Minute
	// archivePatience is how long the archive may be behind, or out of reach, before it is an alarm.
	archivePatience = 5 * time.Minute
	// flushTime bounds how long a snapshot waits for the archive to hold what is before it.
	flushTime = 10 * time.Minute
)

// archiving copies the logs of the shards that this node leads to the archive. Replicas do not: the archive would have all twice.
type archiving struct {
	node   *Node
	target archive.Target
	key    *archive.Key
	shards []*shardArchive
	chores sync.Mutex // held while a snapshot is taken, the archive is pruned or verified

	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex
	selfTest *control.SelfTest
}

// shardArchive is the copying of one shard.
type shardArchive struct {
	s *shard

	mu       sync.Mutex
	shipper  *archive.Shipper // nil: this node does not lead
	snapshot time.Time        // when one was taken last by this process
	at       eventlog.Position
}

// openTarget opens a target and reads its key.
func openTarget(ref control.ArchiveRef) (archive.Target, *archive.Key, error) {
	target, err := archive.OpenTarget(ref.URL)
	if err != nil {
		return nil, nil, &control.Error{Code: control.CodeUsage, Message: err.Error()}
	}
	if ref.KeyFile == "" {
		return target, nil, nil
	}
	key, err := archive.LoadKey(ref.KeyFile)
	if err != nil {
		return nil, nil, &control.Error{Code: control.CodeUsage, Message: err.Error()}
	}
	return target, key, nil
}

func archiveRef(c config.Archive) control.ArchiveRef {
	return control.ArchiveRef{URL: c.URL, KeyFile: c.KeyFile}
}

// openArchiving begins to copy to the archive of the configuration, if there is one. Nothing is done at the target yet: it may be out of
// reach, and the store is served all the same.
func (n *Node) openArchiving() error {
	c := n.opts.Config.Archive
	if c.URL == "" {
		return nil
	}
	target, key, err := openTarget(archiveRef(c))
	if err != nil {
		return err
	}
	a := &archiving{node: n, target: target, key: key}
	if a.selfTest, err = readSelfTest(n.opts.Data); err != nil {
		n.log.Warn("what the last self-test of the archive found cannot be read", "error", err)
	}
	for _, s := range n.shards {
		a.shards = append(a.shards, &shardArchive{s: s})
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	for _, sa := range a.shards {
		a.done.Go(func() { a.keepShipping(ctx, sa) })
	}
	a.done.Go(func() { a.runChores(ctx) })
	n.archiving = a
	return nil
}

// closeArchiving ends the copying, before the logs and replicas that it reads are closed. What is not in the archive then is shipped after the next start.
func (n *Node) closeArchiving() {
	if n.archiving != nil {
		n.archiving.cancel()
		n.archiving.done.Wait()
	}
}

func (a *archiving) shipperOptions(s *shard) archive.ShipperOptions {
	c := a.node.opts.Config.Archive
	return archive.ShipperOptions{
		Shard: s.number, Shards: len(a.node.shards), Key: a.key, SegmentBytes: int(c.SealSize), SegmentAge: c.SealAge.Std(),
		BytesPerSecond: int(c.Throttle), Logger: a.node.log.With("part", "archive", "shard", s.number),
	}
}

// keepShipping ships a shard while this node leads it.
func (a *archiving) keepShipping(ctx context.Context, sa *shardArchive) {
	for sa.waitFor(ctx, true) {
		shipper, err := archive.NewShipper(a.target, sa.s.log, a.shipperOptions(sa.s))
		if err != nil {
			a.node.log.Error("the archive cannot be written", "shard", sa.s.number, "error", err)
			return
		}
		sa.set(shipper)
		run, stop := context.WithCancel(ctx)
		var ended sync.WaitGroup
		ended.Go(func() { _ = shipper.Run(run) }) // it ends with run only; failures are in its status
		sa.waitFor(ctx, false)
		stop()
		ended.Wait()
		sa.set(nil)
	}
}

// waitFor waits until this node leads the shard, or does not; false when ctx ends before.
func (sa *shardArchive) waitFor(ctx context.Context, leads bool) bool {
	for (sa.s.writer.Load() != nil) != leads {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(leadPoll):
		}
	}
	return ctx.Err() == nil
}

func (sa *shardArchive) set(shipper *archive.Shipper) {
	sa.mu.Lock()
	defer sa.mu.Unlock()
	sa.shipper = shipper
}

func (sa *shardArchive) current() *archive.Shipper {
	sa.mu.Lock()
	defer sa.mu.Unlock()
	return sa.shipper
}

// status says how the copying of a shard does.
func (a *archiving) status(number int) *control.ArchiveStatus {
	sa := a.shards[number]
	st := &control.ArchiveStatus{Target: a.target.String(), State: "idle"}
	sa.mu.Lock()
	shipper := sa.shipper
	st.Snapshot, st.SnapshotAt = sa.snapshot.UTC(), uint64(sa.at)
	if sa.snapshot.IsZero() {
		st.Snapshot = time.Time{}
	}
	sa.mu.Unlock()
	a.mu.Lock()
	if a.selfTest != nil && a.selfTest.Seconds > 0 {
		st.SelfTest = a.selfTest
	}
	a.mu.Unlock()
	if shipper == nil {
		return st
	}
	s := shipper.Status()
	st.Shipped, st.Sealed, st.Time, st.Bytes, st.Error, st.Since = uint64(s.Shipped), uint64(s.Sealed), s.Time, s.Bytes, s.Error, s.Since
	switch {
	case s.Error != "":
		st.State = "failing"
	case s.Running:
		st.State = "following"
	default:
		st.State = "starting"
	}
	if !s.Oldest.IsZero() {
		st.LagSeconds = max(time.Since(s.Oldest).Seconds(), 0)
	}
	return st
}

// alarms says what an operator should look at.
func (a *archiving) alarms() []string {
	var list []string
	for _, sa := range a.shards {
		st := a.status(sa.s.number)
		switch {
		case st.State == "failing" && time.Since(st.Since) > archivePatience:
			list = append(list, fmt.Sprintf("shard %d: the archive could not be written since %s: %s", sa.s.number, st.Since.UTC().Format(time.RFC3339), st.Error))
		case st.LagSeconds > archivePatience.Seconds():
			list = append(list, fmt.Sprintf("shard %d: the archive is %.0f s behind", sa.s.number, st.LagSeconds))
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.selfTest != nil && !a.selfTest.OK {
		list = append(list, fmt.Sprintf("the self-test of the archive failed at %s: %s", a.selfTest.Time.Format(time.RFC3339), a.selfTest.Detail))
	}
	return list
}

// backup brings all that is committed now into the archive, and takes a snapshot of every shard.
func (a *archiving) backup(ctx context.Context, progress func(control.Progress)) (control.BackupResult, error) {
	res := control.BackupResult{Target: a.target.String()}
	a.chores.Lock()
	defer a.chores.Unlock()
	for _, sa := range a.shards {
		progress(control.Progress{What: "back up", Done: uint64(sa.s.number), Total: uint64(len(a.shards)), Unit: "shards"})
		shipper := sa.current()
		for end := time.Now().Add(2 * leadPoll); shipper == nil && sa.s.writer.Load() != nil && time.Now().Before(end); shipper = sa.current() {
			select {
			case <-ctx.Done():
				return res, ctx.Err()
			case <-time.After(leadPoll / 20): // it has just begun to lead
			}
		}
		if shipper == nil {
			return res, &control.Error{
				Code: control.CodeNotPrimary, Message: fmt.Sprintf("this node does not lead shard %d, and so does not write the archive", sa.s.number),
				Hint: "run this on the primary",
			}
		}
		one, err := a.snapshot(ctx, sa, shipper)
		if err != nil {
			return res, err
		}
		res.Shards = append(res.Shards, one)
	}
	return res, nil
}

// snapshot takes a snapshot of a shard where it stands now. a.chores is held.
func (a *archiving) snapshot(ctx context.Context, sa *shardArchive, shipper *archive.Shipper) (control.BackupShard, error) {
	begin := time.Now()
	res := control.BackupShard{Shard: sa.s.number}
	before := shipper.Status().Bytes
	view, err := sa.s.replica.View()
	if err != nil {
		return res, err
	}
	defer view.Close()
	res.Position = uint64(view.At.Position)
	wait, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	if err := shipper.Flush(wait, view.At.Position); err != nil {
		return res, archiveError(fmt.Errorf("bring shard %d into the archive up to %d: %w", sa.s.number, view.At.Position, errors.Join(err, shipperError(shipper))))
	}
	arch, err := archive.Open(ctx, a.target, a.key)
	if err != nil {
		return res, archiveError(err)
	}
	shard, err := arch.Shard(ctx, sa.s.number)
	if err != nil {
		return res, archiveError(err)
	}
	src := archive.Source{Reader: view.Reader, At: view.At}
	if src.Time, err = sa.s.timeOf(ctx, view.At.Position); err != nil {
		return res, err
	}
	if res.Snapshot, err = shard.WriteSnapshot(ctx, src); err != nil {
		return res, archiveError(err)
	}
	sa.mu.Lock()
	sa.snapshot, sa.at = time.Now(), view.At.Position
	sa.mu.Unlock()
	res.Bytes, res.Seconds = shipper.Status().Bytes-before, time.Since(begin).Seconds()
	return res, nil
}

func shipperError(s *archive.Shipper) error {
	if e := s.Status().Error; e != "" {
		return errors.New(e)
	}
	return nil
}

// timeOf is when an envelope was committed.
func (s *shard) timeOf(ctx context.Context, pos eventlog.Position) (time.Time, error) {
	payload, err := s.log.Read(ctx, pos)
	if err != nil {
		return time.Time{}, err
	}
	env, err := eventlog.Decode(pos, payload)
	return env.Time, err
}

// archiveError says what an error of an archive means to whoever asked.
func archiveError(err error) error {
	var ready *control.Error
	if err == nil || errors.As(err, &ready) || errors.Is(err, context.Canceled) {
		return err
	}
	e := &control.Error{Code: control.CodeUnavailable, Message: err.Error()}
	switch {
	case errors.Is(err, archive.ErrKey), errors.Is(err, archive.ErrNewer):
		e.Code = control.CodeUsage
	case errors.Is(err, archive.ErrNotArchive), errors.Is(err, archive.ErrMissing):
		e.Code = control.CodeNotFound
	case errors.Is(err, archive.ErrForeign):
		e.Hint = "a store that was recovered to an earlier point needs an archive of its own: name another directory or prefix"
	case errors.Is(err, archive.ErrDamaged):
		e.Code, e.Hint = control.CodeInternal, "syncctl verify --archive names all that is damaged"
	}
	return e
}

func selfTestPath(data string) string { return filepath.Join(data, "archive-selftest.json") }
