package bus

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"angarium/notify"
)

// Options configures the sink of the stream. Zero values mean the defaults named here.
type Options struct {
	Name    string // of the sink ["jetstream"]
	Dir     string // where the sink keeps its position; made if missing
	Filter  notify.Filter
	Start   notify.Start
	Limits  Limits
	Connect func() (*nats.Conn, error) // to the server of the stream: Server.Connect, or to one of the site's own
	Logger  *slog.Logger
}

// Bounds of what is on its way. One message in ackEvery is acknowledged, and the last of those that are there.
const (
	ackEvery       = 256
	maxInFlight    = 16               // acknowledgements that are awaited
	maxFlightBytes = 16 << 20         // of messages that are not acknowledged, about
	ackTimeout     = 10 * time.Second // then what became of the messages is looked up
	saveEvery      = time.Second      // how often the position is made durable
	resumePause    = time.Second      // before the stream is looked at again after a failure
	maxSessions    = 1024             // events of sessions that wait to be sent
	headroom       = 4 << 10          // of a message's headers and subject
	resumeTimeout  = 2 * time.Minute  // of looking at the stream
	scanAhead      = 4096             // messages without their data that are asked for at a time
	drainTimeout   = 2 * time.Second
)

// Publisher is the sink that publishes events to the stream, each exactly once.
type Publisher struct {
	opts     Options
	sieve    *notify.Sieve
	progress notify.Progress
	sessions chan *notify.Event
}

// NewPublisher makes the sink.
func NewPublisher(opts Options) (*Publisher, error) {
	if opts.Name == "" {
		opts.Name = "jetstream"
	}
	if err := notify.CheckName(opts.Name); err != nil {
		return nil, err
	}
	if err := opts.Filter.Check(); err != nil {
		return nil, fmt.Errorf("sink %s: %w", opts.Name, err)
	}
	if opts.Connect == nil {
		return nil, fmt.Errorf("sink %s: no server to connect to", opts.Name)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Publisher{opts: opts, sieve: opts.Filter.Sieve(), sessions: make(chan *notify.Event, maxSessions)}, nil
}

// Name implements notify.Sink.
func (p *Publisher) Name() string { return p.opts.Name }

// Status implements notify.Sink.
func (p *Publisher) Status() notify.SinkStatus { return p.progress.Status(p.opts.Name, "jetstream") }

// Session implements notify.SessionSink: the event is published to whoever subscribes at the moment, or dropped when too many wait.
func (p *Publisher) Session(e *notify.Event) {
	select {
	case p.sessions <- e:
	default:
	}
}

// Run implements notify.Sink.
func (p *Publisher) Run(ctx context.Context, feeds []*notify.Feed) error {
	defer p.progress.State(notify.SinkStopped, nil)
	if err := os.MkdirAll(p.opts.Dir, 0o700); err != nil {
		return fmt.Errorf("sink %s: %w", p.opts.Name, err)
	}
	nc, err := p.opts.Connect()
	if err != nil {
		return fmt.Errorf("sink %s: %w", p.opts.Name, err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(maxInFlight+1), jetstream.WithPublishAsyncTimeout(ackTimeout))
	if err != nil {
		return fmt.Errorf("sink %s: %w", p.opts.Name, err)
	}
	for ctx.Err() == nil {
		err := p.publish(ctx, nc, js, feeds)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if nc.IsClosed() {
			return fmt.Errorf("sink %s: %w", p.opts.Name, err)
		}
		p.progress.State(notify.SinkFailing, err)
		p.opts.Logger.Warn("publishing is interrupted; looking at the stream again", "sink", p.opts.Name, "error", err)
		select {
		case <-time.After(resumePause):
		case <-ctx.Done():
		}
	}
	return nil
}
