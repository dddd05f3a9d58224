package channel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"angarium/eventlog"
)

// checkpointOf makes checkpoints of files with the sizes given and random contents, the same each time.
func checkpointOf(state eventlog.State, sizes map[string]int) func(context.Context, int, string) (eventlog.State, error) {
	return func(_ context.Context, _ int, dir string) (eventlog.State, error) {
		for name, size := range sizes {
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				return eventlog.State{}, err
			}
			if err := os.WriteFile(path, contents(name, size), 0o600); err != nil {
				return eventlog.State{}, err
			}
		}
		return state, nil
	}
}

func contents(name string, size int) []byte {
	data := make([]byte, size)
	seed := [32]byte{}
	copy(seed[:], name)
	rand.NewChaCha8(seed).Read(data)
	return data
}

func wantFiles(t *testing.T, dir string, sizes map[string]int) {
	t.Helper()
	got, err := listFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(sizes) {
		t.Errorf("%d files, want %d: %v", len(got), len(sizes), got)
	}
	for name, size := range sizes {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil || !bytes.Equal(data, contents(name, size)) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(data), size, err)
		}
	}
	if _, err := os.Stat(dir + seedSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the manifest was left behind: %v", err)
	}
}

var (
	seedState = eventlog.State{Position: 42, Hash: eventlog.Hash{1, 2, 3}, NextIndex: 99, Epoch: 3}
	seedSizes = map[string]int{
		"LOCK": 0, "index/000001.sst": 700_000, "index/MANIFEST": 33, "segments/1.seg": 3 << 20, "segments/2.seg": 14<<20 + 17,
		"segments/deep/er/x": 1,
	}
)

func TestSeedCopiesACheckpoint(t *testing.T) {
	a := newNode(t, "east", Options{Checkpoint: checkpointOf(seedState, seedSizes)})
	b := newNode(t, "west", Options{})
	_, toA := join(t, a, b, "")
	dir := filepath.Join(t.TempDir(), "new")
	var last SeedProgress
	state, err := toA.Seed(testContext(t), 0, dir, func(p SeedProgress) {
		if p.Bytes < last.Bytes || p.Files < last.Files || p.Bytes > p.BytesTotal {
			t.Errorf("progress went from %+v to %+v", last, p)
		}
		last = p
	})
	if err != nil || state != seedState {
		t.Fatalf("seed: %+v, %v", state, err)
	}
	wantFiles(t, dir, seedSizes)
	if last.Files != len(seedSizes) || last.Bytes != last.BytesTotal || last.Bytes < 6<<20 {
		t.Errorf("progress at the end: %+v", last)
	}
	if left, _ := os.ReadDir(a.hub.opt.SeedDir); len(left) > 0 {
		t.Errorf("the checkpoint is still kept: %v", left)
	}
}

func TestSeedOfNothing(t *testing.T) {
	a := newNode(t, "east", Options{Checkpoint: checkpointOf(seedState, nil)})
	b := newNode(t, "west", Options{})
	_, toA := join(t, a, b, "")
	dir := t.TempDir()
	if state, err := toA.Seed(testContext(t), 0, dir, nil); err != nil || state != seedState {
		t.Fatalf("seed: %+v, %v", state, err)
	}
	wantFiles(t, dir, nil)
}

func TestSeedSurvivesCuts(t *testing.T) {
	r := seedOf(t)
	made := 0
	checkpoint := checkpointOf(seedState, seedSizes)
	a := newNode(t, "east", Options{Checkpoint: func(ctx context.Context, shard int, dir string) (eventlog.State, error) {
		made++
		return checkpoint(ctx, shard, dir)
	}})
	b := newNode(t, "west", Options{})
	cable := newProxy(t, a.address)
	_, toA := join(t, a, b, cable.address())
	dir := filepath.Join(t.TempDir(), "new")
	cuts, next := 0, int64(1)
	state, err := toA.Seed(testContext(t), 0, dir, func(p SeedProgress) {
		if p.Bytes >= next && cuts < 8 {
			cuts++
			next = p.Bytes + 1 + r.Int64N(1<<20)
			cable.cutAfter(1 + r.Int64N(400_000))
		}
	})
	if err != nil || state != seedState {
		t.Fatalf("seed: %+v, %v", state, err)
	}
	wantFiles(t, dir, seedSizes)
	total := int64(0)
	for _, size := range seedSizes {
		total += int64(size)
	}
	if passed := cable.passed.Load(); passed > 2*total {
		t.Errorf("%d bytes passed for %d, with %d cuts: what was there was sent again", passed, total, cuts)
	}
	if made != 1 || cuts < 3 {
		t.Errorf("%d checkpoints were made, %d cuts", made, cuts)
	}
}

