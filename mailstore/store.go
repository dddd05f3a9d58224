package mailstore

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/internal/codec"
	"angarium/replica"
	"angarium/replica/state"
)

// Appender appends a unit of events to a shard's log: all or nothing, in one envelope. *eventlog.Writer is one.
// A receipt with a position that comes with an error says that the unit is in the log all the same.
type Appender interface {
	Append(ctx context.Context, unit ...event.Entry) (eventlog.Receipt, error)
}

// Shard is one shard of the store: its replica and the writer of its log.
type Shard struct {
	Replica *replica.Replica
	Log     Appender // used while this node is the shard's primary

	// Remote gives the way to the shard's primary, nil while that is this node. A nil Remote says that it always is. It must be
	// quick and may be called from any goroutine. A write asks when it is past the gate that Freeze closes: a node that changes its
	// role while the shard is frozen lets no write slip through that was decided in the old role.
	Remote func() Forwarder

	// Recovered says that the log was brought back from a copy that may have ended before its history did: the first epoch since. What was lost
	// may have given modseqs and UIDs that clients remember. The first write to each account leaves them out. 0: nothing was lost.
	Recovered uint64
	// Holds says whether this node's log has an envelope, where the replica has passed it: an error says that it has another one there, or
	// that it cannot be read. With nil nothing is compared.
	Holds func(ctx context.Context, at eventlog.Mark) error
}

// Options configures a Store. Zero values mean the defaults named here.
type Options struct {
	Shards           []Shard      // at least one; an account's shard is a hash of its name
	Encoding         codec.Policy // how bodies are stored [codec.Auto is what angarium serve sets]
	MaxMessage       int64        // bytes of a message [50 MiB]
	MaxMailboxes     int          // of one account [10,000]
	DefaultMailboxes []NewMailbox // made with an account, beside INBOX
	// ForwardWait bounds how long a write looks for the primary while that changes, and then how long the local replica has to get what
	// the primary did [10 s].
	ForwardWait time.Duration
	Now         func() time.Time
}

// Store is a node's mail store. Its methods may be called from any goroutine.
type Store struct {
	opts     Options
	codec    *codec.Codec
	shards   []*shard
	handlers map[string]handler // of forwarded writes, by op
	locks    lockTable[string]  // by account
}

type shard struct {
	Shard
	number  int
	gate    *semaphore.Weighted   // one is held by each write, from decision to applied; all by a checkpoint
	uploads lockTable[event.GUID] // bodies that are being sent in chunks

	recentMu sync.Mutex
	recent   map[event.MailboxID]uint32 // messages told as \Recent that the log does not say yet
}

// New makes a store over open shards.
func New(opts Options) (*Store, error) {
	if len(opts.Shards) == 0 {
		return nil, errors.New("mailstore: no shards")
	}
	if opts.MaxMessage == 0 {
		opts.MaxMessage = 50 << 20
	}
	if opts.MaxMailboxes == 0 {
		opts.MaxMailboxes = 10_000
	}
	if opts.ForwardWait == 0 {
		opts.ForwardWait = 10 * time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	c, err := codec.New()
	if err != nil {
		return nil, fmt.Errorf("mailstore: %w", err)
	}
	s := &Store{opts: opts, codec: c, handlers: handlers()}
	for i, sh := range opts.Shards {
		s.shards = append(s.shards, &shard{
			Shard: sh, number: i, gate: semaphore.NewWeighted(allWrites), recent: map[event.MailboxID]uint32{},
		})
	}
	return s, nil
}

// MaxMessage is the size limit of a message in bytes.
func (s *Store) MaxMessage() int64 { return s.opts.MaxMessage }

// ShardOf gives the shard of an account: the FNV-1a hash of its name (64 bits) modulo the number of shards. The number is fixed
// when a store is made, or accounts would change their shard.
func ShardOf(account string, shards int) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(account)) // a hash never fails
	return int(h.Sum64() % uint64(shards))
}

