package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

func TestServerKeepsItsPromisesWhenKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and kills servers")
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := build(ctx, bin); err != nil {
		t.Fatal(err)
	}
	err := run(ctx, options{
		Rounds: 5, Seed: uint64(time.Now().UnixNano()), Bin: bin, Dir: dir, MaxLoad: 500 * time.Millisecond, RebuildEvery: 3,
		Shards: 3, Accounts: 3, Workers: 2, Deliverers: 2, Out: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
}
