package body

import (
	"bytes"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestBlobsAreReadableAtOnceAndAfterReopening(t *testing.T) {
	backends(t, func(t *testing.T, fs vfs.FS, dir string) {
		samples := newSamples(1, 100, 3000)
		opts := Options{SegmentSize: 10_000, OpenFiles: 2}
		s := mustOpen(t, fs, dir, Mark{}, opts)
		var exts []Extent
		for i, b := range samples {
			exts = append(exts, mustAppend(t, s, b)...)
			mustRead(t, s, exts[i:], samples[i:i+1])
		}
		mustSync(t, s)
		mark := s.Mark()
		size, segments := s.Size()
		if segments < 10 || segments != int(mark.Segment) {
			t.Fatalf("%d segments at %v", segments, mark)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		mustBeClean(t, fs, dir, mark)

		s = mustOpen(t, fs, dir, mark, opts)
		mustRead(t, s, exts, samples)
		if again, n := s.Size(); again != size || n != segments || s.Mark() != mark {
			t.Fatalf("reopened at %d bytes, %d segments, %v; want %d, %d, %v", again, n, s.Mark(), size, segments, mark)
		}
		var onDisk uint64
		for _, b := range content(t, fs, dir) {
			onDisk += uint64(len(b))
		}
		if onDisk != size {
			t.Fatalf("files hold %d bytes, Size says %d", onDisk, size)
		}
	})
}

func TestPlacement(t *testing.T) {
	const first = segmentHeaderSize
	rec := func(n uint64) uint64 { return RecordOverhead + n }
	tests := []struct {
		name  string
		size  uint64
		blobs []uint32
		want  []Extent
	}{
		{"an empty blob is one", 1000, []uint32{0}, []Extent{{1, first, 0}}},
		{"records follow each other", 1000, []uint32{10, 20}, []Extent{{1, first, 10}, {1, first + rec(10), 20}}},
		{"a segment may be filled exactly", first + rec(10) + rec(20), []uint32{10, 20, 1},
			[]Extent{{1, first, 10}, {1, first + rec(10), 20}, {2, first, 1}}},
		{"one byte more begins another", first + rec(10) + rec(20), []uint32{10, 21},
			[]Extent{{1, first, 10}, {2, first, 21}}},
		{"a blob larger than a segment is alone", 200, []uint32{10, 500, 10},
			[]Extent{{1, first, 10}, {2, first, 500}, {3, first, 10}}},
		{"a large blob at the start leaves no empty segment", 200, []uint32{500, 10},
			[]Extent{{1, first, 500}, {2, first, 10}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustOpen(t, vfs.NewMem(), testDir, Mark{}, Options{SegmentSize: tt.size})
			for i, n := range tt.blobs {
				got := mustAppend(t, s, sample{GUID{byte(i)}, make([]byte, n)})[0]
				if got != tt.want[i] {
					t.Errorf("blob %d went to %v, want %v", i, got, tt.want[i])
				}
			}
		})
	}
}

func TestFileFormatIsGolden(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, fs, testDir, Mark{}, Options{SegmentSize: 200})
	exts := mustAppend(t, s, sample{GUID{1, 2, 3}, []byte("first")}, sample{GUID{0xff}, nil}, sample{GUID{4}, []byte("third")})
	if exts[2].Segment != 2 {
		t.Fatalf("third body is at %v", exts[2])
	}
	for name, got := range content(t, fs, testDir) {
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", name, got, want)
		}
	}
}

func TestReadRefusesExtentsThatAreNotOnes(t *testing.T) {
	samples := newSamples(2, 3, 50)
	s := mustOpen(t, vfs.NewMem(), testDir, Mark{}, Options{MaxBlob: 100})
	exts := mustAppend(t, s, samples...)
	good, guid := exts[1], samples[1].guid
	tests := []struct {
		name string
		ext  Extent
		guid GUID
	}{
		{"zero", Extent{}, guid},
		{"no such segment", Extent{good.Segment + 1, good.Offset, good.Length}, guid},
		{"last possible segment", Extent{math.MaxUint32, good.Offset, good.Length}, guid},
		{"inside the segment header", Extent{good.Segment, 0, good.Length}, guid},
		{"one byte before", Extent{good.Segment, good.Offset - 1, good.Length}, guid},
		{"one byte after", Extent{good.Segment, good.Offset + 1, good.Length}, guid},
		{"one byte shorter", Extent{good.Segment, good.Offset, good.Length - 1}, guid},
		{"one byte longer", Extent{good.Segment, good.Offset, good.Length + 1}, guid},
		{"longer than any blob", Extent{good.Segment, good.Offset, math.MaxUint32}, guid},
		{"beyond the end", Extent{good.Segment, s.Mark().Offset, 0}, guid},
		{"offset that would overflow", Extent{good.Segment, math.MaxUint64, good.Length}, guid},
		{"another body", good, samples[0].guid},
		{"another record", exts[2], guid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Read(tt.ext, tt.guid, nil)
			var corrupt *CorruptError
			if !errors.Is(err, ErrCorrupt) || !errors.As(err, &corrupt) || got != nil {
				t.Fatalf("got %d bytes, error %v", len(got), err)
			}
			if corrupt.Segment != tt.ext.Segment || corrupt.Offset != tt.ext.Offset || corrupt.File != s.path(tt.ext.Segment) {
				t.Fatalf("error names %s at %d", corrupt.File, corrupt.Offset)
			}
		})
	}
	mustRead(t, s, exts, samples)
}

