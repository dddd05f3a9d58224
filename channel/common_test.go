package channel

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"angarium/eventlog"
	"angarium/eventlog/logtest"
	"angarium/eventlog/memlog"
)

// TestFindCommonOfLogsThatPart makes two logs of a common beginning and tails of their own, and purges each somewhere.
func TestFindCommonOfLogsThatPart(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	_, toA := join(t, a, b, "")
	ctx := testContext(t)
	rapid.Check(t, func(r *rapid.T) {
		common := rapid.IntRange(0, 40).Draw(r, "common")
		ours, theirs := memlog.New(), memlog.New()
		defer ours.Close()
		defer theirs.Close()
		a.setLog(theirs)
		builder := new(logtest.Builder)
		for _, payload := range logtest.Fill(t, ctx, ours, builder, common) {
			at, err := LogTip(ctx, theirs, eventlog.State{})
			if err != nil {
				r.Fatal(err)
			}
			put(t, theirs, at.Mark(), payload)
		}
		mark := builder.State.Mark()
		for i, log := range []*memlog.Log{ours, theirs} {
			tail := *builder
			for k := range rapid.IntRange(0, 20).Draw(r, "tail") {
				if tail.State.Position == 0 {
					tail.State = eventlog.State{}
					after, payload := tail.Epoch(t)
					if i == 1 { // another first envelope
						tail.State = eventlog.State{}
						entry := logtest.Entry(999)
						tail.State.Epoch = 1
						after, payload = tail.Next(t, entry)
					}
					put(t, log, after, payload)
					continue
				}
				after, payload := tail.Next(t, logtest.Entry(1000*(i+1)+k))
				put(t, log, after, payload)
			}
			head, _ := log.Head(ctx)
			if head.Last > 0 {
				if err := log.Purge(ctx, eventlog.Position(rapid.IntRange(0, int(head.Last)).Draw(r, "purge"))); err != nil {
					r.Fatal(err)
				}
			}
		}
		x, _ := ours.Head(ctx)
		y, _ := theirs.Head(ctx)
		got, err := FindCommon(ctx, toA, 0, ours)
		// What both hold of the common part decides; one before the first counts where both hold the envelope behind it.
		lowest := max(x.First, y.First)
		switch {
		case x.Last == 0 || y.Last == 0, mark.Position == 0 && lowest == 1:
			if err != nil || got != (eventlog.Mark{}) {
				r.Fatalf("nothing in common: %v, %v", got, err)
			}
		case errors.Is(err, ErrNoCommon):
			if mark.Position >= lowest || mark.Position == 0 && lowest == 1 {
				r.Fatalf("common until %s, held from %d: not found", mark, lowest)
			}
		case err != nil:
			r.Fatalf("%v; ours %v, theirs %v", err, x, y)
		default:
			if got != mark {
				r.Fatalf("got %s, want %s", got, mark)
			}
		}
		if mark.Position >= lowest && mark.Position > 0 && (err != nil || got != mark) {
			r.Fatalf("got %s, %v, want %s; ours %v, theirs %v", got, err, mark, x, y)
		}
	})
}

func TestEnvelopesByPosition(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	_, toA := join(t, a, b, "")
	ctx := testContext(t)
	payloads := logtest.Fill(t, ctx, a.log, new(logtest.Builder), 5)
	env, err := toA.Envelope(ctx, 0, 3)
	if err != nil || env.Position != 3 || !bytes.Equal(env.Payload, payloads[2]) {
		t.Errorf("envelope 3: %+v, %v", env, err)
	}
	mark, err := toA.Mark(ctx, 0, 3)
	if err != nil || mark.Hash != env.Hash {
		t.Errorf("mark 3: %v, %v", mark, err)
	}
	head, err := toA.Head(ctx, 0)
	if err != nil || head != (eventlog.Head{First: 1, Last: 5}) {
		t.Errorf("head: %+v, %v", head, err)
	}
	if _, err := toA.Envelope(ctx, 0, 6); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("envelope 6: %v", err)
	}
	if _, err := toA.Mark(ctx, 0, 6); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("mark 6: %v", err)
	}
	a.log.FlipBit(4, 99)
	var answer *RemoteError
	if _, err := toA.Envelope(ctx, 0, 4); !errors.As(err, &answer) || answer.Code != CodeDamaged {
		t.Errorf("damaged envelope: %v", err)
	}
	if _, err := toA.Head(ctx, 7); !errors.As(err, &answer) || answer.Code != CodeNoShard {
		t.Errorf("shard 7: %v", err)
	}
}

func TestLogTip(t *testing.T) {
	ctx := testContext(t)
	log := memlog.New()
	defer log.Close()
	if tip, err := LogTip(ctx, log, eventlog.State{}); err != nil || tip != (Tip{}) {
		t.Errorf("empty: %+v, %v", tip, err)
	}
	if _, err := LogTip(ctx, log, eventlog.State{Position: 4}); !errors.Is(err, eventlog.ErrGap) {
		t.Errorf("empty, but behind 4: %v", err)
	}
	builder := new(logtest.Builder)
	logtest.Fill(t, ctx, log, builder, 3)
	tip, err := LogTip(ctx, log, eventlog.State{})
	if err != nil || tip.State != builder.State || tip.Time.IsZero() {
		t.Errorf("tip: %+v, %v, want %+v", tip, err, builder.State)
	}
	log.FlipBit(3, 50)
	if _, err := LogTip(ctx, log, eventlog.State{}); !errors.Is(err, eventlog.ErrCorrupt) {
		t.Errorf("damaged: %v", err)
	}
}

// A log that begins behind a checkpoint does not say where another left its history; one that has more of it does, and one of another
// history must not be taken for it.
func TestFindCommonThroughOthers(t *testing.T) {
	us, short, whole, foreign := newNode(t, "us", Options{}), newNode(t, "short", Options{}), newNode(t, "whole", Options{}), newNode(t, "foreign", Options{})
	_, toShort := join(t, short, us, "")
	_, toWhole := join(t, whole, us, "")
	_, toForeign := join(t, foreign, us, "")
	ctx := testContext(t)
	builder := new(logtest.Builder)
	for _, payload := range logtest.Fill(t, ctx, us.log, builder, 5) {
		for _, n := range []*node{short, whole, foreign} {
			tip, err := LogTip(ctx, n.log, eventlog.State{})
			if err != nil {
				t.Fatal(err)
			}
			put(t, n.log, tip.Mark(), payload)
		}
	}
	mark := builder.State.Mark()
	old, fresh := *builder, *builder
	for k := range 6 {
		after, payload := old.Next(t, logtest.Entry(1000+k))
		put(t, us.log, after, payload)
		put(t, foreign.log, after, payload)
		after, payload = fresh.Next(t, logtest.Entry(2000+k))
		put(t, short.log, after, payload)
		put(t, whole.log, after, payload)
	}
	if err := short.log.Purge(ctx, 9); err != nil {
		t.Fatal(err)
	}
	for _, others := range [][]*Peer{nil, {toShort}, {toForeign}} {
		if got, err := FindCommon(ctx, toShort, 0, us.log, others...); !errors.Is(err, ErrNoCommon) {
			t.Errorf("nobody reaches back: %v, %v", got, err)
		}
	}
	if got, err := FindCommon(ctx, toShort, 0, us.log, toShort, toForeign, toWhole); err != nil || got != mark {
		t.Errorf("got %v, %v, want %v", got, err, mark)
	}
}
