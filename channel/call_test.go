package channel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"angarium/eventlog"
)

func echo(_ context.Context, _ string, req []byte) ([]byte, error) { return req, nil }

func TestCallBothWays(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	for _, n := range []*node{a, b} {
		n.hub.Handle("who", func(_ context.Context, peer string, req []byte) ([]byte, error) {
			return fmt.Appendf(nil, "%s asks %s for %d bytes", peer, n.name, len(req)), nil
		})
	}
	toB, toA := join(t, a, b, "")
	for want, p := range map[string]*Peer{"west asks east for 3 bytes": toA, "east asks west for 3 bytes": toB} {
		got, err := p.Call(testContext(t), "who", []byte("abc"))
		if err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

func TestCallSizes(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	a.hub.Handle("echo", echo)
	a.hub.Handle("large", func(context.Context, string, []byte) ([]byte, error) { return make([]byte, MaxCallBytes+1), nil })
	_, toA := join(t, a, b, "")
	ctx := testContext(t)
	for _, size := range []int{0, 1, 4096, 1<<20 + 1, 9 << 20} {
		req := bytes.Repeat([]byte{7}, size)
		got, err := toA.Call(ctx, "echo", req)
		if err != nil || !bytes.Equal(got, req) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	var answer *RemoteError
	_, err := toA.Call(ctx, "echo", make([]byte, MaxCallBytes+1))
	if !errors.As(err, &answer) || answer.Code != CodeTooLarge || !errors.Is(err, ErrUnreachable) {
		t.Errorf("too large: %v", err)
	}
	if _, err = toA.Call(ctx, "large", nil); !errors.As(err, &answer) || answer.Code != CodeTooLarge {
		t.Errorf("answer too large: %v", err)
	}
	// A peer that does not keep to the bound itself is refused before anything is read.
	_, err = toA.current().post(ctx, pathCall+"echo", io.LimitReader(zeros{}, MaxCallBytes+1), -1)
	if !errors.As(err, &answer) || answer.Code != CodeProtocol {
		t.Errorf("without a length: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestCallErrorsKeepTheirMeaning(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	results := map[string]error{
		"own":       Errorf("no-mailbox", "mailbox %q", "Lists"),
		"wrapped":   fmt.Errorf("while asked: %w", Errorf("busy", "later")),
		"not found": fmt.Errorf("read: %w", eventlog.ErrNotFound),
		"plain":     errors.New("disk is on fire"),
		"long":      errors.New(string(bytes.Repeat([]byte("ä"), maxErrorBytes))),
	}
	a.hub.Handle("fail", func(_ context.Context, _ string, req []byte) ([]byte, error) { return nil, results[string(req)] })
	a.hub.Handle("panic", func(context.Context, string, []byte) ([]byte, error) { panic("handler") })
	_, toA := join(t, a, b, "")
	ctx := testContext(t)
	codes := map[string]string{
		"own": "no-mailbox", "wrapped": CodeBusy, "not found": CodeNotFound, "plain": CodeInternal, "long": CodeInternal,
	}
	for name, code := range codes {
		_, err := toA.Call(ctx, "fail", []byte(name))
		var answer *RemoteError
		if !errors.As(err, &answer) || answer.Code != code || answer.Text == "" || len(answer.Text) > maxErrorBytes {
			t.Errorf("%s: %v", name, err)
		}
		if errors.Is(err, ErrLost) || errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v is taken for one of the link", name, err)
		}
	}
	_, err := toA.Call(ctx, "fail", []byte("wrapped"))
	if !errors.Is(err, ErrBusy) {
		t.Errorf("busy: %v", err)
	}
	var answer *RemoteError
	if _, err := toA.Call(ctx, "none", nil); !errors.As(err, &answer) || answer.Code != CodeNoOp {
		t.Errorf("unknown call: %v", err)
	}
	if _, err := toA.Call(ctx, "panic", nil); !errors.Is(err, ErrLost) {
		t.Errorf("panic: %v", err)
	}
	if !toA.Connected() {
		t.Error("a panic of a handler broke the link")
	}
}

func TestCallTellsWhetherItMayHaveBeenExecuted(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	begun := make(chan struct{}, 1)
	a.hub.Handle("wait", func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	cable := newProxy(t, a.address)
	_, toA := join(t, a, b, cable.address())

	result := make(chan error, 1)
	go func() {
		_, err := toA.Call(testContext(t), "wait", nil)
		result <- err
	}()
	<-begun
	cable.refuse(true)
	cable.cut()
	if err := <-result; !errors.Is(err, ErrLost) || errors.Is(err, ErrUnreachable) {
		t.Errorf("cut while waiting: %v", err)
	}
	b.until(t, "disconnected", func() bool { return !toA.Connected() })
	if _, err := toA.Call(testContext(t), "wait", nil); !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrLost) {
		t.Errorf("while disconnected: %v", err)
	}
	cable.refuse(false)
	connected(t, toA)

	ctx, cancel := context.WithCancel(testContext(t))
	go func() {
		_, err := toA.Call(ctx, "wait", nil)
		result <- err
	}()
	<-begun
	cancel()
	if err := <-result; !errors.Is(err, ErrLost) || !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if _, err := toA.Call(ctx, "wait", nil); !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.Canceled) {
		t.Errorf("given up before: %v", err)
	}
}

func TestCallDeadlineReachesTheHandler(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	left := make(chan time.Duration, 1)
	a.hub.Handle("deadline", func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		deadline, ok := ctx.Deadline()
		if !ok {
			return nil, errors.New("no deadline")
		}
		left <- time.Until(deadline)
		return nil, nil
	})
	_, toA := join(t, a, b, "")
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	if _, err := toA.Call(ctx, "deadline", nil); err != nil {
		t.Fatal(err)
	}
	if d := <-left; d > testTimeout || d < testTimeout/2 {
		t.Errorf("the handler has %v", d)
	}
	if _, err := toA.Call(context.Background(), "deadline", nil); err == nil {
		t.Error("a deadline where none was")
	}
}

func TestCallsRunBesideEachOther(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	const n = 200
	var all sync.WaitGroup
	all.Add(n)
	a.hub.Handle("meet", func(context.Context, string, []byte) ([]byte, error) {
		all.Done()
		all.Wait() // for all the others
		return nil, nil
	})
	_, toA := join(t, a, b, "")
	errs := make(chan error, n)
	for range n {
		go func() {
			_, err := toA.Call(testContext(t), "meet", nil)
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

func TestCloseLetsCallsEnd(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	begun, finish := make(chan struct{}), make(chan struct{})
	a.hub.Handle("write", func(context.Context, string, []byte) ([]byte, error) {
		close(begun)
		<-finish
		return []byte("done"), nil
	})
	_, toA := join(t, a, b, "")
	if err := toA.Follow(0); err != nil { // does not hold up closing
		t.Fatal(err)
	}
	type result struct {
		resp []byte
		err  error
	}
	results := make(chan result, 1)
	go func() {
		resp, err := toA.Call(testContext(t), "write", nil)
		results <- result{resp, err}
	}()
	<-begun
	closed := make(chan struct{})
	go func() {
		a.stop(t)
		close(closed)
	}()
	<-a.hub.ctx.Done()
	close(finish)
	if r := <-results; r.err != nil || string(r.resp) != "done" {
		t.Errorf("call while closing: %q, %v", r.resp, r.err)
	}
	<-closed
}

func TestStream(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	const size = 20 << 20
	stopped := make(chan error, 1)
	a.hub.HandleStream("long", func(ctx context.Context, peer string, req []byte, w io.Writer) error {
		_, err := io.CopyN(w, zeros{}, size)
		return err
	})
	a.hub.HandleStream("endless", func(ctx context.Context, peer string, req []byte, w io.Writer) error {
		_, err := io.Copy(w, zeros{})
		stopped <- err
		return err
	})
	a.hub.HandleStream("half", func(ctx context.Context, peer string, req []byte, w io.Writer) error {
		io.WriteString(w, "half of it")
		return Errorf("torn", "at %d", 10)
	})
	a.hub.HandleStream("none", func(ctx context.Context, peer string, req []byte, w io.Writer) error {
		return Errorf("empty", "nothing")
	})
	a.hub.HandleStream("zero", func(context.Context, string, []byte, io.Writer) error { return nil })
	a.hub.HandleStream("panic", func(_ context.Context, _ string, _ []byte, w io.Writer) error {
		w.Write(make([]byte, 100_000))
		panic("handler")
	})
	_, toA := join(t, a, b, "")
	ctx := testContext(t)

	r, err := toA.Stream(ctx, "long", []byte("req"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(t, r); err != nil || len(got) != size {
		t.Errorf("long: %d bytes, %v", len(got), err)
	}
	var answer *RemoteError
	if r, err = toA.Stream(ctx, "half", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(t, r); !errors.As(err, &answer) || answer.Code != "torn" || string(got) != "half of it" {
		t.Errorf("half: %q, %v", got, err)
	}
	if _, err = toA.Stream(ctx, "none", nil); !errors.As(err, &answer) || answer.Code != "empty" {
		t.Errorf("none: %v", err)
	}
	if r, err = toA.Stream(ctx, "zero", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(t, r); err != nil || len(got) != 0 {
		t.Errorf("zero: %d bytes, %v", len(got), err)
	}
	if r, err = toA.Stream(ctx, "panic", nil); err == nil {
		_, err = readAll(t, r)
	}
	if !errors.Is(err, ErrLost) {
		t.Errorf("panic: %v", err)
	}
	if r, err = toA.Stream(ctx, "endless", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, r, 100_000); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := <-stopped; err == nil {
		t.Error("the writer did not learn that the reader has gone")
	}
}

func TestStreamCutShortIsNoEnd(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	a.hub.HandleStream("endless", func(_ context.Context, _ string, _ []byte, w io.Writer) error {
		_, err := io.Copy(w, zeros{})
		return err
	})
	cable := newProxy(t, a.address)
	_, toA := join(t, a, b, cable.address())
	r, err := toA.Stream(testContext(t), "endless", nil)
	if err != nil {
		t.Fatal(err)
	}
	cable.cutAfter(500_000)
	if _, err := readAll(t, r); !errors.Is(err, ErrLost) {
		t.Errorf("cut: %v", err)
	}
}
