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
type Appender interface {
	Append(ctx context.Context, unit ...event.Entry) (eventlog.Receipt, error)
}

// Shard is one shard of the store: its replica and the writer of its log.
type Shard struct {
	Replica *replica.Replica
	Log     Appender
}

// Options configures a Store. Zero values mean the defaults named here.
type Options struct {
	Shards           []Shard        // at least one; an account's shard is a hash of its name
	Encoding         event.Encoding // how bodies are stored [event.Zstd is what angarium serve sets]
	MaxMessage       int64          // bytes of a message [50 MiB]
	MaxMailboxes     int            // of one account [10,000]
	DefaultMailboxes []NewMailbox   // made with an account, beside INBOX
	Now              func() time.Time
}

// Store is a node's mail store. Its methods may be called from any goroutine.
type Store struct {
	opts   Options
	codec  *codec.Codec
	shards []*shard
	locks  lockTable[string] // by account
}

type shard struct {
	Shard
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
	if opts.Now == nil {
		opts.Now = time.Now
	}
	c, err := codec.New()
	if err != nil {
		return nil, fmt.Errorf("mailstore: %w", err)
	}
	s := &Store{opts: opts, codec: c}
	for _, sh := range opts.Shards {
		s.shards = append(s.shards, &shard{Shard: sh, gate: semaphore.NewWeighted(allWrites), recent: map[event.MailboxID]uint32{}})
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
	unlocks []func()
}

// begin takes the locks for a write to accounts of one shard, which must be in ascending order and without doubles.
func (s *Store) begin(ctx context.Context, id Identity, accounts ...string) (*write, error) {
	sh := s.shardOf(accounts[0])
	if err := s.writable(sh); err != nil {
		return nil, err
	}
	w := &write{s: s, sh: sh, id: id}
	if err := sh.enter(ctx); err != nil {
		return nil, err
	}
	w.unlocks = append(w.unlocks, sh.leave)
	for _, a := range accounts {
		unlock, err := s.locks.lock(ctx, a)
		if err != nil {
			w.end()
			return nil, fmt.Errorf("%w: account %s is busy: %w", ErrUnavailable, a, err)
		}
		w.unlocks = append(w.unlocks, unlock)
	}
	w.now = s.opts.Now()
	return w, nil
}

// allWrites is more than there can be writes at a time.
const allWrites = 1 << 40

// enter lets a write in, unless a checkpoint is being made: then it waits.
func (sh *shard) enter(ctx context.Context) error {
	if err := sh.gate.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

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
// ErrUnavailable, and the locks are given back once the outcome is known.
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
		return fmt.Errorf("%w: gave up waiting, the outcome is not known: %w", ErrUnavailable, ctx.Err())
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
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := sh.Replica.Wait(ctx, receipt.Position); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// checkpointPatience bounds how long a checkpoint waits for writes to end, and others for it.
const checkpointPatience = 10 * time.Second

// Checkpoint appends to a shard's log what every replica must have at this point. Writes wait meanwhile.
func (s *Store) Checkpoint(ctx context.Context, shardNumber int) error {
	sh := s.shards[shardNumber]
	if err := s.writable(sh); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkpointPatience)
	defer cancel()
	if err := sh.gate.Acquire(ctx, allWrites); err != nil {
		return fmt.Errorf("checkpoint: writes are under way that do not end: %w", err)
	}
	defer sh.gate.Release(allWrites)
	t, err := state.GetTotals(sh.Replica.Reader())
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	w := &write{s: s, sh: sh, id: Identity{Service: "system"}, now: s.opts.Now()}
	cp := &event.Checkpoint{Mailboxes: t.Mailboxes, Messages: t.Messages, Digest: t.Digest}
	return sh.append(ctx, w.entries([]event.Event{cp})) // should it come later, it is true at its place all the same
}
