package socketmap_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"angarium/lmtpd/address"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/socketmap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeStore answers with the error of an account.
type fakeStore map[string]error

func (f fakeStore) Recipient(_ context.Context, account string) error {
	err, ok := f[account]
	if !ok {
		return mailstore.ErrNoAccount
	}
	return err
}

func start(t testing.TB, network string, change func(*socketmap.Options)) net.Conn {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "socketmap")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	opts := socketmap.Options{
		Store:    fakeStore{"ann@example.org": nil, "gone@example.org": errors.New("disk")},
		Resolver: address.Resolver{DefaultDomain: "example.org", Delimiter: "+", Postmaster: "ann"},
		Logger:   slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&opts)
	}
	s, err := socketmap.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return dial(t, l.Addr())
}

func dial(t testing.TB, addr net.Addr) net.Conn {
	t.Helper()
	nc, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// ns writes a netstring.
func ns(s string) string { return fmt.Sprintf("%d:%s,", len(s), s) }

// exchange sends, closes its side, and returns all that comes back.
func exchange(t testing.TB, nc net.Conn, text string) string {
	t.Helper()
	if _, err := io.WriteString(nc, text); err != nil {
		t.Fatal(err)
	}
	if err := nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func TestLookups(t *testing.T) {
	for _, tt := range []struct{ request, want string }{
		{"mailboxes ann@example.org", "OK ann@example.org"},
		{"x Ann+Lists/Go@EXAMPLE.org", "OK Ann+Lists/Go@EXAMPLE.org"},
		{"x ann", "OK ann"},
		{`x "ann"@example.org`, `OK "ann"@example.org`},
		{"x postmaster@example.com", "OK postmaster@example.com"},
		{"x zoe@example.org", "NOTFOUND "},
		{"x @example.org", "NOTFOUND "},
		{"x a/b@example.org", "NOTFOUND "},
		{"x ann@example.org extra", "NOTFOUND "},
		{"x ", "NOTFOUND "},
		{"x ann\x00@example.org", "NOTFOUND "},
		{"x gone@example.org", "TEMP try again later"},
		{"ann@example.org", "PERM want a map and a key"},
		{" ann@example.org", "PERM want a map and a key"},
		{"", "PERM want a map and a key"},
	} {
		if got := exchange(t, start(t, "tcp", nil), ns(tt.request)); got != ns(tt.want) {
			t.Errorf("%q: %q, want %q", tt.request, got, ns(tt.want))
		}
	}
}

func TestMapsCanBeNamed(t *testing.T) {
	nc := start(t, "unix", func(o *socketmap.Options) { o.Maps = []string{"a", "b"} })
	if got := exchange(t, nc, ns("b ann")+ns("c ann")); got != ns("OK ann")+ns("PERM no such map") {
		t.Errorf("%q", got)
	}
}

func TestRequestsMayComeInPiecesOrTogether(t *testing.T) {
	var statuses []string
	nc := start(t, "unix", func(o *socketmap.Options) { o.Answered = func(s string) { statuses = append(statuses, s) } })
	request, answer := ns("x ann@example.org"), ns("OK ann@example.org")
	buf := make([]byte, len(answer))
	for cut := range request {
		for _, piece := range []string{request[:cut], request[cut:]} {
			if _, err := io.WriteString(nc, piece); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.ReadFull(nc, buf); err != nil || string(buf) != answer {
			t.Fatalf("cut at %d: %q, %v", cut, buf, err)
		}
	}
	if got := exchange(t, nc, strings.Repeat(request, 1000)); got != strings.Repeat(answer, 1000) {
		t.Errorf("%d octets for a pipeline", len(got))
	}
	if len(statuses) != 1000+len(request) || statuses[0] != "OK" {
		t.Errorf("%d answers counted", len(statuses))
	}
}

func TestGarbageEndsTheConnection(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"GET / HTTP/1.1\r\n", "PERM malformed netstring: malformed length"},
		{":x,", "PERM malformed netstring: malformed length"},
		{"-1:x,", "PERM malformed netstring: malformed length"},
		{"01:x,", "PERM malformed netstring: malformed length"},
		{"00:,", "PERM malformed netstring: malformed length"},
		{"5:x ann;", "PERM malformed netstring: want a comma"},
		{"4097:", "PERM netstring too long: more than 4096 octets"},
		{"99999999999999999999999999", "PERM netstring too long: more than 4096 octets"},
	} {
		nc := start(t, "tcp", nil)
		if _, err := io.WriteString(nc, ns("x ann")+tt.in); err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(nc) // what was sent behind the garbage may make it end with a reset
		if string(got) != ns("OK ann")+ns(tt.want) {
			t.Errorf("%q: %q", tt.in, got)
		}
	}
}

func TestHalfARequestHasNoAnswer(t *testing.T) {
	for _, in := range []string{"", "5", "5:x a", "5:x ann"} {
		if got := exchange(t, start(t, "tcp", nil), in); got != "" {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	nc := start(t, "tcp", func(o *socketmap.Options) { o.MaxConnections = 1 })
	if _, err := io.WriteString(nc, ns("x ann")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, make([]byte, len(ns("OK ann")))); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(dial(t, nc.RemoteAddr())); err != nil || len(got) != 0 {
		t.Errorf("second connection: %q, %v", got, err)
	}
}

func TestSilentClientIsDisconnected(t *testing.T) {
	nc := start(t, "tcp", func(o *socketmap.Options) { o.Timeout = 20 * time.Millisecond })
	if got, err := io.ReadAll(nc); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestStoreIsRequired(t *testing.T) {
	if _, err := socketmap.New(socketmap.Options{}); err == nil {
		t.Error("no error")
	}
	if _, err := socketmap.New(socketmap.Options{Store: fakeStore{}, MaxRequest: -1}); err == nil {
		t.Error("no error")
	}
}

func TestRealStore(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann@example.org")
	env.Account(t, "dan@example.org")
	if err := env.Store.DisableAccount(context.Background(), storetest.Admin, "dan@example.org", true); err != nil {
		t.Fatal(err)
	}
	nc := start(t, "unix", func(o *socketmap.Options) { o.Store = env.Store })
	want := ns("OK ann") + ns("OK dan") + ns("NOTFOUND ")
	if got := exchange(t, nc, ns("x ann")+ns("x dan")+ns("x zoe")); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
