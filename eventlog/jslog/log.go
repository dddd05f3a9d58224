package jslog

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"angarium/eventlog"
)

// Log is a shard's log in a JetStream stream. It implements eventlog.Log and eventlog.Purger.
type Log struct {
	conn    *Conn
	cfg     StreamConfig
	stream  jetstream.Stream
	emptyAt eventlog.Position // where the log began, if it was empty when it was opened
	empty   bool
	done    chan struct{} // closed by Close

	more       chan struct{} // has an element when sent grew; capacity 1
	replicated bool          // appends go one by one: see the package comment
	recent     *recent       // nil where others can append, too
	acked      eventlog.Mark // the last append that was acknowledged; for the append whose turn it is

	mu         sync.Mutex
	lastAppend chan struct{} // closed when the append that came last is done; of a replicated stream
	sent       []sent        // appends whose outcome is awaited, in order; of an unreplicated stream
	tails      map[*tail]struct{}
	shut       bool
}

var _ interface {
	eventlog.Log
	eventlog.Purger
} = (*Log)(nil)

func newLog(ctx context.Context, c *Conn, cfg StreamConfig, s jetstream.Stream) (*Log, error) {
	l := &Log{
		conn: c, cfg: cfg, stream: s, done: make(chan struct{}), more: make(chan struct{}, 1),
		tails: map[*tail]struct{}{}, lastAppend: make(chan struct{}), replicated: s.CachedInfo().Config.Replicas > 1,
	}
	close(l.lastAppend)
	head, err := l.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", cfg.name(), err)
	}
	l.emptyAt, l.empty = head.Last, head.First > head.Last
	if l.replicated {
		return l, nil
	}
	if c.recents != nil {
		l.recent = c.recents.of(cfg.name())
	}
	go l.settle()
	return l, nil
}

// Append implements eventlog.Log. On a replicated stream, appends that are in flight together are sent one after the other.
func (l *Log) Append(ctx context.Context, after eventlog.Mark, payload []byte) <-chan error {
	result := make(chan error, 1)
	fail := func(err error) { result <- fmt.Errorf("append to %s: %w", l.cfg.name(), err) }
	if err := l.appendable(payload); err != nil {
		fail(err)
		return result
	}
	if l.replicated {
		before, mine := l.queue()
		go func() {
			defer close(mine)
			if err := l.appendNext(ctx, before, after, payload); err != nil {
				fail(err)
				return
			}
			result <- nil
		}()
		return result
	}
	future, err := l.publish(after, payload)
	if err != nil {
		fail(err)
		return result
	}
	if !l.await(sent{ctx, future, after.Position + 1, payload, result}) {
		fail(fmt.Errorf("%w: %w", eventlog.ErrUnknown, eventlog.ErrClosed))
	}
	return result
}

// sent is an append that is on its way.
type sent struct {
	ctx     context.Context // bounds the wait for the outcome
	future  jetstream.PubAckFuture
	at      eventlog.Position
	payload []byte
	result  chan<- error
}

// await hands an append to settle, unless the log is closed.
func (l *Log) await(s sent) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return false
	}
	l.sent = append(l.sent, s)
	signal(l.more)
	return true
}

// settle learns what became of appends, in their order, until the log is closed.
func (l *Log) settle() {
	for ended := false; ; {
		l.mu.Lock()
		batch := l.sent
		l.sent = nil
		l.mu.Unlock()
		for _, s := range batch {
			s.result <- l.settled(s)
		}
		switch {
		case len(batch) > 0:
		case ended:
			return
		default:
			select {
			case <-l.more:
			case <-l.done:
				ended = true
			}
		}
	}
}

func (l *Log) settled(s sent) error {
	err := l.outcome(s.ctx, s.future, s.at)
	if err != nil {
		err = fmt.Errorf("append to %s: %w", l.cfg.name(), err)
	}
	switch {
	case l.recent == nil:
	case err != nil:
		l.recent.lost()
	default:
		l.recent.appended(s.at, s.payload)
	}
	return err
}

// queue gives what the next append has to wait for, and what it has to close when it is done.
func (l *Log) queue() (before <-chan struct{}, mine chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, mine = l.lastAppend, make(chan struct{})
	l.lastAppend = mine
	return before, mine
}

// appendNext appends to a replicated stream when the append before is done. Until it goes out, nothing of it can get into the log.
func (l *Log) appendNext(ctx context.Context, before <-chan struct{}, after eventlog.Mark, payload []byte) error {
	select {
	case <-before:
	case <-ctx.Done():
		<-before // it has the same log to wait for, and a context of its own
		return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, ctx.Err())
	}
	if after != l.acked {
		if err := l.endsAt(ctx, after); err != nil {
			return err
		}
	}
	future, err := l.publish(after, payload)
	if err != nil {
		return err
	}
	if err := l.outcome(ctx, future, after.Position+1); err != nil {
		return err
	}
	l.acked = eventlog.Mark{Position: after.Position + 1, Hash: eventlog.Hash(payload[len(payload)-eventlog.HashSize:])}
	return nil
}

