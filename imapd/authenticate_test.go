package imapd

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestAuthenticatePlain(t *testing.T) {
	ts := newTestServer(t)
	plain := b64("\x00ann\x00secret word")
	c := ts.dial(t)
	c.send("a AUTHENTICATE PLAIN " + plain)
	c.expect("a OK [CAPABILITY ...")
	c = ts.dial(t)
	c.send("a AUTHENTICATE PLAIN")
	c.expect("+ ")
	c.send(plain)
	c.expect("a OK [CAPABILITY ...")
}

func TestAuthenticateLogin(t *testing.T) {
	c := newTestServer(t).dial(t)
	c.send("a AUTHENTICATE LOGIN")
	c.expect("+ " + b64("Username:"))
	c.send(b64("ann"))
	c.expect("+ " + b64("Password:"))
	c.send(b64("secret word"))
	c.expect("a OK [CAPABILITY ...")
}

func TestAuthenticateRefusals(t *testing.T) {
	c := newTestServer(t, func(o *Options) { o.Limits.LoginFailures = 100 }).dial(t)
	c.send("a AUTHENTICATE PLAIN")
	c.expect("+ ")
	c.send("*")
	c.expect("a BAD Authentication cancelled")
	c.send("b AUTHENTICATE PLAIN")
	c.expect("+ ")
	c.send("not base64!")
	c.expect("b BAD ...")
	c.refused("AUTHENTICATE PLAIN =", "BAD") // an empty response is no PLAIN message
	c.refused("AUTHENTICATE PLAIN !", "BAD")
	c.refused("AUTHENTICATE PLAIN "+b64("\x00ann\x00wrong"), "NO [AUTHENTICATIONFAILED]")
	c.refused("AUTHENTICATE PLAIN "+b64("bob\x00ann\x00secret word"), "NO [AUTHORIZATIONFAILED]")
	c.refused("AUTHENTICATE GSSAPI", "NO [CANNOT]")
	c.refused("AUTHENTICATE", "BAD")
	c.ok("AUTHENTICATE PLAIN " + b64("ann\x00ann\x00secret word"))
}

func TestAuthenticateLineIsLimited(t *testing.T) {
	c := newTestServer(t).dial(t)
	c.send("a AUTHENTICATE PLAIN")
	c.expect("+ ")
	c.sendRaw(strings.Repeat("A", 3*maxSASLLine))
	c.expect("* BYE ...")
}

func TestAuthenticateScram(t *testing.T) {
	for _, initial := range []bool{true, false} {
		c := newTestServer(t).dial(t)
		client, err := scram.SHA256.NewClient("ann", testPassword, "")
		if err != nil {
			t.Fatal(err)
		}
		conv := client.NewConversation()
		first, err := conv.Step("")
		if err != nil {
			t.Fatal(err)
		}
		if initial {
			c.send("a AUTHENTICATE SCRAM-SHA-256 " + b64(first))
		} else {
			c.send("a AUTHENTICATE SCRAM-SHA-256")
			c.expect("+ ")
			c.send(b64(first))
		}
		for !conv.Done() {
			challenge, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(c.line(), "+ "))
			if err != nil {
				t.Fatal(err)
			}
			response, err := conv.Step(string(challenge))
			if err != nil {
				t.Fatal(err)
			}
			c.send(b64(response))
		}
		c.expect("a OK [CAPABILITY ...")
		if !conv.Valid() {
			t.Error("the server did not show that it knows the password")
		}
	}
}

func TestIndependentClientAuthenticates(t *testing.T) {
	ts := newTestServer(t)
	c, err := imapclient.DialInsecure(ts.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Authenticate(sasl.NewPlainClient("", "ann", testPassword)); err != nil {
		t.Fatal(err)
	}
	if err := c.Noop().Wait(); err != nil {
		t.Fatal(err)
	}
}
