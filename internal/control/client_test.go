package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"angarium/replica/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for.
const patience = 10 * time.Second

// socketDir is a temporary directory with a path short enough for a socket.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func listen(t *testing.T, dir string) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(dir, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// eachTransport runs a test against a handler behind the socket, and against the same one in this process.
func eachTransport(t *testing.T, h http.Handler, test func(t *testing.T, ctx context.Context, c *Client)) {
	t.Helper()
	run := func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		test(t, ctx, c)
	}
	t.Run("socket", func(t *testing.T) {
		dir := socketDir(t)
		s := httptest.NewUnstartedServer(h)
		s.Listener.Close()
		s.Listener = listen(t, dir)
		s.Start()
		defer s.Close()
		c, err := Dial(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		run(t, c)
	})
	t.Run("in process", func(t *testing.T) { run(t, NewClient(h)) })
}

func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestDialTellsThatNoServerRuns(t *testing.T) {
	absent := socketDir(t)
	stale := socketDir(t)
	l := listen(t, stale)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(absent, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{
		"no socket": absent, "nobody listens": stale, "no directory": filepath.Join(absent, "none"), "a file": file,
		"path too long for a socket": filepath.Join(absent, strings.Repeat("x", 200)),
	} {
		if _, err := Dial(t.Context(), dir); !errors.Is(err, ErrNoServer) {
			t.Errorf("%s: got %v, want ErrNoServer", name, err)
		}
	}
}

func TestDialObeysItsContext(t *testing.T) {
	dir := socketDir(t)
	defer listen(t, dir).Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, dir); !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoServer) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestEveryMethodAsksForItsPath(t *testing.T) {
	const nothing = `{"done":{}}`
	password, disabled, shard := "p w", true, 1
	for want, call := range map[string]func(ctx context.Context, c *Client) error{
		"GET /v1/status ":             func(ctx context.Context, c *Client) error { _, err := c.Status(ctx); return err },
		"GET /v1/accounts ":           func(ctx context.Context, c *Client) error { _, err := c.Accounts(ctx); return err },
		"GET /v1/accounts/ann@x%2Ey ": func(ctx context.Context, c *Client) error { _, err := c.Account(ctx, "ann@x.y"); return err },
		`POST /v1/accounts {"accounts":null}`: func(ctx context.Context, c *Client) error {
			return c.AddAccounts(ctx, AddAccounts{}, nil)
		},
		`PATCH /v1/accounts/ann {"password":"p w","disabled":true}`: func(ctx context.Context, c *Client) error {
			return c.ChangeAccount(ctx, "ann", ChangeAccount{&password, &disabled})
		},
		"DELETE /v1/accounts/ann ": func(ctx context.Context, c *Client) error { return c.DeleteAccount(ctx, "ann") },
		`POST /v1/verify {"deep":true}`: func(ctx context.Context, c *Client) error {
			_, err := c.Verify(ctx, VerifyRequest{Deep: true}, nil, nil)
			return err
		},
		"GET /v1/log?account=a%26b&follow=true&from=2&kind=K&limit=4&shard=1&to=3 ": func(ctx context.Context, c *Client) error {
			return c.Log(ctx, LogQuery{Shard: 1, From: 2, To: 3, Limit: 4, Account: "a&b", Kind: "K", Follow: true}, nil)
		},
		"GET /v1/log?shard=0 ":      func(ctx context.Context, c *Client) error { return c.Log(ctx, LogQuery{}, nil) },
		"GET /v1/log/stat?shard=2 ": func(ctx context.Context, c *Client) error { _, err := c.LogStat(ctx, 2, nil); return err },
		`POST /v1/rebuild {"shard":1}`: func(ctx context.Context, c *Client) error {
			_, err := c.Rebuild(ctx, RebuildRequest{&shard}, nil)
			return err
		},
		"POST /v1/reload ": func(ctx context.Context, c *Client) error { return c.Reload(ctx) },
	} {
		got := make(chan string, 1)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- r.Method + " " + r.URL.RequestURI() + " " + string(body)
			_, _ = io.WriteString(w, nothing)
		})
		eachTransport(t, h, func(t *testing.T, ctx context.Context, c *Client) {
			if err := call(ctx, c); err != nil {
				t.Errorf("%s: %v", want, err)
			}
			if diff := cmp.Diff(want, <-got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNamesOfAccountsArriveAsTheyAre(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PathAccount, func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(Account{Name: r.PathValue("name")})
	})
	eachTransport(t, mux, func(t *testing.T, ctx context.Context, c *Client) {
		for _, name := range []string{"ann@example.org", ".", "..", "a/../b", "a%2Fb", "ü x", "a?b#c", "//", "a+b"} {
			a, err := c.Account(ctx, name)
			if err != nil || a.Name != name {
				t.Errorf("%q: got %q, %v", name, a.Name, err)
			}
		}
	})
}

func TestItemsComeAsTheyAreWritten(t *testing.T) {
	taken := make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, `{"progress":{"what":"verify","done":%d,"total":3,"unit":"messages"}}`+"\n", i)
			fmt.Fprintf(w, `{"item":{"kind":"counter","detail":"%d"}}`+"\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-taken: // the next one is written only when this one was read
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprintln(w, `{"later":"versions may say more"}`)
		fmt.Fprintln(w, `{"done":{"ok":false,"violations":3}}`)
	})
	eachTransport(t, h, func(t *testing.T, ctx context.Context, c *Client) {
		var got []string
		res, err := c.Verify(ctx, VerifyRequest{}, func(v state.Violation) error {
			got = append(got, v.Detail)
			taken <- struct{}{}
			return nil
		}, func(p Progress) { got = append(got, fmt.Sprintf("%s %d/%d %s", p.What, p.Done, p.Total, p.Unit)) })
		if err != nil || res.Violations != 3 {
			t.Fatalf("got %+v, %v", res, err)
		}
		want := []string{"verify 0/3 messages", "0", "verify 1/3 messages", "1", "verify 2/3 messages", "2"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestErrorsOfTheNode(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    Error
	}{
		"at once":          {respond(404, `{"error":{"code":"not_found","message":"no ann","hint":"look"}}`), Error{CodeNotFound, "no ann", "look"}},
		"at the end":       {respond(200, "{\"item\":{}}\n{\"error\":{\"code\":\"unavailable\",\"message\":\"disk full\"}}\n"), Error{CodeUnavailable, "disk full", ""}},
		"of another maker": {respond(502, "<html>"), Error{CodeInternal, "GET /v1/log: the server answers 502 Bad Gateway", "server and tool should be of the same version"}},
		"a redirection": {
			func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, PathStatus, http.StatusMovedPermanently)
			},
			Error{CodeInternal, "GET /v1/log: the server answers 301 Moved Permanently", "server and tool should be of the same version"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, test.handler, func(t *testing.T, ctx context.Context, c *Client) {
				err := c.Log(ctx, LogQuery{}, nil)
				got, ok := errors.AsType[*Error](err)
				if !ok {
					t.Fatalf("got %v", err)
				}
				if diff := cmp.Diff(test.want, *got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestAnswersThatAreNotWholeAreBroken(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"empty":         respond(200, ""),
		"no end":        respond(200, "{\"item\":{}}\n"),
		"half a line":   respond(200, "{\"item\":{}}\n{\"do"),
		"no JSON":       respond(200, "hello\n"),
		"item of wrong": respond(200, "{\"item\":[]}\n{\"done\":{}}\n"),
		"done of wrong": respond(200, "{\"done\":[]}\n"),
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, h, func(t *testing.T, ctx context.Context, c *Client) {
				if err := c.Log(ctx, LogQuery{}, func(LogEvent) error { return nil }); !errors.Is(err, ErrBroken) {
					t.Errorf("got %v, want ErrBroken", err)
				}
			})
		})
	}
	t.Run("server goes away", func(t *testing.T) {
		dir := socketDir(t)
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, `{"item":{"position":1}}`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})}
		l := listen(t, dir)
		go s.Serve(l)
		defer s.Close()
		c, err := Dial(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := c.Log(t.Context(), LogQuery{}, func(LogEvent) error { n++; return nil }); !errors.Is(err, ErrBroken) || n != 1 {
			t.Errorf("got %d items and %v, want 1 and ErrBroken", n, err)
		}
	})
}

