package bus_test

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"angarium/notify/bus"
)

// usual is the JSON of a delivery, all but its place.
const usual = `{"event":"MessageNew","schema":1,"timestamp":"2024-02-29T12:00:04.123Z","service":"lmtp","user":"anna.b@example.org",` +
	`"uri":"imap://anna.b%%40example.org@mail.example.org/INBOX;UIDVALIDITY=1709208002/;UID=%[1]d","shard":0,"position":%[1]d,"index":0,` +
	`"mailboxUniqueId":"5f0c1a52e7b34d6c9a0e8f7b6c5d4e3f","uidset":"%[1]d","modseq":%[1]d,"uidnext":1000001,"messages":1000000,"vnd.cmu.unseenMessages":1,` +
	`"messageSize":10240,"vnd.cmu.emailid":"Mbb185403f71da1b3c655f780","vnd.cmu.envelope":"(\"Thu, 29 Feb 2024 12:00:00 +0000\" \"Lunch\" ` +
	`((\"Bert\" NIL \"bert\" \"example.org\")) NIL NIL ((NIL NIL \"anna\" \"example.org\")) NIL NIL NIL \"<m1@example.org>\")",` +
	`"bodyStructure":"(\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 10240 132 NIL NIL NIL NIL)","vnd.cmu.midset":["<m1@example.org>"],` +
	`"vnd.cmu.sessionId":"EN7XOHCPZYOO","clientIP":"127.0.0.1"}`

// BenchmarkReplay has a consumer with credentials of its own read a stream from its beginning, over TCP. b.N is how many events there are:
//
//	go test -run xxx -bench Replay -benchtime 1000000x -count 5 ./notify/bus
func BenchmarkReplay(b *testing.B) {
	s := &site{dir: b.TempDir()}
	keys, err := bus.OpenKeys(filepath.Join(s.dir, "keys.json"))
	must(b, err)
	s.keys = keys
	ctx := context.Background()
	s.server, err = bus.StartServer(ctx, bus.ServerOptions{
		Dir: filepath.Join(s.dir, "store"), Keys: keys, Listen: "127.0.0.1:0", Limits: bus.Limits{MaxBytes: -1},
	})
	must(b, err)
	b.Cleanup(s.stop)
	s.fill(b, b.N)
	js, err := jetstream.New(s.connect(b, s.consumer(b, "audit", "")))
	must(b, err)
	c, err := js.OrderedConsumer(ctx, bus.StreamName, jetstream.OrderedConsumerConfig{})
	must(b, err)
	done, seen := make(chan struct{}), 0
	before := processorTime(b)
	b.ResetTimer()
	reading, err := c.Consume(func(m jetstream.Msg) {
		if seen++; seen == b.N {
			close(done)
		}
	}, jetstream.PullMaxMessages(10_000))
	must(b, err)
	select {
	case <-done:
	case <-time.After(10 * time.Minute):
		b.Fatal("not all comes")
	}
	b.StopTimer()
	reading.Stop()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op") // of both sides
}

// processorTime is what this process has used of the processors.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fill publishes usual events. The last of every thousand is waited for, which says that all before it are stored.
func (s *site) fill(b *testing.B, n int) {
	b.Helper()
	nc, err := s.server.Connect()
	must(b, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	must(b, err)
	subject := "mail.notify.anna=2Eb@example=2Eorg.MessageNew"
	for i := 1; i <= n; i++ {
		m := &nats.Msg{Subject: subject, Data: fmt.Appendf(nil, usual, i), Header: nats.Header{jetstream.MsgIDHeader: {fmt.Sprintf("0:%d:0", i)}}}
		if i%1000 != 0 && i != n {
			must(b, nc.PublishMsg(m))
			continue
		}
		ack, err := js.PublishMsg(context.Background(), m)
		must(b, err)
		if ack.Sequence != uint64(i) {
			b.Fatalf("event %d is message %d", i, ack.Sequence)
		}
	}
}
