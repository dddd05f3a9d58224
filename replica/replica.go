package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/internal/codec"
	"angarium/replica/body"
	"angarium/replica/state"
)

// Options configures a replica. Zero values mean the defaults named here.
type Options struct {
	FS            vfs.FS       // file system [the machine's]
	Dir           string       // directory of this shard's replica; made if needed
	Shard         int          // for messages only
	CacheBytes    int64        // cache of index blocks [128 MiB]
	MemtableBytes int          // index in memory before it is flushed, and so what is applied again after a crash [32 MiB]
	BoxMessages   int          // messages of mailboxes that nobody has open and that stay in memory [2,000,000]
	SegmentSize   uint64       // size of a body segment [256 MiB]
	Logger        *slog.Logger // [slog.Default()]
	Hooks         Hooks

	writeBack uint64 // of body segments (body.Options)
}

// writeBackBytes is how much of a body segment waits in memory until the operating system is asked to begin writing it.
const writeBackBytes = 1 << 20

// Hooks observe a replica. Any may be nil; they must be quick.
type Hooks struct {
	Applied func(envelopes, events, bytes int, took time.Duration)
	Synced  func(segments int, took time.Duration, err error)
	Halted  func(error)
	// Heal gives the bytes of a body that cannot be read here, from where else it is kept. They are compared with the GUID.
	Heal func(guid event.GUID) ([]byte, error)
	// Committing is told of each batch before it is committed, with a reader of the state before it; what it returns is called when
	// it is committed.
	Committing func(batch []eventlog.Envelope, changes []state.Change, before state.Reader) (committed func())
}

// Names of the states of a replica.
const (
	Stopped   = "stopped"   // does not follow the log
	Following = "following" // applies what comes
	Stalled   = "stalled"   // tries again and again to apply what has come, as with a full disk
	Halted    = "halted"    // met what it cannot apply, and will not go on
)

// Status is what a replica says of itself.
type Status struct {
	State    string            // one of the names above
	Reason   string            // why it is stalled or halted
	Applied  eventlog.State    // of the last envelope applied
	Time     time.Time         // commit time of that envelope; zero for none
	Halt     eventlog.Position // where it halted
	Totals   state.Totals
	Bodies   uint64 // bytes of body segments
	Segments int
}

// Errors of this package.
var (
	// ErrHalted says that the replica met something it cannot apply. Reads go on.
	ErrHalted = errors.New("replica is halted")
	// ErrClosed says that the replica was closed.
	ErrClosed = errors.New("replica is closed")
)

// HaltError is why a replica halted, and where.
type HaltError struct {
	Position eventlog.Position
	Err      error
}

// Error implements error.
func (e *HaltError) Error() string {
	return fmt.Sprintf("%v at log position %d: %v", ErrHalted, e.Position, e.Err)
}

// Unwrap gives ErrHalted and the cause.
func (e *HaltError) Unwrap() []error { return []error{ErrHalted, e.Err} }

// Replica is one shard's materialised state. Its methods may be called from any goroutine, Run from one at a time.
type Replica struct {
	opts   Options
	db     *pebble.DB
	bodies *body.Store
	codec  *codec.Codec
	// synced is bodies, for syncBodies: the index may write to its MANIFEST in the background while bodies is being opened.
	synced  atomic.Pointer[body.Store]
	health  health
	watches accountWatches
	absent  absent
	pins    pins

	compacting sync.Mutex // held by a compaction
	// applying is held while a batch is applied, marks are written or bodies are moved. It is taken before mu.
	applying sync.Mutex
	gaps     body.Gaps               // segments that were removed; changed by a compaction only
	marked   bool                    // there may be marks
	recalled map[event.GUID]struct{} // bodies that events spoke of since marks are being found; nil when they are not

	mu      sync.Mutex // never held over I/O; what is published was committed before
	place   place
	status  string
	reason  error
	waiters []waiter
	boxes   map[event.MailboxID]*Box
	idle    boxLRU
	closed  bool
}

type waiter struct {
	position eventlog.Position
	done     chan error // buffered
}

