package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

func TestClusterKeepsItsPromises(t *testing.T) {
	if testing.Short() {
		t.Skip("builds, kills and restarts servers")
	}
	if testNet() == netLoopback {
		t.Skip("ANGARIUM_CHAOS=netns runs a cluster in network namespaces")
	}
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "bin")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	if err := build(ctx, bin); err != nil {
		t.Fatal(err)
	}
	err := run(ctx, options{
		Cluster: true, Rounds: 2, Seed: uint64(time.Now().UnixNano()), Modes: []string{teamRestart, teamCut}, Bin: bin, Dir: t.TempDir(),
		Load: 300 * time.Millisecond, Accounts: 2, Pause: 15 * time.Millisecond, Out: t.Output(), Net: testNet(),
	})
	if err != nil {
		t.Fatal(err)
	}
}
