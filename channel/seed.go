package channel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"

	"angarium/eventlog"
	"angarium/internal/durable"
)

// SeedProgress is how far a seed has come.
type SeedProgress struct {
	Files, FilesTotal int   // complete, and in all
	Bytes, BytesTotal int64 // likewise
}

// seedSuffix ends the name of the file beside the directory that says which checkpoint is being fetched there.
const seedSuffix = ".seed"

// errSeedAnew says that what was fetched so far is of no use.
var errSeedAnew = errors.New("the peer no longer keeps the checkpoint")

// Seed fetches a checkpoint of the peer's replica of a shard into dir and gives the state that it is of. When it returns, every file
// was compared with its checksum and is on stable storage.
//
// It goes on from where it was when the link breaks, and also when it is called again with the same dir after it failed or the program
// ended; only when the peer no longer keeps the checkpoint it begins anew. What else is in dir is removed then. It tries until ctx ends;
// errors that do not come from the link end it. progress, if not nil, is called after each piece.
func (p *Peer) Seed(ctx context.Context, shard int, dir string, progress func(SeedProgress)) (eventlog.State, error) {
	f := &seedFetch{peer: p, shard: shard, dir: dir, kept: filepath.Clean(dir) + seedSuffix, progress: progress}
	delay := backoff{}
	for {
		before := f.fetched
		state, err := f.run(ctx)
		switch {
		case err == nil:
			return state, nil
		case errors.Is(err, errSeedAnew):
			err = os.Remove(f.kept)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return eventlog.State{}, fmt.Errorf("seed from %q: %w", p.name, err)
			}
		case ctx.Err() != nil || !transient(err):
			return eventlog.State{}, fmt.Errorf("seed from %q: %w", p.name, err)
		}
		if f.fetched > before {
			delay.reset()
		}
		if !pause(ctx, p.ctx.Done(), delay.next()) {
			return eventlog.State{}, fmt.Errorf("seed from %q: %w", p.name, errors.Join(err, context.Cause(ctx), p.ctx.Err()))
		}
	}
}

type seedFetch struct {
	peer     *Peer
	shard    int
	dir      string
	kept     string // path of the file that holds the manifest while the seed is not complete
	progress func(SeedProgress)
	at       SeedProgress
	fetched  int64 // bytes, by this call of Seed
}

// run fetches what is missing.
func (f *seedFetch) run(ctx context.Context) (eventlog.State, error) {
	if err := f.peer.WaitConnected(ctx); err != nil {
		return eventlog.State{}, err
	}
	m, err := f.manifest(ctx)
	if err != nil {
		return eventlog.State{}, err
	}
	f.at = SeedProgress{FilesTotal: len(m.Files)}
	for _, file := range m.Files {
		f.at.BytesTotal += file.Size
	}
	from, offset, err := f.have(m)
	if err != nil {
		return eventlog.State{}, err
	}
	if err := f.fetch(ctx, m, from, offset); err != nil {
		return eventlog.State{}, err
	}
	if err := f.settle(m); err != nil {
		return eventlog.State{}, err
	}
	if req, err := encode(seedDoneRequest{ID: m.ID}); err == nil {
		f.peer.Call(ctx, opSeedDone, req) // else the peer lets go of it by itself
	}
	return m.state(), nil
}

