package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Bounds of snapshots.
const (
	rowsFrameBytes = 128 << 10 // a frame of rows is closed at this size
	rowsPartBytes  = 32 << 20  // an object of rows is closed at this size
	maxRowFrames   = 64        // frames of rows that a Snapshot keeps decoded
	loadRows       = 4 << 20   // bytes of rows that are loaded at once
	maxGUIDsFrame  = 1 << 20   // GUIDs in one frame
)

// row is one row of a state.
type row struct {
	_          struct{} `cbor:",toarray"`
	Key, Value []byte
}

// Source is a state to make a snapshot of. It must not change meanwhile.
type Source struct {
	Reader state.Reader
	At     eventlog.State // where the state stands
	Time   time.Time      // commit time of that envelope
}

// WriteSnapshot puts a snapshot of a shard's state into the archive and gives its name. The archive must hold the log up to there already. A
// snapshot is complete when the last of its objects is there; the others are of no account before.
func (s *Shard) WriteSnapshot(ctx context.Context, src Source) (string, error) {
	if _, err := s.StateAt(ctx, src.At.Position); err != nil {
		return "", fmt.Errorf("snapshot at %d: the archive has to hold the log up to there first: %w", src.At.Position, err)
	}
	if have, err := s.StateAt(ctx, src.At.Position); err != nil || have.Hash != src.At.Hash {
		return "", errors.Join(fmt.Errorf("snapshot at %d: %w", src.At.Position, ErrForeign), err)
	}
	zip, err := newCompressor()
	if err != nil {
		return "", err
	}
	totals, err := state.GetTotals(src.Reader)
	if err != nil {
		return "", fmt.Errorf("snapshot: %w", err)
	}
	w := &snapshotWriter{s: s, ctx: ctx, zip: zip, src: src, tag: newTag()}
	w.foot = footer{
		Kind: kindSnapshot, Shard: uint32(s.number), First: src.At.Position, LastTime: src.Time.UnixMicro(), MaxTime: src.Time.UnixMicro(),
		Digest: totals.Digest,
	}
	w.foot.setAfter(src.At)
	if err := src.Reader.Scan(nil, bytes.Repeat([]byte{0xff}, 8), w.row); err != nil {
		return "", fmt.Errorf("snapshot: %w", err)
	}
	return w.finish()
}

type snapshotWriter struct {
	s    *Shard
	ctx  context.Context
	zip  *compressor
	src  Source
	tag  string
	foot footer // of the snapshot

	part  *objectWriter
	keys  [][]byte // of part
	count uint64   // rows in part
	rows  []row
	size  int
	guids []event.GUID
}

// row takes one row of the state. Of bodies the GUID is kept: the bytes are in the segments, and where a replica has them is its own.
func (w *snapshotWriter) row(key, value []byte) (bool, error) {
	if err := w.ctx.Err(); err != nil {
		return false, err
	}
	if key[0] == 0 { // the replica's own rows
		return true, nil
	}
	if state.IsBodyKey(key) {
		if len(key) != 1+len(event.GUID{}) {
			return false, fmt.Errorf("%w: key %x of a body", state.ErrCorrupt, key)
		}
		w.guids = append(w.guids, event.GUID(key[1:]))
		return true, nil
	}
	w.rows = append(w.rows, row{Key: bytes.Clone(key), Value: bytes.Clone(value)})
	w.size += len(key) + len(value) + 8
	if w.size >= rowsFrameBytes {
		return true, w.closeFrame()
	}
	return true, nil
}

func (w *snapshotWriter) closeFrame() error {
	if len(w.rows) == 0 {
		return nil
	}
	if w.part == nil {
		w.part = newObjectWriter(kindRows, w.s.a.key, w.zip, nil)
	}
	b, err := encMode.Marshal(w.rows)
	if err != nil {
		return fmt.Errorf("encode rows: %w", err)
	}
	if _, err := w.part.add(frameRows, b, true); err != nil {
		return err
	}
	w.keys = append(w.keys, w.rows[0].Key)
	w.count += uint64(len(w.rows))
	w.rows, w.size = w.rows[:0], 0
	if w.part.size() >= rowsPartBytes {
		return w.closePart()
	}
	return nil
}

