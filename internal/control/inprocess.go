package control

import (
	"context"
	"io"
	"net/http"
	"sync"
)

// inProcess is a transport that calls a handler; the answer streams as it is written.
type inProcess struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper. The handler ends, at the latest, when the body of the answer is closed: its context is
// cancelled then, and closing waits for it.
func (t *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	pr, pw := io.Pipe()
	w := &pipeWriter{pipe: pw, header: http.Header{}, ready: make(chan struct{})}
	body := &pipeBody{PipeReader: pr, cancel: cancel, done: make(chan struct{})}
	request := r.Clone(ctx)
	if request.Body == nil {
		request.Body = http.NoBody
	}
	go func() {
		defer close(body.done)
		t.handler.ServeHTTP(w, request)
		w.WriteHeader(http.StatusOK) // if it wrote nothing
		_ = request.Body.Close()     // a reader in memory
		_ = pw.Close()               // never fails
	}()
	select {
	case <-w.ready:
	case <-ctx.Done():
		_ = body.Close() // never fails
		return nil, ctx.Err()
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: body, ContentLength: -1, Request: r,
	}, nil
}

// pipeBody is the body of an answer of inProcess.
type pipeBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{} // closed when the handler has returned
}

// Close ends the handler.
func (b *pipeBody) Close() error {
	b.cancel()
	err := b.PipeReader.Close()
	<-b.done
	return err
}

// pipeWriter is the http.ResponseWriter of inProcess.
type pipeWriter struct {
	pipe   *io.PipeWriter
	header http.Header
	once   sync.Once
	status int
	ready  chan struct{} // closed when status is set
}

// Header implements http.ResponseWriter.
func (w *pipeWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter: the first call counts.
func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() { w.status = status; close(w.ready) })
}

// Write implements http.ResponseWriter; it blocks until the client has read.
func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
}

// Flush implements http.Flusher: nothing is held back.
func (w *pipeWriter) Flush() {}
