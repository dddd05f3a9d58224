package imapd

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"angarium/internal/auth"
)

// script is a connection whose client says what was written down beforehand and then goes.
type script struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (s *script) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// runScript runs a session of a server on its own, and returns what it said.
func runScript(t testing.TB, srv *Server, input string, account string) string {
	t.Helper()
	conn := &script{in: bytes.NewReader([]byte(input))}
	s := newSession(srv, newConn(conn, &srv.opts.Hooks), netip.Addr{}, false)
	if account != "" {
		if err := s.loggedInAs(auth.Identity{Account: account, Authenticated: account}, "test"); err != nil {
			t.Fatal(err)
		}
	}
	s.serve(context.Background())
	return conn.out.String()
}

// errorLog keeps what is logged as an error.
type errorLog struct {
	mu   sync.Mutex
	said strings.Builder
}

func (l *errorLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.Write(p)
}

func (l *errorLog) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.said.Reset()
	return l.said.String()
}

// response is what a line of a server can look like.
var response = regexp.MustCompile(`^(\* .+|\+ .*|[!-~]+ (OK|NO|BAD) .+)$`)

// splitResponses cuts what a server said into responses, with their literals in them.
func splitResponses(t *testing.T, out string) []string {
	t.Helper()
	var list []string
	var current strings.Builder
	for out != "" {
		line, rest, ok := strings.Cut(out, "\r\n")
		if !ok {
			t.Fatalf("output ends within a line: %q", out)
		}
		out = rest
		current.WriteString(line)
		if size, ok := literalSize(line); ok {
			if int64(len(out)) < size {
				t.Fatalf("output ends within a literal: %q", line)
			}
			current.WriteString(strings.Repeat(".", int(size)))
			out = out[size:]
			continue
		}
		list = append(list, current.String())
		current.Reset()
	}
	return list
}

// checkSession wants well-formed responses, and one answer to each line where it is plain what a command is.
func checkSession(t *testing.T, input, out string) {
	t.Helper()
	answers, bye := 0, false
	for _, r := range splitResponses(t, out)[1:] {
		if !response.MatchString(r) {
			t.Fatalf("response %q", r)
		}
		switch {
		case strings.HasPrefix(r, "* BYE"):
			bye = true
		case strings.HasPrefix(r, "* BAD"), r[0] != '*' && r[0] != '+':
			answers++
		}
	}
	upper := strings.ToUpper(input)
	if bye || strings.ContainsAny(input, "{") || strings.Contains(upper, "IDLE") || strings.Contains(upper, "AUTHENTICATE") {
		return
	}
	if lines := strings.Count(input, "\n"); answers != lines {
		t.Fatalf("%d answers to %d lines:\n%q\n%q", answers, lines, input, out)
	}
}

func FuzzSession(f *testing.F) {
	log := &errorLog{}
	ts := newTestServer(f, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))
		o.Limits.LoginFailures, o.Limits.BadCommands = 1000, 1000
		o.Limits.SessionsPerAccount = 1 << 20
	})
	mail := literal("From: a@example.com\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n")
	for _, seed := range []string{
		"a CAPABILITY\r\nb ID NIL\r\nc ID (\"name\" \"x\")\r\nd NOOP\r\n",
		"a LOGIN ann \"secret word\"\r\nb ENABLE QRESYNC IMAP4rev2\r\nc LOGOUT\r\n",
		"a LOGIN {3}\r\nann {11+}\r\nsecret word\r\n",
		"a AUTHENTICATE PLAIN\r\nAGFubgBzZWNyZXQgd29yZA==\r\nb AUTHENTICATE PLAIN =\r\n*\r\n",
		"a APPEND INBOX (\\Seen x) \"01-Jan-2020 00:00:00 +0000\" " + mail + " ~" + mail + "\r\nb SELECT INBOX (CONDSTORE)\r\nc CHECK\r\n",
		"a SELECT INBOX\r\nb FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE BODY[1]<0.10> BINARY.SIZE[1] RFC822)\r\nc UID STORE 1 +FLAGS.SILENT (\\Deleted)\r\n",
		"a SELECT INBOX\r\nb SEARCH RETURN (SAVE MIN COUNT) OR SUBJECT \"x\" NOT (SINCE 1-Jan-2020 KEYWORD y)\r\nc COPY $ Sent\r\nd UID MOVE 1:* Sent\r\ne CLOSE\r\n",
		"a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% \"a*\") RETURN (STATUS (MESSAGES SIZE))\r\nb LSUB \"\" *\r\nc LIST \"\" \"\"\r\n",
		"a CREATE a/b (USE (\\Junk))\r\nb RENAME a c\r\nc SUBSCRIBE c/b\r\nd STATUS c/b (UIDNEXT HIGHESTMODSEQ)\r\ne DELETE c/b\r\nf UNSUBSCRIBE c/b\r\n",
		"a IDLE\r\nDONE\r\nb IDLE\r\nx\r\nc NAMESPACE\r\nd UNSELECT\r\ne EXPUNGE\r\n",
		"a SELECT INBOX\r\nb NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[]<0.9>) MessageExpunge FlagChange)) (subtree (a b) (MailboxName)) (subscribed NONE)\r\n" +
			"c CREATE a/x\r\nd COPY 1:* INBOX\r\ne EXPUNGE\r\nf NOTIFY NONE\r\ng NOTIFY SET (inboxes (x))\r\n",
		"a STARTTLS\r\nb NOOP\r\n",
		"a FETCH ((((\r\n\r\n \r\n* x\r\na {3+}\r\nabc\r\na \"{3+}\r\n",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, input []byte, login bool) {
		account := ""
		if login {
			account = "ann"
		}
		out := runScript(t, ts.Server, string(input), account)
		if said := log.take(); said != "" {
			t.Fatalf("%s\nafter %q", said, input)
		}
		checkSession(t, string(input), out)
	})
}
