package transfer_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/replica/state"
	"angarium/transfer"
)

var admin = mailstore.Identity{Account: "root", Service: "syncctl", Admin: true}

func newStore(t testing.TB) *storetest.Env {
	t.Helper()
	env := storetest.New(t, 1, mailstore.Options{
		MaxMessage:       1 << 20,
		DefaultMailboxes: []mailstore.NewMailbox{{Name: "Sent", SpecialUse: []string{`\Sent`}, Subscribe: true}},
	})
	env.Account(t, "ann")
	return env
}

// look shows a mailbox: its numbers, and a line for each message.
func look(t testing.TB, s *mailstore.Store, account, name string) (row *state.Mailbox, lines []string) {
	t.Helper()
	b, err := s.Open(context.Background(), admin, account, name, true)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	snap := b.Snapshot()
	err = b.Messages(1, 1<<32-1, func(m state.Message) (bool, error) {
		live, _ := snap.List.Get(m.UID)
		flags := live.Flags.Names(snap.Mailbox.Keywords)
		slices.Sort(flags)
		raw, err := b.Body(m.GUID)
		lines = append(lines, fmt.Sprintf("%d %d %v %q", m.UID, m.InternalDate, flags, raw))
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return snap.Mailbox, lines
}

func run(t testing.TB, s *mailstore.Store, src transfer.Source, opts transfer.Options) *transfer.Report {
	t.Helper()
	defer src.Close()
	if opts.Account == "" {
		opts.Account = "ann"
	}
	rep, err := transfer.Import(context.Background(), s, admin, src, opts)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func write(t testing.TB, text string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// letter writes a message of a Maildir.
func letter(t testing.TB, dir, name, subject string, at int64) {
	t.Helper()
	write(t, "Subject: "+subject+"\n\nhello\n", dir, name)
	when := time.Unix(at, 0)
	if err := os.Chtimes(filepath.Join(dir, name), when, when); err != nil {
		t.Fatal(err)
	}
}

// memServer is another IMAP server.
type memServer struct {
	addr string
	user *imapmemserver.User
}

func newMemServer(t testing.TB) *memServer {
	t.Helper()
	mem := imapmemserver.New()
	user := imapmemserver.NewUser("bob", "secret")
	mem.AddUser(user)
	if err := user.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	srv := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return mem.NewSession(), nil, nil
		},
		Caps: imap.CapSet{imap.CapIMAP4rev1: {}}, InsecureAuth: true,
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return &memServer{l.Addr().String(), user}
}

type literal struct{ *strings.Reader }

func (l literal) Size() int64 { return l.Reader.Size() }

func (m *memServer) append(t testing.TB, folder, text string, at int64, flags ...imap.Flag) {
	t.Helper()
	_, err := m.user.Append(folder, literal{strings.NewReader(text)}, &imap.AppendOptions{Time: time.Unix(at, 0), Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
}

func (m *memServer) open(t testing.TB) *transfer.IMAP {
	t.Helper()
	src, err := transfer.OpenIMAP(context.Background(), transfer.IMAPOptions{
		Address: m.addr, TLS: transfer.Plaintext, User: "bob", Password: "secret", MaxMessage: 1 << 20, Pause: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return src
}
