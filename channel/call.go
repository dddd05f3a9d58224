package channel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"
)

// Call asks the peer and waits for its answer; both have at most MaxCallBytes. The error is a *RemoteError when the peer answered
// with one; ErrUnreachable when the peer certainly did not execute the request, because the link is down; ErrLost when that is not
// known, because the link broke or ctx ended. The peer's handler sees the deadline and the end of ctx.
func (p *Peer) Call(ctx context.Context, op string, req []byte) ([]byte, error) {
	s := p.current()
	if s == nil {
		return nil, p.unreachable(op)
	}
	resp, err := s.call(ctx, op, req)
	if err != nil {
		return nil, fmt.Errorf("call %s at %q: %w", op, p.name, err)
	}
	return resp, nil
}

// Stream asks the peer for a long answer; errors are those of Call, also while reading: a Read that ends with io.EOF has given all of
// the answer. ctx is for the whole of it. The reader must be closed.
func (p *Peer) Stream(ctx context.Context, op string, req []byte) (io.ReadCloser, error) {
	s := p.current()
	if s == nil {
		return nil, p.unreachable(op)
	}
	resp, err := s.post(ctx, pathStream+op, bytes.NewReader(req), int64(len(req)))
	if err != nil {
		return nil, fmt.Errorf("stream %s at %q: %w", op, p.name, err)
	}
	return &streamReader{resp: resp}, nil
}

func (p *Peer) unreachable(op string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lastErr != nil {
		return fmt.Errorf("%s at %q: %w: %v", op, p.name, ErrUnreachable, p.lastErr)
	}
	return fmt.Errorf("%s at %q: %w", op, p.name, ErrUnreachable)
}

func (s *session) call(ctx context.Context, op string, req []byte) ([]byte, error) {
	if err := s.calls.begin(); err != nil {
		return nil, err
	}
	defer s.calls.end()
	return s.ask(ctx, op, req)
}

// ask is call without being counted.
func (s *session) ask(ctx context.Context, op string, req []byte) ([]byte, error) {
	resp, err := s.post(ctx, pathCall+op, bytes.NewReader(req), int64(len(req)))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.ContentLength < 0 || resp.ContentLength > MaxCallBytes {
		return nil, fmt.Errorf("%w: answer of %d bytes", ErrProtocol, resp.ContentLength)
	}
	answer := make([]byte, resp.ContentLength)
	if _, err := io.ReadFull(resp.Body, answer); err != nil {
		return nil, lost(ctx, err)
	}
	return answer, nil
}

// post sends a request and gives the answer, if it is no error. size is -1 when the length of the body is not known.
func (s *session) post(ctx context.Context, path string, body io.Reader, size int64) (*http.Response, error) {
	if size > MaxCallBytes {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, Errorf(CodeTooLarge, "request of %d bytes", size))
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	var begun atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaderField: func(string, []string) { begun.Store(true) }})
	req, err := http.NewRequestWithContext(traced, http.MethodPost, "http://peer"+path, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	if deadline, ok := ctx.Deadline(); ok {
		req.Header.Set(headerTimeout, strconv.FormatInt(max(time.Until(deadline).Milliseconds(), 1), 10))
	}
	resp, err := s.client.RoundTrip(req)
	if err != nil {
		if begun.Load() {
			return nil, lost(ctx, err)
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 2*maxErrorBytes))
	if err != nil {
		return nil, lost(ctx, err)
	}
	return nil, decodeError(b)
}

// lost says that an answer did not come, and that it was ctx that ended, if so.
func lost(ctx context.Context, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil && !errors.Is(err, ctxErr) {
		return fmt.Errorf("%w: %w: %w", ErrLost, ctxErr, err)
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// streamReader gives the error of a stream behind what was written.
type streamReader struct {
	resp *http.Response
}

// Read implements io.Reader.
func (r *streamReader) Read(b []byte) (int, error) {
	n, err := r.resp.Body.Read(b)
	switch {
	case errors.Is(err, io.EOF):
		if remote := streamError(r.resp.Trailer); remote != nil {
			err = remote
		}
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrLost, err)
	}
	return n, err
}

// Close implements io.Closer. The peer stops writing.
func (r *streamReader) Close() error { return r.resp.Body.Close() }
