package bus

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"angarium/notify"
)

// run is publishing behind a known end of the stream. It is for one goroutine.
type run struct {
	*Publisher
	nc      *nats.Conn
	js      jetstream.JetStream
	limit   int    // bytes of a message
	id      string // of this run, in its messages
	began   uint64 // where the stream ended then
	seq     uint64 // of the message that was sent last
	flights []flight
	bytes   int // of flights
	saved   saved
	savedAt time.Time
	dirty   bool // saved is not what is in the file
}

// flight is messages of one shard that one acknowledgement is awaited for: that of the last one.
type flight struct {
	future jetstream.PubAckFuture // nil: there are no messages, the filter wanted none
	seq    uint64                 // that the last one has to get
	bytes  int
	events int
	shard  int
	next   notify.Place
	time   time.Time
}

// saved is the durable position: where the stream ended when it was known last, and which events were done with then.
type saved struct {
	Format int                  `json:"format"`
	Made   time.Time            `json:"made"` // when the stream was made
	Seq    uint64               `json:"seq"`
	Run    string               `json:"run"` // that published the message at Seq; "" for none
	Shards map[int]notify.Place `json:"shards"`
}

const savedFormat = 1

// headerRun names the run that published a message. A stream that a power cut took back is filled again by another run, in another order of the shards:
// so it shows that a saved position is of a stream that was.
const headerRun = "Angarium-Run"

// publish finds the end of the stream and publishes what comes behind it, until ctx ends or something goes wrong.
func (p *Publisher) publish(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, feeds []*notify.Feed) error {
	r := &run{Publisher: p, id: nuid.Next(), nc: nc, js: js, limit: int(nc.MaxPayload()) - headroom}
	places, err := r.resume(ctx, feeds)
	if err != nil {
		return err
	}
	p.progress.State(notify.SinkFollowing, nil)
	m := notify.Merge(ctx, feeds, func(shard int) notify.Place { return places[shard] }, 0, p.opts.Logger.With("sink", p.opts.Name))
	defer m.Close()
	defer func() { // what is acknowledged by now need not be looked up at the next start
		if err := r.save(); err != nil {
			p.opts.Logger.Warn("position not saved", "sink", p.opts.Name, "error", err)
		}
	}()
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	closed := nc.StatusChanged(nats.CLOSED)
	defer nc.RemoveStatusListener(closed)
	for {
		ok, failed := r.answer()
		select {
		case item := <-m.C():
			p.progress.Lose(item.Lost)
			err = r.send(ctx, item)
		case ack := <-ok:
			err = r.acknowledged(ack)
		case err = <-failed:
			err = fmt.Errorf("publish events: %w", err)
		case e := <-p.sessions:
			if err := nc.Publish(e.Subject(), e.JSON()); err != nil {
				p.opts.Logger.Debug("event of a session not sent", "error", err) // best effort
			}
		case <-ticker.C:
			if r.dirty && time.Since(r.savedAt) >= saveEvery {
				err = r.save()
			}
		case <-closed:
			err = nats.ErrConnectionClosed
		case <-ctx.Done():
			return r.drain()
		}
		if err != nil {
			return err
		}
	}
}

// send publishes the events of a batch that the filter wants.
func (r *run) send(ctx context.Context, item notify.Item) error {
	var events []*notify.Event
	for _, e := range item.Batch.Events {
		if e = r.sieve.Apply(e, item.Feed.ReadBody); e != nil {
			events = append(events, e)
		}
	}
	f := flight{shard: item.Feed.Shard()}
	for i, e := range events {
		if err := r.makeRoom(ctx); err != nil {
			return err
		}
		msg := r.message(e)
		f.bytes += len(msg.Data) + headroom
		f.events++
		r.seq++
		last := i == len(events)-1
		if !last && f.events < ackEvery && f.bytes < maxFlightBytes/maxInFlight {
			if err := r.nc.PublishMsg(msg); err != nil {
				return fmt.Errorf("publish event %s: %w", e.ID(), err)
			}
			continue
		}
		var err error
		if f.future, err = r.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0)); err != nil {
			return fmt.Errorf("publish event %s: %w", e.ID(), err)
		}
		f.seq, f.next = r.seq, e.After()
		if last {
			f.next, f.time = item.Batch.Next, item.Batch.Time
		}
		r.await(f)
		f = flight{shard: f.shard}
	}
	if len(events) == 0 {
		f.seq, f.next, f.time = r.seq, item.Batch.Next, item.Batch.Time
		r.await(f)
	}
	return nil
}

// message makes the message of an event. It is stored behind the message with the sequence before, or not at all.
func (r *run) message(e *notify.Event) *nats.Msg {
	data := e.JSON()
	if len(data) > r.limit {
		data = e.Small().JSON()
	}
	return &nats.Msg{Subject: e.Subject(), Data: data, Header: nats.Header{
		jetstream.ExpectedLastSeqHeader: {strconv.FormatUint(r.seq, 10)},
		jetstream.MsgIDHeader:           {e.ID()},
		headerRun:                       {r.id},
	}}
}

func (r *run) await(f flight) {
	r.flights = append(r.flights, f)
	r.bytes += f.bytes
	r.land()
}

// land takes flights off the list that need no answer.
func (r *run) land() {
	for len(r.flights) > 0 && r.flights[0].future == nil {
		r.done()
	}
}

// done says that the first flight has arrived.
func (r *run) done() {
	f := r.flights[0]
	r.flights[0] = flight{}
	r.flights = r.flights[1:]
	r.bytes -= f.bytes
	r.saved.Seq, r.saved.Shards[f.shard], r.dirty = f.seq, f.next, true
	if f.seq > r.began {
		r.saved.Run = r.id
	}
	r.progress.Advance(f.shard, f.next, f.events, f.time)
}

// answer gives the channels on which the answer comes that is awaited next; nil when none is.
func (r *run) answer() (<-chan *jetstream.PubAck, <-chan error) {
	if len(r.flights) == 0 {
		return nil, nil
	}
	return r.flights[0].future.Ok(), r.flights[0].future.Err()
}

func (r *run) acknowledged(ack *jetstream.PubAck) error {
	if want := r.flights[0].seq; ack.Sequence != want {
		return fmt.Errorf("an event was stored at %d of the stream instead of %d", ack.Sequence, want)
	}
	r.done()
	r.land()
	return nil
}

// makeRoom waits until another message may be on its way.
func (r *run) makeRoom(ctx context.Context) error {
	for len(r.flights) >= maxInFlight || r.bytes >= maxFlightBytes {
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// wait waits for the next answer.
func (r *run) wait(ctx context.Context) error {
	ok, failed := r.answer()
	select {
	case ack := <-ok:
		return r.acknowledged(ack)
	case err := <-failed:
		return fmt.Errorf("publish events: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drain waits a little for what is on its way, so that the next start has nothing to look up.
func (r *run) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	for len(r.flights) > 0 {
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *Publisher) statePath() string { return filepath.Join(p.opts.Dir, p.opts.Name+".json") }

// save makes the position durable.
func (r *run) save() error {
	if !r.dirty {
		return nil
	}
	if err := notify.SaveState(r.statePath(), r.saved); err != nil {
		return err
	}
	r.savedAt, r.dirty = time.Now(), false
	return nil
}
