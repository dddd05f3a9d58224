package channel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"angarium/eventlog"
)

// FollowState is how it stands with following a peer's shard.
type FollowState string

// The states of following.
const (
	FollowPaused       FollowState = "paused"       // at either end
	FollowDisconnected FollowState = "disconnected" // the link is down
	FollowConnecting   FollowState = "connecting"   // asking the peer, or about to ask again
	FollowFollowing    FollowState = "following"
	FollowBehind       FollowState = "behind"     // the peer's log ends before this node's
	FollowDiverged     FollowState = "diverged"   // the peer has another history
	FollowNeedsSeed    FollowState = "needs-seed" // the peer's log no longer reaches back
	FollowHalted       FollowState = "halted"     // what comes, or what the peer has, is damaged or newer than this program
	FollowStalled      FollowState = "stalled"    // this node's log does not take envelopes
)

// final says that trying again soon is of no use.
func (s FollowState) final() bool {
	return s == FollowDiverged || s == FollowNeedsSeed || s == FollowHalted
}

// followState tells from an error how following ended.
func followState(err error) FollowState {
	var chain *eventlog.ChainError
	var answer *RemoteError
	switch {
	case errors.Is(err, ErrPaused):
		return FollowPaused
	case errors.Is(err, errLocalLog):
		return FollowStalled
	case errors.Is(err, ErrDiverged), errors.As(err, &chain) && errors.Is(err, eventlog.ErrHash):
		return FollowDiverged
	case errors.Is(err, ErrBehind):
		return FollowBehind
	case errors.Is(err, ErrPurged):
		return FollowNeedsSeed
	case errors.As(err, &chain), errors.Is(err, ErrProtocol), errors.As(err, &answer) && answer.Code == CodeDamaged:
		return FollowHalted
	}
	return FollowConnecting
}

// errLocalLog marks errors of this node's own log.
var errLocalLog = errors.New("own log")

// receiver keeps following one shard of a peer.
type receiver struct {
	peer   *Peer
	shard  int
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended
	kicked chan struct{} // has an element when it is to try again now; capacity 1

	mu       sync.Mutex
	stop     context.CancelCauseFunc // ends the attempt that is under way; nil when there is none
	state    FollowState
	err      error // why it does not follow
	position eventlog.Position
	time     time.Time // of the envelope at position
	received uint64    // envelopes
}

// Follow keeps this node's log of a shard equal to the peer's: what the peer has behind this node's last envelope is appended to
// Local.Log(shard), now and until Unfollow. While it is in force nobody else may append there. A node should follow one peer per
// shard at a time.
//
// It tries again by itself after any error, seldom where that is of little use (FollowState). To follow again what is followed already
// makes it try at once.
func (p *Peer) Follow(shard int) error {
	if shard < 0 || shard >= p.hub.local.Shards() {
		return fmt.Errorf("follow %q: no shard %d", p.name, shard)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return fmt.Errorf("follow %q: %w", p.name, ErrClosed)
	}
	if r := p.receivers[shard]; r != nil {
		select {
		case r.kicked <- struct{}{}:
		default:
		}
		return nil
	}
	ctx, cancel := context.WithCancel(p.ctx)
	r := &receiver{
		peer: p, shard: shard, cancel: cancel, done: make(chan struct{}), kicked: make(chan struct{}, 1), state: FollowConnecting,
	}
	if !p.hub.goDo(func() { r.run(ctx) }) {
		cancel()
		return fmt.Errorf("follow %q: %w", p.name, ErrClosed)
	}
	p.receivers[shard] = r
	return nil
}

// Unfollow ends following, and returns when the outcome of all appends is known or has timed out: nothing is appended any more.
func (p *Peer) Unfollow(shard int) {
	p.mu.Lock()
	r := p.receivers[shard]
	delete(p.receivers, shard)
	p.mu.Unlock()
	if r != nil {
		r.cancel()
		<-r.done
	}
}

func (r *receiver) run(ctx context.Context) {
	defer close(r.done)
	defer r.cancel()
	p, delay := r.peer, backoff{}
	for {
		s, err := p.await(ctx, func() bool { return p.session != nil && !p.paused })
		if err != nil {
			return // ctx ended
		}
		progress, err := r.attempt(ctx, s)
		if ctx.Err() != nil {
			return
		}
		state := followState(err)
		r.set(state, err)
		if progress {
			delay.reset()
		}
		wait := delay.next()
		if state.final() {
			wait = finalPause
		}
		r.pause(ctx, wait)
	}
}

// pause waits before the next attempt.
func (r *receiver) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.kicked:
	case <-ctx.Done():
	}
}

func (r *receiver) set(state FollowState, err error) {
	r.mu.Lock()
	changed := r.state != state || err != nil && (r.err == nil || r.err.Error() != err.Error())
	r.state, r.err = state, err
	r.mu.Unlock()
	if !changed {
		return
	}
	log := r.peer.hub.log.With("peer", r.peer.name, "shard", r.shard)
	switch {
	case state == FollowFollowing:
		log.Info("following")
	case state.final():
		log.Error("cannot follow", "state", string(state), "error", err)
	default:
		log.Warn("not following", "state", string(state), "error", err)
	}
	if hook := r.peer.hub.opt.Hooks.Follow; hook != nil {
		hook(r.peer.name, r.shard, state, err)
	}
}

// interrupt ends the attempt that is under way.
func (r *receiver) interrupt(reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop != nil {
		r.stop(reason)
	}
}

func (r *receiver) setStop(stop context.CancelCauseFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop = stop
}

// attempt follows until something fails, which is its error. progress says whether envelopes came.
func (r *receiver) attempt(ctx context.Context, s *session) (progress bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.setStop(cancel)
	defer r.setStop(nil)
	if r.peer.isPaused() { // meanwhile
		return false, ErrPaused
	}
	log, err := r.peer.hub.shardLog(r.shard)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errLocalLog, err)
	}
	tip, err := r.peer.hub.local.Tip(ctx, r.shard)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errLocalLog, err)
	}
	body, acks := io.Pipe()
	defer acks.Close()
	resp, err := s.post(ctx, pathFollow+"?"+followQuery(r.shard, tip.Mark()), body, -1)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	r.at(tip, 0)
	r.set(FollowFollowing, nil)
	a := startAppender(ctx, cancel, log, acks)
	err = r.receive(ctx, resp, eventlog.NewChain(tip.State), a)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if appendErr := a.finish(); appendErr != nil {
		err = fmt.Errorf("%w: %w", errLocalLog, appendErr)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position > tip.Position, err
}

// receive verifies what comes and gives it to the appender.
func (r *receiver) receive(ctx context.Context, resp *http.Response, chain *eventlog.Chain, a *appender) error {
	for {
		batch, err := readBatch(resp.Body)
		if errors.Is(err, io.EOF) {
			if err := streamError(resp.Trailer); err != nil {
				return err
			}
			return fmt.Errorf("%w: the peer has ended it", ErrLost)
		}
		switch {
		case errors.Is(err, ErrProtocol):
			return err
		case err != nil:
			return lost(ctx, err)
		}
		for _, m := range batch {
			after := chain.State().Mark()
			env, err := chain.Extend(m)
			if err != nil {
				return err
			}
			if err := a.append(ctx, after, m); err != nil {
				return err
			}
			r.at(Tip{State: chain.State(), Time: env.Time}, 1)
		}
	}
}

func (r *receiver) at(tip Tip, envelopes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.position, r.time = tip.Position, tip.Time
	r.received += envelopes
}

func (p *Peer) isPaused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused
}
