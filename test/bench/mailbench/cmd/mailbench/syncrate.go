package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mailbench/kit"
)

// wSyncRate measures how often a second the disk below -dir syncs 4 KiB that were appended to a file: the floor under every server
// that acknowledges nothing before it is on disk.
func wSyncRate() (out, error) {
	r := out{}
	f, err := os.Create(filepath.Join(o.dir, "syncrate"))
	if err != nil {
		return r, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 4096)
	var lat kit.Lat
	begin := time.Now()
	for time.Since(begin).Seconds() < o.secs {
		t0 := time.Now()
		if _, err := f.Write(page); err != nil {
			return r, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return r, fmt.Errorf("fdatasync: %w", err)
		}
		lat.Add(time.Since(t0))
	}
	r["syncs_s"] = kit.Round(float64(lat.N()) / time.Since(begin).Seconds())
	r["p50_ms"], r["p99_ms"], r["max_ms"] = lat.P(50), lat.P(99), lat.P(100)
	return r, nil
}
