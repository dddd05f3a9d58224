package imapd

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"
)

func TestStartTLS(t *testing.T) {
	serverTLS, clientTLS := testTLS(t)
	ts := newTestServer(t, func(o *Options) { o.TLS, o.Plaintext = serverTLS, PlaintextNever })
	conn, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := imapclient.NewStartTLS(conn, &imapclient.Options{TLSConfig: clientTLS})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("ann", testPassword).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Logout().Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestStartTLSIsOfferedOnce(t *testing.T) {
	serverTLS, clientTLS := testTLS(t)
	ts := newTestServer(t, func(o *Options) { o.TLS = serverTLS })
	c := ts.dial(t)
	if caps := c.ok("CAPABILITY"); !strings.Contains(caps[0], " STARTTLS ") {
		t.Errorf("%v", caps)
	}
	c.ok("STARTTLS")
	secure := newRawClient(t, tls.Client(c.conn, clientTLS))
	if caps := secure.ok("CAPABILITY"); strings.Contains(caps[0], " STARTTLS ") {
		t.Errorf("%v", caps)
	}
	secure.refused("STARTTLS", "BAD")
	secure.ok(`LOGIN ann "secret word"`)
	secure.refused("STARTTLS", "BAD")
}

// What is sent ahead of the handshake could come from somebody on the way: it must never be carried out.
func TestStartTLSInjectionIsRefused(t *testing.T) {
	serverTLS, _ := testTLS(t)
	ts := newTestServer(t, func(o *Options) { o.TLS = serverTLS })
	c := ts.dial(t)
	c.sendRaw("a STARTTLS\r\nb NOOP\r\nc LOGIN ann \"secret word\"\r\n")
	c.expect("* BYE ...")
	if l, err := c.readLine(); err == nil {
		t.Errorf("got %q", l)
	}
}

func TestStartTLSWithoutTLS(t *testing.T) {
	c := newTestServer(t).dial(t)
	c.refused("STARTTLS", "BAD")
}

func TestImplicitTLS(t *testing.T) {
	serverTLS, clientTLS := testTLS(t)
	ts := newTestServer(t, func(o *Options) { o.TLS, o.Plaintext = serverTLS, PlaintextNever })
	addr := ts.listen(t, true)
	c, err := imapclient.DialTLS(addr, &imapclient.Options{TLSConfig: clientTLS})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("ann", testPassword).Wait(); err != nil {
		t.Fatal(err)
	}
	plain, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	raw := newRawClient(t, plain)
	raw.sendRaw("a LOGIN ann \"secret word\"\r\n")
	if l, err := raw.readLine(); err == nil && strings.Contains(l, "OK") {
		t.Errorf("got %q without TLS", l)
	}
}