func TestSeedGoesOnAfterARestartOfTheReceiver(t *testing.T) {
	a := newNode(t, "east", Options{Checkpoint: checkpointOf(seedState, seedSizes)})
	b := newNode(t, "west", Options{})
	cable := newProxy(t, a.address)
	_, toA := join(t, a, b, cable.address())
	dir := filepath.Join(t.TempDir(), "new")
	ctx, cancel := context.WithCancel(testContext(t))
	var last SeedProgress
	_, err := toA.Seed(ctx, 0, dir, func(p SeedProgress) {
		if last = p; p.Bytes > 4<<20 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("seed: %v", err)
	}
	b.stop(t)
	b.start(t, "127.0.0.1:0")
	toA, _ = b.hub.Peer("east")
	connected(t, toA)
	cable.passed.Store(0)
	if state, err := toA.Seed(testContext(t), 0, dir, nil); err != nil || state != seedState {
		t.Fatalf("seed: %+v, %v", state, err)
	}
	wantFiles(t, dir, seedSizes)
	if passed, missing := cable.passed.Load(), last.BytesTotal-last.Bytes; passed > missing+1<<20 {
		t.Errorf("%d bytes passed, although only %d were missing", passed, missing)
	}
}

func TestSeedBeginsAnewWhenTheSenderHasForgotten(t *testing.T) {
	a := newNode(t, "east", Options{Checkpoint: checkpointOf(seedState, seedSizes)})
	b := newNode(t, "west", Options{})
	_, toA := join(t, a, b, "")
	dir := filepath.Join(t.TempDir(), "new")
	forgotten := false
	state, err := toA.Seed(testContext(t), 0, dir, func(p SeedProgress) {
		if p.Bytes > 4<<20 && !forgotten {
			forgotten = true
			a.stop(t)
			a.opt.Checkpoint = checkpointOf(eventlog.State{Position: 50}, map[string]int{"index/other": 20, "segments/1.seg": 9})
			a.start(t, a.address)
		}
	})
	if err != nil || state.Position != 50 || !forgotten {
		t.Fatalf("seed: %+v, %v", state, err)
	}
	wantFiles(t, dir, map[string]int{"index/other": 20, "segments/1.seg": 9})
}

func TestSeedFindsADamagedFile(t *testing.T) {
	a := newNode(t, "east", Options{Checkpoint: checkpointOf(seedState, seedSizes)})
	b := newNode(t, "west", Options{})
	_, toA := join(t, a, b, "")
	dir := filepath.Join(t.TempDir(), "new")
	ctx, cancel := context.WithCancel(testContext(t))
	_, err := toA.Seed(ctx, 0, dir, func(p SeedProgress) {
		if p.Bytes > 5<<20 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("seed: %v", err)
	}
	path := filepath.Join(dir, "segments", "2.seg") // incomplete: a byte of it goes bad
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[1000] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := toA.Seed(testContext(t), 0, dir, nil); !errors.Is(err, ErrChecksum) {
		t.Fatalf("seed: %v", err)
	}
	if _, err := toA.Seed(testContext(t), 0, dir, nil); err != nil {
		t.Fatalf("seed once more: %v", err)
	}
	wantFiles(t, dir, seedSizes)
}

func TestSeedReportsWhatTheSenderCannotDo(t *testing.T) {
	a := newNode(t, "east", Options{})
	b := newNode(t, "west", Options{Checkpoint: func(context.Context, int, string) (eventlog.State, error) {
		return eventlog.State{}, errors.New("disk full")
	}})
	toB, toA := join(t, a, b, "")
	var answer *RemoteError
	if _, err := toA.Seed(testContext(t), 0, filepath.Join(t.TempDir(), "x"), nil); !errors.As(err, &answer) || answer.Code != CodeNoOp {
		t.Errorf("no checkpoints: %v", err)
	}
	if _, err := toB.Seed(testContext(t), 0, filepath.Join(t.TempDir(), "x"), nil); !errors.As(err, &answer) || answer.Code != CodeInternal {
		t.Errorf("failed checkpoint: %v", err)
	}
	if left, _ := os.ReadDir(b.hub.opt.SeedDir); len(left) > 0 {
		t.Errorf("a failed checkpoint is kept: %v", left)
	}
	if _, err := toB.Seed(testContext(t), 3, filepath.Join(t.TempDir(), "x"), nil); !errors.As(err, &answer) || answer.Code != CodeNoShard {
		t.Errorf("no shard: %v", err)
	}
}

func TestSeedReadsOnlyWhatIsInTheManifest(t *testing.T) {
	a := newNode(t, "east", Options{Checkpoint: checkpointOf(seedState, seedSizes)})
	b, c := newNode(t, "west", Options{}), newNode(t, "north", Options{})
	_, bToA := join(t, a, b, "")
	_, cToA := join(t, a, c, "")
	var m seedManifest
	if err := bToA.ask(testContext(t), opSeedOpen, seedOpenRequest{}, &m); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		peer *Peer
		req  seedReadRequest
		code string
	}{
		"another peer's": {cToA, seedReadRequest{ID: m.ID}, CodeNoSeed},
		"unknown":        {bToA, seedReadRequest{ID: "../" + m.ID}, CodeNoSeed},
		"no such file":   {bToA, seedReadRequest{ID: m.ID, File: len(m.Files) + 1}, CodeProtocol},
		"negative":       {bToA, seedReadRequest{ID: m.ID, File: -1}, CodeProtocol},
		"behind its end": {bToA, seedReadRequest{ID: m.ID, Offset: m.Files[0].Size + 1}, CodeProtocol},
	}
	for name, test := range tests {
		r, err := test.peer.Stream(testContext(t), opSeedRead, mustEncode(t, test.req))
		if err == nil {
			_, err = readAll(t, r)
		}
		var answer *RemoteError
		if !errors.As(err, &answer) || answer.Code != test.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSeedsAreBounded(t *testing.T) {
	k := newSeeds(t.TempDir(), checkpointOf(seedState, seedSizes))
	for i := range maxSeeds {
		if _, err := k.begin(fmt.Sprint(i), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.begin("one more", 0); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	again, err := k.begin("1", 0) // takes the place of its own
	if err != nil {
		t.Fatal(err)
	}
	k.made(again, seedState, nil)
	_, release, err := k.use(again.manifest.ID, "1")
	if err != nil {
		t.Fatal(err)
	}
	k.expired(again.manifest.ID) // not while it is read from
	if k.open[again.manifest.ID] == nil {
		t.Error("a checkpoint expired while it was read from")
	}
	release()
	k.expired(again.manifest.ID)
	if _, err := os.Stat(again.dir); k.open[again.manifest.ID] != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it did not expire: %v", err)
	}
	if err := k.close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(k.dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestSeedRefusesManifestsThatLeadElsewhere lets a peer answer with names that are not those of files in the directory.
func TestSeedRefusesManifestsThatLeadElsewhere(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	var files []seedFile
	a.hub.Handle(opSeedOpen, func(context.Context, string, []byte) ([]byte, error) {
		return encode(seedManifest{ID: "x", Hash: make([]byte, 32), Files: files})
	})
	a.hub.HandleStream(opSeedRead, func(_ context.Context, _ string, _ []byte, w io.Writer) error {
		_, err := w.Write(binary.BigEndian.AppendUint64(nil, 0))
		return err
	})
	_, toA := join(t, a, b, "")
	for _, names := range [][]string{
		{"../evil"}, {"/etc/evil"}, {""}, {"."}, {"a/../../evil"}, {"a/./b"}, {"a//b"}, {"b", "a"}, {"a", "a"}, {"a/"},
	} {
		files = nil
		for _, name := range names {
			files = append(files, seedFile{Name: name, Size: 1})
		}
		dir := filepath.Join(t.TempDir(), "new")
		if _, err := toA.Seed(testContext(t), 0, dir, nil); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: %v", names, err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q: the directory was touched: %v", names, err)
		}
	}
	files = []seedFile{{Name: "a", Size: -1}}
	if _, err := toA.Seed(testContext(t), 0, filepath.Join(t.TempDir(), "new"), nil); !errors.Is(err, ErrProtocol) {
		t.Errorf("negative size: %v", err)
	}
}

func TestListFilesRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := listFiles(dir); err == nil {
		t.Error("a symbolic link is taken for a file")
	}
	if err := os.Remove(filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := checkpointOf(seedState, seedSizes)(context.Background(), 0, dir); err != nil {
		t.Fatal(err)
	}
	files, err := listFiles(dir)
	if err != nil || !slices.IsSortedFunc(files, func(a, b seedFile) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) }) {
		t.Errorf("%v, %v", files, err)
	}
	if err := (&seedManifest{Hash: make([]byte, 32), Files: files}).check(); err != nil {
		t.Error(err)
	}
}
