package body

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

var recoverOpts = Options{SegmentSize: 2000}

// filled returns a closed store of several segments.
func filled(t *testing.T, fs vfs.FS, dir string) ([]sample, []Extent) {
	samples := newSamples(4, 40, 500)
	s := mustOpen(t, fs, dir, Mark{}, recoverOpts)
	exts := mustAppend(t, s, samples...)
	mustSync(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.Mark().Segment < 4 {
		t.Fatalf("only %d segments", s.Mark().Segment)
	}
	return samples, exts
}

func TestOpenCutsToAnyMarkAndReplayGivesTheSameFiles(t *testing.T) {
	backends(t, func(t *testing.T, fs vfs.FS, dir string) {
		samples, exts := filled(t, fs, dir)
		want := content(t, fs, dir)
		for i := len(samples); i >= 0; i -= 3 {
			var mark Mark
			if i > 0 {
				mark = exts[i-1].End()
			}
			s := mustOpen(t, fs, dir, mark, recoverOpts)
			if s.Mark() != mark {
				t.Fatalf("opened at %v, want %v", s.Mark(), mark)
			}
			mustBeClean(t, fs, dir, mark)
			mustRead(t, s, exts[:i], samples[:i])
			if diff := cmp.Diff(exts[i:], mustAppend(t, s, samples[i:]...)); diff != "" {
				t.Fatalf("replayed from %v:\n%s", mark, diff)
			}
			mustRead(t, s, exts, samples)
			mustSync(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, content(t, fs, dir)); diff != "" {
				t.Fatalf("files differ after a replay from %v:\n%s", mark, diff)
			}
		}
	})
}

func TestOpenRemovesLeftOversAndNothingElse(t *testing.T) {
	fs := vfs.NewMem()
	_, exts := filled(t, fs, testDir)
	mark := exts[len(exts)-1].End()
	want := content(t, fs, testDir)
	for name, keep := range map[string]bool{"README": true, "body-1.seg": true, "x.tmp": true,
		segmentName(2) + tmpSuffix: false, segmentName(math.MaxUint32): false} {
		writeFile(t, fs, fs.PathJoin(testDir, name), []byte(name))
		if keep {
			want[name] = []byte(name)
		}
	}
	mustOpen(t, fs, testDir, mark, recoverOpts)
	if diff := cmp.Diff(want, content(t, fs, testDir)); diff != "" {
		t.Fatal(diff)
	}
}

// damage spoils a segment.
type damage func(t *testing.T, fs vfs.FS, segment uint32)

func TestOpenHaltsWhereTheDiskLied(t *testing.T) {
	const last = 0 // stands for the last segment
	shorten := func(by int) damage {
		return func(t *testing.T, fs vfs.FS, segment uint32) {
			path := fs.PathJoin(testDir, segmentName(segment))
			b := readFile(t, fs, path)
			writeFile(t, fs, path, b[:max(0, len(b)-by)])
		}
	}
	remove := func(t *testing.T, fs vfs.FS, segment uint32) {
		if err := fs.Remove(fs.PathJoin(testDir, segmentName(segment))); err != nil {
			t.Fatal(err)
		}
	}
	rewrite := func(change func([]byte)) damage {
		return func(t *testing.T, fs vfs.FS, segment uint32) {
			path := fs.PathJoin(testDir, segmentName(segment))
			b := readFile(t, fs, path)
			change(b)
			writeFile(t, fs, path, b)
		}
	}
	tests := []struct {
		name    string
		damage  damage
		segment uint32
		want    error
		text    string
	}{
		{"last segment is a byte short", shorten(1), last, ErrShort, "rebuild"},
		{"last segment is empty", shorten(math.MaxInt), last, ErrShort, "rebuild"},
		{"last segment is missing", remove, last, ErrShort, "missing"},
		{"an inner segment is a byte short", shorten(1), 2, ErrShort, "rebuild"},
		{"an inner segment is empty", shorten(math.MaxInt), 2, ErrShort, "rebuild"},
		{"an inner segment is missing", remove, 2, ErrShort, "missing"},
		{"the first segment is missing", remove, 1, ErrShort, "missing"},
		{"a header is damaged", rewrite(func(b []byte) { b[13] ^= 1 }), 3, ErrCorrupt, "checksum"},
		{"a file is no segment", rewrite(func(b []byte) { copy(b, "GIF89a  ") }), 3, ErrCorrupt, "magic"},
		{"the format is newer", rewrite(func(b []byte) { b[7] = '2' }), 3, ErrCorrupt, "version '2'"},
		{"a file has another number", rewrite(func(b []byte) { appendSegmentHeader(b[:0], 7, 1) }), 3, ErrCorrupt, "segment 7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fs := vfs.NewMem()
			_, exts := filled(t, fs, testDir)
			mark := exts[len(exts)-1].End()
			// A segment beyond the mark shows that nothing was removed.
			writeFile(t, fs, fs.PathJoin(testDir, segmentName(mark.Segment+1)), []byte("beyond"))
			if tt.segment == last {
				tt.segment = mark.Segment
			}
			tt.damage(t, fs, tt.segment)
			before := content(t, fs, testDir)
			_, err := Open(fs, testDir, mark, recoverOpts)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) ||
				!strings.Contains(err.Error(), segmentName(tt.segment)) {
				t.Fatalf("error is %v", err)
			}
			var short *ShortError
			if errors.As(err, &short) && (short.Segment != tt.segment || short.Have >= short.Want) {
				t.Fatalf("error is %+v", short)
			}
			if !maps.EqualFunc(before, content(t, fs, testDir), bytes.Equal) {
				t.Fatal("files were changed")
			}
			if vs := violations(t, fs, testDir, mark); len(vs) == 0 || vs[0].Segment != tt.segment {
				t.Fatalf("check finds %v", vs)
			}
		})
	}
}

func TestOpenRefusesMarksThatAreNotOnes(t *testing.T) {
	for _, mark := range []Mark{{0, 1}, {1, 0}, {1, segmentHeaderSize}, {1, math.MaxUint64}} {
		if _, err := Open(vfs.NewMem(), testDir, mark, Options{}); !errors.Is(err, ErrBadMark) {
			t.Errorf("%v: error is %v", mark, err)
		}
		if _, err := Check(t.Context(), vfs.NewMem(), testDir, mark, nil, nil, nil); !errors.Is(err, ErrBadMark) {
			t.Errorf("%v: error of check is %v", mark, err)
		}
	}
}