// Open opens the replica in a directory, or makes an empty one. Body segments are cut back to where the index stands.
func Open(opts Options) (*Replica, error) {
	opts = opts.withDefaults()
	if err := opts.FS.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open replica: %w", err)
	}
	c, err := codec.New()
	if err != nil {
		return nil, fmt.Errorf("open replica: %w", err)
	}
	r := &Replica{opts: opts, codec: c, status: Stopped, boxes: map[event.MailboxID]*Box{}}
	if r.db, err = openIndex(&r.opts, &syncFS{FS: opts.FS, before: r.syncBodies, table: r.health.pace}, &r.health); err != nil {
		return nil, fmt.Errorf("open replica %s: %w", opts.Dir, err)
	}
	if err := r.openBodies(); err != nil {
		return nil, errors.Join(fmt.Errorf("open replica %s: %w", opts.Dir, err), r.db.Close())
	}
	return r, nil
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS, o.writeBack = vfs.Default, writeBackBytes
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 128 << 20
	}
	if o.MemtableBytes == 0 {
		o.MemtableBytes = 32 << 20
	}
	if o.BoxMessages == 0 {
		o.BoxMessages = 2_000_000
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// openBodies opens the segments at the mark of the index.
func (r *Replica) openBodies() error {
	p, err := readPlace(r.db)
	if err != nil {
		return err
	}
	if r.gaps, err = readGaps(r.db); err != nil {
		return err
	}
	marks, _, err := r.Marks()
	if err != nil {
		return err
	}
	r.marked = marks > 0
	opts := body.Options{
		SegmentSize: r.opts.SegmentSize, WriteBack: r.opts.writeBack, Gaps: r.gaps, Hooks: body.Hooks{Sync: r.opts.Hooks.Synced},
	}
	bodies, err := body.Open(r.opts.FS, bodyDir(r.opts.FS, r.opts.Dir), p.Bodies, opts)
	if err != nil {
		return err
	}
	r.place, r.bodies = p, bodies
	r.synced.Store(bodies)
	return nil
}

// syncBodies keeps the rule of doc.go. While the index is being opened there are no bodies that it does not refer to yet.
func (r *Replica) syncBodies() error {
	bodies := r.synced.Load()
	if bodies == nil {
		return nil
	}
	return bodies.Sync()
}

// Reader reads committed rows, for the functions of package state. Two reads may see different positions.
func (r *Replica) Reader() state.Reader { return reader{r.db} }

// Applied says where the replica stands.
func (r *Replica) Applied() eventlog.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.place.state()
}

// Status says how the replica does.
func (r *Replica) Status() (Status, error) {
	snap := r.db.NewSnapshot() // totals and position of one moment
	defer snap.Close()
	totals, err := state.GetTotals(reader{snap})
	if err != nil {
		return Status{}, err
	}
	at, err := readPlace(snap)
	if err != nil {
		return Status{}, err
	}
	s := Status{Totals: *totals, Applied: at.state()}
	s.Bodies, s.Segments = r.bodies.Size()
	if at.Position > 0 {
		s.Time = time.UnixMicro(at.Time).UTC()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	status, reason := r.conditionLocked()
	s.State = status
	if reason != nil {
		s.Reason = reason.Error()
	}
	if halt := (*HaltError)(nil); errors.As(reason, &halt) {
		s.Halt = halt.Position
	}
	return s, nil
}

// conditionLocked gives the state and its reason. A replica whose index cannot be flushed is stalled, whatever it is doing: a commit may
// already be waiting for the flush.
func (r *Replica) conditionLocked() (string, error) {
	if r.status == Following {
		if err := r.health.err(); err != nil {
			return Stalled, err
		}
	}
	return r.status, r.reason
}

// Err is nil while the replica can apply what comes, or else why it cannot.
func (r *Replica) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	status, reason := r.conditionLocked()
	if status == Following || status == Stopped {
		return nil
	}
	return reason
}

// Wait returns when everything up to position is applied; with an error when that will not be, or ctx ends.
func (r *Replica) Wait(ctx context.Context, position eventlog.Position) error {
	r.mu.Lock()
	if r.place.Position >= position {
		r.mu.Unlock()
		return nil
	}
	if err := r.deadLocked(); err != nil {
		r.mu.Unlock()
		return err
	}
	w := waiter{position, make(chan error, 1)}
	r.waiters = append(r.waiters, w)
	r.mu.Unlock()
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		for i := range r.waiters {
			if r.waiters[i].done == w.done {
				r.waiters = append(r.waiters[:i], r.waiters[i+1:]...)
				break
			}
		}
		return fmt.Errorf("wait for log position %d to be applied: %w", position, ctx.Err())
	}
}

func (r *Replica) deadLocked() error {
	if r.closed {
		return ErrClosed
	}
	if r.status == Halted {
		return r.reason
	}
	return nil
}

// wakeLocked answers those who wait for what has come, or with err all of them.
func (r *Replica) wakeLocked(err error) {
	kept := r.waiters[:0]
	for _, w := range r.waiters {
		switch {
		case w.position <= r.place.Position:
			w.done <- nil
		case err != nil:
			w.done <- err
		default:
			kept = append(kept, w)
		}
	}
	r.waiters = kept
}

// FlushSoon begins to make the index durable at its present position, and does not wait for it.
func (r *Replica) FlushSoon() error {
	if _, err := r.db.AsyncFlush(); err != nil {
		return fmt.Errorf("flush index: %w", err)
	}
	return nil
}

// Flush makes the index durable at its present position. It fails at once while flushes fail, as on a full disk.
func (r *Replica) Flush() error {
	if err := r.health.err(); err != nil {
		return err
	}
	done, err := r.db.AsyncFlush()
	if err != nil {
		return fmt.Errorf("flush index: %w", err)
	}
	for {
		select {
		case <-done:
			return nil
		case <-time.After(retryPause): // Pebble itself would try for ever
			if err := r.health.err(); err != nil {
				return err
			}
		}
	}
}

// Close makes the index durable and closes the replica. Run must have returned, and no other call may be under way.
func (r *Replica) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	r.wakeLocked(ErrClosed)
	r.mu.Unlock()
	return errors.Join(r.Flush(), r.db.Close(), r.bodies.Close())
}
