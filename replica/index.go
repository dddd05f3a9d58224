package replica

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/fxamacker/cbor/v2"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/replica/body"
	"angarium/replica/state"
)

// Formats of the index and the segments. A program that knows no gaps must not open a replica that has some.
const (
	formatFirst  = 1
	formatGaps   = 2 // segments were removed
	formatNewest = formatGaps
)

// keyPlace is the row that says where the index stands. No key of package state begins with this byte.
var keyPlace = []byte{0}

// place is where a replica stands: how far it has applied the log, and where its body segments end there.
type place struct {
	Format    uint32            `cbor:"1,keyasint"`
	Position  eventlog.Position `cbor:"2,keyasint"`
	Hash      eventlog.Hash     `cbor:"3,keyasint"`
	NextIndex uint64            `cbor:"4,keyasint"`
	Epoch     uint64            `cbor:"5,keyasint"`
	Bodies    body.Mark         `cbor:"6,keyasint"`
	Time      int64             `cbor:"7,keyasint"` // commit time of the last envelope, microseconds since 1970
}

func (p *place) state() eventlog.State {
	return eventlog.State{Position: p.Position, Hash: p.Hash, NextIndex: p.NextIndex, Epoch: p.Epoch}
}

func openIndex(opts *Options, fs vfs.FS, h *health) (*pebble.DB, error) {
	po := &pebble.Options{
		FS:                    fs,
		DisableWAL:            true,
		FormatMajorVersion:    pebble.FormatNewest,
		CacheSize:             opts.CacheBytes,
		MemTableSize:          uint64(opts.MemtableBytes),
		L0CompactionThreshold: 4,
		L0StopWritesThreshold: 40,
		// A flush that fails is known before the writes that come meanwhile would have to wait for it (health.go).
		MemTableStopWritesThreshold: 4,
		Logger:                      pebbleLogger{opts.Logger},
		EventListener:               h.listener(opts.Logger),
	}
	po.ApplyCompressionSettings(func() pebble.DBCompressionSettings {
		return pebble.UniformDBCompressionSettings(sstable.SnappyCompression)
	})
	for i := range po.Levels {
		po.Levels[i].BlockSize = 16 << 10
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // a new body is looked up before it is known
	}
	db, err := pebble.Open(indexDir(opts.FS, opts.Dir), po)
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	return db, nil
}

func indexDir(fs vfs.FS, dir string) string { return fs.PathJoin(dir, "index") }
func bodyDir(fs vfs.FS, dir string) string  { return fs.PathJoin(dir, "bodies") }

func readPlace(r pebble.Reader) (place, error) {
	p := place{Format: formatFirst}
	v, closer, err := r.Get(keyPlace)
	if errors.Is(err, pebble.ErrNotFound) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("read position: %w", err)
	}
	defer closer.Close()
	if err := cbor.Unmarshal(v, &p); err != nil {
		return p, fmt.Errorf("read position: %w: %w", state.ErrCorrupt, err)
	}
	if p.Format > formatNewest {
		return p, fmt.Errorf("replica of format %d: %w", p.Format, event.ErrNewer)
	}
	return p, nil
}

// reader reads committed rows; safe for concurrent use.
type reader struct{ pebble.Reader }

// Get implements state.Reader.
func (r reader) Get(key []byte) ([]byte, error) {
	v, closer, err := lookUp(r.Reader, key)
	if v == nil || err != nil {
		return nil, err
	}
	v = bytes.Clone(v)
	return v, closer.Close()
}

// lookUp reads one key; the value is valid until the closer is closed, nil when there is none. Pebble's own Get takes it that a key it is
// asked for is there, and reads a block of the lowest level before it says that it is not. For most keys that is so; a body is looked
// up before it is known, so it is asked for with the filters of all levels.
func lookUp(r pebble.Reader, key []byte) (value []byte, closer io.Closer, err error) {
	if !state.IsBodyKey(key) {
		value, closer, err = r.Get(key)
		if errors.Is(err, pebble.ErrNotFound) {
			return nil, nil, nil
		}
	} else {
		value, closer, err = lookUpFiltered(r, key)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read index: %w", err)
	}
	return value, closer, nil
}

func lookUpFiltered(r pebble.Reader, key []byte) ([]byte, io.Closer, error) {
	it, err := r.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return nil, nil, err
	}
	if !it.SeekPrefixGE(key) || !bytes.Equal(it.Key(), key) {
		return nil, nil, it.Close()
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return nil, nil, errors.Join(err, it.Close())
	}
	return v, it, nil
}

// Scan implements state.Reader.
func (r reader) Scan(lo, hi []byte, fn func(key, value []byte) (bool, error)) (err error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return fmt.Errorf("scan index: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("scan index: %w", err)
		}
		if more, err := fn(it.Key(), v); !more || err != nil {
			return err
		}
	}
	return it.Error()
}

// tx is a state.Tx over a batch; for one goroutine.
type tx struct {
	batch  *pebble.Batch
	bodies *body.Store
	absent *absent
	open   io.Closer // of the last value given out
}

func (t *tx) release() error {
	if t.open == nil {
		return nil
	}
	c := t.open
	t.open = nil
	return c.Close()
}

// Get implements state.Reader.
func (t *tx) Get(key []byte) ([]byte, error) {
	if err := t.release(); err != nil {
		return nil, err
	}
	if state.IsBodyKey(key) && t.absent.has(key) {
		return nil, nil
	}
	v, closer, err := lookUp(t.batch, key)
	if v == nil || err != nil {
		return nil, err
	}
	t.open = closer
	return v, nil
}

// Scan implements state.Reader.
func (t *tx) Scan(lo, hi []byte, fn func(key, value []byte) (bool, error)) error {
	if err := t.release(); err != nil {
		return err
	}
	return reader{t.batch}.Scan(lo, hi, fn)
}

// Set implements state.Tx.
func (t *tx) Set(key, value []byte) error {
	if state.IsBodyKey(key) {
		t.absent.wrote(key)
	}
	return errors.Join(t.release(), t.batch.Set(key, value, nil))
}

// Delete implements state.Tx.
func (t *tx) Delete(key []byte) error { return errors.Join(t.release(), t.batch.Delete(key, nil)) }

// DeleteRange implements state.Tx.
func (t *tx) DeleteRange(lo, hi []byte) error {
	return errors.Join(t.release(), t.batch.DeleteRange(lo, hi, nil))
}

// AppendBody implements state.Tx.
func (t *tx) AppendBody(guid event.GUID, data []byte) (state.Extent, error) {
	e, err := t.bodies.Append(guid, data)
	return state.Extent{Segment: e.Segment, Offset: e.Offset, Length: e.Length}, err
}

// pebbleLogger passes on what Pebble has to say.
type pebbleLogger struct{ log *slog.Logger }

func (l pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug("index", "detail", fmt.Sprintf(format, args...))
}
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("index", "detail", fmt.Sprintf(format, args...))
}

// Fatalf is called where Pebble cannot go on, as when its MANIFEST cannot be written; it must not return. Nothing is lost: the
// log has all of it, and the index on disk is a consistent earlier one.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	l.log.Error("index cannot go on", "detail", msg)
	panic("replica index: " + msg)
}
