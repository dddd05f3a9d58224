package imapd

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestPipelinedCommandsAreAnsweredInOrder(t *testing.T) {
	c := newTestServer(t).dial(t)
	c.sendRaw("a LOGIN ann \"secret word\"\r\nb CREATE x\r\nc APPEND x " + literal("Subject: a\r\n\r\nb") + "\r\nd STATUS x (MESSAGES)\r\n" +
		"e nonsense\r\nf STATUS x (SIZE)\r\ng LOGOUT\r\n")
	c.expect("a OK ...", "b OK [MAILBOXID (...", "c OK [APPENDUID ...", "* STATUS x (MESSAGES 1)", "d OK ...", "e BAD ...",
		"* STATUS x (SIZE 15)", "f OK ...", "* BYE ...", "g OK ...")
	c.expectEOF()
}

func TestBrokenCommands(t *testing.T) {
	ts := newTestServer(t, func(o *Options) { o.Limits.BadCommands = 100 })
	c := ts.dial(t)
	for _, tc := range []struct{ command, want string }{
		{"a", "a BAD ..."},
		{"a ", "a BAD ..."},
		{"", "* BAD ..."},
		{"* NOOP", "* BAD ..."},
		{"a NOOP x", "a BAD ..."},
		{"a NONSENSE {3+}\r\nabc (", "a BAD ..."},
		{"a SELECT INBOX", "a BAD ..."},
		{"a LIST \"\" *", "a BAD ..."},
		{"a APPEND INBOX {5+}\r\nhello", "a BAD ..."},
		{"a IDLE", "a BAD ..."},
		{"a LOGIN ((((((((((((((((((((((", "a BAD ..."},
		{"a LOGIN {9000+}\r\n" + strings.Repeat("x", 9000) + " y", "a NO [TOOBIG] ..."},
		{"a ID (" + strings.Repeat("x ", 100) + ")", "a BAD ..."},
		{"a nOoP", "a OK ..."},
	} {
		c.send(tc.command)
		c.expect(tc.want)
	}
	c.ok(`LOGIN ann "secret word"`)
	c.refused("FETCH 1 FLAGS", "BAD")
	c.refused("CHECK", "BAD")
	c.refused("LOGIN ann x", "BAD")
}

func TestHostileInputBeforeLoginEndsTheConnection(t *testing.T) {
	ts := newTestServer(t, func(o *Options) { o.Limits.BadCommands = 3 })
	for name, input := range map[string]string{
		"broken commands":    "a x\r\na x\r\na x\r\na x\r\n",
		"endless line":       strings.Repeat("x", 200<<10),
		"unskippable":        "a LOGIN {99999999999+}\r\n",
		"ambiguous":          "a x \"{3+}\r\n\r\n",
		"TLS on a clear one": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n\r\n\r\n",
		"HTTP":               "GET / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := ts.dial(t)
			go func() { _, _ = c.conn.Write([]byte(input)) }() // the server may stop reading
			for {
				l, err := c.readLine()
				if err != nil {
					return
				}
				if strings.Contains(l, " OK ") {
					t.Fatal(l)
				}
			}
		})
	}
}

func TestNestedListsDoNotExhaustTheStack(t *testing.T) {
	c := newTestServer(t).login(t, "ann")
	c.send("a LIST " + strings.Repeat("(", 60_000))
	c.expect("a BAD ...")
	c.ok("NOOP")
}

func TestTimeouts(t *testing.T) {
	const soon = 50 * time.Millisecond
	const login = "a LOGIN ann \"secret word\"\r\n"
	for name, tc := range map[string]struct {
		change func(*Limits)
		send   string
		want   []string
	}{
		"before login":     {func(l *Limits) { l.Login = soon }, "", []string{"* BYE Autologout; idle for too long"}},
		"after login":      {func(l *Limits) { l.Autologout = soon }, login, []string{"a OK ...", "* BYE Autologout; idle for too long"}},
		"in IDLE":          {func(l *Limits) { l.Autologout = soon }, login + "b IDLE\r\n", []string{"a OK ...", "+ idling", "* BYE Autologout; idle for too long"}},
		"within a command": {func(l *Limits) { l.CommandRead = soon }, login + "b NOO", []string{"a OK ...", "* BYE The command did not arrive in time"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestServer(t, func(o *Options) { tc.change(&o.Limits) }).dial(t)
			c.sendRaw(tc.send)
			c.expect(tc.want...)
			c.expectEOF()
		})
	}
}

// recorder is a trace in memory.
type recorder struct {
	mu     sync.Mutex
	b      bytes.Buffer
	closed chan struct{}
}

func (r *recorder) Client(p []byte) { r.record("C ", p) }
func (r *recorder) Server(p []byte) { r.record("S ", p) }

func (r *recorder) record(who string, p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.b.WriteString(who)
	r.b.Write(p)
}

func (r *recorder) Close() error { close(r.closed); return nil }

