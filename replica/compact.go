package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/fxamacker/cbor/v2"
	"golang.org/x/time/rate"

	"angarium/eventlog/event"
	"angarium/replica/body"
	"angarium/replica/state"
)

// Bodies are moved by appending them again, at the end of the segments, in a batch of the index that gives them their new places and does not change the
// position: after a crash the index stands at some earlier batch, as ever, whose mark cuts what was appended since. A segment in which a later look
// finds nothing is entered among the gaps; once that is on the disk, and nobody reads any more by rows from before, the file is removed.

// keyGaps is the row that says which segments were removed.
var keyGaps = []byte{0, 'r'}

const (
	// moveBytes and moveBodies bound what is moved while nothing can be applied.
	moveBytes  = 1 << 20
	moveBodies = 64
	// roundSegments bounds the segments that are emptied before they are removed, and with them the disk space that a compaction needs.
	roundSegments = 4
	// moveBurst is how many bytes the throttle lets through at once.
	moveBurst = 8 << 20
	// drainTime is how long a compaction waits for those who read from segments that it has emptied.
	drainTime = 30 * time.Second
)

// CompactOptions says what Compact does. Zero values mean the defaults named here.
type CompactOptions struct {
	Share          float64            // a segment is compacted when at least this share of it is garbage [0.5]
	BytesPerSecond int                // that are moved, on average [unlimited]
	Progress       func(CompactState) // may be nil
}

// CompactState is what a compaction has done so far.
type CompactState struct {
	Segments uint64 `json:"segments"` // that were removed
	Of       uint64 `json:"of"`       // that were found with so much garbage
	Moved    uint64 `json:"moved"`    // bytes that were written anew
	Freed    uint64 `json:"freed"`    // bytes of the segments removed
	Damaged  uint64 `json:"damaged"`  // segments left alone because a body in them cannot be read
	Held     bool   `json:"held"`     // what was emptied is still being read from: it is removed by a later compaction, or at the next start
}

// BodyUse says what the segments of bodies hold.
type BodyUse struct {
	Segments  int
	Bytes     uint64 // of all segments
	Live      uint64 // of bodies that are known or on their way
	Candidate uint64 // segments, other than the last, with enough garbage to be compacted
	Reclaim   uint64 // garbage in these
}

// BodyUse reads the rows of all bodies. share is as in CompactOptions.
func (r *Replica) BodyUse(ctx context.Context, share float64) (BodyUse, error) {
	s, err := r.survey(ctx)
	if err != nil {
		return BodyUse{}, err
	}
	u := BodyUse{}
	u.Bytes, u.Segments = r.bodies.Size()
	for n, seg := range s.segments {
		u.Live += seg.live
		if s.worth(n, share) {
			u.Candidate++
			u.Reclaim += seg.size - seg.live
		}
	}
	return u, nil
}

// survey is how much of each segment is used, as of one position.
type survey struct {
	segments []segmentUse // segment n is at n-1
}

type segmentUse struct {
	size, live uint64
	partial    bool // bodies that are not complete lie in it
}

