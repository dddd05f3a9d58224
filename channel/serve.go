package channel

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"angarium/eventlog"
)

// CallFunc answers a call of a peer. The request is its own; both request and answer have at most MaxCallBytes. ctx ends with the
// caller's, its deadline included, when the link breaks, and when the hub is closed for good. An error made with Errorf keeps its code
// on the way, any other has CodeInternal or one that fits it.
type CallFunc func(ctx context.Context, peer string, req []byte) ([]byte, error)

// StreamFunc answers a call of a peer with as many bytes as it likes; else it is like CallFunc. An error reaches the caller behind
// what was written.
type StreamFunc func(ctx context.Context, peer string, req []byte, w io.Writer) error

// Handle registers the answer to a call. Names that begin with "channel." are this package's.
func (h *Hub) Handle(op string, f CallFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls[op] = f
}

// HandleStream registers the answer to a stream.
func (h *Hub) HandleStream(op string, f StreamFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams[op] = f
}

// The requests that this package answers itself.
const (
	opState    = "channel.state"
	opHead     = "channel.head"
	opMark     = "channel.mark"
	opEnvelope = "channel.envelope"
	opSeedOpen = "channel.seed.open"
	opSeedRead = "channel.seed.read"
	opSeedDone = "channel.seed.done"
)

func (h *Hub) registerOwn() {
	h.Handle(opBye, h.serveBye)
	h.Handle(opState, h.serveState)
	h.Handle(opHead, h.serveHead)
	h.Handle(opMark, h.serveMark)
	h.Handle(opEnvelope, h.serveEnvelope)
	h.Handle(opSeedOpen, h.serveSeedOpen)
	h.HandleStream(opSeedRead, h.serveSeedRead)
	h.Handle(opSeedDone, h.serveSeedDone)
}

// Paths of requests; the name of what is called follows the first two.
const (
	pathCall   = "/call/"
	pathStream = "/stream/"
	pathFollow = "/follow"
)

// Header fields of requests and answers.
const (
	headerTimeout = "Angarium-Timeout" // milliseconds that the caller waits
	headerError   = "Angarium-Error"   // trailer of a stream: its error, in base64; empty when it ended well
)

type sessionKey struct{}

func (h *Hub) newServer() *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(h.serveHTTP), Protocols: http2Only(), HTTP2: http2Config(), MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: helloTimeout,
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if c, ok := c.(*conn); ok {
				ctx = context.WithValue(ctx, sessionKey{}, c.session)
			}
			return ctx
		},
	}
}

func (h *Hub) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if h.serving.begin() != nil {
		panic(http.ErrAbortHandler) // the connection is closed
	}
	defer h.serving.end()
	s, ok := r.Context().Value(sessionKey{}).(*session)
	switch {
	case !ok || r.ProtoMajor != 2 || r.Method != http.MethodPost:
		w.WriteHeader(http.StatusBadRequest)
	case strings.HasPrefix(r.URL.Path, pathCall):
		h.serveCall(w, r, s.peer.name)
	case strings.HasPrefix(r.URL.Path, pathStream):
		h.serveStream(w, r, s.peer.name)
	case r.URL.Path == pathFollow:
		h.serveFollow(w, r, s.peer)
	default:
		fail(w, Errorf(CodeNoOp, "no such request"))
	}
}

// fail answers with an error.
func fail(w http.ResponseWriter, err error) {
	b, encodeErr := encodeError(err)
	if encodeErr != nil {
		panic(http.ErrAbortHandler) // the caller gets ErrLost
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusInternalServerError)
	w.Write(b) // when that fails, there is nobody to tell
}

func (h *Hub) serveCall(w http.ResponseWriter, r *http.Request, peer string) {
	op := strings.TrimPrefix(r.URL.Path, pathCall)
	h.mu.Lock()
	f := h.calls[op]
	h.mu.Unlock()
	if f == nil {
		fail(w, Errorf(CodeNoOp, "no call %.64q", op))
		return
	}
	ctx, cancel := callContext(r)
	defer cancel()
	req, release, err := h.request(ctx, r)
	if err != nil {
		fail(w, err)
		return
	}
	defer release()
	resp, err := f(ctx, peer, req)
	if err == nil && len(resp) > MaxCallBytes {
		err = Errorf(CodeTooLarge, "answer of %d bytes", len(resp))
	}
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(resp)))
	w.WriteHeader(http.StatusOK)
	w.Write(resp) // when that fails, the caller gets ErrLost
}

