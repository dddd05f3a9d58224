package obs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"angarium/internal/obs"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var silent = slog.New(slog.DiscardHandler)

func TestLogger(t *testing.T) {
	var b bytes.Buffer
	logger, level, err := obs.NewLogger(&b, "json", "warn")
	if err != nil {
		t.Fatal(err)
	}
	logger.Info("hidden")
	if err := obs.SetLevel(level, "info"); err != nil {
		t.Fatal(err)
	}
	logger.Info("shown", "account", "ann")
	var line map[string]string
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line["msg"] != "shown" || line["account"] != "ann" {
		t.Errorf("logged %q, %v", b.String(), err)
	}
	if err := obs.SetLevel(level, "loud"); err == nil || level.Level() != slog.LevelInfo {
		t.Errorf("SetLevel(loud) = %v; level %v", err, level.Level())
	}
	b.Reset()
	if logger, _, err = obs.NewLogger(&b, "text", "debug"); err != nil {
		t.Fatal(err)
	}
	logger.Debug("x")
	if !strings.Contains(b.String(), "level=DEBUG msg=x") {
		t.Errorf("logged %q", b.String())
	}
	for _, bad := range [][2]string{{"xml", "info"}, {"text", ""}} {
		if _, _, err := obs.NewLogger(&b, bad[0], bad[1]); err == nil {
			t.Errorf("NewLogger(%q, %q) gives no error", bad[0], bad[1])
		}
	}
}

func get(t *testing.T, h http.Handler, method, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, w.Body.String()
}

func TestHandler(t *testing.T) {
	var broken error
	h := obs.Handler(obs.NewRegistry(), []obs.Check{
		{Name: "log", Func: func(context.Context) error { return nil }},
		{Name: "replica", Func: func(context.Context) error { return broken }},
	})
	if code, body := get(t, h, "GET", "/readyz"); code != 200 || body != `{"status":"ok","checks":[{"name":"log","state":"ok"},{"name":"replica","state":"ok"}]}`+"\n" {
		t.Errorf("/readyz: %d %s", code, body)
	}
	broken = errors.New("12 positions behind")
	if code, body := get(t, h, "GET", "/readyz"); code != 503 || body != `{"status":"failed","checks":[{"name":"log","state":"ok"},{"name":"replica","state":"failed","error":"12 positions behind"}]}`+"\n" {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if code, body := get(t, h, "GET", "/livez"); code != 200 || body != `{"status":"ok","checks":[]}`+"\n" {
		t.Errorf("/livez: %d %s", code, body)
	}
	if code, body := get(t, h, "GET", "/metrics"); code != 200 || !strings.Contains(body, "go_goroutines") || !strings.Contains(body, "go_build_info") {
		t.Errorf("/metrics: %d %.200s", code, body)
	}
	if code, _ := get(t, h, "POST", "/readyz"); code != 405 {
		t.Errorf("POST /readyz: %d", code)
	}
	if code, _ := get(t, h, "GET", "/"); code != 404 {
		t.Errorf("GET /: %d", code)
	}
}

func TestHangingCheckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		begin := time.Now()
		health := obs.RunChecks(t.Context(), []obs.Check{{Name: "stuck", Func: func(context.Context) error { <-release; return nil }}})
		if health.Status != "failed" || health.Checks[0].State != "failed" || time.Since(begin) != 5*time.Second {
			t.Errorf("%+v after %v", health, time.Since(begin))
		}
	})
}

func TestServeHTTPFinishesRequestsAtShutdown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	arrived, release := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, "done")
	})
	served, body := make(chan error), make(chan string)
	go func() { served <- obs.ServeHTTP(ctx, l, handler, silent) }()
	go func() {
		transport := &http.Transport{DisableKeepAlives: true}
		resp, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String())
		if err != nil {
			body <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		body <- string(b)
	}()
	<-arrived
	cancel()
	close(release)
	if got := <-body; got != "done" {
		t.Errorf("the request that was running got %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("ServeHTTP = %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("still listening")
	}
}

func TestServeHTTPReturnsListenerErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := obs.ServeHTTP(context.Background(), l, http.NotFoundHandler(), silent); !errors.Is(err, net.ErrClosed) {
		t.Errorf("ServeHTTP = %v; want net.ErrClosed", err)
	}
}

// manager is a service manager that listens on a datagram socket.
func manager(t *testing.T, address string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", address)
	return conn
}

func receive(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1024)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestNotify(t *testing.T) {
	dir, err := os.MkdirTemp("", "n") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, address := range []string{filepath.Join(dir, "notify"), "@angarium-test-" + strconv.Itoa(os.Getpid())} {
		conn := manager(t, address)
		n := obs.NewNotify(silent)
		n.Ready()
		n.Status("serving\nREADY=1")
		n.Stopping()
		for _, want := range []string{"READY=1", "STATUS=serving READY=1", "STOPPING=1"} {
			if got := receive(t, conn); got != want {
				t.Errorf("%s: sent %q; want %q", address, got, want)
			}
		}
		n.Reloading()
		usec, ok := strings.CutPrefix(receive(t, conn), "RELOADING=1\nMONOTONIC_USEC=")
		if n, err := strconv.ParseInt(usec, 10, 64); !ok || err != nil || n <= 0 {
			t.Errorf("%s: reload at %q", address, usec)
		}
	}
}