// endsAt compares hashes, which a replicated stream does not do. That nothing comes behind is the stream's part.
func (l *Log) endsAt(ctx context.Context, after eventlog.Mark) error {
	if l.startsAt(after) {
		return nil
	}
	payload, err := l.Read(ctx, after.Position)
	if err != nil && !errors.Is(err, eventlog.ErrNotFound) {
		return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
	}
	if err != nil || !bytes.HasSuffix(payload, after.Hash[:]) {
		return fmt.Errorf("%w: it does not have %s", eventlog.ErrFenced, after)
	}
	return nil
}

// startsAt says whether an append begins the log: there is no envelope before.
func (l *Log) startsAt(after eventlog.Mark) bool {
	return after.Position == 0 || l.empty && after.Position == l.emptyAt
}

func (l *Log) publish(after eventlog.Mark, payload []byte) (jetstream.PubAckFuture, error) {
	msg := &nats.Msg{Subject: l.cfg.subject(), Data: payload, Header: nats.Header{
		jetstream.ExpectedStreamHeader:  {l.cfg.name()},
		jetstream.ExpectedLastSeqHeader: {strconv.FormatUint(uint64(after.Position), 10)},
		jetstream.MsgIDHeader:           {messageID(payload[len(payload)-eventlog.HashSize:])},
	}}
	if !l.replicated && !l.startsAt(after) {
		msg.Header[jetstream.ExpectedLastMsgIDHeader] = []string{messageID(after.Hash[:])}
	}
	future, err := l.conn.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
	if err != nil {
		return nil, sending(err)
	}
	return future, nil
}

func (l *Log) appendable(payload []byte) error {
	select {
	case <-l.done:
		return eventlog.ErrClosed
	default:
	}
	if len(payload) <= eventlog.HashSize || len(payload) > eventlog.MaxEnvelopeBytes {
		return fmt.Errorf("payload of %d bytes: %w", len(payload), eventlog.ErrTooLarge)
	}
	if l.conn.room != nil {
		return l.conn.room(len(payload))
	}
	return nil
}

func (l *Log) outcome(ctx context.Context, future jetstream.PubAckFuture, want eventlog.Position) error {
	select {
	case ack := <-future.Ok():
		if eventlog.Position(ack.Sequence) != want {
			return fmt.Errorf("%w: acknowledged at %d instead of %d", eventlog.ErrUnknown, ack.Sequence, want)
		}
		return nil
	case err := <-future.Err():
		return appending(err)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", eventlog.ErrUnknown, ctx.Err())
	case <-l.done:
		return fmt.Errorf("%w: %w", eventlog.ErrUnknown, eventlog.ErrClosed)
	}
}

// messageID is how a hash stands in a header.
func messageID(hash []byte) string { return base64.RawURLEncoding.EncodeToString(hash) }

// Read implements eventlog.Log. On a replicated stream the leader answers.
func (l *Log) Read(ctx context.Context, pos eventlog.Position) ([]byte, error) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	m, err := l.stream.GetMsg(bounded, uint64(pos))
	if err != nil {
		return nil, fmt.Errorf("read %s at %d: %w", l.cfg.name(), pos, reading(ctx, err))
	}
	return m.Data, nil
}

// Head implements eventlog.Log.
func (l *Log) Head(ctx context.Context) (eventlog.Head, error) {
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	info, err := l.stream.Info(bounded)
	if err != nil {
		return eventlog.Head{}, fmt.Errorf("head of %s: %w", l.cfg.name(), reading(ctx, err))
	}
	h := eventlog.Head{First: eventlog.Position(info.State.FirstSeq), Last: eventlog.Position(info.State.LastSeq)}
	if info.State.Msgs == 0 {
		h.First = h.Last + 1
	}
	return h, nil
}

// Purge implements eventlog.Purger.
func (l *Log) Purge(ctx context.Context, before eventlog.Position) error {
	head, err := l.Head(ctx)
	if err != nil {
		return err
	}
	// The last message stays: the server takes the message id that the next append expects from it.
	before = min(before, head.Last)
	if before <= head.First {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := l.stream.Purge(bounded, jetstream.WithPurgeSequence(uint64(before))); err != nil {
		return fmt.Errorf("purge %s before %d: %w", l.cfg.name(), before, reading(ctx, err))
	}
	return nil
}

// Close implements eventlog.Log. It leaves the Conn open.
func (l *Log) Close() error {
	l.mu.Lock()
	tails := l.tails
	if !l.shut {
		l.shut = true
		close(l.done)
	}
	l.tails = nil
	l.mu.Unlock()
	var errs []error
	for t := range tails {
		errs = append(errs, t.Close())
	}
	return errors.Join(errs...)
}
