package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"angarium/eventlog/archive"
	"angarium/internal/config"
	"angarium/internal/control"
	"angarium/internal/durable"
)

// runChores takes snapshots, prunes and tests the archive when that is due, as long as this node leads.
func (a *archiving) runChores(ctx context.Context) {
	wait := leadPoll
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = choreEvery
		if !a.node.leads() {
			wait = leadPoll
			continue
		}
		if err := a.doChores(ctx); err != nil && ctx.Err() == nil {
			a.node.log.Warn("the archive is not looked after; trying again", "error", err)
		}
	}
}

func (a *archiving) doChores(ctx context.Context) error {
	c := a.node.opts.Config.Archive
	if every := c.SnapshotEvery.Std(); every > 0 {
		for _, sa := range a.shards {
			if err := a.snapshotIfDue(ctx, sa, every); err != nil {
				return fmt.Errorf("snapshot of shard %d: %w", sa.s.number, err)
			}
		}
	}
	if every := c.SelfTestEvery.Std(); every > 0 {
		return a.selfTestIfDue(ctx, every)
	}
	return nil
}

// snapshotIfDue takes a snapshot when the newest in the archive is too old, and prunes after it.
func (a *archiving) snapshotIfDue(ctx context.Context, sa *shardArchive, every time.Duration) error {
	shipper := sa.current()
	if shipper == nil || !shipper.Status().Running {
		return nil
	}
	sa.mu.Lock()
	last := sa.snapshot
	sa.mu.Unlock()
	if time.Since(last) < every {
		return nil
	}
	a.chores.Lock()
	defer a.chores.Unlock()
	arch, err := archive.Open(ctx, a.target, a.key)
	if err != nil {
		return err
	}
	shard, err := arch.Shard(ctx, sa.s.number)
	if err != nil {
		return err
	}
	list, err := shard.Snapshots(ctx)
	if err != nil {
		a.node.log.Warn("a snapshot in the archive cannot be read", "shard", sa.s.number, "error", err)
	}
	if n := len(list); n > 0 && time.Since(list[n-1].Time) < every {
		sa.mu.Lock()
		sa.snapshot, sa.at = list[n-1].Time, list[n-1].Position
		sa.mu.Unlock()
		return nil
	}
	if _, err := a.snapshot(ctx, sa, shipper); err != nil {
		return err
	}
	policy := policyOf(keepOf(a.node.opts.Config.Archive))
	if policy == (archive.Policy{}) {
		return nil
	}
	if shard, err = arch.Shard(ctx, sa.s.number); err != nil {
		return err
	}
	plan, err := shard.Prune(ctx, policy, time.Now(), false)
	if err == nil && len(plan.Objects) > 0 {
		a.node.log.Info("the archive was pruned", "shard", sa.s.number, "snapshots", len(plan.Remove), "objects", len(plan.Objects), "bytes", plan.Bytes)
	}
	return err
}

func keepOf(c config.Archive) control.Keep {
	return control.Keep{
		Last: c.KeepLast, Hourly: c.KeepHourly, Daily: c.KeepDaily, Weekly: c.KeepWeekly, Monthly: c.KeepMonthly, Within: c.KeepWithin.Std(),
	}
}

func policyOf(k control.Keep) archive.Policy {
	return archive.Policy{Last: k.Last, Hourly: k.Hourly, Daily: k.Daily, Weekly: k.Weekly, Monthly: k.Monthly, Within: k.Within}
}

// selfTestIfDue restores the archive into a scratch directory when that was long ago, and compares what comes of it with the store.
func (a *archiving) selfTestIfDue(ctx context.Context, every time.Duration) error {
	a.mu.Lock()
	last := a.selfTest
	a.mu.Unlock()
	if last == nil {
		// The first is due after one interval: an archive that has just begun has little to test.
		return a.keepSelfTest(&control.SelfTest{Time: time.Now().UTC().Truncate(time.Second), OK: true})
	}
	if time.Since(last.Time) < every {
		return nil
	}
	if err := a.chore(ctx); err != nil {
		return err
	}
	defer a.chores.Unlock()
	begin := time.Now()
	test := &control.SelfTest{Time: begin.UTC().Truncate(time.Second), OK: true}
	arch, err := archive.Open(ctx, a.target, a.key)
	if err != nil {
		return err
	}
	dir := filepath.Join(a.node.opts.Data, "archive-selftest")
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove an unfinished self-test: %w", err)
	}
	live := a.node.liveDigests()
	for _, sa := range a.shards {
		if shipper := sa.current(); shipper != nil {
			wait, cancel := context.WithTimeout(ctx, flushTime)
			err := shipper.Flush(wait, live[sa.s.number].Position)
			cancel()
			if err != nil {
				return err
			}
		}
	}
	res, err := verifyArchive(ctx, a.node.log, arch, verification{deep: true, live: live, scratch: dir, report: func(f archive.Finding) {
		if !f.Harmless() && test.OK {
			test.OK, test.Detail = false, f.String()
		}
	}})
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return fmt.Errorf("self-test of the archive: %w", err)
	}
	test.Seconds = time.Since(begin).Seconds()
	if test.OK {
		a.node.log.Info("the archive was restored into a scratch directory: it is whole", "objects", res.Objects, "events", res.Folded, "seconds", test.Seconds)
	} else {
		a.node.log.Error("the self-test of the archive failed", "faults", res.Faults, "first", test.Detail)
	}
	return a.keepSelfTest(test)
}

// chore takes the lock of chores, unless ctx has ended.
func (a *archiving) chore(ctx context.Context) error {
	a.chores.Lock()
	if err := ctx.Err(); err != nil {
		a.chores.Unlock()
		return err
	}
	return nil
}

func (a *archiving) keepSelfTest(t *control.SelfTest) error {
	data, err := json.Marshal(t)
	if err == nil {
		err = durable.WriteFile(selfTestPath(a.node.opts.Data), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("note the self-test: %w", err)
	}
	a.mu.Lock()
	a.selfTest = t
	a.mu.Unlock()
	return nil
}

func readSelfTest(data string) (*control.SelfTest, error) {
	b, err := os.ReadFile(selfTestPath(data))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	t := new(control.SelfTest)
	if err == nil {
		err = json.Unmarshal(b, t)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// liveDigests gives the digests of the shards' states where they stand now.
func (n *Node) liveDigests() map[int]archive.Digest {
	live := map[int]archive.Digest{}
	for _, s := range n.shards {
		if st, err := s.replica.Status(); err == nil && st.Applied.Position > 0 {
			live[s.number] = archive.Digest{Position: st.Applied.Position, Digest: st.Totals.Digest}
		}
	}
	return live
}
