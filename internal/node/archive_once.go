package node

import (
	"context"
	"errors"
	"fmt"
	"os"

	"angarium/eventlog/archive"
	"angarium/internal/control"
)

// temporaryArchiving copies to an archive for one backup: to one that is not that of the configuration, or while no server runs.
func (n *Node) temporaryArchiving(ctx context.Context, ref control.ArchiveRef) (*archiving, error) {
	if ref.URL == "" {
		ref = archiveRef(n.opts.Config.Archive)
	}
	if ref.URL == "" {
		return nil, errNoArchive()
	}
	target, key, err := openTarget(ref)
	if err != nil {
		return nil, err
	}
	a := &archiving{node: n, target: target, key: key}
	run, cancel := context.WithCancel(ctx)
	a.cancel = cancel
	for _, s := range n.shards {
		sa := &shardArchive{s: s}
		a.shards = append(a.shards, sa)
		if s.writer.Load() == nil && n.Restart != nil {
			continue // a replica: backup says so
		}
		opts := a.shipperOptions(s)
		shipper, err := archive.NewShipper(target, s.log, opts)
		if err != nil {
			a.close()
			return nil, archiveError(err)
		}
		sa.set(shipper)
		a.done.Go(func() { _ = shipper.Run(run) }) // it ends with run only; failures are in its status
	}
	return a, nil
}

// close ends the copying of a temporary archiving.
func (a *archiving) close() {
	a.cancel()
	a.done.Wait()
}

// NewArchiveKey makes a key file for archives; one that is there already is left alone.
func NewArchiveKey(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make a key file: %w", err)
	}
	_, err = f.WriteString(archive.NewKeyText())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("make a key file: %w", err)
	}
	return nil
}
