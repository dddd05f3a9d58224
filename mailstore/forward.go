package mailstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/replica"
)

// Forwarder carries requests to the primary of a shard, whose Store.Serve answers them.
//
// An error that is eventlog.ErrUnavailable and not eventlog.ErrUnknown says that the request was not carried out and will not be, as when
// no primary can be reached; so does ErrNotPrimary, after which Shard.Remote is asked again. Any other error leaves it open.
type Forwarder interface {
	Forward(ctx context.Context, shard int, op string, req []byte) (resp []byte, err error)
}

// The names of the forwarded writes. A shipped name never changes its meaning.
const (
	opDeliver        = "deliver"
	opAppend         = "append"
	opStash          = "stash"
	opStoreFlags     = "flags"
	opExpunge        = "expunge"
	opCopy           = "copy"
	opMove           = "move"
	opKeepRecent     = "recent"
	opCreateMailbox  = "mailbox.create"
	opDeleteMailbox  = "mailbox.delete"
	opRenameMailbox  = "mailbox.rename"
	opSubscribe      = "mailbox.subscribe"
	opSetSpecialUse  = "mailbox.use"
	opCreateAccount  = "account.create"
	opSetCredential  = "account.credential"
	opDisableAccount = "account.disable"
	opDeleteAccount  = "account.delete"
	opCatchUp        = "account.catchup"

	opImportMailboxes = "import.mailboxes"
	opImportMessages  = "import.messages"
)

// markSuffix at the end of a name asks for an answer that says which envelope it is that has what the write did.
const markSuffix = "#mark"

// noSuchWrite is in the answer to a name that is not known. It never changes: by it a node is known that knows no marks.
const noSuchWrite = "no write is called"

// handlers gives what carries out each forwarded write.
func handlers() map[string]handler {
	return map[string]handler{
		opDeliver:        serve((*write).serveDelivery),
		opAppend:         serve((*write).appendMessages),
		opStash:          serve((*write).stash),
		opStoreFlags:     serveBox((*write).storeFlags),
		opExpunge:        serveBox((*write).expungeMessages),
		opCopy:           serveBox((*write).copyMessages),
		opMove:           serveBox((*write).moveMessages),
		opKeepRecent:     serveBox((*write).keepRecent),
		opCreateMailbox:  serve((*write).createMailbox),
		opDeleteMailbox:  serve((*write).deleteMailbox),
		opRenameMailbox:  serve((*write).renameMailbox),
		opSubscribe:      serve((*write).subscribe),
		opSetSpecialUse:  serve((*write).setSpecialUse),
		opCreateAccount:  serve((*write).createAccount),
		opSetCredential:  serve((*write).setCredential),
		opDisableAccount: serve((*write).disableAccount),
		opDeleteAccount:  serve((*write).deleteAccount),
		opCatchUp:        serve((*write).catchUp),

		opImportMailboxes: serve((*write).importMailboxes),
		opImportMessages:  serve((*write).importMessages),
	}
}

// request is what a write is asked to do, in a form that can cross to another node.
type request interface {
	// shardKey is an account of the shard that the write is for.
	shardKey() string
	// permitted checks that the identity may do this.
	permitted(Identity) error
	// valid checks a request that came from another node for what callers on this node see to.
	valid(*Store) error
}

// slimmer is a request that may be too large to be sent at once.
type slimmer interface {
	slim(context.Context, *Store, Identity) error
}

// runner carries out a request on the primary. It ends the write.
type runner[Req request, Resp any] func(*write, context.Context, Req) (Resp, error)

// perform carries out a write here, or has the primary do it.
func perform[Req request, Resp any](ctx context.Context, s *Store, op string, id Identity, req Req, run runner[Req, Resp]) (Resp, error) {
	if err := req.permitted(id); err != nil {
		var none Resp
		return none, err
	}
	var route route
	for {
		res, err := performOnce(ctx, s, op, id, req, run)
		if !route.again(ctx, s, err) {
			return res, err
		}
	}
}