func TestTraceBeginsAfterTheLogin(t *testing.T) {
	rec := &recorder{closed: make(chan struct{})}
	var log bytes.Buffer
	ts := newTestServer(t, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Trace = func(account, session string) Recorder {
			if account != "ann" || session == "" {
				t.Errorf("trace of %q, %q", account, session)
			}
			return rec
		}
	})
	c := ts.dial(t)
	c.ok(`LOGIN ann "secret word"`)
	c.ok("NOOP")
	c.ok("LOGOUT")
	<-rec.closed
	got := rec.b.String()
	if strings.Contains(got, "secret") || !strings.Contains(got, "2 NOOP\r\nS t2 OK Done\r\n") {
		t.Errorf("%q", got)
	}
	shutdownNow(t, ts)
	if strings.Contains(log.String(), "secret") || !strings.Contains(log.String(), "logged in") {
		t.Errorf("log: %s", log.String())
	}
}

func TestOustedSessionsEnd(t *testing.T) {
	ts := newTestServer(t)
	ts.account(t, "bob")
	idle, busy, other := ts.login(t, "ann"), ts.login(t, "ann"), ts.login(t, "bob")
	idle.ok("SELECT INBOX")
	idle.send("i1 IDLE")
	idle.expect("+ idling")
	ts.Oust("ann")
	for _, c := range []*rawClient{idle, busy} {
		c.expect("* BYE The account was changed; log in again")
	}
	other.ok("NOOP")
}

func TestHooksTellOfEverything(t *testing.T) {
	var mu sync.Mutex
	got := map[string]int{}
	count := func(key string) { mu.Lock(); defer mu.Unlock(); got[key]++ }
	ts := newTestServer(t, func(o *Options) {
		o.Hooks = Hooks{
			Opened: func() { count("opened") }, Closed: func() { count("closed") },
			Login:   func(mech, result string) { count("login " + mech + " " + result) },
			Command: func(name, result string, took time.Duration) { count(name + " " + result) },
			Read:    func(n int) { count("read") }, Written: func(n int) { count("written") },
		}
	})
	c := ts.dial(t)
	c.refused("LOGIN ann x", "NO")
	c.ok(`LOGIN ann "secret word"`)
	c.refused("FOO", "BAD")
	c.refused("DELETE nothing", "NO [NONEXISTENT]")
	c.ok("LOGOUT")
	shutdownNow(t, ts)
	for _, key := range []string{
		"opened", "closed", "login LOGIN credentials", "login LOGIN ok", "LOGIN NO", "LOGIN OK", "UNKNOWN BAD", "DELETE NO", "LOGOUT OK",
	} {
		if got[key] != 1 {
			t.Errorf("%s: %d times", key, got[key])
		}
	}
	if got["read"] == 0 || got["written"] == 0 {
		t.Errorf("%v", got)
	}
}

func TestID(t *testing.T) {
	ts := newTestServer(t, func(o *Options) { o.Name, o.Version = "Test", "1.0" })
	c := ts.dial(t)
	c.send("a ID NIL")
	c.expect(`* ID ("name" "Test" "version" "1.0")`, "a OK ...")
	c.ok(`ID ("name" "x" "version" NIL)`)
	c.ok("ID ()")
	c.refused("ID x", "BAD")
	c.refused(`ID ("name")`, "BAD")
	c.refused(`ID ("`+strings.Repeat("x", 31)+`" NIL)`, "BAD")
	c.refused(`ID ("a" "`+strings.Repeat("x", 1025)+`")`, "BAD")
	c.refused(`ID (`+strings.TrimSpace(strings.Repeat(`"a" NIL `, 31))+`)`, "BAD")
	c.refused(`ID (`+strings.TrimSpace(strings.Repeat(`"a" "b" `, 31))+`)`, "BAD")
}

func TestEnableTellsWhatBecameEnabled(t *testing.T) {
	c := newTestServer(t).dial(t)
	c.refused("ENABLE CONDSTORE", "BAD")
	c.ok(`LOGIN ann "secret word"`)
	for _, tc := range []struct{ args, want string }{
		{"NONSENSE", "* ENABLED"},
		{"condstore x", "* ENABLED CONDSTORE"},
		{"CONDSTORE QRESYNC", "* ENABLED QRESYNC"},
		{"IMAP4rev2 IMAP4rev2", "* ENABLED IMAP4rev2"},
		{"IMAP4rev2 QRESYNC", "* ENABLED"},
	} {
		c.send("a ENABLE " + tc.args)
		c.expect(tc.want, "a OK Enabled")
	}
	c.refused("ENABLE", "BAD")
	c.refused("ENABLE"+strings.Repeat(" x", 101), "BAD")
}

func TestNamespace(t *testing.T) {
	c := newTestServer(t).login(t, "ann")
	c.send("a NAMESPACE")
	c.expect(`* NAMESPACE (("" "/")) NIL NIL`, "a OK ...")
}