// manifest gives that of the checkpoint that is being fetched, or lets the peer make one.
func (f *seedFetch) manifest(ctx context.Context) (*seedManifest, error) {
	m := new(seedManifest)
	if b, err := os.ReadFile(f.kept); err == nil {
		if decode(b, m) == nil && m.check() == nil && m.Shard == f.shard {
			return m, nil
		}
		m = new(seedManifest)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := f.peer.ask(ctx, opSeedOpen, seedOpenRequest{Shard: f.shard}, m); err != nil {
		return nil, err
	}
	if m.Shard != f.shard {
		return nil, fmt.Errorf("%w: a checkpoint of shard %d", ErrProtocol, m.Shard)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(f.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return nil, err
	}
	b, err := encode(m)
	if err != nil {
		return nil, err
	}
	return m, durable.WriteFile(f.kept, b)
}

// have says where to go on: at the end of the last file that is there. Those before it are complete.
func (f *seedFetch) have(m *seedManifest) (file int, offset int64, err error) {
	for i, want := range m.Files {
		info, err := os.Lstat(f.path(want))
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		if err != nil {
			return 0, 0, err
		}
		if i > 0 {
			f.at.Bytes += m.Files[i-1].Size
		}
		file, offset = i, info.Size()
		if offset > want.Size || !info.Mode().IsRegular() {
			return 0, 0, fmt.Errorf("%s has %d bytes, of %d", want.Name, offset, want.Size)
		}
	}
	f.at.Files = file
	f.at.Bytes += offset
	f.report()
	return file, offset, nil
}

func (f *seedFetch) path(file seedFile) string {
	return filepath.Join(f.dir, filepath.FromSlash(file.Name))
}

func (f *seedFetch) report() {
	if f.progress != nil {
		f.progress(f.at)
	}
}

// fetch reads all files from an offset in one of them on.
func (f *seedFetch) fetch(ctx context.Context, m *seedManifest, from int, offset int64) error {
	req, err := encode(seedReadRequest{ID: m.ID, File: from, Offset: offset})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := f.peer.Stream(ctx, opSeedRead, req)
	if err != nil {
		return seedGone(err)
	}
	defer r.Close()
	buf := make([]byte, seedChunkBytes)
	for _, file := range m.Files[from:] {
		if err := f.fetchFile(ctx, r, file, offset, buf); err != nil {
			return seedGone(fmt.Errorf("fetch %s: %w", file.Name, err))
		}
		f.at.Files++
		f.report()
		offset = 0
	}
	if n, err := r.Read(buf[:1]); n > 0 || !errors.Is(err, io.EOF) {
		return seedGone(fmt.Errorf("end of the seed: %w", errors.Join(err, ErrProtocol)))
	}
	return nil
}

// seedGone tells from an error of the peer that it no longer keeps the checkpoint.
func seedGone(err error) error {
	var answer *RemoteError
	if errors.As(err, &answer) && answer.Code == CodeNoSeed {
		return fmt.Errorf("%w: %w", errSeedAnew, err)
	}
	return err
}

// fetchFile reads what is missing of a file. It is on stable storage before the next one begins. One whose checksum is wrong is
// removed, so that a further attempt fetches all of it.
func (f *seedFetch) fetchFile(ctx context.Context, r io.Reader, file seedFile, offset int64, buf []byte) (err error) {
	path := f.path(file)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
	}()
	if err := out.Truncate(offset); err != nil {
		return err
	}
	sum := xxhash.New()
	if err := copyExactly(ctx, out, offset, buf, sum); err != nil {
		return fmt.Errorf("read what was fetched before: %w", err)
	}
	for left := file.Size - offset; left > 0; {
		n, readErr := r.Read(buf[:min(left, int64(len(buf)))])
		if _, err := out.Write(buf[:n]); err != nil {
			return err
		}
		sum.Write(buf[:n])
		left -= int64(n)
		f.at.Bytes += int64(n)
		f.fetched += int64(n)
		f.report()
		if readErr != nil && left > 0 {
			return cutShort(readErr)
		}
	}
	var want [seedSumBytes]byte
	if _, err := io.ReadFull(r, want[:]); err != nil {
		return cutShort(err)
	}
	if binary.BigEndian.Uint64(want[:]) != sum.Sum64() {
		return errors.Join(ErrChecksum, os.Remove(path))
	}
	return out.Sync()
}

// cutShort says of a stream that ended too early that the link is to blame.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return err
}

// settle puts the names of the files on stable storage.
func (f *seedFetch) settle(m *seedManifest) error {
	dirs := map[string]struct{}{f.dir: {}, filepath.Dir(filepath.Clean(f.dir)): {}}
	for _, file := range m.Files {
		for dir := filepath.Dir(f.path(file)); len(dir) > len(f.dir); dir = filepath.Dir(dir) {
			dirs[dir] = struct{}{}
		}
	}
	for dir := range dirs {
		if err := durable.SyncDir(dir); err != nil {
			return err
		}
	}
	if err := os.Remove(f.kept); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(f.kept))
}
