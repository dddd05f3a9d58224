package replica

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"angarium/eventlog"
	"angarium/replica/state"
)

// View is a replica as it was at one position.
type View struct {
	state.Reader
	At   eventlog.State
	snap *pebble.Snapshot
}

// View gives the replica as it is now. It must be closed; until then the index keeps what it needs.
func (r *Replica) View() (*View, error) {
	snap := r.db.NewSnapshot()
	at, err := readPlace(snap)
	if err != nil {
		return nil, errors.Join(err, snap.Close())
	}
	return &View{reader{snap}, at.state(), snap}, nil
}

// Close lets go of the view.
func (v *View) Close() error { return v.snap.Close() }

// Checkpoint copies the replica into an empty directory of the same file system, from which Open opens it, and says at which
// position the copy stands. All files but the segment that is being written to are linked: it costs little. It may be called while
// the replica runs.
func (r *Replica) Checkpoint(dir string) (eventlog.State, error) {
	defer r.pins.take()()
	fs := r.opts.FS
	if err := r.Flush(); err != nil {
		return eventlog.State{}, fmt.Errorf("checkpoint: %w", err)
	}
	if err := r.db.Checkpoint(indexDir(fs, dir)); err != nil {
		return eventlog.State{}, fmt.Errorf("checkpoint: %w", err)
	}
	// The index refers to bodies that lie in segments which are there by now, and stay.
	if err := r.linkBodies(dir); err != nil {
		return eventlog.State{}, fmt.Errorf("checkpoint: %w", err)
	}
	index, err := pebble.Open(indexDir(fs, dir), &pebble.Options{FS: fs, ReadOnly: true, Logger: pebbleLogger{r.opts.Logger}})
	if err != nil {
		return eventlog.State{}, fmt.Errorf("checkpoint: %w", err)
	}
	at, err := readPlace(index)
	if err := errors.Join(err, index.Close()); err != nil {
		return eventlog.State{}, fmt.Errorf("checkpoint: %w", err)
	}
	return at.state(), nil
}

func (r *Replica) linkBodies(dir string) error {
	fs := r.opts.FS
	from, to := bodyDir(fs, r.opts.Dir), bodyDir(fs, dir)
	if err := fs.MkdirAll(to, 0o700); err != nil {
		return err
	}
	names, err := fs.List(from)
	if err != nil {
		return err
	}
	slices.Sort(names)
	segments := slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".seg") })
	for i, name := range segments {
		copyOrLink := fs.Link
		if i == len(segments)-1 { // whoever opens the copy cuts its tail
			copyOrLink = func(from, to string) error { return vfs.Copy(fs, from, to) }
		}
		if err := copyOrLink(fs.PathJoin(from, name), fs.PathJoin(to, name)); err != nil {
			return err
		}
	}
	return syncDir(fs, to)
}
