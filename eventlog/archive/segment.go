package archive

import (
	"fmt"

	"angarium/eventlog"
	"angarium/eventlog/event"
)

const (
	// frameTarget is how many bytes a frame gathers before it is closed: what a reader has to read for one event, or one body.
	frameTarget = 256 << 10
	// maxRecords bounds the records of one frame.
	maxRecords = 4096
)

// segmentWriter builds a segment, or a pack: records with the bytes of their bodies, and the indexes.
type segmentWriter struct {
	obj     *objectWriter
	foot    footer
	last    eventlog.State // behind the last envelope
	records []record
	size    int // of records, about
	bodies  []byte
	plain   int // of bodies: bytes of bodies stored raw
	index   *indexes
}

// newSegmentWriter begins a segment behind a state. buf is memory to use for it, or nil.
func newSegmentWriter(kind byte, shard int, after eventlog.State, key *Key, zip *compressor, buf []byte) *segmentWriter {
	w := &segmentWriter{
		obj: newObjectWriter(kind, key, zip, buf), last: after, index: newIndexes(),
	}
	w.foot = footer{Kind: kind, Shard: uint32(shard), First: after.Position + 1}
	w.foot.setBefore(after)
	return w
}

// bytes is about how large the object would be now.
func (w *segmentWriter) bytes() int { return w.obj.size() + w.size + len(w.bodies) }

// empty says whether nothing was added.
func (w *segmentWriter) empty() bool { return w.foot.Envelopes == 0 }

// add appends the envelope that comes next.
func (w *segmentWriter) add(env *eventlog.Envelope) error {
	if env.Position != w.last.Position+1 || env.PrevHash != w.last.Hash {
		return fmt.Errorf("envelope %d does not continue segment at %s", env.Position, w.last.Mark())
	}
	rec, err := split(env, w.put)
	if err != nil {
		return err
	}
	at := env.Time.UnixMicro()
	if w.empty() {
		w.foot.FirstTime, w.foot.MaxTime = at, at
	}
	w.foot.LastTime, w.foot.MaxTime = at, max(w.foot.MaxTime, at)
	w.foot.Envelopes++
	w.foot.Events += uint64(len(env.Entries))
	w.foot.Payload += uint64(len(env.Payload))
	w.last = env.State()
	for _, e := range env.Entries {
		w.index.add(e, uint32(w.obj.counts[frameRecords]))
	}
	return w.keep(rec)
}

// keep appends a record, whose pieces share no memory that will change.
func (w *segmentWriter) keep(rec *record) error {
	w.records = append(w.records, *rec)
	w.size += 64
	for i := range rec.Events {
		w.size += len(rec.Events[i].Head) + len(rec.Events[i].Tail) + 16
	}
	if w.size >= frameTarget || len(w.records) >= maxRecords {
		return w.flushRecords()
	}
	return nil
}

// put stores bytes of a body.
func (w *segmentWriter) put(data []byte, enc event.Encoding) (frame, offset uint32, err error) {
	if len(w.bodies) > 0 && len(w.bodies)+len(data) > frameTarget {
		if err := w.flushBodies(); err != nil {
			return 0, 0, err
		}
	}
	frame, offset = uint32(w.obj.counts[frameBodies]), uint32(len(w.bodies))
	w.bodies = append(w.bodies, data...)
	if enc == event.Raw {
		w.plain += len(data)
	}
	return frame, offset, nil
}

func (w *segmentWriter) flushRecords() error {
	if len(w.records) == 0 {
		return nil
	}
	b, err := encMode.Marshal(w.records)
	if err != nil {
		return fmt.Errorf("encode records: %w", err)
	}
	w.records, w.size = w.records[:0], 0
	_, err = w.obj.add(frameRecords, b, true)
	return err
}

// flushBodies closes the frame of bodies. Bodies are compressed already, as a rule: only raw ones are worth another try.
func (w *segmentWriter) flushBodies() error {
	if len(w.bodies) == 0 {
		return nil
	}
	_, err := w.obj.add(frameBodies, w.bodies, 2*w.plain >= len(w.bodies))
	w.bodies, w.plain = w.bodies[:0], 0
	return err
}

// finish gives the object. The writer cannot be used any more.
func (w *segmentWriter) finish() ([]byte, error) {
	if err := w.flushBodies(); err != nil {
		return nil, err
	}
	if err := w.flushRecords(); err != nil {
		return nil, err
	}
	for _, index := range []struct {
		typ  byte
		list any
	}{{frameAccounts, w.index.accounts()}, {frameGUIDs, w.index.guids()}} {
		b, err := encMode.Marshal(index.list)
		if err != nil {
			return nil, fmt.Errorf("encode index: %w", err)
		}
		if _, err := w.obj.add(index.typ, b, true); err != nil {
			return nil, err
		}
	}
	if w.foot.Kind == kindSegment {
		w.foot.setAfter(w.last)
	}
	return w.obj.finish(&w.foot)
}
