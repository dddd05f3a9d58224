package lmtpd_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"angarium/eventlog/event"
	"angarium/internal/codec"
	"angarium/lmtpd"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

func TestFiftyRecipientsShareOneBodyInARealStore(t *testing.T) {
	ctx := context.Background()
	env := storetest.New(t, 1, mailstore.Options{Encoding: codec.Zstd})
	var to []string
	for i := range 50 {
		name := fmt.Sprintf("user%d@example.org", i)
		env.Account(t, name)
		to = append(to, name)
	}
	if _, err := env.Store.CreateMailbox(ctx, storetest.User(to[0]), to[0], mailstore.NewMailbox{Name: "Lists/Go"}); err != nil {
		t.Fatal(err)
	}
	s := startReal(t, env.Store)
	nc, err := net.Dial("tcp", s)
	if err != nil {
		t.Fatal(err)
	}
	lmtp := smtp.NewClientLMTP(nc)
	defer lmtp.Close()
	body := "From: a@b.example\r\nSubject: x\r\n\r\n" + strings.Repeat("line\r\n", 5000)
	if err := lmtp.SendMail("a@b.example", to, strings.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	if err := lmtp.SendMail("", []string{"USER0+Lists/Go@example.org", "user1+none@example.org"}, strings.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	if err := lmtp.Rcpt("nobody@example.org", nil); err == nil {
		t.Error("an unknown recipient was accepted")
	}
	guids := map[event.GUID]int{}
	for _, where := range append([]string{"user0@example.org/Lists/Go", "user1@example.org/INBOX"}, to...) {
		account, mailbox, ok := strings.Cut(where, "/")
		if !ok {
			mailbox = "INBOX"
		}
		box, err := env.Store.Open(ctx, storetest.User(account), account, mailbox, true)
		if err != nil {
			t.Fatal(err)
		}
		for uid := uint32(1); ; uid++ {
			m, ok, err := box.Message(uid)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			guids[m.GUID]++
			raw, err := box.Body(m.GUID)
			if err != nil {
				t.Fatal(err)
			}
			if got := cutTrace(t, string(raw)); got != body {
				t.Errorf("%s: %d octets, want %d", where, len(got), len(body))
			}
		}
		box.Close()
	}
	if len(guids) != 2 {
		t.Errorf("%d bodies, want 2: %v", len(guids), guids)
	}
}

// startReal runs a server over a real store and returns its address.
func startReal(t testing.TB, store lmtpd.Store) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := lmtpd.New(lmtpd.Options{
		Store: store, Hostname: "mx.example.org", DefaultDomain: "example.org", RecipientDelimiter: "+",
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return testTime },
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}