func (w *snapshotWriter) closePart() error {
	if w.part == nil {
		return nil
	}
	at := w.src.At.Position
	f := &footer{Kind: kindRows, Shard: uint32(w.s.number), First: at, Last: at, Rows: w.count, Keys: w.keys}
	b, err := w.part.finish(f)
	if err != nil {
		return err
	}
	name := rowsName(w.s.number, at, w.tag, len(w.foot.Parts))
	if err := w.s.a.target.Put(w.ctx, name, b); err != nil {
		return err
	}
	w.foot.Parts = append(w.foot.Parts, partRef{Name: name, Key: w.keys[0]})
	w.foot.Rows += w.count
	w.part, w.keys, w.count = nil, nil, 0
	return nil
}

// finish completes the snapshot. One of the same position that is there already is as good.
func (w *snapshotWriter) finish() (string, error) {
	if err := w.closeFrame(); err != nil {
		return "", err
	}
	if err := w.closePart(); err != nil {
		return "", err
	}
	obj := newObjectWriter(kindSnapshot, w.s.a.key, w.zip, nil)
	slices.SortFunc(w.guids, func(a, b event.GUID) int { return bytes.Compare(a[:], b[:]) })
	w.foot.GUIDs = uint64(len(w.guids))
	for list := range slices.Chunk(w.guids, maxGUIDsFrame) {
		b := make([]byte, 0, len(list)*len(event.GUID{}))
		for i := range list {
			b = append(b, list[i][:]...)
		}
		if _, err := obj.add(frameGUIDs, b, false); err != nil {
			return "", err
		}
	}
	b, err := obj.finish(&w.foot)
	if err != nil {
		return "", err
	}
	name := snapshotName(w.s.number, w.src.At.Position)
	if err := w.s.a.target.Put(w.ctx, name, b); err != nil && !errors.Is(err, ErrExists) {
		return "", err
	}
	return name, nil
}

// Snapshot is a snapshot of a shard's state in the archive. It is a state.Reader of all rows but those of bodies, which reads only what it
// is asked for. It is safe for concurrent use.
type Snapshot struct {
	s   *Shard
	o   *object
	ctx context.Context // bounds all reads: state.Reader has none

	mu     sync.Mutex
	frames map[string][]row // decoded, by part and number; at most maxRowFrames
}

var _ state.Reader = (*Snapshot)(nil)

// SnapshotUpTo gives the newest snapshot that stands at position to or before: ErrMissing when there is none. ctx bounds all reads of the
// snapshot too. A snapshot whose objects cannot be read is passed over for the one before it.
func (s *Shard) SnapshotUpTo(ctx context.Context, to eventlog.Position) (*Snapshot, error) {
	var damaged error
	for _, n := range slices.Backward(s.cat.snapshots) {
		if n.first > to {
			continue
		}
		o, err := s.open(ctx, n, kindSnapshot)
		if err == nil {
			return &Snapshot{s: s, o: o, ctx: ctx, frames: map[string][]row{}}, nil
		}
		if !errors.Is(err, ErrDamaged) {
			return nil, err
		}
		damaged = errors.Join(damaged, err)
	}
	return nil, errors.Join(fmt.Errorf("%w: a snapshot of shard %d up to position %d", ErrMissing, s.number, to), damaged)
}

// At is where the snapshot stands.
func (p *Snapshot) At() eventlog.State { return p.o.foot.after() }

// Time is the commit time of the last envelope before the snapshot.
func (p *Snapshot) Time() time.Time { return time.UnixMicro(p.o.foot.LastTime).UTC() }

// Name is the snapshot's name in the archive.
func (p *Snapshot) Name() string { return p.o.name.Name }

