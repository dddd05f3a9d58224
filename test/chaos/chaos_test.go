package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// testNet is the network of the tests: the machine's own, unless ANGARIUM_CHAOS asks for namespaces.
func testNet() string { return cmp.Or(os.Getenv("ANGARIUM_CHAOS"), netLoopback) }

func TestNodesKeepTheirPromises(t *testing.T) {
	if testing.Short() {
		t.Skip("builds, kills and stops servers")
	}
	bin := filepath.Join(t.TempDir(), "bin")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	if err := build(ctx, bin); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{modeAck, modeLocal, modePlanned, modeSplit, modeSlow} { // pauses are long, and a clock needs another build
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			rounds := 2
			if mode == modeSlow {
				rounds = 1
			}
			err := run(ctx, options{
				Rounds: rounds, Seed: uint64(time.Now().UnixNano()), Modes: []string{mode}, Bin: bin, Dir: t.TempDir(),
				Load: 300 * time.Millisecond, Accounts: 2, Pause: 15 * time.Millisecond, Out: t.Output(), Net: testNet(),
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
