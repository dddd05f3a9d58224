package bus_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"angarium/notify"
	"angarium/notify/bus"
	"angarium/notify/notifytest"
)

// mail makes some events of accounts, and gives the feeds.
func mail(t testing.TB, accounts ...string) (*notifytest.Env, []*notify.Feed) {
	t.Helper()
	env := notifytest.New(t, 1)
	feeds := env.Feeds(t)
	for _, a := range accounts {
		env.Account(t, a)
	}
	for range 3 {
		for _, a := range accounts {
			env.Append(t, a, "INBOX", "Subject: of "+a+"\r\n\r\n")
		}
	}
	return env, feeds
}

// ids gives the ids of all events of an account that the log gives rise to; of all when account is "".
func ids(t testing.TB, env *notifytest.Env, feeds []*notify.Feed, account string) []string {
	t.Helper()
	env.Settle(t)
	var list []string
	for i, f := range feeds {
		head, err := env.Logs[i].Head(context.Background())
		must(t, err)
		c := f.Cursor(notify.Place{})
		for at := (notify.Place{}); at.Position <= head.Last; {
			b, err := c.Next(context.Background())
			must(t, err)
			for _, e := range b.Events {
				if account == "" || e.User == account {
					list = append(list, e.ID())
				}
			}
			at = b.Next
		}
		c.Close()
	}
	return list
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

func TestConsumersReadWhatIsTheirs(t *testing.T) {
	s := newSite(t)
	before := s.consumer(t, "anna-push", "anna.b@example.org")
	env, feeds := mail(t, "anna.b@example.org", "bert")
	run(t, s.publisher(t), feeds)
	after := s.consumer(t, "bert-push", "bert") // made when there are events already
	all := s.consumer(t, "audit", "")

	everything := ids(t, env, feeds, "")
	for _, c := range []struct {
		creds, account string
	}{{all, ""}, {before, "anna.b@example.org"}, {after, "bert"}} {
		want := everything
		if c.account != "" {
			want = ids(t, env, feeds, c.account)
		}
		nc := s.connect(t, c.creds)
		same(t, "events of "+c.account, read(t, nc, "mail.notify.>", want[len(want)-1]), want)
	}
}

func TestCredentialsOpenNothingElse(t *testing.T) {
	s := newSite(t)
	anna := s.connect(t, s.consumer(t, "anna", "anna"))
	audit := s.connect(t, s.consumer(t, "audit", ""))
	bert := s.connect(t, s.consumer(t, "bert", "bert"))
	env, feeds := mail(t, "anna", "bert")
	run(t, s.publisher(t), feeds)
	want := ids(t, env, feeds, "bert")
	read(t, bert, "mail.notify.bert.>", want[len(want)-1]) // so that there is something to be seen

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	js, err := jetstream.New(anna)
	must(t, err)
	stream, err := js.Stream(ctx, bus.StreamName)
	must(t, err)
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(">"))
	must(t, err)
	for subject := range info.State.Subjects {
		if !strings.HasPrefix(subject, "mail.notify.anna.") {
			t.Errorf("anna's credentials see %s", subject)
		}
	}
	if c, err := js.CreateConsumer(ctx, bus.StreamName, jetstream.ConsumerConfig{FilterSubject: "mail.notify.bert.>"}); err == nil && c.CachedInfo().NumPending > 0 {
		t.Error("anna's credentials made a consumer with bert's events")
	}
	if m, err := stream.GetLastMsgForSubject(ctx, "mail.notify.bert.>"); err == nil {
		t.Errorf("anna's credentials read %s", m.Subject)
	}

	for name, nc := range map[string]*nats.Conn{"anna": anna, "audit": audit} {
		for _, subject := range []string{
			"mail.notify.anna.MessageNew", "mail.session.anna.Login", "notify.deliver.anna.x", "notify.api.CONSUMER.CREATE.MAIL_NOTIFY.x.mail.notify.anna.>",
			"$JS.API.STREAM.CREATE.LOG_0", "$JS.API.STREAM.INFO.LOG_0", "$JS.API.STREAM.DELETE.MAIL_NOTIFY", "$JS.API.STREAM.PURGE.MAIL_NOTIFY",
			"$JS.API.STREAM.UPDATE.MAIL_NOTIFY", "$JS.API.STREAM.MSG.DELETE.MAIL_NOTIFY", "$JS.API.STREAM.MSG.GET.LOG_0", "angarium.log.0",
			"$JS.API.STREAM.SNAPSHOT.MAIL_NOTIFY", "$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.PING.CONNZ", "anything",
		} {
			deniedPublish(t, name, nc, subject)
		}
		for _, subject := range []string{"notify.>", "mail.session.bert.>", "$JS.API.>", "$SYS.>", ">"} {
			if name == "audit" && strings.HasPrefix(subject, "mail.") {
				continue
			}
			deniedSubscription(t, name, nc, subject)
		}
	}
	deniedSubscription(t, "anna", anna, "mail.notify.>")
}

// deniedPublish publishes, and waits for the server's word that it is not allowed.
func deniedPublish(t testing.TB, name string, nc *nats.Conn, subject string) {
	t.Helper()
	denied := make(chan error, 8)
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err })
	must(t, nc.Publish(subject, []byte("{}")))
	must(t, nc.Flush())
	expectDenied(t, name+" may publish to "+subject, denied)
}