// part opens an object of rows.
func (p *Snapshot) part(i int) (*object, error) {
	name := p.o.foot.Parts[i].Name
	for _, n := range p.s.cat.rows {
		if n.Name == name {
			return p.s.open(p.ctx, n, kindRows)
		}
	}
	return nil, &DamageError{name, -1, fmt.Errorf("it is missing, %s needs it", p.o.name.Name)}
}

// frame reads the rows of one frame.
func (p *Snapshot) frame(o *object, number int) ([]row, error) {
	id := fmt.Sprint(o.name.Name, "#", number)
	p.mu.Lock()
	rows, ok := p.frames[id]
	p.mu.Unlock()
	if ok {
		return rows, nil
	}
	ref := o.foot.refs(frameRows)[number]
	raw, err := o.frame(p.ctx, ref)
	if err != nil {
		return nil, err
	}
	if rows, err = decodeRows(raw, o.foot.Keys[number]); err != nil {
		return nil, damage(o.name.Name, int64(ref.Offset), err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.frames) >= maxRowFrames {
		clear(p.frames)
	}
	p.frames[id] = rows
	return rows, nil
}

// decodeRows reads a frame of rows, whose keys must ascend from the one that the footer names.
func decodeRows(raw, first []byte) ([]row, error) {
	var rows []row
	if err := decMode.Unmarshal(raw, &rows); err != nil {
		return nil, fmt.Errorf("rows: %w", err)
	}
	for i := range rows {
		if len(rows[i].Key) == 0 || (i > 0 && bytes.Compare(rows[i-1].Key, rows[i].Key) >= 0) {
			return nil, errors.New("rows: their keys do not ascend")
		}
	}
	if len(rows) == 0 || !bytes.Equal(rows[0].Key, first) {
		return nil, errors.New("rows: their first key is not what the footer says")
	}
	return rows, nil
}

// Get implements state.Reader.
func (p *Snapshot) Get(key []byte) ([]byte, error) {
	var value []byte
	err := p.Scan(key, append(bytes.Clone(key), 0), func(_, v []byte) (bool, error) { value = v; return false, nil })
	return value, err
}

// Scan implements state.Reader.
func (p *Snapshot) Scan(lo, hi []byte, fn func(key, value []byte) (bool, error)) error {
	parts := p.o.foot.Parts
	i := max(sort.Search(len(parts), func(i int) bool { return bytes.Compare(parts[i].Key, lo) > 0 })-1, 0)
	for ; i < len(parts) && bytes.Compare(parts[i].Key, hi) < 0; i++ {
		o, err := p.part(i)
		if err != nil {
			return err
		}
		keys := o.foot.Keys
		n := max(sort.Search(len(keys), func(i int) bool { return bytes.Compare(keys[i], lo) > 0 })-1, 0)
		for ; n < len(keys) && bytes.Compare(keys[n], hi) < 0; n++ {
			rows, err := p.frame(o, n)
			if err != nil {
				return err
			}
			for _, r := range rows {
				if bytes.Compare(r.Key, lo) < 0 {
					continue
				}
				if bytes.Compare(r.Key, hi) >= 0 {
					return nil
				}
				if more, err := fn(r.Key, r.Value); !more || err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// GUIDs gives the bodies that were known at the snapshot, or on their way.
func (p *Snapshot) GUIDs() (map[event.GUID]bool, error) {
	set := make(map[event.GUID]bool, p.o.foot.GUIDs)
	for _, ref := range p.o.foot.refs(frameGUIDs) {
		raw, err := p.o.frame(p.ctx, ref)
		if err != nil {
			return nil, err
		}
		for guid := range slices.Chunk(raw, len(event.GUID{})) {
			if len(guid) != len(event.GUID{}) {
				return nil, damage(p.o.name.Name, int64(ref.Offset), errors.New("half a GUID"))
			}
			set[event.GUID(guid)] = true
		}
	}
	if uint64(len(set)) != p.o.foot.GUIDs {
		return nil, damage(p.o.name.Name, -1, fmt.Errorf("%d bodies, not %d", len(set), p.o.foot.GUIDs))
	}
	return set, nil
}
