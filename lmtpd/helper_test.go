package lmtpd_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"angarium/lmtpd"
	"angarium/mailstore"
)

var testTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fakeStore knows every account that begins with a letter from a to m, and keeps what it is given.
type fakeStore struct {
	mu         sync.Mutex
	raw        [][]byte
	deliveries [][]mailstore.Recipient
	identities []mailstore.Identity
	results    map[string]error // by account
	lookups    map[string]error
	prepareErr error
	panics     bool
	gate       chan struct{} // if not nil, Deliver waits for it or its context
	entered    chan struct{} // if not nil, told of each Deliver
}

func (f *fakeStore) Recipient(_ context.Context, account string) error {
	if err, ok := f.lookups[account]; ok {
		return err
	}
	if account[0] < 'a' || account[0] > 'm' {
		return mailstore.ErrNoAccount
	}
	return nil
}

func (f *fakeStore) Prepare(raw []byte) (*mailstore.Body, error) {
	if f.panics {
		panic("malformed")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.raw = append(f.raw, raw)
	return &mailstore.Body{GUID: sha256.Sum256(raw), Size: uint64(len(raw))}, f.prepareErr
}

func (f *fakeStore) Deliver(ctx context.Context, id mailstore.Identity, _ *mailstore.Body, to []mailstore.Recipient) []mailstore.Delivered {
	if f.entered != nil {
		f.entered <- struct{}{}
	}
	res := make([]mailstore.Delivered, len(to))
	if f.gate != nil {
		select {
		case <-f.gate:
		case <-ctx.Done():
			for i := range res {
				res[i].Err = mailstore.ErrUnavailable
			}
			return res
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deliveries = append(f.deliveries, to)
	f.identities = append(f.identities, id)
	for i, r := range to {
		res[i].Err = f.results[r.Account]
	}
	return res
}

// messages gives what was delivered.
func (f *fakeStore) messages() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, r := range f.raw {
		list = append(list, string(r))
	}
	return list
}

// content is the last message without the two fields on top.
func (f *fakeStore) content(t testing.TB) string {
	t.Helper()
	list := f.messages()
	if len(list) == 0 {
		t.Fatal("nothing was delivered")
	}
	return cutTrace(t, list[len(list)-1])
}

func cutTrace(t testing.TB, raw string) string {
	t.Helper()
	rest, ok := strings.CutPrefix(raw, "Return-Path: <")
	_, rest, ok2 := strings.Cut(rest, ">\r\nReceived: from ")
	_, rest, ok3 := strings.Cut(rest, "05 +0000\r\n")
	if !ok || !ok2 || !ok3 {
		t.Fatalf("no fields on top of %q", raw)
	}
	return rest
}

// server is a running server.
type server struct {
	*lmtpd.Server
	store *fakeStore
	l     net.Listener
	done  chan error
}

// start runs a server on a free port. change may adapt the options.
func start(t testing.TB, store *fakeStore, change func(*lmtpd.Options)) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, l, store, change)
}

func startOn(t testing.TB, l net.Listener, store *fakeStore, change func(*lmtpd.Options)) *server {
	t.Helper()
	opts := lmtpd.Options{
		Store: store, Hostname: "mx.example.org", DefaultDomain: "example.org", RecipientDelimiter: "+",
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return testTime },
	}
	if change != nil {
		change(&opts)
	}
	srv, err := lmtpd.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Server: srv, store: store, l: l, done: make(chan error, 1)}
	go func() { s.done <- srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-s.done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// client is a raw script client.
type client struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

func (s *server) dial(t testing.TB) *client {
	t.Helper()
	nc, err := net.Dial(s.l.Addr().Network(), s.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return newClient(t, nc)
}

func newClient(t testing.TB, nc net.Conn) *client {
	t.Helper()
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &client{t: t, nc: nc, r: bufio.NewReader(nc)}
}

// hello dials and says LHLO.
func (s *server) hello(t testing.TB) *client {
	t.Helper()
	c := s.dial(t)
	c.expect("220 mx.example.org")
	c.send("LHLO client.example\r\n")
	c.expect("250 ")
	return c
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, text); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads one answer for each prefix; of one with several lines, the last.
func (c *client) expect(prefixes ...string) {
	c.t.Helper()
	for _, p := range prefixes {
		line, err := c.answer()
		if err != nil || !strings.HasPrefix(line, p) {
			c.t.Fatalf("answer %q, %v; want %q", line, err, p)
		}
	}
}

func (c *client) answer() (string, error) {
	for {
		line, err := c.r.ReadString('\n')
		if err != nil || len(line) < 4 || line[3] != '-' {
			return strings.TrimSuffix(line, "\r\n"), err
		}
	}
}

// expectEnd wants the server to close the connection.
func (c *client) expectEnd() {
	c.t.Helper()
	if line, err := c.r.ReadString('\n'); !errors.Is(err, io.EOF) {
		c.t.Fatalf("the connection goes on: %q, %v", line, err)
	}
}

// script sends and expects in turn.
func (c *client) script(lines ...string) {
	c.t.Helper()
	for _, l := range lines {
		if text, ok := strings.CutPrefix(l, "C: "); ok {
			c.send(text + "\r\n")
		} else {
			c.expect(strings.TrimPrefix(l, "S: "))
		}
	}
}

func unixListener(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "lmtp"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}