func performOnce[Req request, Resp any](ctx context.Context, s *Store, op string, id Identity, req Req, run runner[Req, Resp]) (Resp, error) {
	var none Resp
	w, err := s.enter(ctx, id, s.shardOf(req.shardKey()))
	if err != nil {
		return none, err
	}
	if w.remote == nil {
		return run(w, ctx, req)
	}
	w.end() // the gate is for what is decided here
	r, err := forward[Req, Resp](ctx, w, op, req)
	if err == nil {
		err = r.applied
	}
	if err != nil {
		return none, err
	}
	return r.Result, nil
}

// route is the way of one write to the primary. While a shard changes its primary, a write may come to a node that is not it any more, or not
// yet: then nothing was done, and it looks for the primary again until Options.ForwardWait is over.
type route struct {
	deadline time.Time
	pause    time.Duration
}

// The pauses between two looks for the primary: the first, and the longest.
const (
	routePause    = 2 * time.Millisecond
	routePauseMax = 100 * time.Millisecond
)

// again says whether a write that ended with err is to look for the primary again, after a pause.
func (r *route) again(ctx context.Context, s *Store, err error) bool {
	if err == nil || !errors.Is(err, ErrNotPrimary) || errors.Is(err, eventlog.ErrUnknown) {
		return false
	}
	if r.pause == 0 {
		r.deadline, r.pause = time.Now().Add(s.opts.ForwardWait), routePause
	}
	if time.Until(r.deadline) < r.pause {
		return false
	}
	select {
	case <-time.After(r.pause):
	case <-ctx.Done():
		return false
	}
	r.pause = min(2*r.pause, routePauseMax)
	return true
}

// performIn is perform for a write to a mailbox that is open on this node.
func performIn[Req request, Resp any](ctx context.Context, b *Mailbox, op string, req Req, run runner[Req, Resp]) (Resp, error) {
	return perform(ctx, b.s, op, b.id, req, func(w *write, ctx context.Context, req Req) (Resp, error) {
		w.box = b.box
		return run(w, ctx, req)
	})
}

// forward sends a write to the primary and waits for the local replica to have what came of it. The error is the primary's, or says
// that none answered. That the primary did it and the local replica did not get it in time is told in the reply's applied.
func forward[Req request, Resp any](ctx context.Context, w *write, op string, req Req) (reply[Resp], error) {
	var r reply[Resp]
	if big, ok := any(req).(slimmer); ok {
		if err := big.slim(ctx, w.s, w.id); err != nil {
			return r, err
		}
	}
	msg, err := wireEnc.Marshal(frame[Req]{Identity: w.id, Request: req})
	if err != nil {
		return r, fmt.Errorf("encode %s for the primary: %w", op, err)
	}
	for _, name := range []string{op + markSuffix, op} {
		answer, err := w.remote.Forward(ctx, w.sh.number, name, msg)
		if err != nil {
			return r, fmt.Errorf("forward %s: %w", op, unanswered(err))
		}
		r = reply[Resp]{}
		if err := wireDec.Unmarshal(answer, &r); err != nil {
			return r, fmt.Errorf("%w: %w: forward %s: the primary's answer is not understood: %w", ErrUnavailable, eventlog.ErrUnknown, op, err)
		}
		if r.Failure == nil || !strings.Contains(r.Failure.Text, noSuchWrite) {
			break
		}
	}
	failed := r.Failure.err()
	if errors.Is(failed, ErrUnavailable) { // it has decided on nothing that there would be to wait for
		return r, failed
	}
	wait, cancel := context.WithTimeout(ctx, w.s.opts.ForwardWait)
	defer cancel()
	if err := w.sh.reach(wait, r.Position, r.Epoch, r.Hash); err != nil {
		r.applied = fmt.Errorf("%w: %w here: %s is done on the primary: %w", ErrUnavailable, eventlog.ErrUnknown, op, err)
	}
	return r, failed
}

// reach waits until the local replica has applied an envelope of the primary's. When a promotion was forced meanwhile, another one may be in its
// place: then what the primary did is not here, and comes back with another UID, if it does. A primary of before has told no hash.
func (sh *shard) reach(ctx context.Context, at eventlog.Position, epoch uint64, hash []byte) error {
	if err := sh.Replica.Wait(ctx, at); err != nil {
		return err
	}
	if len(hash) != eventlog.HashSize || sh.Holds == nil {
		return nil
	}
	now, want := sh.Replica.Applied(), eventlog.Mark{Position: at, Hash: eventlog.Hash(hash)}
	if now.Epoch == epoch || now.Mark() == want { // an epoch has one primary
		return nil
	}
	return sh.Holds(ctx, want)
}