func TestResultsThatDoNotMatchTheAccountsAreBroken(t *testing.T) {
	eachTransport(t, respond(200, "{\"item\":{\"ok\":true}}\n{\"done\":{}}\n"), func(t *testing.T, ctx context.Context, c *Client) {
		err := c.AddAccounts(ctx, AddAccounts{make([]NewAccount, 2)}, func(AccountResult) error { return nil })
		if !errors.Is(err, ErrBroken) {
			t.Errorf("got %v, want ErrBroken", err)
		}
	})
}

// endless writes an item and waits for its end.
type endless struct{ ended chan struct{} }

func (e *endless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, `{"item":{"position":1}}`)
	w.(http.Flusher).Flush()
	<-r.Context().Done()
	fmt.Fprintln(w, `{"error":{"code":"internal","message":"context canceled"}}`)
	close(e.ended)
}

func TestHandlersEndWithTheirRequest(t *testing.T) {
	enough := errors.New("enough")
	for name, test := range map[string]struct {
		each func(cancel context.CancelFunc) error
		want error
	}{
		"context ends": {func(cancel context.CancelFunc) error { cancel(); return nil }, context.Canceled},
		"caller stops": {func(context.CancelFunc) error { return enough }, enough},
	} {
		t.Run(name, func(t *testing.T) {
			h := &endless{make(chan struct{})}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := NewClient(h).Log(ctx, LogQuery{Follow: true}, func(LogEvent) error { return test.each(cancel) })
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			select {
			case <-h.ended:
			default:
				t.Error("the handler runs on")
			}
		})
	}
}

func TestAHandlerThatDoesNotAnswerIsLeftWhenTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := NewClient(h).Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestLinesAreBounded(t *testing.T) {
	const text = "one\n\n12345678901234567890123456789\nlast"
	for max, want := range map[int][]string{
		100: {"one\n", "\n", "12345678901234567890123456789\n", "last", "error: the answer has no end"},
		30:  {"one\n", "\n", "12345678901234567890123456789\n", "last", "error: the answer has no end"},
		29:  {"one\n", "\n", "error: a line is longer than 29 bytes"},
	} {
		l := &lineReader{r: bufio.NewReaderSize(strings.NewReader(text), 16), max: max}
		var got []string
		for {
			line, err := l.next()
			if err != nil {
				got = append(got, "error: "+err.Error())
				break
			}
			got = append(got, string(line))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("max %d: %s", max, diff)
		}
	}
}
