package imapd

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// shutdownNow shuts a server down, which must succeed.
func shutdownNow(t testing.TB, ts *testServer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clientPatience)
	defer cancel()
	if err := ts.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func TestShutdownSaysByeToWhoeverWaits(t *testing.T) {
	ts := newTestServer(t)
	fresh, waiting, idling := ts.dial(t), ts.login(t, "ann"), ts.login(t, "ann")
	idling.ok("SELECT INBOX")
	idling.send("a IDLE")
	idling.expect("+ idling")
	shutdownNow(t, ts)
	for _, c := range []*rawClient{fresh, waiting, idling} {
		c.expect("* BYE [UNAVAILABLE] The server is shutting down")
		c.expectEOF()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ts.Serve(l, false); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve after Shutdown: %v", err)
	}
}

func TestShutdownLetsACommandFinish(t *testing.T) {
	ts := newTestServer(t)
	c := ts.login(t, "ann")
	c.send("a APPEND INBOX {16}")
	c.expect("+ ...")
	done := make(chan error, 1)
	go func() { done <- ts.Shutdown(context.Background()) }()
	for !ts.draining() {
		runtime.Gosched()
	}
	c.send("Subject: last\r\n\r")
	c.expect("a OK [APPENDUID ...", "* BYE [UNAVAILABLE] ...")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsOffWhoDoesNotFinish(t *testing.T) {
	ts := newTestServer(t)
	c := ts.login(t, "ann")
	c.send("a APPEND INBOX {16}")
	c.expect("+ ...")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ts.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	c.expectEOF()
}

func TestConnectionsAreLimited(t *testing.T) {
	var mu sync.Mutex
	refused := map[string]int{}
	count := func(o *Options) {
		o.Hooks.Refused = func(reason string) { mu.Lock(); defer mu.Unlock(); refused[reason]++ }
	}
	for reason, limit := range map[string]func(*Options){
		"connections": func(o *Options) { o.Limits.Connections = 2 },
		"address":     func(o *Options) { o.Limits.ConnectionsPerAddress = 2 },
	} {
		ts := newTestServer(t, limit, count)
		first := ts.dialElsewhere(t) // loopback has no limit by address
		first.line()
		ts.dialElsewhere(t).line()
		third := ts.dialElsewhere(t)
		third.expect("* BYE [UNAVAILABLE] Too many connections")
		third.expectEOF()
		first.ok("LOGOUT")
		first.expectEOF()
		mu.Lock()
		if refused[reason] != 1 {
			t.Errorf("%v", refused)
		}
		mu.Unlock()
	}
}

func TestSessionsOfAnAccountAreLimited(t *testing.T) {
	ts := newTestServer(t, func(o *Options) { o.Limits.SessionsPerAccount = 1 })
	ts.account(t, "bob")
	first, second := ts.login(t, "ann"), ts.dial(t)
	second.refused(`LOGIN ann "secret word"`, "NO [LIMIT]")
	second.ok(`LOGIN bob "secret word"`)
	first.ok("LOGOUT")
	first.expectEOF()
}

func TestPanicEndsOneConnection(t *testing.T) {
	ts := newTestServer(t)
	ts.commands["NAMESPACE"] = command{"NAMESPACE", anyState, updatesAll, func(*session, context.Context) (reply, error) { panic("test") }}
	c, other := ts.login(t, "ann"), ts.login(t, "ann")
	c.send("a NAMESPACE")
	c.expectEOF()
	other.ok("NOOP")
}

func TestUnexpectedErrorIsNotTold(t *testing.T) {
	ts := newTestServer(t)
	ts.commands["NAMESPACE"] = command{"NAMESPACE", anyState, updatesAll, func(s *session, _ context.Context) (reply, error) {
		return reply{}, errors.New("a secret of the house")
	}}
	c := ts.login(t, "ann")
	c.send("a NAMESPACE")
	c.expect("a NO [SERVERBUG] Internal error; it was logged")
	c.ok("NOOP")
}

// Idle connections are the bulk of what an IMAP server has: the number is reported, and an order of magnitude is kept.
func TestIdleConnectionsAreSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("opens 1,000 connections")
	}
	ts := newTestServer(t, func(o *Options) { o.Limits.SessionsPerAccount = 2000 })
	const n = 1000
	before := heapInUse()
	for i := range n {
		conn, err := net.Dial("tcp", ts.addr)
		if err != nil {
			t.Skipf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { _ = conn.Close() }) // the end of the test
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		await(t, conn, "", "* OK")
		await(t, conn, "a LOGIN ann \"secret word\"\r\n", "a OK")
		await(t, conn, "b SELECT INBOX\r\n", "b OK")
		await(t, conn, "c IDLE\r\n", "+ ")
	}
	per := (heapInUse() - before) / n
	t.Logf("%d bytes of heap and stacks per connection in IDLE, the client's end included", per)
	if per > 64<<10 {
		t.Errorf("%d bytes per idle connection", per)
	}
}

// await says something and reads, with a buffer it does not keep, until the answer ends with a line that begins in a certain way.
func await(t *testing.T, conn net.Conn, say, want string) {
	t.Helper()
	if _, err := conn.Write([]byte(say)); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for buf := make([]byte, 4096); ; {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, got)
		}
		got = append(got, buf[:n]...)
		lines := strings.Split(strings.TrimSuffix(string(got), "\r\n"), "\r\n")
		if strings.HasPrefix(lines[len(lines)-1], want) {
			return
		}
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