func deniedSubscription(t testing.TB, name string, nc *nats.Conn, subject string) {
	t.Helper()
	denied := make(chan error, 8)
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err })
	sub, err := nc.SubscribeSync(subject)
	must(t, err)
	must(t, nc.Flush())
	expectDenied(t, name+" may subscribe to "+subject, denied)
	_ = sub.Unsubscribe() // the server has done so
}

func expectDenied(t testing.TB, what string, denied <-chan error) {
	t.Helper()
	select {
	case err := <-denied:
		if !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(patience):
		t.Error(what)
	}
}

// A push consumer lets its maker choose the subject that the server publishes to.
func TestDeliverSubjectsReachNothing(t *testing.T) {
	s := newSite(t)
	env, feeds := mail(t, "anna", "bert")
	run(t, s.publisher(t), feeds)
	want := ids(t, env, feeds, "")
	audit := s.connect(t, s.consumer(t, "audit", ""))
	read(t, audit, "mail.notify.>", want[len(want)-1])
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	anna := s.connect(t, s.consumer(t, "anna", "anna"))
	for name, nc := range map[string]*nats.Conn{"audit": audit, "anna": anna} {
		for i, subject := range []string{
			"$JS.API.STREAM.PURGE.MAIL_NOTIFY", "$JS.API.STREAM.DELETE.MAIL_NOTIFY", "mail.notify.bert.MessageNew", "mail.session.bert.Login",
		} {
			request := `{"stream_name":"MAIL_NOTIFY","config":{"durable_name":"d","deliver_subject":"` + subject + `","ack_policy":"none","deliver_policy":"all"}}`
			request = strings.Replace(request, `"d"`, `"`+name+string(rune('a'+i))+`"`, 1)
			_, err := nc.RequestWithContext(ctx, "$JS.API.CONSUMER.DURABLE.CREATE.MAIL_NOTIFY."+name+string(rune('a'+i)), []byte(request))
			must(t, err)
		}
	}
	bert := s.connect(t, s.consumer(t, "bert", "bert"))
	own := ids(t, env, feeds, "bert")
	same(t, "bert's events", read(t, bert, "mail.notify.>", own[len(own)-1]), own)
	env.Append(t, "bert", "INBOX", "Subject: one more\r\n\r\n")
	want = ids(t, env, feeds, "")
	same(t, "all events", read(t, audit, "mail.notify.>", want[len(want)-1]), want)
}

func TestRemovedConsumersAreShutOut(t *testing.T) {
	s := newSite(t)
	creds := map[string]string{"anna": s.consumer(t, "anna", "anna"), "audit": s.consumer(t, "audit", "")}
	for name, path := range creds {
		closed := make(chan struct{})
		nc, err := nats.Connect("nats://"+s.server.Addr(), nats.UserCredentials(path), nats.MaxReconnects(3), nats.ReconnectWait(10*time.Millisecond),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
		must(t, err)
		must(t, s.keys.Remove(name, time.Now()))
		select {
		case <-closed:
		case <-time.After(patience):
			t.Errorf("%s goes on", name)
		}
		nc.Close()
	}
	s.stop()
	s.start(t)
	for name, path := range creds {
		if nc, err := nats.Connect("nats://"+s.server.Addr(), nats.UserCredentials(path)); err == nil {
			nc.Close()
			t.Errorf("%s comes in after a restart", name)
		}
	}
	if err := s.keys.Remove("anna", time.Now()); !errors.Is(err, bus.ErrNoConsumer) {
		t.Errorf("a second removal: %v", err)
	}
}

func TestKeysOutliveARestart(t *testing.T) {
	s := newSite(t)
	creds := s.consumer(t, "anna", "anna")
	if _, err := s.keys.Add("anna", "bert", time.Now()); !errors.Is(err, bus.ErrConsumerExists) {
		t.Errorf("a second consumer of that name: %v", err)
	}
	if _, err := s.keys.Add("a b", "bert", time.Now()); !errors.Is(err, bus.ErrConsumerName) {
		t.Errorf("a bad name: %v", err)
	}
	s.stop()
	s.start(t)
	s.connect(t, creds)
	if list := s.keys.Consumers(); len(list) != 1 || list[0].Name != "anna" || list[0].Account != "anna" {
		t.Errorf("consumers: %v", list)
	}
	info, err := os.Stat(s.dir + "/keys.json")
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("keys have mode %v", info.Mode())
	}
}

func TestSessionsReachWhoListens(t *testing.T) {
	s := newSite(t)
	_, feeds := mail(t, "anna")
	p := s.publisher(t)
	run(t, p, feeds)
	n, err := notify.New(notify.Options{Shards: 1, Sinks: []notify.Sink{p}, Host: notifytest.Host})
	must(t, err)
	for _, creds := range []string{s.consumer(t, "anna", "anna"), s.consumer(t, "audit", "")} {
		nc := s.connect(t, creds)
		sub, err := nc.SubscribeSync("mail.session.anna.>")
		must(t, err)
		must(t, nc.Flush())
		n.Login(notify.SessionInfo{Account: "anna", Service: "imap", Session: "7f3c", Client: "192.0.2.7:51234", Time: notifytest.Start})
		msg, err := sub.NextMsg(patience)
		must(t, err)
		if msg.Subject != "mail.session.anna.Login" || !strings.Contains(string(msg.Data), `"clientIP":"192.0.2.7"`) {
			t.Errorf("%s: %s", msg.Subject, msg.Data)
		}
	}
}