func (s *Store) shardOf(account string) *shard { return s.shards[ShardOf(account, len(s.shards))] }

// write is one write under way: the locks it holds and what it appends.
type write struct {
	s       *Store
	sh      *shard
	id      Identity
	now     time.Time
	remote  Forwarder    // the way to the primary; nil: this node decides
	box     *replica.Box // of the mailbox that the write is about, when it is about an open one
	unlocks []func()
}

// enter lets a write in, when the shard is not frozen, and finds out where it is decided. The caller ends it.
func (s *Store) enter(ctx context.Context, id Identity, sh *shard) (*write, error) {
	if err := s.writable(sh); err != nil {
		return nil, err
	}
	if err := sh.gate.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	w := &write{s: s, sh: sh, id: id, now: s.opts.Now(), unlocks: make([]func(), 0, 2)}
	w.unlocks = append(w.unlocks, sh.leave)
	if sh.Remote != nil {
		w.remote = sh.Remote()
	}
	return w, nil
}

// lock takes the locks of accounts of the shard, which must be in ascending order and without doubles. When it fails, it ends the write.
func (w *write) lock(ctx context.Context, accounts ...string) error {
	for _, a := range accounts {
		unlock, err := w.s.locks.lock(ctx, a)
		if err != nil {
			w.end()
			return fmt.Errorf("%w: account %s is busy: %w", ErrUnavailable, a, err)
		}
		w.unlocks = append(w.unlocks, unlock)
	}
	w.now = w.s.opts.Now()
	for _, a := range accounts {
		if err := w.skipLost(ctx, a); err != nil {
			w.end()
			return err
		}
	}
	return nil
}

// allWrites is more than there can be writes at a time.
const allWrites = 1 << 40

func (sh *shard) leave() { sh.gate.Release(1) }

func (s *Store) writable(sh *shard) error {
	if err := sh.Replica.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// end gives the locks back.
func (w *write) end() {
	for i := len(w.unlocks) - 1; i >= 0; i-- {
		w.unlocks[i]()
	}
	w.unlocks = nil
}

func (w *write) reader() state.Reader { return w.sh.Replica.Reader() }

// commit appends the events as one unit, waits until they are applied, and gives the locks back. When ctx ends first, it returns
// ErrUnavailable and ErrUnknown, and the locks are given back once the outcome is known.
func (w *write) commit(ctx context.Context, events ...event.Event) error {
	entries := w.entries(events)
	done := make(chan error, 1)
	go func() {
		defer w.end()
		done <- w.sh.append(context.WithoutCancel(ctx), entries)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: gave up waiting: %w: %w", ErrUnavailable, eventlog.ErrUnknown, ctx.Err())
	}
}

func (w *write) entries(events []event.Event) []event.Entry {
	meta := event.Meta{Time: w.now.UnixMicro(), Actor: w.id.Account, Service: w.id.Service, Session: w.id.Session, Client: w.id.Client}
	entries := make([]event.Entry, len(events))
	for i, e := range events {
		entries[i] = event.Entry{Meta: meta, Event: e}
	}
	return entries
}

func (sh *shard) append(ctx context.Context, entries []event.Entry) error {
	receipt, err := sh.Log.Append(ctx, entries...)
	if sh.Remote != nil && errors.Is(err, eventlog.ErrFenced) && !errors.Is(err, eventlog.ErrUnknown) {
		return fmt.Errorf("%w: %w: %w", ErrUnavailable, ErrNotPrimary, err)
	}
	if err != nil && receipt.Position > 0 {
		// It is in the log, and not where else it has to be: what is decided next must know of it all the same.
		err = errors.Join(err, sh.Replica.Wait(ctx, receipt.Position))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := sh.Replica.Wait(ctx, receipt.Position); err != nil {
		return fmt.Errorf("%w: %w here: it is in the log: %w", ErrUnavailable, eventlog.ErrUnknown, err)
	}
	return nil
}
