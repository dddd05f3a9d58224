package notify

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestEachDeliveryIsOneMessageInOrder(t *testing.T) {
	s := newSite(t, "", "ann@example.org", "bob@example.org")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	js, err := jetstream.New(s.connect(s.consumer("all")))
	must(t, err)
	c, err := js.CreateOrUpdateConsumer(ctx, "MAIL_NOTIFY", jetstream.ConsumerConfig{
		Durable: "test", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "mail.notify.*.MessageNew",
	})
	must(t, err)
	watched := s.follow("watch", "--since", "1", "--event", "MessageNew", "--account", "ann@example.org", "--json")
	const each = 20
	for i := range each {
		must(t, s.deliver("ann@example.org", fmt.Sprint(i)))
		must(t, s.deliver("bob@example.org", fmt.Sprint(i)))
	}
	messages, err := c.Messages()
	must(t, err)
	defer messages.Stop()
	uids := map[string]int{}
	var last event
	for range 2 * each {
		m, err := messages.Next(jetstream.NextContext(ctx))
		must(t, err)
		e := decode(t, m.Data())
		if !last.before(e) {
			t.Errorf("%s comes after %s", e.id(), last.id())
		}
		last = e
		if uids[e.User]++; e.UIDs != fmt.Sprint(uids[e.User]) {
			t.Errorf("message %d of %s is uid %s", uids[e.User], e.User, e.UIDs)
		}
		must(t, m.DoubleAck(ctx))
	}
	if diff := cmp.Diff(map[string]int{"ann@example.org": each, "bob@example.org": each}, uids); diff != "" {
		t.Error(diff)
	}
	if info, err := c.Info(ctx); err != nil || info.NumPending != 0 {
		t.Errorf("there is more: %+v, %v", info, err)
	}
	history := s.history("--event", "MessageNew", "--account", "ANN@example.org")
	for i := range each {
		select {
		case line := <-watched:
			if e := decode(t, []byte(line)); e.id() != history[i].id() {
				t.Errorf("watch shows %s, events %s", e.id(), history[i].id())
			}
		case <-ctx.Done():
			t.Fatal("watch does not show everything")
		}
	}
	if len(history) != each {
		t.Errorf("%d events", len(history))
	}
}

func TestAnAccountsCredentialOpensItsOwnEventsOnly(t *testing.T) {
	s := newSite(t, "", "ann@example.org", "bob@example.org")
	nc := s.connect(s.consumer("badge", "--account", "Ann@Example.org"))
	denied := make(chan error, 100)
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		select {
		case denied <- err:
		default:
		}
	})
	for i := range 5 {
		must(t, s.deliver("ann@example.org", fmt.Sprint(i)))
		must(t, s.deliver("bob@example.org", fmt.Sprint(i)))
	}
	want := ids(s.history("--account", "ann@example.org"))
	var got []event
	await(t, "her events do not come", func() bool { got = stream(t, nc); return len(got) >= len(want) })
	if diff := cmp.Diff(want, ids(got)); diff != "" {
		t.Error(diff)
	}
	for _, e := range got {
		if e.User != "ann@example.org" {
			t.Errorf("an event of %s", e.User)
		}
	}
	expectDenied := func(what string) {
		t.Helper()
		must(t, nc.Flush())
		select {
		case err := <-denied:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(patience):
			t.Errorf("%s is not refused", what)
		}
	}
	_, err := nc.SubscribeSync("mail.notify.bob@example=2Eorg.>")
	must(t, err)
	expectDenied("to listen to another account")
	must(t, nc.Publish("mail.notify.ann@example=2Eorg.MessageNew", nil))
	expectDenied("to publish")
	must(t, nc.Publish("$JS.API.STREAM.DELETE.MAIL_NOTIFY", nil))
	expectDenied("to delete the stream")

	s.syncctl("consumer", "remove", "badge")
	await(t, "who was removed is still there", func() bool { return !nc.IsConnected() })
	if out := s.syncctl("consumer", "list", "--json"); strings.Contains(out, "badge") {
		t.Error(out)
	}
}

func TestLoginsAreShownToWhoWatches(t *testing.T) {
	s := newSite(t, "", "ann@example.org")
	watched := s.follow("watch", "--group", "access", "--json")
	seen := make(chan event, 1)
	go func() {
		for line := range watched {
			var e event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Error(err)
			}
			select {
			case seen <- e:
			default:
			}
		}
	}()
	await(t, "no login is shown", func() bool { // nothing says when it watches
		c, err := net.DialTimeout("tcp", s.imap, patience)
		must(t, err)
		defer c.Close()
		must(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = fmt.Fprint(c, "a LOGIN ann@example.org secret\r\nb LOGOUT\r\n")
		must(t, err)
		buf := make([]byte, 1<<16)
		for err == nil {
			_, err = c.Read(buf)
		}
		select {
		case e := <-seen:
			return e.User == "ann@example.org" && (e.Event == "Login" || e.Event == "Logout")
		default:
			return false
		}
	})
}

func TestTLSIsDemandedWhereItIsConfigured(t *testing.T) {
	dir := t.TempDir()
	roots := selfSigned(t, dir)
	s := newSite(t, fmt.Sprintf("[tls]\ncert = %q\nkey = %q\n[notify]\ntls = true\n", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")),
		"ann@example.org")
	creds := s.consumer("all")
	must(t, s.deliver("ann@example.org", "one"))
	nc := s.connect(creds, nats.RootCAs(roots))
	if state, err := nc.TLSConnectionState(); err != nil || !state.HandshakeComplete {
		t.Errorf("the connection is in the clear: %v", err)
	}
	want := ids(s.history())
	var got []event
	await(t, "its events do not come", func() bool { got = stream(t, nc); return len(got) >= len(want) })
	if diff := cmp.Diff(want, ids(got)); diff != "" {
		t.Error(diff)
	}
	if nc, err := nats.Connect("nats://"+s.nats, nats.UserCredentials(creds)); err == nil {
		nc.Close()
		t.Error("a client that does not know the certificate connects")
	}
}

// selfSigned writes a certificate for 127.0.0.1 into the files cert.pem and key.pem.
func selfSigned(t *testing.T, dir string) (certFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "notify.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	certFile = filepath.Join(dir, "cert.pem")
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return certFile
}
