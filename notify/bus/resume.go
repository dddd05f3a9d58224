package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"angarium/notify"
)

// firstLook is how many messages at the end of the stream are looked at when there is no position to begin at; eight times as many each time that
// not all shards are among them.
const firstLook = 1024

// resume finds out where the stream ends and what comes next in each shard.
//
// The stream itself says what is in it. The saved position says how far events were done with that the filter did not want, and where to look; it
// does not count where the stream no longer has the message that it ends with, because a power cut took that back.
func (r *run) resume(ctx context.Context, feeds []*notify.Feed) (map[int]notify.Place, error) {
	ctx, cancel := context.WithTimeout(ctx, resumeTimeout)
	defer cancel()
	stream, err := ensure(ctx, r.js, r.opts.Limits.config(""))
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", StreamName, err)
	}
	kept := saved{}
	if _, err := notify.LoadState(r.statePath(), &kept); err != nil {
		return nil, err
	}
	if kept.Format > savedFormat {
		return nil, fmt.Errorf("%s is of format %d: it was written by a newer program", r.statePath(), kept.Format)
	}
	first, last := info.State.FirstSeq, info.State.LastSeq
	holds := kept.Made.Equal(info.Created) && holds(ctx, stream, kept, first, last)
	from := first
	if holds && r.hasAll(kept, feeds) {
		from = max(kept.Seq+1, first)
	}
	found, by, err := r.look(ctx, from, first, last, feeds)
	if err != nil {
		return nil, err
	}
	if by == "" && holds && kept.Seq == last {
		by = kept.Run
	}
	places := map[int]notify.Place{}
	for _, f := range feeds {
		places[f.Shard()] = place(f, kept, found, !holds, r.opts.Start)
	}
	r.seq, r.began = last, last
	r.saved = saved{Format: savedFormat, Made: info.Created, Seq: last, Run: by, Shards: places}
	r.dirty = true
	for shard, at := range places {
		r.progress.Advance(shard, at, 0, time.Time{})
	}
	return clone(places), r.save()
}

// holds says whether a saved position is of the stream as it is: whether the message that it ends with is still the same. One that has reached the
// limits of the stream cannot tell.
func holds(ctx context.Context, stream jetstream.Stream, kept saved, first, last uint64) bool {
	if kept.Seq == 0 {
		return kept.Format > 0
	}
	if kept.Seq < first || kept.Seq > last || kept.Run == "" {
		return false
	}
	m, err := stream.GetMsg(ctx, kept.Seq)
	return err == nil && m.Header.Get(headerRun) == kept.Run
}

// place decides where to go on in a shard.
func place(f *notify.Feed, kept saved, found map[int]notify.Place, taken bool, start notify.Start) notify.Place {
	inStream, there := found[f.Shard()]
	inFile, ok := kept.Shards[f.Shard()]
	switch {
	case there && (!ok || taken || inFile.Before(inStream)):
		return inStream
	case ok:
		return inFile
	}
	return f.Begin(start)
}

func clone(m map[int]notify.Place) map[int]notify.Place {
	c := map[int]notify.Place{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

func (r *run) hasAll(kept saved, feeds []*notify.Feed) bool {
	for _, f := range feeds {
		if _, ok := kept.Shards[f.Shard()]; !ok {
			return false
		}
	}
	return true
}

// look finds the place behind the last message of each shard, and by which run the very last one was published. from is where the saved position ends; when it does not help, it is first, and the
// end of the stream is looked at in larger and larger pieces.
func (r *run) look(ctx context.Context, from, first, last uint64, feeds []*notify.Feed) (found map[int]notify.Place, by string, err error) {
	if last == 0 || from > last || first > last {
		return nil, "", nil
	}
	if from > first {
		return r.scan(ctx, from, last)
	}
	for n := uint64(firstLook); ; n *= 8 {
		at := first
		if last-first >= n {
			at = last - n + 1
		}
		found, by, err = r.scan(ctx, at, last)
		if err != nil || at == first || len(found) >= len(feeds) {
			return found, by, err
		}
	}
}

// scan reads the ids of the messages from ≤ sequence ≤ last.
func (r *run) scan(ctx context.Context, from, last uint64) (found map[int]notify.Place, by string, err error) {
	fail := func(err error) error { return fmt.Errorf("look at stream %s from %d: %w", StreamName, from, err) }
	c, err := r.js.OrderedConsumer(ctx, StreamName, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, HeadersOnly: true,
	})
	if err != nil {
		return nil, "", fail(err)
	}
	found = map[int]notify.Place{}
	if c.CachedInfo().NumPending == 0 { // what there was has just reached the limits
		return found, "", nil
	}
	messages, err := c.Messages(jetstream.PullMaxMessages(scanAhead))
	if err != nil {
		return nil, "", fail(err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, "", fail(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, "", fail(err)
		}
		if o, err := notify.ParseID(m.Headers().Get(jetstream.MsgIDHeader)); err == nil {
			found[o.Shard] = o.After() // the last is what counts: an id may be smaller, behind a history that was set aside
		}
		if meta.Sequence.Stream >= last || meta.NumPending == 0 {
			return found, m.Headers().Get(headerRun), nil
		}
	}
}
