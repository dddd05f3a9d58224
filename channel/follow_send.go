package channel

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"

	"angarium/eventlog"
)

// ackBytes is the length of an acknowledgement: a position, big-endian. It covers everything before it.
const ackBytes = 8

// sender sends the envelopes of one shard to a peer that follows.
type sender struct {
	peer   *Peer
	shard  int
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when it has ended
	window *window

	envelopes, bytes atomic.Uint64 // sent
}

// followQuery names what a follower asks for: everything behind a mark.
func followQuery(shard int, after eventlog.Mark) string {
	return url.Values{
		"shard": {strconv.Itoa(shard)}, "position": {strconv.FormatUint(uint64(after.Position), 10)}, "hash": {after.Hash.String()},
	}.Encode()
}

func parseFollow(q url.Values) (shard int, after eventlog.Mark, err error) {
	shard, err = strconv.Atoi(q.Get("shard"))
	if err != nil {
		return 0, eventlog.Mark{}, Errorf(CodeProtocol, "follow: bad shard")
	}
	position, err := strconv.ParseUint(q.Get("position"), 10, 63)
	if err != nil {
		return 0, eventlog.Mark{}, Errorf(CodeProtocol, "follow: bad position")
	}
	hash, err := hex.DecodeString(q.Get("hash"))
	if err != nil || len(hash) != eventlog.HashSize {
		return 0, eventlog.Mark{}, Errorf(CodeProtocol, "follow: bad hash")
	}
	return shard, eventlog.Mark{Position: eventlog.Position(position), Hash: eventlog.Hash(hash)}, nil
}

