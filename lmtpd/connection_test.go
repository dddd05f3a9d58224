package lmtpd_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"angarium/lmtpd"
)

func TestPeersThatAreNotListedAreRefused(t *testing.T) {
	refused := make(chan lmtpd.Refusal, 1)
	s := start(t, &fakeStore{}, func(o *lmtpd.Options) {
		o.Peers = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		o.Hooks.Connected = func(why lmtpd.Refusal) { refused <- why }
	})
	c := s.dial(t)
	c.expect("421 4.7.1 mx.example.org")
	c.expectEnd()
	if why := <-refused; why != lmtpd.RefusedPeer {
		t.Errorf("reason %q", why)
	}
}

func TestUnixSocketNeedsNoPeer(t *testing.T) {
	s := startOn(t, unixListener(t), &fakeStore{}, func(o *lmtpd.Options) { o.Peers = []netip.Prefix{} })
	c := s.hello(t)
	c.send(envelope + "DATA\r\n")
	c.expect("250", "250", "354")
	c.send("x\r\n.\r\n")
	c.expect("250 2.0.0 <ann>")
	if raw := s.store.messages()[0]; !strings.Contains(raw, "\r\nReceived: from client.example (unix socket)\r\n\tby mx.example.org (Angarium) with LMTP\r\n") {
		t.Errorf("stored %q", raw)
	}
	if id := s.store.identities[0]; id.Client != "unix" || !id.Admin {
		t.Errorf("identity %+v", id)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	gone := make(chan struct{}, 1)
	s := start(t, &fakeStore{}, func(o *lmtpd.Options) {
		o.MaxConnections = 1
		o.Hooks.Disconnected = func() { gone <- struct{}{} }
	})
	first := s.hello(t)
	second := s.dial(t)
	second.expect("421 4.3.2")
	second.expectEnd()
	first.script("C: QUIT", "S: 221")
	<-gone
	s.hello(t)
}

func TestSilentClientIsDisconnected(t *testing.T) {
	s := start(t, &fakeStore{}, func(o *lmtpd.Options) { o.Timeout = 50 * time.Millisecond })
	c := s.dial(t)
	c.expect("220", "421 4.4.2")
	c.expectEnd()
	c = s.hello(t)
	c.send(envelope + "DATA\r\nhalf")
	c.expect("250", "250", "354", "421 4.4.2")
	c.expectEnd()
	if n := len(s.store.messages()); n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestDeliveryHasADeadline(t *testing.T) {
	store := &fakeStore{gate: make(chan struct{})}
	c := start(t, store, func(o *lmtpd.Options) { o.DeliverTimeout = 20 * time.Millisecond }).hello(t)
	c.send(envelope + "DATA\r\n")
	c.expect("250", "250", "354")
	c.send(".\r\n")
	c.expect("451 4.3.0 <ann>")
}

func TestShutdownLetsADeliveryEnd(t *testing.T) {
	store := &fakeStore{gate: make(chan struct{}), entered: make(chan struct{})}
	s := start(t, store, nil)
	idle, delivering, pipelining := s.hello(t), s.hello(t), s.hello(t)
	for _, c := range []*client{delivering, pipelining} {
		c.send(envelope + "DATA\r\n")
		c.expect("250", "250", "354")
	}
	delivering.send("x\r\n.\r\n")
	pipelining.send("x\r\n.\r\n" + envelope)
	<-store.entered
	<-store.entered
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	idle.expect("421 4.3.2 mx.example.org is shutting down")
	idle.expectEnd()
	if _, err := net.Dial("tcp", s.l.Addr().String()); err == nil {
		t.Error("the server takes connections while it shuts down")
	}
	close(store.gate)
	for _, c := range []*client{delivering, pipelining} {
		c.expect("250 2.0.0 <ann>", "421 4.3.2")
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	if n := len(store.deliveries); n != 2 {
		t.Errorf("%d deliveries", n)
	}
}

func TestShutdownGivesUp(t *testing.T) {
	store := &fakeStore{gate: make(chan struct{}), entered: make(chan struct{}, 1)}
	s := start(t, store, nil)
	c := s.hello(t)
	c.send(envelope + "DATA\r\n")
	c.expect("250", "250", "354")
	c.send("x\r\n.\r\n")
	<-store.entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if line, err := c.answer(); err == nil && !strings.HasPrefix(line, "451") {
		t.Errorf("answer %q", line)
	}
}

func TestServeAfterShutdown(t *testing.T) {
	s := start(t, &fakeStore{}, nil)
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	l := unixListener(t)
	if err := s.Serve(l); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("listener is open: %v", err)
	}
}

func TestServeReportsAClosedListener(t *testing.T) {
	srv, err := lmtpd.New(lmtpd.Options{Store: &fakeStore{}, Hostname: "x"})
	if err != nil {
		t.Fatal(err)
	}
	l := unixListener(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := srv.Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*lmtpd.Options){
		"store":    func(o *lmtpd.Options) { o.Store = nil },
		"hostname": func(o *lmtpd.Options) { o.Hostname = "" },
		"auth":     func(o *lmtpd.Options) { o.AuthRequired = true },
		"strip":    func(o *lmtpd.Options) { o.BareNewline = lmtpd.Strip },
		"nul":      func(o *lmtpd.Options) { o.NUL = lmtpd.Normalize },
		"negative": func(o *lmtpd.Options) { o.MaxRecipients = -1 },
		"buffered": func(o *lmtpd.Options) { o.MaxBuffered = 1 },
	} {
		opts := lmtpd.Options{Store: &fakeStore{}, Hostname: "x"}
		change(&opts)
		if _, err := lmtpd.New(opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