func TestReadReusesTheBuffer(t *testing.T) {
	samples := newSamples(3, 1, 1000)
	s := mustOpen(t, vfs.NewMem(), testDir, Mark{}, Options{})
	ext := mustAppend(t, s, samples...)[0]
	buf := make([]byte, 7, len(samples[0].blob)+RecordOverhead)
	got, err := s.Read(ext, samples[0].guid, buf)
	if err != nil {
		t.Fatal(err)
	}
	if &got[0] != &buf[0] || cap(got) != cap(buf) {
		t.Fatal("a buffer that is large enough was not used")
	}
}

func TestBlobsBeyondTheLimitAreRefused(t *testing.T) {
	s := mustOpen(t, vfs.NewMem(), testDir, Mark{}, Options{MaxBlob: 100})
	mustAppend(t, s, sample{blob: make([]byte, 100)})
	mark := s.Mark()
	if _, err := s.Append(GUID{}, make([]byte, 101)); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("error is %v", err)
	}
	if s.Mark() != mark {
		t.Fatalf("mark moved to %v", s.Mark())
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	s := mustOpen(t, vfs.NewMem(), testDir, Mark{}, Options{})
	ext := mustAppend(t, s, sample{blob: []byte("x")})[0]
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, errAppend := s.Append(GUID{}, nil)
	_, errRead := s.Read(ext, GUID{}, nil)
	_, errCheck := s.Check(t.Context(), nil, nil)
	for name, err := range map[string]error{
		"append": errAppend, "read": errRead, "check": errCheck, "sync": s.Sync(), "close": s.Close(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestHooksSeeBytesAndErrors(t *testing.T) {
	var appended, read, synced, failures int
	s := mustOpen(t, vfs.NewMem(), testDir, Mark{}, Options{MaxBlob: 100, Hooks: Hooks{
		Append: func(bytes int, _ time.Duration, err error) {
			appended += bytes
			if err != nil {
				failures++
			}
		},
		Read: func(bytes int, _ time.Duration, err error) {
			read += bytes
			if err != nil {
				failures++
			}
		},
		Sync: func(segments int, _ time.Duration, _ error) { synced += segments },
	}})
	samples := []sample{{GUID{1}, make([]byte, 44)}}
	mustRead(t, s, mustAppend(t, s, samples...), samples)
	mustSync(t, s)
	mustSync(t, s) // nothing to do
	if appended != 100 || read != 100 || synced != 1 || failures != 0 {
		t.Fatalf("appended %d, read %d, synced %d, failures %d", appended, read, synced, failures)
	}
	_, _ = s.Append(GUID{}, make([]byte, 200))
	_, _ = s.Read(Extent{}, GUID{}, nil)
	if failures != 2 {
		t.Fatalf("%d failures seen", failures)
	}
}

func TestSegmentNames(t *testing.T) {
	for _, n := range []uint32{1, 9, 1234567890, math.MaxUint32} {
		if got, ok := parseSegmentName(segmentName(n)); !ok || got != n {
			t.Errorf("%s parses to %d, %v", segmentName(n), got, ok)
		}
	}
	for _, name := range []string{"", "body-.seg", "body-1.seg", "body-0000000000.seg", "body-4294967296.seg",
		"body-+000000001.seg", "body-0000000001.seg.tmp", "xbody-0000000001.seg", "body-0000000001"} {
		if n, ok := parseSegmentName(name); ok {
			t.Errorf("%q parses to %d", name, n)
		}
	}
}
