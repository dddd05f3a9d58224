package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"

	"golang.org/x/sys/unix"

	"angarium/internal/control"
)

func (n *Node) handleUsage(w http.ResponseWriter, r *http.Request) {
	var ref control.ArchiveRef
	err := decode(w, r, &ref)
	var u control.Usage
	if err == nil {
		u, err = n.usage(r.Context(), ref)
	}
	answer(w, u, archiveError(err))
}

// usage says where the disk goes.
func (n *Node) usage(ctx context.Context, ref control.ArchiveRef) (control.Usage, error) {
	u := control.Usage{Data: n.opts.Data, Shards: []control.ShardUsage{}}
	var stat unix.Statfs_t
	if err := unix.Statfs(n.opts.Data, &stat); err != nil {
		return u, fmt.Errorf("free space of %s: %w", n.opts.Data, err)
	}
	u.Free = stat.Bavail * uint64(stat.Bsize)
	total, err := sizeOf(ctx, n.opts.Data)
	if err != nil {
		return u, err
	}
	if u.Log, err = sizeOf(ctx, filepath.Join(n.opts.Data, "log")); err != nil {
		return u, err
	}
	counted := u.Log
	for _, s := range n.shards {
		one := control.ShardUsage{Shard: s.number}
		all, err := sizeOf(ctx, shardDir(n.opts.Data, s.number))
		if err != nil {
			return u, err
		}
		if st, err := s.replica.Status(); err == nil {
			one.Bodies = min(st.Bodies, all)
		}
		one.Index = all - one.Bodies
		if head, err := s.log.Head(ctx); err == nil {
			one.First, one.Last = uint64(head.First), uint64(head.Last)
		}
		if one.Retention, err = n.retention.report(ctx, s); err != nil {
			return u, err
		}
		counted += all
		u.Shards = append(u.Shards, one)
	}
	u.Other = total - min(total, counted)
	if ref.URL == "" && n.opts.Config.Archive.URL == "" {
		return u, nil
	}
	arch, err := archiveAPI{node: n, log: n.log}.open(ctx, ref)
	if err != nil {
		return u, err
	}
	a := &control.ArchiveUsage{Target: arch.String()}
	a.Objects, a.Bytes, err = arch.Size(ctx)
	u.Archive = a
	return u, err
}

// sizeOf sums up the files below a directory, in bytes; 0 when there is none.
func sizeOf(ctx context.Context, dir string) (uint64, error) {
	var sum uint64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !d.Type().IsRegular() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err == nil {
			sum += uint64(info.Size())
		}
		return ignoreGone(err)
	})
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", dir, err)
	}
	return sum, nil
}

// ignoreGone takes what goes away while it is looked at for not there.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
