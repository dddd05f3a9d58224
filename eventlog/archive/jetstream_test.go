package archive_test

import (
	"context"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/archive"
	"angarium/eventlog/jslog"
)

// TestANewLogBeginsBehindTheSnapshot recovers a pruned archive into a real log.
func TestANewLogBeginsBehindTheSnapshot(t *testing.T) {
	env := history(t)
	ctx := testContext(t)
	target := newDir(t)
	middle := head(t, env.Logs[0])
	ship(t, target, env.Logs[0], archive.ShipperOptions{SegmentBytes: 8 << 10})
	snapshot(t, target, nil, env.Logs[0], middle, time.Unix(1e9, 0))
	more(t, env, 5)
	ship(t, target, env.Logs[0], archive.ShipperOptions{})
	if _, err := openShard(t, target, nil).Prune(ctx, archive.Policy{Last: 1}, time.Now(), false); err != nil {
		t.Fatal(err)
	}
	server, err := jslog.StartEmbedded(ctx, jslog.EmbeddedOptions{Dir: t.TempDir(), MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	conn, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	var log eventlog.Log
	r := newMemoryReplica()
	end, _, err := openShard(t, target, nil).Recover(ctx, archive.RecoverOptions{
		Replica: r,
		OpenLog: func(ctx context.Context, after eventlog.State) (eventlog.Log, error) {
			if after.Position != middle {
				t.Errorf("the log is to begin behind %d, not %d", after.Position, middle)
			}
			log, err = jslog.Create(ctx, conn, jslog.StreamConfig{Shard: "0", First: after.Position + 1})
			return log, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	last := head(t, env.Logs[0])
	sameState(t, r, replay(t, env.Logs[0], last))
	if h, err := log.Head(ctx); err != nil || h != (eventlog.Head{First: middle + 1, Last: last}) || end.Position != last {
		t.Errorf("the log has %+v, recovered to %d, %v", h, end.Position, err)
	}
	if err := eventlog.Check(ctx, log, end.Mark()); err != nil {
		t.Error(err)
	}
	if _, err := eventlog.Fence(ctx, log, end, "new primary"); err != nil {
		t.Errorf("a primary on the recovered log: %v", err)
	}
}