// survey looks at the segments that the index refers to now.
func (r *Replica) survey(ctx context.Context) (*survey, error) {
	ends := r.bodies.Ends() // before the snapshot: sealed segments do not grow
	snap := r.db.NewSnapshot()
	defer snap.Close()
	at, err := readPlace(snap)
	if err != nil {
		return nil, err
	}
	s := &survey{segments: make([]segmentUse, min(int(at.Bodies.Segment), len(ends)))}
	for i := range s.segments {
		s.segments[i].size = ends[i]
	}
	err = state.ScanBodies(reader{snap}, func(_ event.GUID, b *state.Body, complete bool) (bool, error) {
		for _, e := range b.Extents {
			if int(e.Segment) > len(s.segments) || e.Segment == 0 {
				continue // appended since
			}
			seg := &s.segments[e.Segment-1]
			seg.live += uint64(e.Length) + body.RecordOverhead
			seg.partial = seg.partial || !complete
		}
		return true, ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("look at the bodies: %w", err)
	}
	return s, nil
}

// worth says whether a segment, given by its index, is worth compacting. The last one still grows.
func (s *survey) worth(i int, share float64) bool {
	if share <= 0 {
		share = defaultShare
	}
	seg := s.segments[i]
	return i < len(s.segments)-1 && seg.size > 0 && !seg.partial && float64(seg.size-min(seg.live, seg.size)) >= share*float64(seg.size)
}

const defaultShare = 0.5

// Compact writes the bodies of segments that hold much garbage anew and removes these segments. The replica goes on meanwhile; one compaction runs at
// a time. It can be ended, or cut off by a crash, at any moment.
func (r *Replica) Compact(ctx context.Context, opts CompactOptions) (CompactState, error) {
	if !r.compacting.TryLock() {
		return CompactState{}, fmt.Errorf("compact bodies: %w: it is under way", ErrBusy)
	}
	defer r.compacting.Unlock()
	c := &compaction{r: r, opts: opts, damaged: map[uint32]bool{}}
	if opts.BytesPerSecond > 0 {
		c.limit = rate.NewLimiter(rate.Limit(opts.BytesPerSecond), moveBurst)
	}
	err := c.run(ctx)
	c.state.Damaged = uint64(len(c.damaged))
	if err != nil {
		err = fmt.Errorf("compact bodies: %w", err)
	}
	return c.state, err
}

type compaction struct {
	r       *Replica
	opts    CompactOptions
	limit   *rate.Limiter // nil: unlimited
	damaged map[uint32]bool
	state   CompactState
}

func (c *compaction) run(ctx context.Context) error {
	for {
		s, err := c.r.survey(ctx)
		if err != nil {
			return err
		}
		if err := c.removeEmpty(ctx, s); err != nil {
			return err
		}
		round := map[uint32]bool{}
		worth := uint64(0)
		for i := range s.segments {
			n := uint32(i + 1)
			if s.segments[i].live == 0 || c.damaged[n] || !s.worth(i, c.opts.Share) {
				continue
			}
			if worth++; len(round) < roundSegments {
				round[n] = true
			}
		}
		c.state.Of = max(c.state.Of, c.state.Segments+worth) // what is moved may bring another segment to its end
		if len(round) == 0 {
			return nil
		}
		if err := c.empty(ctx, round); err != nil {
			return err
		}
	}
}

// empty moves all bodies out of segments.
func (c *compaction) empty(ctx context.Context, from map[uint32]bool) error {
	snap := c.r.db.NewSnapshot()
	defer snap.Close()
	var step []event.GUID
	size := uint64(0)
	flush := func() error {
		moved, err := c.r.move(step, from, c.damaged)
		c.state.Moved += moved
		step, size = step[:0], 0
		if err != nil {
			return err
		}
		c.progress()
		return c.throttle(ctx, int(moved))
	}
	err := state.ScanBodies(reader{snap}, func(guid event.GUID, b *state.Body, complete bool) (bool, error) {
		here := uint64(0)
		for _, e := range b.Extents {
			if from[e.Segment] {
				here += uint64(e.Length)
			}
		}
		if complete && here > 0 {
			step = append(step, guid)
			size += here
		}
		if size < moveBytes && len(step) < moveBodies {
			return complete, ctx.Err()
		}
		return complete, flush()
	})
	if err == nil && len(step) > 0 {
		err = flush()
	}
	return err
}

func (c *compaction) progress() {
	if c.opts.Progress != nil {
		c.opts.Progress(c.state)
	}
}

func (c *compaction) throttle(ctx context.Context, n int) error {
	for ; c.limit != nil && n > 0; n -= moveBurst {
		if err := c.limit.WaitN(ctx, min(n, moveBurst)); err != nil {
			return fmt.Errorf("throttle: %w", err)
		}
	}
	return ctx.Err()
}

// move gives bodies new places at the end of the segments. A segment with a body that cannot be read is entered in damaged: what is damaged stays where it
// is, for verify to name and for other nodes to heal.
func (r *Replica) move(guids []event.GUID, from, damaged map[uint32]bool) (moved uint64, err error) {
	r.applying.Lock()
	defer r.applying.Unlock()
	if err := r.health.err(); err != nil {
		return 0, err
	}
	mark := r.bodies.Mark()
	b := r.db.NewIndexedBatch()
	defer b.Close()
	t := &tx{batch: b, bodies: r.bodies, absent: &r.absent}
	defer r.absent.settle()
	var buf []byte
	for _, guid := range guids {
		_, err := state.MoveBody(t, guid, func(e state.Extent) (state.Extent, error) {
			if !from[e.Segment] || damaged[e.Segment] {
				return e, nil
			}
			blob, err := r.bodies.Read(body.Extent{Segment: e.Segment, Offset: e.Offset, Length: e.Length}, guid, buf)
			if errors.Is(err, body.ErrCorrupt) {
				damaged[e.Segment] = true
				r.opts.Logger.Error("a segment of bodies is not compacted: a body in it is damaged", "shard", r.opts.Shard, "segment", e.Segment, "error", err)
				return e, nil
			}
			if err != nil {
				return e, err
			}
			buf = blob
			moved += uint64(len(blob))
			return t.AppendBody(guid, blob)
		})
		if err != nil {
			return 0, errors.Join(err, t.release(), r.rollback(mark))
		}
	}
	if err := errors.Join(t.release(), r.commitBodies(b)); err != nil {
		return 0, errors.Join(err, r.rollback(mark))
	}
	return moved, nil
}

// commitBodies commits a batch that changes where bodies lie and nothing else. r.applying is held.
func (r *Replica) commitBodies(b *pebble.Batch) error {
	r.mu.Lock()
	next := r.place
	r.mu.Unlock()
	next.Format, next.Bodies = r.format(), r.bodies.Mark()
	v, err := cbor.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode position: %w", err)
	}
	if err := b.Set(keyPlace, v, nil); err != nil {
		return fmt.Errorf("write position: %w", err)
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("commit to index: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.place = next
	return nil
}

// removeEmpty removes the segments in which nothing was found.
func (c *compaction) removeEmpty(ctx context.Context, s *survey) error {
	r := c.r
	gaps, found := r.gaps, false
	for i := range s.segments {
		if i == len(s.segments)-1 || s.segments[i].live > 0 || s.segments[i].size == 0 {
			continue
		}
		found = true
		var err error
		if gaps, err = r.bodies.Without(gaps, uint32(i+1)); err != nil {
			return err
		}
	}
	if !found {
		return nil
	}
	if err := r.keepGaps(gaps); err != nil {
		return err
	}
	if err := r.Flush(); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	if err := r.pins.drain(wait); err != nil {
		c.state.Held = true
		return ctx.Err()
	}
	c.state.Held = false
	before, segments := r.bodies.Size()
	if err := r.bodies.Remove(gaps); err != nil {
		return err
	}
	after, left := r.bodies.Size()
	c.state.Freed += before - min(before, after)
	c.state.Segments += uint64(segments - left)
	c.progress()
	return nil
}

// keepGaps writes down which segments are going to be removed.
func (r *Replica) keepGaps(gaps body.Gaps) error {
	v, err := cbor.Marshal(gaps)
	if err != nil {
		return fmt.Errorf("encode gaps: %w", err)
	}
	r.applying.Lock()
	defer r.applying.Unlock()
	b := r.db.NewBatch()
	defer b.Close()
	if err := b.Set(keyGaps, v, nil); err != nil {
		return fmt.Errorf("write gaps: %w", err)
	}
	old := r.gaps
	r.gaps = gaps
	if err := r.commitBodies(b); err != nil {
		r.gaps = old
		return err
	}
	return nil
}

// readGaps reads which segments were removed.
func readGaps(r pebble.Reader) (body.Gaps, error) {
	v, closer, err := r.Get(keyGaps)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read gaps: %w", err)
	}
	defer closer.Close()
	var gaps body.Gaps
	if err := cbor.Unmarshal(v, &gaps); err != nil {
		return nil, fmt.Errorf("read gaps: %w: %w", state.ErrCorrupt, err)
	}
	return gaps, nil
}

// format is the oldest format that has what this replica has.
func (r *Replica) format() uint32 {
	if len(r.gaps) > 0 {
		return formatGaps
	}
	return formatFirst
}
