package notify_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/notify"
	"angarium/notify/notifytest"
)

func TestHostileMessagesAreToldOf(t *testing.T) {
	schema := loadSchema(t)
	var many strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&many, "someone%d@example.org,\r\n ", i)
	}
	for name, c := range map[string]struct {
		raw      string
		degraded []string
	}{
		"empty":              {"", nil},
		"no header":          {"\r\nhello", nil},
		"8-bit header":       {"Subject: gr\xfc\xdfe\r\nMessage-ID: <a@b>\r\n\r\n", []string{"vnd.cmu.envelope"}},
		"8-bit Message-ID":   {"Message-ID: <\xff\xfe@b>\r\n\r\n", []string{"vnd.cmu.envelope", "vnd.cmu.midset"}},
		"NUL bytes":          {"Subject: a\x00b\r\nMessage-ID: <a\x00@b>\r\n\r\n\x00", nil},
		"many addresses":     {"To: " + many.String() + "x@example.org\r\n\r\n", []string{"vnd.cmu.envelope", "bodyStructure"}},
		"long Message-ID":    {"Message-ID: <" + strings.Repeat("a", 5000) + "@b>\r\n\r\n", []string{"vnd.cmu.midset"}},
		"8-bit content type": {"Content-Type: text/plain; name=\"\xfc\"\r\n\r\n", []string{"bodyStructure"}},
		"many parts":         {"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + strings.Repeat("--x\r\n\r\na\r\n", 5000), []string{"bodyStructure"}},
		"deep parts":         {deep(200), []string{"vnd.cmu.envelope", "bodyStructure"}},
		"only line ends":     {strings.Repeat("\n", 1000), nil},
	} {
		t.Run(name, func(t *testing.T) {
			env := notifytest.New(t, 1)
			feed := env.Feeds(t)[0]
			env.Account(t, "anna")
			deliver(t, env, c.raw, "anna")
			settled(t, env, feed)
			events := readAll(t, feed, notify.Place{})
			e := events[len(events)-1]
			if e.Event != notify.MessageNew || e.MessageSize != uint64(len(c.raw)) || len(e.JSON()) > 200<<10 || !utf8.Valid(e.JSON()) {
				t.Errorf("%s of %d bytes, in %d bytes of JSON", e.Event, e.MessageSize, len(e.JSON()))
			}
			schema.check(t, e.JSON())
			for _, mode := range []notify.ContentMode{notify.ContentHeader, notify.ContentBody, notify.ContentHeaderBody, notify.ContentMessage} {
				filter := notify.Filter{Content: mode, ContentBytes: notify.MaxContentBytes}
				schema.check(t, filter.Sieve().Apply(e, feed.ReadBody).JSON())
			}
			if d := cmp.Diff(c.degraded, e.Degraded); d != "" {
				t.Errorf("degraded (-want +got):\n%s", d)
			}
		})
	}
}

func deep(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	return b.String()
}

func TestScatteredSetsBecomeSeveralEvents(t *testing.T) {
	env := notifytest.New(t, 1)
	feed := env.Feeds(t)[0]
	env.Account(t, "anna")
	b, err := env.Store.Prepare([]byte(letter))
	must(t, err)
	msgs := make([]mailstore.NewMessage, 2500)
	for i := range msgs {
		msgs[i].Body = b
	}
	ctx := context.Background()
	_, err = env.Store.Append(ctx, imap("anna"), "anna", "INBOX", msgs)
	must(t, err)
	_, err = env.Store.CreateMailbox(ctx, imap("anna"), "anna", mailstore.NewMailbox{Name: "Archive"})
	must(t, err)
	box, err := env.Store.Open(ctx, imap("anna"), "anna", "INBOX", false)
	must(t, err)
	defer box.Close()
	var odd event.UIDSet
	for uid := uint32(1); uid <= 2500; uid += 2 {
		odd = odd.Add(uid)
	}
	_, err = box.Move(ctx, odd, "Archive")
	must(t, err)
	settled(t, env, feed)
	events := readAll(t, feed, notify.Place{})
	moves := events[len(events)-2:]
	if moves[0].UIDSet != "1:1024" || moves[1].UIDSet != "1025:1250" || moves[1].Index != 1 {
		t.Errorf("moved to %s and %s", moves[0].UIDSet, moves[1].UIDSet)
	}
	if got := moves[0].OldUIDSet + "," + moves[1].OldUIDSet; got != odd.String() {
		t.Errorf("moved from %s", got)
	}
	schema := loadSchema(t)
	for _, e := range moves {
		schema.check(t, e.JSON())
	}
}

func FuzzAccountToken(f *testing.F) {
	for _, s := range []string{"anna", "anna.b@example.org", "a*b>c d", "=2E", "ü\xff", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, account string) {
		token := notify.AccountToken(account)
		if strings.ContainsAny(token, ".*> \t\r\n\x00") {
			t.Errorf("token %q", token)
		}
		got, err := notify.AccountOf(token)
		if account == "" {
			if err == nil {
				t.Error("an empty token is read")
			}
			return
		}
		if err != nil || got != account {
			t.Errorf("AccountOf(%q) = %q, %v; want %q", token, got, err, account)
		}
		if again, err := notify.AccountOf(account); err == nil && notify.AccountToken(again) != account {
			t.Errorf("%q is a second token of %q", account, again)
		}
	})
}