// unanswered tells whether a request that was not answered may have been carried out.
func unanswered(err error) error {
	if errors.Is(err, eventlog.ErrUnknown) || !(errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, ErrNotPrimary)) {
		return fmt.Errorf("%w: %w: %w", ErrUnavailable, eventlog.ErrUnknown, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func errNotPrimary(shard int) error {
	return fmt.Errorf("%w: %w %d", ErrUnavailable, ErrNotPrimary, shard)
}

// Serve carries out a write that another node forwarded, and gives the answer for that node: also when the write fails. It is for
// the primary of the shard; on another node the answer is ErrNotPrimary, and nothing is forwarded a second time. The request brings
// the identity that acts, so whoever can call Serve can do anything to the mail: only authenticated nodes may. The error is for
// an answer that cannot be given.
func (s *Store) Serve(ctx context.Context, shard int, op string, req []byte) ([]byte, error) {
	name, mark := strings.CutSuffix(op, markSuffix)
	h, ok := s.handlers[name]
	if !ok {
		return wireEnc.Marshal(reply[struct{}]{Failure: failureOf(fmt.Errorf("%w: %s %.40q", errRequest, noSuchWrite, op))})
	}
	return h(ctx, s, shard, req, mark)
}

// handler carries out a forwarded write and encodes the answer, with the mark of what it did, if asked for.
type handler func(ctx context.Context, s *Store, shard int, msg []byte, mark bool) ([]byte, error)

func serve[Req request, Resp any](run runner[Req, Resp]) handler {
	return func(ctx context.Context, s *Store, shard int, msg []byte, mark bool) ([]byte, error) {
		var r reply[Resp]
		result, err := serveLocally(ctx, s, shard, msg, run)
		if err != nil {
			r.Failure = failureOf(err)
		} else {
			r.Result = result
		}
		if sh, err := s.shardAt(shard); err == nil {
			at := sh.Replica.Applied() // has what the write did, and what it was decided on
			r.Position = at.Position
			if mark {
				r.Epoch, r.Hash = at.Epoch, at.Hash[:]
			}
		}
		return wireEnc.Marshal(r)
	}
}

func serveLocally[Req request, Resp any](ctx context.Context, s *Store, shard int, msg []byte, run runner[Req, Resp]) (Resp, error) {
	var none Resp
	var f frame[Req]
	if err := wireDec.Unmarshal(msg, &f); err != nil {
		return none, fmt.Errorf("%w: %w", errRequest, err)
	}
	req := f.Request
	if err := req.valid(s); err != nil {
		return none, err
	}
	sh, err := s.shardAt(shard)
	if err != nil || sh != s.shardOf(req.shardKey()) {
		return none, fmt.Errorf("%w: account %q is not of shard %d here", errRequest, req.shardKey(), shard)
	}
	if err := req.permitted(f.Identity); err != nil {
		return none, err
	}
	w, err := s.enter(ctx, f.Identity, sh)
	if err != nil {
		return none, err
	}
	if w.remote != nil {
		w.end()
		return none, errNotPrimary(shard)
	}
	return run(w, ctx, req)
}

// boxRequest is a request about an open mailbox.
type boxRequest interface {
	request
	mailbox() event.MailboxID
}

// serveBox is serve for a write to an open mailbox, which it opens.
func serveBox[Req boxRequest, Resp any](run runner[Req, Resp]) handler {
	return serve(func(w *write, ctx context.Context, req Req) (Resp, error) {
		var none Resp
		box, err := w.sh.Replica.OpenBox(ctx, req.mailbox())
		if err != nil {
			w.end()
			if errors.Is(err, replica.ErrNoMailbox) {
				return none, fmt.Errorf("%w: it was deleted", ErrNoMailbox)
			}
			return none, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		defer box.Release()
		w.box = box
		return run(w, ctx, req)
	})
}
