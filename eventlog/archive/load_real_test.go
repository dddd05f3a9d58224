package archive_test

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"angarium/eventlog/archive"
	"angarium/mailstore/storetest"
	"angarium/replica"
	"angarium/replica/state"
)

func TestARealReplicaLoadsASnapshot(t *testing.T) {
	env := history(t)
	target := newDir(t)
	ship(t, target, env.Logs[0], archive.ShipperOptions{})
	v, err := env.Replicas[0].View()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openShard(t, target, nil).WriteSnapshot(testContext(t), archive.Source{Reader: v.Reader, At: v.At, Time: time.Unix(1e9, 0)}); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	more(t, env, 3)
	ship(t, target, env.Logs[0], archive.ShipperOptions{})
	r := storetest.OpenReplica(t, replica.Options{FS: vfs.NewMem(), Dir: "recovered", Logger: quiet})
	if _, _, err := openShard(t, target, nil).Recover(testContext(t), archive.RecoverOptions{Replica: r, FromSnapshot: true}); err != nil {
		t.Fatal(err)
	}
	storetest.Check(t, r)
	got, err1 := state.GetTotals(r.Reader())
	want, err2 := state.GetTotals(env.Replicas[0].Reader())
	if err1 != nil || err2 != nil || *got != *want || r.Applied() != env.Replicas[0].Applied() {
		t.Errorf("recovered %+v at %v, want %+v at %v (%v, %v)", got, r.Applied(), want, env.Replicas[0].Applied(), err1, err2)
	}
}
