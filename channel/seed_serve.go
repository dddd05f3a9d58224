package channel

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"angarium/eventlog"
)

// seedManifest lists the files of a checkpoint, in the order in which they are sent.
type seedManifest struct {
	ID        string     `cbor:"1,keyasint"`
	Shard     int        `cbor:"2,keyasint"`
	Files     []seedFile `cbor:"3,keyasint"`
	Position  uint64     `cbor:"4,keyasint"`
	Hash      []byte     `cbor:"5,keyasint"`
	NextIndex uint64     `cbor:"6,keyasint"`
	Epoch     uint64     `cbor:"7,keyasint"`
}

type seedFile struct {
	Name string `cbor:"1,keyasint"` // relative, with slashes
	Size int64  `cbor:"2,keyasint"`
}

type seedOpenRequest struct {
	Shard int `cbor:"1,keyasint"`
}

// seedReadRequest asks for everything from an offset in a file on: of each file what is left of it and, behind that, the xxHash64 of
// all of it, big-endian.
type seedReadRequest struct {
	ID     string `cbor:"1,keyasint"`
	File   int    `cbor:"2,keyasint"` // index in the manifest
	Offset int64  `cbor:"3,keyasint"`
}

type seedDoneRequest struct {
	ID string `cbor:"1,keyasint"`
}

const seedSumBytes = 8

// seeds keeps the checkpoints that peers are fetching.
type seeds struct {
	dir        string
	checkpoint func(ctx context.Context, shard int, dir string) (eventlog.State, error)

	mu     sync.Mutex
	closed bool
	open   map[string]*seed
}

// seed is a checkpoint that is kept for a peer.
type seed struct {
	peer     string
	dir      string
	manifest seedManifest // without files while the checkpoint is being made
	readers  int
	expire   *time.Timer
}

func newSeeds(dir string, checkpoint func(context.Context, int, string) (eventlog.State, error)) *seeds {
	return &seeds{dir: dir, checkpoint: checkpoint, open: map[string]*seed{}}
}

// serveSeedOpen makes a checkpoint for a peer. One that was kept for the same peer and shard is given up.
func (h *Hub) serveSeedOpen(ctx context.Context, peer string, req []byte) ([]byte, error) {
	var in seedOpenRequest
	if err := decode(req, &in); err != nil {
		return nil, Errorf(CodeProtocol, "%v", err)
	}
	if _, err := h.shardLog(in.Shard); err != nil {
		return nil, err
	}
	if h.seeds.checkpoint == nil {
		return nil, Errorf(CodeNoOp, "this node seeds no others")
	}
	s, err := h.seeds.begin(peer, in.Shard)
	if err != nil {
		return nil, err
	}
	state, err := h.seeds.checkpoint(ctx, in.Shard, s.dir)
	var files []seedFile
	if err == nil {
		files, err = listFiles(s.dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a checkpoint: %w", err), h.seeds.drop(s.manifest.ID, peer))
	}
	h.log.Info("checkpoint made for a peer", "peer", peer, "shard", in.Shard, "mark", state.Mark().String(), "files", len(files))
	return encode(h.seeds.made(s, state, files))
}

func (k *seeds) begin(peer string, shard int) (*seed, error) {
	id := rand.Text()
	k.mu.Lock()
	defer k.mu.Unlock()
	for old, s := range k.open {
		if s.peer == peer && s.manifest.Shard == shard {
			if err := k.dropLocked(old); err != nil {
				return nil, err
			}
		}
	}
	if k.closed || len(k.open) >= maxSeeds {
		return nil, fmt.Errorf("%w: %d checkpoints are kept for peers", ErrBusy, len(k.open))
	}
	s := &seed{peer: peer, dir: filepath.Join(k.dir, id), manifest: seedManifest{ID: id, Shard: shard}}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a checkpoint: %w", err)
	}
	s.expire = time.AfterFunc(seedKeep, func() { k.expired(id) })
	k.open[id] = s
	return s, nil
}

func (k *seeds) made(s *seed, state eventlog.State, files []seedFile) seedManifest {
	k.mu.Lock()
	defer k.mu.Unlock()
	s.manifest.Files = append([]seedFile{}, files...)
	s.manifest.Position, s.manifest.Hash = uint64(state.Position), state.Hash[:]
	s.manifest.NextIndex, s.manifest.Epoch = state.NextIndex, state.Epoch
	return s.manifest
}

// listFiles gives the regular files under dir, sorted by name; anything else that is no directory is an error.
func listFiles(dir string) ([]seedFile, error) {
	var files []seedFile
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s is no regular file", name)
		case len(files) >= maxSeedFiles:
			return fmt.Errorf("%w: more than %d files", ErrBusy, maxSeedFiles)
		}
		files = append(files, seedFile{Name: filepath.ToSlash(name), Size: info.Size()})
		return nil
	})
	slices.SortFunc(files, func(a, b seedFile) int { return strings.Compare(a.Name, b.Name) })
	return files, err
}

