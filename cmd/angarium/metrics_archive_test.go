package main

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"angarium/internal/control"
)

func TestMetricsTellOfTheArchive(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(filepath.Join(dir, "store"))
	cfg.Archive.URL = "file://" + filepath.Join(dir, "archive")
	s := start(t, cfg)
	defer stop(t, s)
	if _, err := dial(t, s).Backup(t.Context(), control.ArchiveRef{}, nil); err != nil {
		t.Fatal(err)
	}
	res, err := http.Get("http://" + s.addrs["http"].String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`angarium_archive_shipped_position{shard="0"} `, `angarium_archive_lag_seconds{shard="0"} `, `angarium_archive_failing{shard="0"} 0`,
		`angarium_archive_snapshot_timestamp_seconds{shard="0"} `,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s", want)
		}
	}
}