func TestNotifyWithoutManager(t *testing.T) {
	var b bytes.Buffer
	n := obs.NewNotify(slog.New(slog.NewTextHandler(&b, nil)))
	t.Setenv("NOTIFY_SOCKET", "")
	n.Ready()
	if b.Len() > 0 {
		t.Errorf("logged %q without a service manager", b.String())
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	n.Ready()
	if !strings.Contains(b.String(), "level=WARN") {
		t.Errorf("logged %q when the socket is not there", b.String())
	}
}

func TestWatchdog(t *testing.T) {
	conn := manager(t, "@angarium-watchdog-test-"+strconv.Itoa(os.Getpid()))
	n := obs.NewNotify(silent)
	if err := n.Watchdog(context.Background(), nil); err != nil {
		t.Fatalf("without WATCHDOG_USEC: %v", err)
	}
	t.Setenv("WATCHDOG_USEC", "soon")
	if err := n.Watchdog(context.Background(), nil); err == nil {
		t.Error("WATCHDOG_USEC=soon is no error")
	}
	t.Setenv("WATCHDOG_USEC", "2000")
	ctx, cancel := context.WithCancel(context.Background())
	done, calls := make(chan error), 0
	go func() {
		done <- n.Watchdog(ctx, func(context.Context) error {
			if calls++; calls == 2 {
				n.Status("sick")
				return errors.New("sick")
			}
			return nil
		})
	}()
	for _, want := range []string{"WATCHDOG=1", "STATUS=sick", "WATCHDOG=1"} {
		if got := receive(t, conn); got != want {
			t.Errorf("sent %q; want %q", got, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Watchdog = %v", err)
	}
}

func openTrace(t *testing.T, max int64) (*obs.Trace, string) {
	t.Helper()
	dir := t.TempDir()
	tick := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	trace, err := obs.OpenTraceClock(dir, "s-1", max, func() time.Time { tick = tick.Add(time.Microsecond); return tick })
	if err != nil {
		t.Fatal(err)
	}
	return trace, filepath.Join(dir, "s-1.trace")
}

func TestTrace(t *testing.T) {
	trace, path := openTrace(t, 1<<20)
	trace.Server([]byte("* OK ready\r\n"))
	trace.Client([]byte("a1 NOOP\r\na2 LOGIN "))
	trace.Pause()
	trace.Client([]byte("ann sec"))
	trace.Client([]byte("ret\r\n"))
	trace.Server([]byte("a2 OK\r\n"))
	trace.Resume()
	trace.Client([]byte("a3 X \\\x00\xff\u00e4"))
	trace.Pause()
	trace.Resume()
	if err := trace.Close(); err != nil {
		t.Fatal(err)
	}
	trace.Client([]byte("after the end"))
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `2026-01-02T03:04:05.000001Z S * OK ready\r\n
2026-01-02T03:04:05.000002Z C a1 NOOP\r\n
2026-01-02T03:04:05.000003Z C a2 LOGIN 
2026-01-02T03:04:05.000004Z S a2 OK\r\n
2026-01-02T03:04:05.000005Z - what the client sent is hidden
2026-01-02T03:04:05.000006Z C a3 X \\\x00\xff\xc3\xa4
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the trace has mode %v, %v", info.Mode(), err)
	}
}

func TestTraceIsBounded(t *testing.T) {
	const limit = 10_000
	trace, path := openTrace(t, limit)
	for range 100 {
		trace.Client(bytes.Repeat([]byte("x"), 5000))
	}
	if err := trace.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	body, remark, _ := bytes.Cut(got, []byte(" - the trace is full\n"))
	if len(got) < limit/2 || len(body) > limit+len("2026-01-02T03:04:05.000001Z") || len(remark) != 0 || !bytes.HasSuffix(got, []byte("full\n")) {
		t.Errorf("the trace has %d bytes and ends with %q", len(got), got[max(0, len(got)-60):])
	}
}

func TestTraceRefusesNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"", "..", ".x", "a/b", "../a", "a b", "a\x00", strings.Repeat("a", 129)} {
		if trace, err := obs.OpenTrace(dir, name, 1); err == nil {
			trace.Close()
			t.Errorf("a trace named %q was opened", name)
		}
	}
	trace, err := obs.OpenTrace(dir, "twice", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer trace.Close()
	if _, err := obs.OpenTrace(dir, "twice", 1); !errors.Is(err, os.ErrExist) {
		t.Errorf("the second trace of a session: %v; want os.ErrExist", err)
	}
}

func TestNilTraceDoesNothing(t *testing.T) {
	var trace *obs.Trace
	trace.Client([]byte("x"))
	trace.Server([]byte("x"))
	trace.Pause()
	trace.Resume()
	if err := trace.Close(); err != nil {
		t.Error(err)
	}
}
