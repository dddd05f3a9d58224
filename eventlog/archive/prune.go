package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
)

// SnapshotInfo describes a snapshot in the archive.
type SnapshotInfo struct {
	Shard    int               `json:"shard"`
	Position eventlog.Position `json:"position"`
	Time     time.Time         `json:"time"`   // commit time of the last envelope before it
	Rows     uint64            `json:"rows"`   // without those of bodies
	Bodies   uint64            `json:"bodies"` // that the archive keeps for it
	Bytes    int64             `json:"bytes"`  // of its objects, without the bodies
	Digest   uint64            `json:"-"`      // of the state (replica/state)
	Object   string            `json:"object"`
}

// Snapshots lists the complete snapshots, oldest first. Those that cannot be read are left out, and the first reason why is the error,
// beside the list.
func (s *Shard) Snapshots(ctx context.Context) ([]SnapshotInfo, error) {
	sizes := map[string]int64{}
	for _, n := range s.cat.rows {
		sizes[n.Name] = n.Size
	}
	var list []SnapshotInfo
	var damaged error
	for _, n := range s.cat.snapshots {
		o, err := s.open(ctx, n, kindSnapshot)
		if errors.Is(err, ErrDamaged) {
			damaged = errors.Join(damaged, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		info := SnapshotInfo{
			Shard: s.number, Position: n.first, Time: time.UnixMicro(o.foot.LastTime).UTC(), Rows: o.foot.Rows, Bodies: o.foot.GUIDs,
			Bytes: n.Size, Digest: o.foot.Digest, Object: n.Name,
		}
		for _, p := range o.foot.Parts {
			info.Bytes += sizes[p.Name]
		}
		list = append(list, info)
	}
	return list, damaged
}

// Policy says which snapshots to keep. A snapshot is kept if any of its rules says so; the newest always is.
type Policy struct {
	Last                           int           // the newest ones
	Hourly, Daily, Weekly, Monthly int           // the newest of each of the last hours (days …, in UTC) that have one
	Within                         time.Duration // all of the time up to now, and the whole history of that time
}

// PrunePlan is what Prune does, or would do.
type PrunePlan struct {
	Keep    []SnapshotInfo    `json:"keep"`
	Remove  []SnapshotInfo    `json:"remove"`
	From    eventlog.Position `json:"from"`    // from here on the history is whole: any point can be restored
	Objects []string          `json:"objects"` // that are removed
	Bytes   int64             `json:"bytes"`   // of these
	Packed  int64             `json:"packed"`  // bytes of bodies written anew, as what held them is removed; 0 in a dry run
}

// maxPackBytes bounds a pack: a segment is packed into the next one when this one would grow beyond.
const maxPackBytes = 128 << 20

// Prune removes the snapshots that the policy does not keep, and the segments that no kept point needs. From the snapshot on that is the
// newest before the time of Policy.Within, all history is kept; of what is older, the kept snapshots with their bodies. The plan is
// returned; with dryRun it is all. Prune can be interrupted anywhere and run again.
func (s *Shard) Prune(ctx context.Context, policy Policy, now time.Time, dryRun bool) (PrunePlan, error) {
	list, err := s.Snapshots(ctx)
	if err != nil {
		return PrunePlan{}, fmt.Errorf("prune: nothing is removed while a snapshot cannot be read: %w", err)
	}
	plan := PrunePlan{}
	plan.From, _ = s.Extent()
	if len(list) == 0 {
		return plan, nil
	}
	floor := floorOf(list, policy, now)
	keep := policy.choose(list, now)
	var old []named // segments that no point needs
	if floor != nil {
		keep[floor.Position] = true
		plan.From = max(plan.From, floor.Position)
		for _, n := range s.cat.segments {
			if n.last <= floor.Position {
				old = append(old, n)
			}
		}
	}
	for _, info := range list {
		if keep[info.Position] {
			plan.Keep = append(plan.Keep, info)
		} else {
			plan.Remove = append(plan.Remove, info)
		}
	}
	need, err := s.needed(ctx, plan.Keep)
	if err != nil {
		return PrunePlan{}, err
	}
	remove, err := s.removable(ctx, plan, old, need)
	if err != nil {
		return PrunePlan{}, err
	}
	for _, n := range remove {
		plan.Objects = append(plan.Objects, n.Name)
		plan.Bytes += n.Size
	}
	if dryRun || len(remove) == 0 {
		return plan, nil
	}
	if plan.Packed, err = s.pack(ctx, old, need); err != nil {
		return plan, err
	}
	for _, n := range remove {
		if err := s.a.target.Delete(ctx, n.Name); err != nil {
			return plan, err
		}
	}
	return plan, nil
}

// floorOf gives the snapshot from which on all history is kept: the newest that is as old as the policy asks; nil when none is.
func floorOf(list []SnapshotInfo, policy Policy, now time.Time) *SnapshotInfo {
	limit := now.Add(-policy.Within)
	for i := range slices.Backward(list) {
		if policy.Within <= 0 || !list[i].Time.After(limit) {
			return &list[i]
		}
	}
	return nil
}

// choose gives the positions of the snapshots to keep.
func (p Policy) choose(list []SnapshotInfo, now time.Time) map[eventlog.Position]bool {
	keep := map[eventlog.Position]bool{list[len(list)-1].Position: true}
	for i, info := range list {
		if len(list)-i <= p.Last || (p.Within > 0 && !info.Time.Before(now.Add(-p.Within))) {
			keep[info.Position] = true
		}
	}
	for _, rule := range []struct {
		count int
		slot  func(time.Time) string
	}{
		{p.Hourly, func(t time.Time) string { return t.UTC().Format("2006-01-02T15") }},
		{p.Daily, func(t time.Time) string { return t.UTC().Format("2006-01-02") }},
		{p.Weekly, func(t time.Time) string { y, w := t.UTC().ISOWeek(); return fmt.Sprint(y, "-W", w) }},
		{p.Monthly, func(t time.Time) string { return t.UTC().Format("2006-01") }},
	} {
		seen := map[string]bool{}
		for _, info := range slices.Backward(list) {
			slot := rule.slot(info.Time)
			if len(seen) < rule.count && !seen[slot] {
				seen[slot] = true
				keep[info.Position] = true
			}
		}
	}
	return keep
}

// needed gives the bodies of the kept snapshots, each of which must be whole.
func (s *Shard) needed(ctx context.Context, keep []SnapshotInfo) (map[event.GUID]bool, error) {
	need := map[event.GUID]bool{}
	for _, info := range keep {
		p, err := s.SnapshotUpTo(ctx, info.Position)
		if err == nil && p.At().Position != info.Position {
			err = ErrMissing
		}
		for i := 0; err == nil && i < len(p.o.foot.Parts); i++ {
			_, err = p.part(i)
		}
		var guids map[event.GUID]bool
		if err == nil {
			guids, err = p.GUIDs()
		}
		if err != nil {
			return nil, fmt.Errorf("prune: nothing is removed while a kept snapshot cannot be read: %w", err)
		}
		for guid := range guids {
			need[guid] = true
		}
	}
	return need, nil
}

// removable gives the objects to remove, in this order: at no time is anything left that refers to what is gone.
func (s *Shard) removable(ctx context.Context, plan PrunePlan, old []named, need map[event.GUID]bool) ([]named, error) {
	var remove []named
	used := map[string]bool{}
	for _, n := range s.cat.snapshots {
		gone := slices.ContainsFunc(plan.Remove, func(info SnapshotInfo) bool { return info.Object == n.Name })
		if gone {
			remove = append(remove, n)
			continue
		}
		o, err := s.open(ctx, n, kindSnapshot)
		if err != nil {
			return nil, err
		}
		for _, part := range o.foot.Parts {
			used[part.Name] = true
		}
	}
	newest := plan.Keep[len(plan.Keep)-1].Position
	for _, n := range s.cat.rows {
		if !used[n.Name] && n.first < newest { // those of a newer position may be of a snapshot that is being made
			remove = append(remove, n)
		}
	}
	remove = append(remove, old...)
	for _, n := range s.cat.packs {
		o, err := s.open(ctx, n, kindPack)
		if err != nil {
			return nil, err
		}
		var index []guidIndex
		if err := o.index(ctx, frameGUIDs, &index); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(index, func(g guidIndex) bool { return need[g.GUID] }) {
			remove = append(remove, n)
		}
	}
	return remove, nil
}

// pack writes what is needed of the bodies in segments that will be removed, and says how many bytes that was.
func (s *Shard) pack(ctx context.Context, old []named, need map[event.GUID]bool) (int64, error) {
	if len(old) == 0 {
		return 0, nil
	}
	zip, err := newCompressor()
	if err != nil {
		return 0, err
	}
	packs, err := s.packed(ctx)
	if err != nil {
		return 0, err
	}
	first, next := old[0].first, old[0].first
	p := &packer{s: s, need: need, w: newSegmentWriter(kindPack, s.number, eventlog.State{Position: first - 1}, s.a.key, zip, nil)}
	for _, n := range old {
		if n.last < next || slices.ContainsFunc(packs, func(q named) bool { return q.first <= n.first && n.last <= q.last }) {
			next = max(next, n.last+1) // it is packed already, by a run that was interrupted, or lies within another segment
			continue
		}
		if int64(p.w.bytes())+n.Size > maxPackBytes {
			if err := p.close(ctx); err != nil {
				return p.written, err
			}
			p.w = newSegmentWriter(kindPack, s.number, eventlog.State{Position: next - 1}, s.a.key, zip, nil)
		}
		if err := p.add(ctx, n, next); err != nil {
			return p.written, err
		}
		next = n.last + 1
	}
	return p.written, p.close(ctx)
}

// packed gives the packs that can be read whole.
func (s *Shard) packed(ctx context.Context) ([]named, error) {
	var list []named
	for _, n := range s.cat.packs {
		o, err := s.open(ctx, n, kindPack)
		if err == nil {
			_, err = o.whole(ctx)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

type packer struct {
	s       *Shard
	need    map[event.GUID]bool
	w       *segmentWriter
	last    eventlog.Position // up to which segments were taken into w
	written int64
}

// add takes the bodies that are needed of a segment, from a position on.
func (p *packer) add(ctx context.Context, n named, from eventlog.Position) error {
	o, err := p.s.open(ctx, n, kindSegment)
	if err != nil {
		return err
	}
	b, err := o.whole(ctx)
	if err != nil {
		return err
	}
	p.last = n.last
	c := o.content(b)
	for i := range c.records {
		recs, err := c.read(ctx, i)
		if err != nil {
			return err
		}
		for k := range recs {
			if recs[k].Position < from {
				continue
			}
			if err := p.record(ctx, c, &recs[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

// record keeps the chunks that are needed of one envelope.
func (p *packer) record(ctx context.Context, c *content, rec *record) error {
	kept := record{Position: rec.Position, Head: rec.Head}
	for i := range rec.Events {
		ev := rec.Events[i]
		if !ev.isChunk() {
			continue
		}
		entry, chunk, err := ev.chunk(nil)
		if err != nil {
			return damage(c.o.name.Name, -1, err)
		}
		if !p.need[chunk.GUID] {
			continue
		}
		if ev.Length > 0 {
			data, err := c.data(ctx, &ev)
			if err != nil {
				return err
			}
			if ev.Frame, ev.Offset, err = p.w.put(bytes.Clone(data), chunk.Encoding); err != nil {
				return err
			}
		}
		p.w.index.add(entry, uint32(p.w.obj.counts[frameRecords]))
		kept.Events = append(kept.Events, ev)
	}
	if len(kept.Events) == 0 {
		return nil
	}
	p.w.foot.Envelopes++
	p.w.foot.Events += uint64(len(kept.Events))
	return p.w.keep(&kept)
}

// close puts the pack into the archive, if anything is in it.
func (p *packer) close(ctx context.Context) error {
	if p.w.empty() {
		return nil
	}
	p.w.foot.Last = p.last
	b, err := p.w.finish()
	if err != nil {
		return err
	}
	p.written += int64(len(b))
	return p.s.a.target.Put(ctx, packName(p.s.number, p.w.foot.First, p.last), b)
}
