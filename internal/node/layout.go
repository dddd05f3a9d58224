package node

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"angarium/eventlog/event"
	"angarium/internal/durable"
)

// layoutFormat is the format of the data directory.
const layoutFormat = 1

// layout is what layout.json says.
type layout struct {
	Format  int       `json:"format"`
	Shards  int       `json:"shards"`
	Created time.Time `json:"created"`
	// LogsMade says that the streams of all shards were made: from then on a stream that is missing was lost.
	LogsMade bool `json:"logs_made"`
	// Bases says behind what the logs begin of shards whose replicas came from another node, by shard.
	Bases map[int]base `json:"bases,omitempty"`
	// Fetched are replicas that are complete beside the ones in use, and take their places at the next start, by shard.
	Fetched map[int]fetched `json:"fetched,omitempty"`
	// Recovered are the first epochs after a recovery from an archive, by shard: what was not in it may have given numbers.
	Recovered map[int]uint64 `json:"recovered,omitempty"`
	// Salvage are the directories of what was set aside and is not carried over yet, by shard.
	Salvage map[int]string `json:"salvage,omitempty"`
	// Streams counts how often the log of a shard was copied into a new stream, because it was damaged, by shard.
	Streams map[int]int `json:"streams,omitempty"`
	// Mending are the copies that are being made, by shard.
	Mending map[int]mending `json:"mending,omitempty"`
}

// mending is a copy of a damaged log, in the next stream of its shard.
type mending struct {
	// Complete says that the copy held all that there was, and takes the log's place at the next start.
	Complete bool `json:"complete"`
}

// base is an eventlog.State.
type base struct {
	Position  uint64 `json:"position"`
	Hash      string `json:"hash"`
	NextIndex uint64 `json:"next_index"`
	Epoch     uint64 `json:"epoch"`
}

// fetched is a replica that came from another node.
type fetched struct {
	Base base `json:"base"`
	// Aside is where the old replica goes; empty when it is of no use any more.
	Aside string `json:"aside,omitempty"`
}

// Errors of opening a data directory.
var (
	// ErrInUse says that another process has the data directory open.
	ErrInUse = errors.New("data directory is in use by another process")
	// ErrNotInitialised says that the directory holds no store.
	ErrNotInitialised = errors.New("not a data directory")
)

// lockDir takes the data directory for this process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
	}
	return f, nil
}

// openLayout reads layout.json, or makes it in an empty directory when shards > 0.
func openLayout(dir string, shards int) (*layout, error) {
	path := filepath.Join(dir, "layout.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newLayout(dir, shards)
	}
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	l := new(layout)
	if err := json.Unmarshal(data, l); err != nil {
		return nil, fmt.Errorf("open data directory: %s: %w", path, err)
	}
	if l.Format > layoutFormat {
		return nil, fmt.Errorf("open data directory %s of format %d: %w", dir, l.Format, event.ErrNewer)
	}
	if l.Format < 1 || l.Shards < 1 {
		return nil, fmt.Errorf("open data directory: %s is damaged", path)
	}
	return l, nil
}

func newLayout(dir string, shards int) (*layout, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() != "LOCK" && e.Name() != "layout.json.tmp" {
			return nil, fmt.Errorf("%w: %s holds %q and no layout.json; name an empty directory to make a new store", ErrNotInitialised, dir, e.Name())
		}
	}
	if shards == 0 {
		return nil, fmt.Errorf("%w: %s is empty", ErrNotInitialised, dir)
	}
	l := &layout{Format: layoutFormat, Shards: shards, Created: time.Now().UTC().Truncate(time.Second)}
	return l, l.write(dir)
}

// write replaces layout.json durably.
func (l *layout) write(dir string) error {
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	return durable.WriteFile(filepath.Join(dir, "layout.json"), append(data, '\n'))
}

// Bounds of the site's secret, in bytes.
const (
	minSecret = 16
	maxSecret = 1024
)

// secret reads the site's secret, or makes it.
func secret(dir string) ([]byte, error) {
	path := filepath.Join(dir, "secret")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b = make([]byte, 32)
		_, _ = rand.Read(b) // never fails (crypto/rand)
		return b, durable.WriteFile(path, b)
	}
	if err == nil && len(b) < minSecret {
		err = fmt.Errorf("%s is damaged: remove it, a new one will be made", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	return b, nil
}

func shardDir(dir string, shard int) string { return filepath.Join(dir, "shard-"+strconv.Itoa(shard)) }
