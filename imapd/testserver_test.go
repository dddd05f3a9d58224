package imapd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"

	"angarium/eventlog/event"
	"angarium/internal/auth"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

// testPassword is the password of every account of a test.
const testPassword = "secret word"

// testServer is a server on a free port of the loopback address over a whole store in memory.
type testServer struct {
	*Server
	env  *storetest.Env
	addr string
}

// newTestServer starts a server with the account "ann". At the end of the test it is shut down, and the store is checked.
func newTestServer(t testing.TB, change ...func(*Options)) *testServer {
	t.Helper()
	return newTestServerOn(t, storetest.New(t, 1, mailstore.Options{
		MaxMessage:       4 << 20,
		DefaultMailboxes: []mailstore.NewMailbox{{Name: "Sent", SpecialUse: []string{`\Sent`}, Subscribe: true}},
	}), change...)
}

func newTestServerOn(t testing.TB, env *storetest.Env, change ...func(*Options)) *testServer {
	t.Helper()
	opts := Options{Store: env.Store, Auth: newTestAuth(t, env.Store, auth.Options{}), Logger: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&opts)
	}
	srv, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ts := &testServer{Server: srv, env: env}
	if _, err := env.Store.Account(context.Background(), "ann"); errors.Is(err, mailstore.ErrNoAccount) {
		ts.account(t, "ann")
	}
	ts.addr = ts.listen(t, false)
	return ts
}

// listen opens one more listener.
func (ts *testServer) listen(t testing.TB, implicitTLS bool) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ts.serveOn(t, l, implicitTLS)
	return l.Addr().String()
}

// serveOn serves a listener until the end of the test.
func (ts *testServer) serveOn(t testing.TB, l net.Listener, implicitTLS bool) {
	done := make(chan error, 1)
	go func() { done <- ts.Serve(l, implicitTLS) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := ts.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil && !errors.Is(err, ErrServerClosed) {
			t.Error(err)
		}
	})
}

// newTestAuth makes an authenticator over the accounts of a store.
func newTestAuth(t testing.TB, store *mailstore.Store, opts auth.Options) *auth.Authenticator {
	t.Helper()
	checker, err := auth.NewChecker(auth.CheckerOptions{Iterations: auth.MinIterations})
	if err != nil {
		t.Fatal(err)
	}
	opts.Checker = checker
	opts.Lookup = func(ctx context.Context, name string) (auth.Account, error) {
		a, err := store.Account(ctx, name)
		if errors.Is(err, mailstore.ErrNoAccount) {
			return auth.Account{}, auth.ErrNoAccount
		}
		if err != nil {
			return auth.Account{}, err
		}
		c := a.Credential
		v := auth.Verifier{Iterations: int(c.Iterations), Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey}
		return auth.Account{Name: a.Name, Verifier: v, Disabled: a.Disabled}, nil
	}
	a, err := auth.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// account makes an account with testPassword.
func (ts *testServer) account(t testing.TB, name string) {
	t.Helper()
	v, err := auth.NewVerifier(testPassword, auth.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	cred := event.Credential{Iterations: uint32(v.Iterations), Salt: v.Salt, StoredKey: v.StoredKey, ServerKey: v.ServerKey}
	if err := ts.env.Store.CreateAccount(context.Background(), storetest.Admin, name, cred); err != nil {
		t.Fatal(err)
	}
}

// login connects as an account.
func (ts *testServer) login(t testing.TB, account string) *rawClient {
	t.Helper()
	c := ts.dial(t)
	c.ok("LOGIN " + account + ` "` + testPassword + `"`)
	return c
}

// imapclient connects go-imap's client as an account.
func (ts *testServer) imapclient(t testing.TB, account string, opts *imapclient.Options) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialInsecure(ts.addr, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test may have closed it
	if err := c.Login(account, testPassword).Wait(); err != nil {
		t.Fatal(err)
	}
	return c
}

// testTLS makes a self-signed certificate, and the configurations of a server that shows it and of a client that trusts it.
func testTLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.example"}, DNSNames: []string{"mail.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "mail.example"}
}