// use gives a checkpoint to read from; it is kept until release at least.
func (k *seeds) use(id, peer string) (s *seed, release func(), err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s = k.open[id]
	if s == nil || s.peer != peer || s.manifest.Files == nil {
		return nil, nil, Errorf(CodeNoSeed, "the checkpoint is no longer kept")
	}
	s.readers++
	s.expire.Stop()
	return s, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if s.readers--; s.readers == 0 {
			s.expire.Reset(seedKeep)
		}
	}, nil
}

func (k *seeds) expired(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.open[id]; s != nil && s.readers == 0 {
		k.dropLocked(id) // what cannot be removed now goes at the next start
	}
}

func (k *seeds) drop(id, peer string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.open[id]; s == nil || s.peer != peer {
		return nil
	}
	return k.dropLocked(id)
}

// dropLocked forgets a checkpoint. Those who read from it have their file open.
func (k *seeds) dropLocked(id string) error {
	s := k.open[id]
	s.expire.Stop()
	delete(k.open, id)
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove a checkpoint: %w", err)
	}
	return nil
}

func (k *seeds) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	var errs []error
	for id := range k.open {
		errs = append(errs, k.dropLocked(id))
	}
	return errors.Join(errs...)
}

func (h *Hub) serveSeedDone(_ context.Context, peer string, req []byte) ([]byte, error) {
	var in seedDoneRequest
	if err := decode(req, &in); err != nil {
		return nil, Errorf(CodeProtocol, "%v", err)
	}
	return nil, h.seeds.drop(in.ID, peer)
}

func (h *Hub) serveSeedRead(ctx context.Context, peer string, req []byte, w io.Writer) error {
	var in seedReadRequest
	if err := decode(req, &in); err != nil {
		return Errorf(CodeProtocol, "%v", err)
	}
	s, release, err := h.seeds.use(in.ID, peer)
	if err != nil {
		return err
	}
	defer release()
	files := s.manifest.Files
	if in.File < 0 || in.File > len(files) || in.Offset < 0 || in.File < len(files) && in.Offset > files[in.File].Size {
		return Errorf(CodeProtocol, "no offset %d in file %d", in.Offset, in.File)
	}
	buf := make([]byte, seedChunkBytes)
	for i, f := range files[in.File:] {
		offset := int64(0)
		if i == 0 {
			offset = in.Offset
		}
		if err := sendFile(ctx, w, filepath.Join(s.dir, filepath.FromSlash(f.Name)), offset, f.Size, buf); err != nil {
			return fmt.Errorf("send %s: %w", f.Name, err)
		}
	}
	return nil
}

// sendFile writes a file of the size that it had in the manifest, from an offset on, and the checksum of all of it.
func sendFile(ctx context.Context, w io.Writer, path string, offset, size int64, buf []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := xxhash.New()
	if err := copyExactly(ctx, f, offset, buf, sum); err != nil {
		return err
	}
	if err := copyExactly(ctx, f, size-offset, buf, sum, w); err != nil {
		return err
	}
	_, err = w.Write(binary.BigEndian.AppendUint64(nil, sum.Sum64()))
	return err
}

// copyExactly copies n bytes to each of the writers.
func copyExactly(ctx context.Context, r io.Reader, n int64, buf []byte, to ...io.Writer) error {
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := buf[:min(n, int64(len(buf)))]
		if _, err := io.ReadFull(r, part); err != nil {
			return err
		}
		for _, w := range to {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		n -= int64(len(part))
	}
	return nil
}

// check says whether a manifest can be used: that it names no file outside of its directory, and none twice.
func (m *seedManifest) check() error {
	if len(m.Hash) != eventlog.HashSize || len(m.Files) > maxSeedFiles {
		return fmt.Errorf("%w: manifest with a hash of %d bytes and %d files", ErrProtocol, len(m.Hash), len(m.Files))
	}
	last := ""
	for i, f := range m.Files {
		local := filepath.FromSlash(f.Name)
		if f.Size < 0 || !filepath.IsLocal(local) || filepath.Clean(local) != local || local == "." || i > 0 && f.Name <= last {
			return fmt.Errorf("%w: manifest with a file %.64q of %d bytes", ErrProtocol, f.Name, f.Size)
		}
		last = f.Name
	}
	return nil
}

func (m *seedManifest) state() eventlog.State {
	return eventlog.State{
		Position: eventlog.Position(m.Position), Hash: eventlog.Hash(m.Hash), NextIndex: m.NextIndex, Epoch: m.Epoch,
	}
}
