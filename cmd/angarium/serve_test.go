package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-smtp"

	"angarium/internal/config"
	"angarium/internal/control"
)

// testConfig is a server on free ports over a directory.
func testConfig(dir string) config.Config {
	cfg := config.Default()
	cfg.Server.DataDir, cfg.Server.Node = dir, "test"
	cfg.IMAP.Listen, cfg.LMTP.Listen, cfg.HTTP.Listen = []string{"127.0.0.1:0"}, []string{"unix:" + filepath.Join(dir, "lmtp.sock")}, []string{"127.0.0.1:0"}
	cfg.Socketmap.Listen = []string{"127.0.0.1:0"}
	cfg.Logging.Level = "error"
	cfg.Log.MinFree = 0
	cfg.Auth.ScramIterations = 4096
	return cfg
}

func start(t *testing.T, cfg config.Config) *server {
	t.Helper()
	if err := os.MkdirAll(cfg.Server.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := startServer(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stop(t *testing.T, s *server) {
	t.Helper()
	if err := s.stop(false); err != nil {
		t.Error(err)
	}
}

func deliver(t *testing.T, s *server, to, text string) error {
	t.Helper()
	conn, err := net.Dial("unix", s.addrs["lmtp"].String())
	if err != nil {
		t.Fatal(err)
	}
	c := smtp.NewClientLMTP(conn)
	defer c.Close()
	return c.SendMail("sender@example.com", []string{to}, strings.NewReader(text))
}

// read gives the text of all messages of an account's INBOX, by UID.
func read(t *testing.T, s *server, account, password string) map[uint32]string {
	t.Helper()
	c, err := imapclient.DialInsecure(s.addrs["imap"].String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(account, password).Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	body := &imap.FetchItemBodySection{Peek: true}
	list, err := c.Fetch(imap.SeqSet{{Start: 1}}, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{body}}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	got := map[uint32]string{}
	for _, m := range list {
		got[uint32(m.UID)] = string(m.FindBodySection(body))
	}
	if err := c.Logout().Wait(); err != nil {
		t.Error(err)
	}
	return got
}

func dial(t *testing.T, s *server) *control.Client {
	t.Helper()
	c, err := control.Dial(context.Background(), s.cfg.Server.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMailSurvivesRestartAndLossOfTheReplica(t *testing.T) {
	cfg := testConfig(filepath.Join(t.TempDir(), "store"))
	s := start(t, cfg)
	if _, err := s.node.AddAccount(context.Background(), "ann", "secret"); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"Subject: one\r\n\r\n1\r\n", "Subject: two\r\n\r\n2\r\n"} {
		if err := deliver(t, s, "ann", text); err != nil {
			t.Fatal(err)
		}
	}
	if err := deliver(t, s, "nobody", "x\r\n"); err == nil {
		t.Error("mail for nobody was taken")
	}
	want := read(t, s, "ann", "secret")
	if len(want) != 2 || !strings.HasSuffix(want[2], "Subject: two\r\n\r\n2\r\n") {
		t.Fatalf("%v", want)
	}
	before, err := dial(t, s).Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	if err := os.RemoveAll(filepath.Join(cfg.Server.DataDir, "shard-0")); err != nil {
		t.Fatal(err)
	}
	s = start(t, cfg)
	defer func() { stop(t, s) }()
	got := read(t, s, "ann", "secret")
	if len(got) != len(want) || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("after the loss of the replica: %v, want %v", got, want)
	}
	after, err := dial(t, s).Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	b, a := before.Shards[0], after.Shards[0]
	if a.Digest != b.Digest || a.Messages != b.Messages || a.Epoch != b.Epoch+1 || a.State != "serving" {
		t.Errorf("status %+v, before %+v", a, b)
	}
}

func TestRebuildOfARunningServer(t *testing.T) {
	cfg := testConfig(filepath.Join(t.TempDir(), "store"))
	s := start(t, cfg)
	if _, err := s.node.AddAccount(context.Background(), "ann", "secret"); err != nil {
		t.Fatal(err)
	}
	if err := deliver(t, s, "ann", "Subject: one\r\n\r\n1\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := dial(t, s).Rebuild(context.Background(), control.RebuildRequest{}, nil)
	if err != nil || len(res.Shards) != 1 || !res.Shards[0].Same {
		t.Fatalf("%+v, %v", res, err)
	}
	if again := s.wait(context.Background()); !again {
		t.Fatal("the server does not want to open its directory again")
	}
	stop(t, s)
	s = start(t, cfg)
	defer func() { stop(t, s) }()
	if got := read(t, s, "ann", "secret"); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if _, err := os.Stat(filepath.Join(cfg.Server.DataDir, "shard-0.rebuild")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the rebuilt replica was left where it was made: %v", err)
	}
	sum, err := dial(t, s).Verify(context.Background(), control.VerifyRequest{Deep: true}, nil, nil)
	if err != nil || !sum.OK || sum.Messages != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestLostLogIsRefused(t *testing.T) {
	cfg := testConfig(filepath.Join(t.TempDir(), "store"))
	stop(t, start(t, cfg))
	if err := os.RemoveAll(filepath.Join(cfg.Server.DataDir, "log")); err != nil {
		t.Fatal(err)
	}
	_, err := startServer(context.Background(), cfg)
	if exitCode(err) != exitRefuse || !strings.Contains(err.Error(), "hint") {
		t.Errorf("exit code %d: %v", exitCode(err), err)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	s := start(t, testConfig(filepath.Join(t.TempDir(), "store")))
	defer stop(t, s)
	for path, want := range map[string]string{
		"/livez": `"status":"ok"`, "/readyz": `"status":"ok"`, "/metrics": "angarium_replica_applied_position{shard=\"0\"} 1",
	} {
		res, err := http.Get("http://" + s.addrs["http"].String() + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s: %d %s, %v", path, res.StatusCode, b, err)
		}
	}
}

func TestOneProcessHasTheDirectory(t *testing.T) {
	cfg := testConfig(filepath.Join(t.TempDir(), "store"))
	s := start(t, cfg)
	defer stop(t, s)
	if _, err := startServer(context.Background(), cfg); exitCode(err) != exitData {
		t.Errorf("exit code %d: %v", exitCode(err), err)
	}
}

func TestLogShowsEverything(t *testing.T) {
	s := start(t, testConfig(filepath.Join(t.TempDir(), "store")))
	defer stop(t, s)
	if _, err := s.node.AddAccount(context.Background(), "Ann", "secret"); err != nil {
		t.Fatal(err)
	}
	if err := deliver(t, s, "ann", "Subject: one\r\n\r\n1\r\n"); err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	s.node.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, control.PathLog, nil))
	var kinds []string
	for _, line := range strings.Split(strings.TrimSpace(rec.Body.String()), "\n") {
		var u control.Update
		var e control.LogEvent
		if err := json.Unmarshal([]byte(line), &u); err != nil {
			t.Fatal(err)
		}
		if u.Item != nil {
			if err := json.Unmarshal(u.Item, &e); err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, e.Kind+" "+e.Account)
		}
	}
	want := "EpochStarted , AccountCreated ann, MailboxCreated ann, BodyChunk , MessagesAppended ann"
	if got := strings.Join(kinds, ", "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if strings.Contains(rec.Body.String(), "StoredKey") || strings.Contains(strings.ToLower(rec.Body.String()), "storedkey") {
		t.Error("the log shows a credential")
	}
}
