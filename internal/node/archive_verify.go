package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"angarium/eventlog/archive"
	"angarium/internal/control"
	"angarium/replica"
)

// verification says how to verify an archive.
type verification struct {
	deep     bool
	live     map[int]archive.Digest
	scratch  string // a directory for the fold; "": one for temporary files
	report   func(archive.Finding)
	progress func(control.Progress) // may be nil
}

// verifyArchive reads an archive whole and, if deep, folds it into replicas that are thrown away.
func verifyArchive(ctx context.Context, log *slog.Logger, arch *archive.Archive, v verification) (archive.VerifyResult, error) {
	opts := archive.VerifyOptions{Report: v.report}
	if v.progress != nil {
		opts.Progress = func(p archive.VerifyProgress) {
			v.progress(control.Progress{What: "verify the archive", Done: uint64(p.Objects), Total: uint64(p.OfObjects), Unit: "objects"})
		}
	}
	if v.deep {
		opts.Scratch = func(shard int) (archive.Scratch, func() error, error) { return openScratch(log, v.scratch, shard) }
		opts.Live = func(shard int) (archive.Digest, bool) {
			d, ok := v.live[shard]
			return d, ok
		}
	}
	return arch.Verify(ctx, opts)
}

// openScratch makes an empty replica in a directory of its own, which goes with it.
func openScratch(log *slog.Logger, parent string, shard int) (archive.Scratch, func() error, error) {
	if parent != "" {
		if err := os.MkdirAll(parent, 0o700); err != nil {
			return nil, nil, fmt.Errorf("scratch directory: %w", err)
		}
	}
	dir, err := os.MkdirTemp(parent, "angarium-verify-"+strconv.Itoa(shard)+"-")
	if err != nil {
		return nil, nil, fmt.Errorf("scratch directory: %w", err)
	}
	r, err := replica.Open(replica.Options{Dir: filepath.Join(dir, "replica"), Shard: shard, Logger: log})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return r, func() error { return errors.Join(r.Close(), os.RemoveAll(dir)) }, nil
}
