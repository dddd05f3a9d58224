package replica

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/logtest"
	"angarium/eventlog/memlog"
	"angarium/replica/body"
	"angarium/replica/state"
)

// copyOf makes another log with the envelopes of a story.
func copyOf(t testing.TB, s *story) *memlog.Log {
	t.Helper()
	log := memlog.New()
	after := eventlog.Mark{}
	for _, env := range s.envs {
		if err := <-log.Append(context.Background(), after, env.Payload); err != nil {
			t.Fatal(err)
		}
		after = env.State().Mark()
	}
	return log
}

// forged gives the payload of an envelope that continues the story after position at with events of one's own.
func forged(t testing.TB, s *story, at int, events ...event.Event) []byte {
	t.Helper()
	b := logtest.Builder{}
	if at > 0 {
		b.State = s.envs[at-1].State()
	}
	var entries []event.Entry
	for _, ev := range events {
		entries = append(entries, event.Entry{Event: ev})
	}
	_, payload := b.Next(t, entries...)
	return payload
}

func TestHalts(t *testing.T) {
	noLeaks(t)
	const at = 30 // the envelope that is wrong
	body1 := &event.BodyChunk{GUID: event.GUID{9}, Size: 4000, Stored: 4000, Data: make([]byte, 4000), Structure: []byte{1}}
	cases := []struct {
		name  string
		wreck func(*story, *memlog.Log)
		want  error
	}{
		{"gap", func(_ *story, l *memlog.Log) { l.Drop(at) }, eventlog.ErrGap},
		{"flipped bit", func(_ *story, l *memlog.Log) { l.FlipBit(at, 77) }, eventlog.ErrCorrupt},
		{"flipped bit of the hash", func(s *story, l *memlog.Log) { l.FlipBit(at, 8*len(s.envs[at-1].Payload)-1) }, eventlog.ErrCorrupt},
		{"envelope of another history", func(s *story, l *memlog.Log) {
			l.Replace(at, forged(t, s, at-2, &event.AccountDeleted{Account: "ann"}))
		}, eventlog.ErrHash},
		{"empty payload", func(_ *story, l *memlog.Log) { l.Replace(at, []byte{}) }, eventlog.ErrCorrupt},
		{"event that does not fit, behind a body", func(s *story, l *memlog.Log) {
			l.Replace(at, forged(t, s, at-1, body1, &event.AccountDeleted{Account: "nobody"}))
		}, state.ErrDiverged},
		{"checkpoint of another state", func(s *story, l *memlog.Log) { l.Replace(at, forged(t, s, at-1, &event.Checkpoint{Digest: 5})) }, state.ErrDiverged},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newStory(t, 8)
			s.tell(t, 60)
			log := copyOf(t, s)
			t.Cleanup(func() { log.Close() })
			c.wreck(s, log)
			opts := testOptions(vfs.NewMem(), s.rnd)
			halted := make(chan error, 1)
			opts.Hooks.Halted = func(err error) { halted <- err }
			r := mustOpen(t, opts)
			stop := running(t, r, log)
			err := r.Wait(context.Background(), at)
			var halt *HaltError
			if !errors.Is(err, ErrHalted) || !errors.Is(err, c.want) || !errors.As(err, &halt) || halt.Position != at {
				t.Fatalf("Wait: %v", err)
			}
			if err := stop(); !errors.Is(err, c.want) || !errors.Is(<-halted, c.want) || !errors.Is(r.Err(), c.want) {
				t.Errorf("Run: %v, Err: %v", err, r.Err())
			}
			st, err := r.Status()
			if err != nil || st.State != Halted || st.Halt != at || st.Reason == "" || st.Applied.Position != at-1 {
				t.Errorf("status %+v, %v", st, err)
			}
			if err := s.verify(r); err != nil {
				t.Errorf("reads of a halted replica: %v", err)
			}
			size := uint64(0)
			if err := s.applyElsewhere(t, opts, at-1, &size); err != nil || st.Bodies != size {
				t.Errorf("%d bytes of bodies, want %d: %v", st.Bodies, size, err)
			}
			if err := r.Wait(context.Background(), at-1); err != nil {
				t.Errorf("Wait for what is applied: %v", err)
			}
			// A whole log mends it, without anything left over.
			if stop := running(t, r, s.log); r.Wait(context.Background(), eventlog.Position(len(s.envs))) == nil {
				if err := errors.Join(stop(), s.verify(r)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// applyElsewhere says how many bytes of bodies a replica has at a position.
func (s *story) applyElsewhere(t *testing.T, opts Options, to int, size *uint64) error {
	opts.FS, opts.Hooks = vfs.NewMem(), Hooks{}
	r := mustOpen(t, opts)
	err := s.apply(r, to)
	*size, _ = r.bodies.Size()
	return err
}

func TestLogThatDoesNotReachTheReplica(t *testing.T) {
	noLeaks(t)
	s := newStory(t, 8)
	s.tell(t, 20)
	for _, c := range []struct {
		name  string
		wreck func(*memlog.Log)
		want  error
	}{
		{"ends before", func(l *memlog.Log) { l.Truncate(5) }, eventlog.ErrBehind},
		{"begins behind", func(l *memlog.Log) {
			if err := l.Purge(context.Background(), 15); err != nil {
				t.Fatal(err)
			}
		}, eventlog.ErrPurged},
		{"has another history", func(l *memlog.Log) { l.FlipBit(10, 8*len(s.envs[9].Payload)-1) }, eventlog.ErrHash},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := copyOf(t, s)
			t.Cleanup(func() { log.Close() })
			r := mustOpen(t, testOptions(vfs.NewMem(), s.rnd))
			if err := s.apply(r, 10); err != nil {
				t.Fatal(err)
			}
			c.wreck(log)
			if err := r.Run(context.Background(), log); !errors.Is(err, ErrHalted) || !errors.Is(err, c.want) {
				t.Errorf("Run: %v", err)
			}
			if err := s.verify(r); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDamagedSegments(t *testing.T) {
	noLeaks(t)
	s := newStory(t, 2)
	s.Weights[event.KindBodyChunk] = 80
	s.tell(t, 40)
	fs := vfs.NewMem()
	opts := testOptions(fs, s.rnd)
	opts.SegmentSize = 3000
	r := mustOpen(t, opts)
	if err := s.apply(r, 40); err != nil {
		t.Fatal(err)
	}
	path := fs.PathJoin(bodyDir(fs, opts.Dir), "body-0000000001.seg")
	good, err := readFile(fs, path)
	if err != nil {
		t.Fatal(err)
	}
	noticed := 0
	for range 200 * simFactor(t) {
		bit := 24*8 + s.rnd.IntN(8*(len(good)-24)) // behind the header of the segment
		bad := append([]byte(nil), good...)
		bad[bit/8] ^= 1 << (bit % 8)
		if err := overwrite(fs, path, bad); err != nil {
			t.Fatal(err)
		}
		wrong := 0
		for guid := range s.Model.Bodies {
			raw, err := r.ReadBody(guid)
			if err == nil && string(raw) != string(s.Raw(guid)) {
				t.Fatalf("bit %d flipped: wrong bytes of body %s", bit, guid)
			}
			if err != nil {
				wrong++
			}
		}
		violations := 0
		_, err := r.Check(context.Background(), CheckOptions{Deep: true}, func(v state.Violation) {
			if v.Kind == "body" {
				violations++
			}
		})
		if err != nil || violations != wrong {
			t.Fatalf("bit %d flipped: %d bodies cannot be read, the check found %d, %v", bit, wrong, violations, err)
		}
		noticed += wrong
	}
	if noticed < 60 { // others hit what no message refers to any more
		t.Errorf("only %d flipped bits were noticed", noticed)
	}
	if err := overwrite(fs, path, good); err != nil {
		t.Fatal(err)
	}
	if err := s.verify(r); err != nil {
		t.Fatal(err)
	}
}

// overwrite changes the bytes of a file in place, as those who have it open see.
func overwrite(fs vfs.FS, path string, b []byte) error {
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(bytes.Clone(b), 0) // a vfs.File may change what it is given
	return errors.Join(err, f.Close())
}

func TestShortSegmentsAreRefused(t *testing.T) {
	noLeaks(t)
	for _, cut := range []int{1, 500, 1 << 30} {
		s := newStory(t, 2)
		s.tell(t, 40)
		fs := vfs.NewMem()
		opts := testOptions(fs, s.rnd)
		r, err := Open(opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.apply(r, 40), r.Close()); err != nil {
			t.Fatal(err)
		}
		path := fs.PathJoin(bodyDir(fs, opts.Dir), "body-0000000001.seg")
		b, err := readFile(fs, path)
		if err != nil {
			t.Fatal(err)
		}
		if err := writeFile(fs, path, b[:max(0, len(b)-cut)]); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(opts); !errors.Is(err, body.ErrShort) {
			t.Errorf("%d bytes less: %v", cut, err)
		}
		// Nothing was changed: with the bytes back all is well.
		if err := writeFile(fs, path, b); err != nil {
			t.Fatal(err)
		}
		r, err = Open(opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.verify(r), r.Close()); err != nil {
			t.Error(err)
		}
	}
}
