package lmtpd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"

	"angarium/internal/auth"
	"angarium/lmtpd"
)

// certificate makes a certificate for mx.example.org and the pool that trusts it.
func certificate(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"mx.example.org"}, IsCA: true, BasicConstraintsValid: true}
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
		&tls.Config{RootCAs: pool, ServerName: "mx.example.org"}
}

// authenticator knows the account ann@example.org with the password "secret".
func authenticator(t testing.TB) *auth.Authenticator {
	t.Helper()
	v, err := auth.NewVerifier("secret", auth.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	checker, err := auth.NewChecker(auth.CheckerOptions{Iterations: auth.MinIterations})
	if err != nil {
		t.Fatal(err)
	}
	a, err := auth.New(auth.Options{Checker: checker, DefaultDomain: "example.org", Lookup: func(_ context.Context, name string) (auth.Account, error) {
		switch name {
		case "ann@example.org":
			return auth.Account{Name: name, Verifier: v}, nil
		case "dan@example.org":
			return auth.Account{Name: name, Verifier: v, Disabled: true}, nil
		case "gone@example.org":
			return auth.Account{}, io.ErrClosedPipe
		}
		return auth.Account{}, auth.ErrNoAccount
	}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestStartTLS(t *testing.T) {
	srvTLS, cliTLS := certificate(t)
	s := start(t, &fakeStore{}, func(o *lmtpd.Options) { o.TLS, o.Auth, o.AuthRequired = srvTLS, authenticator(t), true })
	c := s.hello(t)
	c.script("C: MAIL FROM:<>", "S: 530 5.7.0", "C: STARTTLS x", "S: 501", "C: STARTTLS", "S: 220 2.0.0")
	tc := tls.Client(c.nc, cliTLS)
	c = newClient(t, tc)
	c.script("C: MAIL FROM:<>", "S: 503", "C: LHLO x", "S: 250", "C: STARTTLS", "S: 503", "C: AUTH plain "+plain("ann", "secret"), "S: 235 2.7.0", "C: AUTH PLAIN x", "S: 503")
	c.send(envelope + "DATA\r\n")
	c.expect("250", "250", "354")
	c.send("x\r\n.\r\n")
	c.expect("250 2.0.0 <ann>")
	if raw := s.store.messages()[0]; !strings.Contains(raw, " with LMTPSA\r\n") {
		t.Errorf("stored %q", raw)
	}
	if id := s.store.identities[0]; id.Account != "ann@example.org" {
		t.Errorf("identity %+v", id)
	}
}

func TestCommandsBehindStartTLSDoNotRun(t *testing.T) {
	srvTLS, _ := certificate(t)
	s := start(t, &fakeStore{}, func(o *lmtpd.Options) { o.TLS = srvTLS })
	c := s.hello(t)
	c.send("STARTTLS\r\n" + envelope)
	c.expect("503 5.5.1")
	if line, err := c.r.ReadString('\n'); err == nil {
		t.Errorf("the session goes on: %q", line)
	}
}

func TestBrokenHandshakeEndsTheSession(t *testing.T) {
	srvTLS, _ := certificate(t)
	s := start(t, &fakeStore{}, func(o *lmtpd.Options) { o.TLS = srvTLS })
	c := s.hello(t)
	c.script("C: STARTTLS", "S: 220")
	c.send("MAIL FROM:<a@b>\r\n")
	if rest, _ := io.ReadAll(c.r); strings.Contains(string(rest), "250") {
		t.Errorf("answer %q", rest)
	}
}

func TestTLSListener(t *testing.T) {
	srvTLS, cliTLS := certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := startOn(t, tls.NewListener(l, srvTLS), &fakeStore{}, nil)
	nc, err := tls.Dial("tcp", s.l.Addr().String(), cliTLS)
	if err != nil {
		t.Fatal(err)
	}
	lmtp := smtp.NewClientLMTP(nc)
	defer lmtp.Close()
	if err := lmtp.SendMail("a@b.example", []string{"ann@example.org"}, strings.NewReader("x\r\n")); err != nil {
		t.Fatal(err)
	}
	if raw := s.store.messages()[0]; !strings.Contains(raw, " with LMTPS\r\n") {
		t.Errorf("stored %q", raw)
	}
}

func plain(name, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + name + "\x00" + password))
}

func TestLoginAnswers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
	}{
		{"right", []string{"C: AUTH PLAIN " + plain("ann", "secret"), "S: 235 2.7.0"}},
		{"without initial response", []string{"C: AUTH PLAIN", "S: 334 ", "C: " + plain("ann", "secret"), "S: 235 2.7.0"}},
		{"wrong three times", []string{
			"C: AUTH PLAIN " + plain("ann", "x"), "S: 535 5.7.8", "C: AUTH PLAIN " + plain("zoe", "x"), "S: 535 5.7.8", "C: AUTH PLAIN " + plain("a/b", "x"), "S: 535 5.7.8", "S: 421 4.7.0",
		}},
		{"disabled", []string{"C: AUTH PLAIN " + plain("dan", "secret"), "S: 525 5.7.13"}},
		{"store away", []string{"C: AUTH PLAIN " + plain("gone", "secret"), "S: 454 4.7.0"}},
		{"malformed", []string{"C: AUTH PLAIN !", "S: 501 5.5.2", "C: AUTH PLAIN =", "S: 501 5.5.2", "C: AUTH PLAIN", "S: 334", "C: !", "S: 501 5.5.2"}},
		{"cancelled", []string{"C: AUTH PLAIN", "S: 334", "C: *", "S: 501 5.7.0", "C: NOOP", "S: 250"}},
		{"long", []string{"C: AUTH PLAIN", "S: 334", "C: " + strings.Repeat("A", 13_000), "S: 500 5.5.6", "C: NOOP", "S: 250"}},
		{"unknown mechanism", []string{"C: AUTH CRAM-MD5", "S: 504 5.5.4", "C: AUTH", "S: 504"}},
		{"in a transaction", []string{"C: MAIL FROM:<>", "S: 250", "C: AUTH PLAIN", "S: 503"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, &fakeStore{}, func(o *lmtpd.Options) { o.Auth = authenticator(t) })
			s.hello(t).script(tt.lines...)
		})
	}
}

// scramClient makes the client of the scram library one of go-sasl.
type scramClient struct{ conv *scram.ClientConversation }

func (s scramClient) Start() (string, []byte, error) {
	first, err := s.conv.Step("")
	return "SCRAM-SHA-256", []byte(first), err
}

func (s scramClient) Next(challenge []byte) ([]byte, error) {
	out, err := s.conv.Step(string(challenge))
	return []byte(out), err
}

var _ sasl.Client = scramClient{}

func TestScram(t *testing.T) {
	s := start(t, &fakeStore{}, func(o *lmtpd.Options) { o.Auth, o.AuthRequired = authenticator(t), true })
	nc, err := net.Dial("tcp", s.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	lmtp := smtp.NewClientLMTP(nc)
	defer lmtp.Close()
	sc, err := scram.SHA256.NewClient("ann@example.org", "secret", "")
	if err != nil {
		t.Fatal(err)
	}
	conv := sc.NewConversation()
	if err := lmtp.Auth(scramClient{conv}); err != nil || !conv.Valid() {
		t.Fatalf("login: %v, server valid: %t", err, conv.Valid())
	}
	if err := lmtp.SendMail("a@b.example", []string{"ann@example.org"}, strings.NewReader("x\r\n")); err != nil {
		t.Fatal(err)
	}
	if raw := s.store.messages()[0]; !strings.Contains(raw, " with LMTPA\r\n") {
		t.Errorf("stored %q", raw)
	}
}
