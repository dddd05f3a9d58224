package body

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"
)

// threeRecords is a store of one segment with three records.
func threeRecords(t *testing.T) (*vfs.MemFS, []sample, []Extent, []byte) {
	fs := vfs.NewMem()
	samples := []sample{{GUID{1}, []byte("first body")}, {GUID{2}, []byte("second")}, {GUID{3}, []byte("the third")}}
	s := mustOpen(t, fs, testDir, Mark{}, Options{})
	exts := mustAppend(t, s, samples...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return fs, samples, exts, readFile(t, fs, fs.PathJoin(testDir, segmentName(1)))
}

func TestEveryFlippedBitIsNamedAndNeverServed(t *testing.T) {
	fs, samples, exts, good := threeRecords(t)
	mark := exts[2].End()
	path := fs.PathJoin(testDir, segmentName(1))
	for at := range good {
		for bit := range 8 {
			b := append([]byte(nil), good...)
			b[at] ^= 1 << bit
			writeFile(t, fs, path, b)
			hit := -1 // the record that was hit, or the header of the segment
			for i, ext := range exts {
				if uint64(at) >= ext.Offset {
					hit = i
				}
			}
			where, bad := uint64(0), BadSegment
			if hit >= 0 {
				where, bad = exts[hit].Offset, BadChecksum
			}
			vs := violations(t, fs, testDir, mark)
			if len(vs) != 1 || vs[0].Offset != where || vs[0].File != path || vs[0].Segment != 1 {
				t.Fatalf("byte %d, bit %d: check finds %v", at, bit, vs)
			}
			if vs[0].Kind != bad && (hit < 0 || vs[0].Kind != BadRecord) {
				t.Fatalf("byte %d, bit %d: check finds %v", at, bit, vs)
			}
			if hit >= 0 && where+vs[0].Length != exts[hit].End().Offset {
				t.Fatalf("byte %d, bit %d: %d bytes are said to be affected", at, bit, vs[0].Length)
			}

			s, err := Open(fs, testDir, mark, Options{})
			if hit < 0 {
				if !errors.Is(err, ErrCorrupt) {
					t.Fatalf("byte %d, bit %d: opening gives %v", at, bit, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range exts {
				got, err := s.Read(exts[i], samples[i].guid, nil)
				var corrupt *CorruptError
				switch {
				case i != hit && (err != nil || string(got) != string(samples[i].blob)):
					t.Fatalf("byte %d, bit %d: body %d, which is intact, gives %v", at, bit, i, err)
				case i == hit && (!errors.As(err, &corrupt) || corrupt.File != path || corrupt.Offset != where):
					t.Fatalf("byte %d, bit %d: body %d gives %q, %v", at, bit, i, got, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestEveryTruncatedTailIsNamed(t *testing.T) {
	fs, samples, exts, good := threeRecords(t)
	mark := exts[2].End()
	path := fs.PathJoin(testDir, segmentName(1))
	s := mustOpen(t, fs, testDir, mark, Options{}) // open before the disk loses bytes
	for size := range good {
		writeFile(t, fs, path, good[:size])
		s.read.drop(1)
		for i, ext := range exts {
			_, err := s.Read(ext, samples[i].guid, nil)
			if lost := ext.End().Offset > uint64(size); lost != errors.Is(err, ErrCorrupt) || (!lost && err != nil) {
				t.Fatalf("%d bytes are left: body %d gives %v", size, i, err)
			}
		}
		vs := violations(t, fs, testDir, mark)
		if len(vs) == 0 || vs[0].Kind != ShortSegment || vs[0].Offset != uint64(size) || vs[0].Length != uint64(len(good)-size) {
			t.Fatalf("%d bytes are left: check finds %v", size, vs)
		}
		if _, err := Open(fs, testDir, mark, Options{}); !errors.Is(err, ErrShort) {
			t.Fatalf("%d bytes are left: opening gives %v", size, err)
		}
	}
}

func TestCheckFindsWhatIsWrongAndGoesOn(t *testing.T) {
	fs := vfs.NewMem()
	samples, exts := filled(t, fs, testDir)
	mark := exts[len(exts)-1].End()
	path := func(n uint32) string { return fs.PathJoin(testDir, segmentName(n)) }
	inSegment := func(n uint32) (first Extent, count uint64) {
		for _, e := range exts {
			if e.Segment == n {
				if count == 0 {
					first = e
				}
				count++
			}
		}
		return first, count
	}
	first, lost := inSegment(1)
	b := readFile(t, fs, path(1))
	clear(b[first.Offset : first.Offset+RecordOverhead])
	writeFile(t, fs, path(1), b)
	writeFile(t, fs, path(2), append(readFile(t, fs, path(2)), "garbage"...))
	_, missing := inSegment(3)
	if err := fs.Remove(path(3)); err != nil {
		t.Fatal(err)
	}
	last := readFile(t, fs, path(mark.Segment))
	writeFile(t, fs, path(mark.Segment), append(last, "torn"...))
	writeFile(t, fs, path(mark.Segment+1), []byte("new"))

	var got []Violation
	var done, total uint64
	stats, err := Check(t.Context(), fs, testDir, mark, nil, func(d, all uint64) { done, total = d, all }, func(v Violation) error {
		if v.Detail == "" || v.String() == "" {
			t.Errorf("%+v says nothing", v)
		}
		v.Detail = ""
		got = append(got, v)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Violation{
		{Kind: BadRecord, File: path(1), Segment: 1, Offset: first.Offset, Length: first.End().Offset - first.Offset},
		// The end of segment 2 is in the header of segment 3, so its garbage passes for a record that is broken.
		{Kind: BadRecord, File: path(2), Segment: 2, Offset: uint64(len(readFile(t, fs, path(2))) - 7), Length: 7},
		{Kind: MissingSegment, File: path(3), Segment: 3},
		{Kind: Trailing, File: path(mark.Segment), Segment: mark.Segment, Offset: mark.Offset, Length: 4},
		{Kind: Trailing, File: path(mark.Segment + 1), Segment: mark.Segment + 1, Length: 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if n := uint64(len(samples)) - missing - 1; stats.Records != n || stats.Segments != int(mark.Segment)-1 || lost < 2 {
		t.Fatalf("%+v, want %d records", stats, n)
	}
	if done != stats.Bytes || total < done {
		t.Fatalf("progress ended at %d of %d, %d were seen", done, total, stats.Bytes)
	}
}

func TestCheckNamesGarbageAfterASealedSegment(t *testing.T) {
	fs := vfs.NewMem()
	_, exts := filled(t, fs, testDir)
	path := fs.PathJoin(testDir, segmentName(2))
	b := readFile(t, fs, path)
	writeFile(t, fs, path, append(b, 1, 2, 3))
	vs := violations(t, fs, testDir, exts[len(exts)-1].End())
	if len(vs) != 1 || vs[0].Kind != Trailing || vs[0].Offset != uint64(len(b)) || vs[0].Length != 3 {
		t.Fatalf("check finds %v", vs)
	}
}

func TestCheckStepsOverWhatTheDiskCannotRead(t *testing.T) {
	mem := vfs.NewMem()
	_, exts := filled(t, mem, testDir)
	bad := mem.PathJoin(testDir, segmentName(2))
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileReadAt && op.Path == bad && op.Offset > 100 {
			return syscall.EIO
		}
		return nil
	}))
	vs := violations(t, fs, testDir, exts[len(exts)-1].End())
	if len(vs) != 1 || vs[0].Kind != Unreadable || vs[0].File != bad {
		t.Fatalf("check finds %v", vs)
	}
}

func TestCheckEndsWhenToldTo(t *testing.T) {
	fs, _, exts, good := threeRecords(t)
	mark := exts[2].End()
	good[30] ^= 1
	writeFile(t, fs, fs.PathJoin(testDir, segmentName(1)), good)
	enough := errors.New("enough")
	if _, err := Check(t.Context(), fs, testDir, mark, nil, nil, func(Violation) error { return enough }); !errors.Is(err, enough) {
		t.Fatalf("error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Check(ctx, fs, testDir, mark, nil, nil, func(Violation) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
}

// Whatever is in a file, nothing panics, and no body is served that was not appended.
func FuzzSegment(f *testing.F) {
	b := appendSegmentHeader(nil, 1, 0)
	b = appendRecord(b, 1, uint64(len(b)), GUID{1}, []byte("blob"))
	f.Add(b, uint64(segmentHeaderSize), uint32(4))
	f.Add(b[:len(b)-1], uint64(segmentHeaderSize), uint32(3))
	f.Add(appendRecord(b, 1, 9, GUID{2}, nil), uint64(len(b)), uint32(0))
	f.Add([]byte(segmentMagic), uint64(0), uint32(1<<31))
	f.Fuzz(func(t *testing.T, file []byte, offset uint64, length uint32) {
		fs := vfs.NewMem()
		if err := fs.MkdirAll(testDir, dirMode); err != nil {
			t.Fatal(err)
		}
		writeFile(t, fs, fs.PathJoin(testDir, segmentName(1)), file)
		mark := Mark{1, max(uint64(len(file)), segmentHeaderSize+RecordOverhead)}
		vs := violations(t, fs, testDir, mark)
		s, err := Open(fs, testDir, mark, Options{})
		if err != nil {
			if len(vs) == 0 {
				t.Fatalf("check finds nothing, but opening gives %v", err)
			}
			return
		}
		defer s.Close()
		ext := Extent{1, offset, length}
		blob, err := s.Read(ext, GUID{1}, nil)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if err == nil && string(appendRecord(nil, 1, offset, GUID{1}, blob)) != string(file[offset:ext.End().Offset]) {
			t.Fatal("other bytes were served")
		}
	})
}
