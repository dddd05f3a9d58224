package replica

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/logtest"
	"angarium/eventlog/memlog"
	"angarium/internal/codec"
)

// mailLog makes a log of about so many events as a mail store has them: deliveries of bodies of 10 KiB on average into 500
// mailboxes, and a flag change or expunge now and then.
func mailLog(b *testing.B, events int) (*memlog.Log, eventlog.Position) {
	rnd := rand.New(rand.NewPCG(1, 2))
	log, builder := memlog.New(), logtest.Builder{}
	c, err := codec.New()
	if err != nil {
		b.Fatal(err)
	}
	write := func(entries []event.Entry) {
		after, payload := builder.Next(b, entries...)
		if err := <-log.Append(context.Background(), after, payload); err != nil {
			b.Fatal(err)
		}
	}
	meta := event.Meta{Time: 1709208000000000, Actor: "", Service: "lmtp", Session: "1a2b3c4d"}
	write([]event.Entry{{Meta: meta, Event: &event.EpochStarted{Epoch: 1, Node: "a"}}})
	const boxes = 500
	var next, modseq [boxes]uint32
	cred := event.Credential{Iterations: 4096, Salt: []byte("salt"), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
	name := func(i int) string { return fmt.Sprintf("user%03d@example.org", i) }
	id := func(i int) event.MailboxID { return event.MailboxID{1, byte(i >> 8), byte(i), 9} }
	for i := range boxes {
		write([]event.Entry{
			{Meta: meta, Event: &event.AccountCreated{Account: name(i), Credential: cred}},
			{Meta: meta, Event: &event.MailboxCreated{Account: name(i), Mailbox: id(i), Name: "INBOX", UIDValidity: 1709208000, Modseq: 1}},
		})
		next[i], modseq[i] = 1, 2
	}
	var entries []event.Entry
	for made := 3 * boxes; made < events; {
		i := rnd.IntN(boxes)
		add := func(ev event.Event) {
			entries = append(entries, event.Entry{Meta: meta, Event: ev})
			made++
		}
		guid, chunk := mailBody(b, c, rnd)
		add(chunk)
		add(&event.MessagesAppended{Account: name(i), Mailbox: id(i), Modseq: uint64(modseq[i]), Messages: []event.Message{{
			UID: next[i], GUID: guid, InternalDate: 1709208000, SaveDate: 1709208000,
		}}})
		next[i]++
		modseq[i]++
		if rnd.IntN(2) == 0 {
			add(&event.FlagsChanged{Account: name(i), Mailbox: id(i), Modseq: uint64(modseq[i]), Changes: []event.FlagChange{{
				UIDs: event.UIDsOf(next[i] - 1), Add: []string{`\Seen`},
			}}})
			modseq[i]++
		}
		if len(entries) >= 100 || made >= events {
			write(entries)
			entries = nil
		}
	}
	return log, builder.State.Position
}

var words = strings.Fields("the of and to in is you that it he was for on are as with his they at be this have from or had by hot word but what some we can out other were all there when up use your how said an each she which do their time if will way about many then them write would like so these her long make thing see him two has look more day could go come did number sound no most people my over know water than call first who may down side been now find")

// mailBody makes a body of text that compresses as text does, and the chunk that carries it.
func mailBody(b *testing.B, c *codec.Codec, rnd *rand.Rand) (event.GUID, *event.BodyChunk) {
	var text strings.Builder
	for size := int(rnd.ExpFloat64() * 10240); text.Len() < size+200; {
		if rnd.IntN(4) == 0 {
			fmt.Fprintf(&text, "%x ", rnd.Uint32())
		}
		text.WriteString(words[rnd.IntN(len(words))])
		text.WriteByte(" \n"[rnd.IntN(16)/15])
	}
	raw := []byte(text.String())
	enc, stored, err := c.Encode(codec.Zstd, raw)
	if err != nil {
		b.Fatal(err)
	}
	guid := event.GUID(sha256.Sum256(raw))
	return guid, &event.BodyChunk{
		GUID: guid, Size: uint64(len(raw)), Encoding: enc, Stored: uint64(len(stored)), Data: stored, Structure: raw[:200],
	}
}

// BenchmarkReplay applies a log of b.N events, from the bytes of its envelopes to a durable index on the machine's disk.
func BenchmarkReplay(b *testing.B) {
	log, end := mailLog(b, b.N)
	defer log.Close()
	r, err := Open(Options{Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	b.ResetTimer()
	begin := time.Now()
	go func() { done <- r.Run(ctx, log) }()
	if err := r.Wait(ctx, end); err != nil {
		b.Fatal(err)
	}
	if err := r.Flush(); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(r.Applied().NextIndex-1)/time.Since(begin).Seconds(), "events/s")
	size, _ := r.bodies.Size()
	b.SetBytes(int64(size) / int64(b.N))
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
}
