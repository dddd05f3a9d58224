// Command push tells a push gateway of new mail: it follows MessageNew with a durable consumer, and posts {"user", "mailbox", "unseen", "id"} for each message.
// It acknowledges an event when the gateway has taken it. What the gateway does not take comes again; what is older than -max-age is of no use any more.
//
//	push -nats nats://HOST:PORT -creds NAME.creds -gateway URL
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// event is what is of interest of an event.
type event struct {
	Timestamp time.Time `json:"timestamp"`
	User      string    `json:"user"`
	URI       string    `json:"uri"`
	Mailbox   string    `json:"mailboxUniqueId"`
	Unseen    int       `json:"vnd.cmu.unseenMessages"`
}

type push struct {
	ID      string `json:"id"` // the same when a push is repeated
	User    string `json:"user"`
	Mailbox string `json:"mailbox"`
	Unseen  int    `json:"unseen"`
}

type options struct {
	url, creds, gateway, name string
	maxAge                    time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.url, "nats", "nats://127.0.0.1:4222", "address of the server of events")
	flag.StringVar(&o.creds, "creds", "", "credentials, as syncctl consumer add prints them")
	flag.StringVar(&o.gateway, "gateway", "", "URL that pushes are posted to")
	flag.StringVar(&o.name, "name", "push", "name of the durable consumer")
	flag.DurationVar(&o.maxAge, "max-age", time.Hour, "age at which a push is of no use any more")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run(ctx context.Context, o options) error {
	nc, err := nats.Connect(o.url, nats.UserCredentials(o.creds), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", o.url, err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, "MAIL_NOTIFY", jetstream.ConsumerConfig{
		Durable: o.name, FilterSubject: "mail.notify.*.MessageNew", AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: 30 * time.Second, MaxAckPending: 100,
	})
	if err != nil {
		return fmt.Errorf("make consumer %s: %w", o.name, err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		if err := handle(ctx, o, msg); err != nil {
			log.Printf("%s: %v", msg.Headers().Get("Nats-Msg-Id"), err)
			if err := msg.NakWithDelay(time.Second); err != nil {
				return err
			}
			continue
		}
		if err := msg.Ack(); err != nil {
			return err
		}
	}
}

func handle(ctx context.Context, o options, msg jetstream.Msg) error {
	var e event
	if err := json.Unmarshal(msg.Data(), &e); err != nil {
		return fmt.Errorf("not an event: %w", err)
	}
	if time.Since(e.Timestamp) > o.maxAge {
		return nil
	}
	body, err := json.Marshal(push{ID: msg.Headers().Get("Nats-Msg-Id"), User: e.User, Mailbox: e.Mailbox, Unseen: e.Unseen})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.gateway, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the gateway says %s", resp.Status)
	}
	return nil
}
