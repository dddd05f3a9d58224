package notify

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// inbox is a consumer that wants the events of one account.
type inbox struct {
	account string
	creds   string
	filter  []string // none where the credential opens nothing else

	mu     sync.Mutex
	events []event
}

// open connects the consumer. Its events are collected until the connection is closed.
func (c *inbox) open(t *testing.T, s *site) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	js, err := jetstream.New(s.connect(c.creds, nats.Timeout(patience)), jetstream.WithDefaultTimeout(patience))
	must(t, err)
	consumer, err := js.OrderedConsumer(ctx, "MAIL_NOTIFY", jetstream.OrderedConsumerConfig{FilterSubjects: c.filter})
	must(t, err)
	reading, err := consumer.Consume(func(m jetstream.Msg) {
		e := decode(t, m.Data())
		c.mu.Lock()
		defer c.mu.Unlock()
		c.events = append(c.events, e)
	}, jetstream.PullMaxMessages(100))
	must(t, err)
	t.Cleanup(reading.Stop)
}

func (c *inbox) got() []event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]event(nil), c.events...)
}

// consumers is how many of them there are: NOTIFY_CONSUMERS, or a few.
func consumers(t *testing.T) int {
	t.Helper()
	text := os.Getenv("NOTIFY_CONSUMERS")
	if text == "" {
		return 30
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

func TestManyConsumersEachGetTheEventsOfTheirAccount(t *testing.T) {
	n := consumers(t)
	to := accounts(n)
	s := newSite(t, "", to...)
	all := s.consumer("all")
	const each = 4 // messages
	deliver := func() (cpu, took time.Duration) {
		before := s.cpu()
		took = s.deliverAll(each*n/10, 4, 10, 0, to, func(string) {})
		s.settle("jetstream")
		return s.cpu() - before, took
	}
	alone, aloneTook := deliver()
	before := s.cpu()
	began := time.Now()
	list := make([]*inbox, n)
	for i, a := range to {
		c := &inbox{account: a}
		if i%2 == 0 {
			c.creds = s.consumer(fmt.Sprintf("own%d", i), "--account", a)
		} else {
			c.creds = all
			c.filter = []string{"mail.notify." + strings.ReplaceAll(a, ".", "=2E") + ".>"}
		}
		list[i] = c
		c.open(t, s)
	}
	t.Logf("%d consumers connected in %v; server CPU %v", n, time.Since(began).Round(time.Millisecond), s.cpu()-before)
	began = time.Now()
	shared, sharedTook := deliver()
	want := map[string][]event{}
	for _, e := range s.history() {
		want[e.User] = append(want[e.User], e)
	}
	for _, c := range list {
		await(t, "the events of "+c.account+" do not come", func() bool { return len(c.got()) >= len(want[c.account]) })
	}
	t.Logf("all have what is theirs %v after the first delivery", time.Since(began).Round(time.Millisecond))
	for _, c := range list {
		if diff := cmp.Diff(want[c.account], c.got()); diff != "" || len(c.got()) < 2*each {
			t.Errorf("%s (-log +consumer): %s", c.account, diff)
		}
	}
	per := func(cpu time.Duration) time.Duration { return cpu / time.Duration(each*n) }
	t.Logf("%d deliveries without consumers: %v, server CPU %v each; with them: %v, %v each", each*n, aloneTook.Round(time.Millisecond), per(alone), sharedTook.Round(time.Millisecond), per(shared))
}