// serveFollow sends a peer what comes behind its mark, until either of them ends it. Why it ended follows as a trailer.
func (h *Hub) serveFollow(w http.ResponseWriter, r *http.Request, p *Peer) {
	shard, after, err := parseFollow(r.URL.Query())
	if err != nil {
		fail(w, err)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer endWith(p.ctx, w, func() { cancel(ErrClosed) })()
	tail, err := h.openTail(ctx, shard, after)
	if err != nil {
		h.log.Debug("peer cannot follow", "peer", p.name, "shard", shard, "mark", after.String(), "error", err)
		h.damaged(shard, err)
		fail(w, err)
		return
	}
	defer tail.Close()
	s, err := p.newSender(ctx, shard, after.Position, cancel)
	if err != nil {
		fail(w, err)
		return
	}
	defer p.dropSender(s)
	h.acks.begin(p.name, shard, after.Position)
	h.log.Info("peer follows", "peer", p.name, "shard", shard, "mark", after.String())
	err = s.serve(ctx, w, r.Body, tail)
	h.damaged(shard, err)
	h.log.Info("peer no longer follows", "peer", p.name, "shard", shard, "reason", err)
	if b, encodeErr := encodeError(err); encodeErr == nil {
		w.Header().Set(headerError, base64.StdEncoding.EncodeToString(b))
	}
}

// damaged tells the node when an error says that its log is damaged.
func (h *Hub) damaged(shard int, err error) {
	if hook := h.opt.Hooks.Damaged; hook != nil && (errors.Is(err, eventlog.ErrGap) || errors.Is(err, eventlog.ErrCorrupt)) {
		hook(shard, err)
	}
}

// openTail opens the log behind a mark that it must hold.
func (h *Hub) openTail(ctx context.Context, shard int, after eventlog.Mark) (eventlog.Tail, error) {
	log, err := h.shardLog(shard)
	if err != nil {
		return nil, err
	}
	if err := eventlog.Check(ctx, log, after); err != nil {
		return nil, refusal(ctx, log, after, err)
	}
	tail, err := log.Tail(ctx, after.Position+1)
	if err != nil {
		return nil, refusal(ctx, log, after, err)
	}
	return tail, nil
}

// refusal says why a log does not continue a mark.
func refusal(ctx context.Context, log eventlog.Log, after eventlog.Mark, err error) error {
	switch {
	case errors.Is(err, eventlog.ErrHash):
		payload, readErr := log.Read(ctx, after.Position)
		if readErr != nil || len(payload) <= eventlog.HashSize {
			return fmt.Errorf("read the mark at %d: %w", after.Position, readErr)
		}
		theirs := eventlog.Mark{Position: after.Position, Hash: eventlog.Hash(payload[len(payload)-eventlog.HashSize:])}
		return &RemoteError{Code: CodeDiverged, Text: err.Error(), Mark: theirs}
	case errors.Is(err, eventlog.ErrGap), errors.Is(err, eventlog.ErrCorrupt):
		return fmt.Errorf("%w: %w", Errorf(CodeDamaged, "%v", err), err)
	}
	return err // ErrPurged and ErrBehind have codes
}

// newSender makes a sender the peer's for a shard, in the place of one that was there.
func (p *Peer) newSender(ctx context.Context, shard int, after eventlog.Position, cancel context.CancelCauseFunc) (*sender, error) {
	s := &sender{peer: p, shard: shard, cancel: cancel, done: make(chan struct{}), window: newWindow(after)}
	for {
		p.mu.Lock()
		before := p.senders[shard]
		switch {
		case p.ctx.Err() != nil:
			p.mu.Unlock()
			return nil, ErrClosed
		case p.paused:
			p.mu.Unlock()
			return nil, Errorf(CodePaused, "the channel is paused at %q", p.hub.local.Name())
		case before == nil:
			p.senders[shard] = s
			p.mu.Unlock()
			return s, nil
		}
		p.mu.Unlock()
		before.cancel(errFollowsAnew)
		select {
		case <-before.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

var errFollowsAnew = errors.New("the peer follows anew")

func (p *Peer) dropSender(s *sender) {
	p.mu.Lock()
	delete(p.senders, s.shard)
	p.mu.Unlock()
	close(s.done)
}

// serve sends and takes acknowledgements until one of the two fails.
func (s *sender) serve(ctx context.Context, w http.ResponseWriter, acks io.ReadCloser, tail eventlog.Tail) error {
	w.Header().Set("Trailer", headerError)
	w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(w)
	if err := out.Flush(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.cancel(s.takeAcks(acks))
	}()
	err := s.send(ctx, w, out, tail)
	acks.Close()
	<-ended
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		err = cause
	}
	if errors.Is(err, ErrPaused) {
		err = Errorf(CodePaused, "the channel was paused at %q", s.peer.hub.local.Name())
	}
	return err
}

func (s *sender) send(ctx context.Context, w io.Writer, out *http.ResponseController, tail eventlog.Tail) error {
	var batch batchWriter
	for {
		if err := s.window.wait(ctx); err != nil {
			return err
		}
		m, err := tail.Next(ctx)
		if err != nil {
			return err
		}
		batch.reset()
		batch.add(m)
		last, bytes := m.Position, len(m.Payload)
		for !batch.full() {
			m, ok, err := tail.TryNext()
			if err != nil || !ok {
				break // a tail repeats its error
			}
			batch.add(m)
			last, bytes = m.Position, bytes+len(m.Payload)
		}
		s.window.sent(last, batch.count, bytes)
		s.envelopes.Add(uint64(batch.count))
		s.bytes.Add(uint64(bytes))
		if _, err := w.Write(batch.bytes()); err != nil {
			return fmt.Errorf("send envelopes: %w", err)
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("send envelopes: %w", err)
		}
	}
}

// takeAcks takes acknowledgements until no more can come.
func (s *sender) takeAcks(r io.Reader) error {
	hub := s.peer.hub
	for {
		var b [ackBytes]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return fmt.Errorf("read acknowledgements: %w", err)
		}
		position := eventlog.Position(binary.BigEndian.Uint64(b[:]))
		freed, err := s.window.ack(position)
		if err != nil {
			return err
		}
		hub.acks.set(s.peer.name, s.shard, position)
		if hook := hub.opt.Hooks.Acked; hook != nil {
			hook(s.peer.name, s.shard, position, freed)
		}
	}
}