// callContext has the deadline of the caller.
func callContext(r *http.Request) (context.Context, context.CancelFunc) {
	ms, err := strconv.ParseUint(r.Header.Get(headerTimeout), 10, 31)
	if err != nil {
		return context.WithCancel(r.Context())
	}
	return context.WithTimeout(r.Context(), time.Duration(ms)*time.Millisecond)
}

// request reads a request whole, within the budget for all of them. release gives its share back.
func (h *Hub) request(ctx context.Context, r *http.Request) (req []byte, release func(), err error) {
	switch {
	case r.ContentLength < 0:
		return nil, nil, Errorf(CodeProtocol, "request without a length")
	case r.ContentLength > MaxCallBytes:
		return nil, nil, Errorf(CodeTooLarge, "request of %d bytes", r.ContentLength)
	}
	if err := h.budget.Acquire(ctx, r.ContentLength); err != nil {
		return nil, nil, err
	}
	req = make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, req); err != nil {
		h.budget.Release(r.ContentLength)
		return nil, nil, Errorf(CodeProtocol, "request cut short: %v", err)
	}
	return req, func() { h.budget.Release(r.ContentLength) }, nil
}

func (h *Hub) serveStream(w http.ResponseWriter, r *http.Request, peer string) {
	op := strings.TrimPrefix(r.URL.Path, pathStream)
	h.mu.Lock()
	f := h.streams[op]
	h.mu.Unlock()
	if f == nil {
		fail(w, Errorf(CodeNoOp, "no stream %.64q", op))
		return
	}
	ctx, cancel := callContext(r)
	defer cancel()
	defer endWith(h.ctx, w, cancel)() // the caller can go on from where it is
	req, release, err := h.request(ctx, r)
	if err != nil {
		fail(w, err)
		return
	}
	defer release()
	w.Header().Set("Trailer", headerError)
	out := &streamWriter{w: w}
	err = f(ctx, peer, req, out)
	switch {
	case err != nil && !out.begun:
		w.Header().Del("Trailer")
		fail(w, err)
	case err != nil:
		b, encodeErr := encodeError(err)
		if encodeErr != nil {
			panic(http.ErrAbortHandler) // the caller gets ErrLost
		}
		w.Header().Set(headerError, base64.StdEncoding.EncodeToString(b))
	default:
		w.WriteHeader(http.StatusOK)
	}
}

// endWith ends a long answer with ctx: it calls cancel and lets no write wait much longer for the peer to read. The function that it gives
// must be called before the handler returns.
func endWith(ctx context.Context, w http.ResponseWriter, cancel func()) (release func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		cancel()
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(closeGrace)) // HTTP/2 can
	})
	return func() {
		if !stop() {
			<-ended
		}
	}
}

// streamWriter knows whether something was written, and hides what else a http.ResponseWriter can do.
type streamWriter struct {
	w     http.ResponseWriter
	begun bool
}

// Write implements io.Writer.
func (s *streamWriter) Write(b []byte) (int, error) {
	s.begun = true
	return s.w.Write(b)
}

// streamError gives the error that came behind a stream, or nil.
func streamError(trailer http.Header) error {
	text := trailer.Get(headerError)
	if text == "" {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("%w: error of a stream: %w", ErrProtocol, err)
	}
	return decodeError(b)
}

// shardLog gives the log that a request is about.
func (h *Hub) shardLog(shard int) (eventlog.Log, error) {
	if shard < 0 || shard >= h.local.Shards() {
		return nil, Errorf(CodeNoShard, "no shard %d", shard)
	}
	log := h.local.Log(shard)
	if log == nil {
		return nil, Errorf(CodeNoShard, "no log of shard %d now", shard)
	}
	return log, nil
}
