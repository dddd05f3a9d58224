package imapd

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"angarium/internal/auth"
	"angarium/mailstore/storetest"
)

func TestLoginTakesEveryKindOfString(t *testing.T) {
	ts := newTestServer(t)
	for _, args := range []string{
		`ann "secret word"`,
		`"ANN" "secret word"`,
		literal("ann") + " " + literal("secret word"),
	} {
		c := ts.dial(t)
		c.send("a LOGIN " + args)
		c.expect("a OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ ID ENABLE ...")
		c.ok("NOOP")
	}
	c := ts.dial(t)
	c.send("a login {3}")
	c.expect("+ ...")
	c.send("ann {11}")
	c.expect("+ ...")
	c.send("secret word")
	c.expect("a OK ...")
	c.refused("LOGIN ann x", "BAD")
}

func TestLoginRefusals(t *testing.T) {
	ts := newTestServer(t)
	ts.account(t, "bob")
	if err := ts.env.Store.DisableAccount(context.Background(), storetest.Admin, "bob", true); err != nil {
		t.Fatal(err)
	}
	c := ts.dial(t)
	c.refused("LOGIN ann wrong", "NO [AUTHENTICATIONFAILED]")
	c.refused("LOGIN nobody wrong", "NO [AUTHENTICATIONFAILED]")
	c.refused(`LOGIN bob "secret word"`, "NO [CONTACTADMIN]")
	c.refused("LOGIN ann", "BAD")
	c.ok(`LOGIN ann "secret word"`)
}

func TestTooManyFailedLoginsCloseTheConnection(t *testing.T) {
	ts := newTestServer(t, func(o *Options) { o.Limits.LoginFailures = 2 })
	c := ts.dial(t)
	c.refused("LOGIN ann x", "NO")
	c.refused("LOGIN ann y", "NO")
	c.expect("* BYE Too many failed logins")
	c.expectEOF()
}

func TestGuessingIsThrottled(t *testing.T) {
	var mu sync.Mutex
	now := time.Unix(1_700_000_000, 0)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	var waited []time.Duration
	results := map[string]int{}
	ts := newTestServer(t, func(o *Options) {
		o.Limits.LoginFailures = 100
		o.Auth = newTestAuth(t, o.Store, auth.Options{
			Throttle: auth.NewThrottle(auth.ThrottleOptions{
				FreePerAccount: 2, FreePerAddress: 100, BaseDelay: time.Second, MaxWait: 3 * time.Second, Now: clock,
			}),
			Wait: func(_ context.Context, d time.Duration) error {
				mu.Lock()
				defer mu.Unlock()
				waited = append(waited, d)
				now = now.Add(d)
				return nil
			},
		})
		o.Hooks.Login = func(_, result string) { mu.Lock(); defer mu.Unlock(); results[result]++ }
	})
	c := ts.dial(t)
	refusals := 0
	for range 10 {
		_, status := c.cmd("LOGIN ann wrong")
		if strings.HasPrefix(status, "NO [LIMIT] ") {
			refusals++
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(waited) == 0 || refusals == 0 || results["throttled"] != refusals || results["credentials"]+refusals != 10 {
		t.Errorf("waited %v, %d refusals, results %v", waited, refusals, results)
	}
}

// elsewhere is a listener whose connections seem to come from another machine.
type elsewhere struct{ net.Listener }

type farConn struct{ net.Conn }

func (l elsewhere) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return farConn{c}, nil
}

func (farConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:1234"))
}

// dialElsewhere connects to a server to which the client seems to be on another machine.
func (ts *testServer) dialElsewhere(t *testing.T) *rawClient {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ts.serveOn(t, elsewhere{l}, false)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return newRawClient(t, conn)
}

func TestPlaintextPasswords(t *testing.T) {
	for _, tc := range []struct {
		policy        PlaintextPolicy
		local, remote bool
	}{
		{PlaintextLoopback, true, false},
		{PlaintextNever, false, false},
		{PlaintextAlways, true, true},
	} {
		ts := newTestServer(t, func(o *Options) { o.Plaintext = tc.policy })
		local, far := ts.dial(t), ts.dialElsewhere(t)
		far.expect("* OK [CAPABILITY ...")
		checkPlaintext(t, local, tc.local)
		checkPlaintext(t, far, tc.remote)
	}
}

func checkPlaintext(t *testing.T, c *rawClient, allowed bool) {
	t.Helper()
	caps := " " + strings.Join(c.ok("CAPABILITY"), " ") + " "
	for name, want := range map[string]bool{
		"LOGINDISABLED": !allowed, "AUTH=PLAIN": allowed, "AUTH=LOGIN": allowed, "AUTH=SCRAM-SHA-256": true, "STARTTLS": false,
	} {
		if got := strings.Contains(caps, " "+name+" "); got != want {
			t.Errorf("%s: %v in %s", name, got, caps)
		}
	}
	if allowed {
		c.ok(`LOGIN ann "secret word"`)
		return
	}
	c.refused(`LOGIN ann "secret word"`, "NO [PRIVACYREQUIRED]")
	c.refused("AUTHENTICATE PLAIN", "NO [PRIVACYREQUIRED]")
	c.send("a LOGIN ann {11}") // no continuation: the password is not asked for
	c.expect("a NO [PRIVACYREQUIRED] ...")
	c.ok("NOOP")
}
