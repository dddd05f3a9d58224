package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/memlog"
	"angarium/mailstore"
)

// Pair is two nodes with the same mail: a primary, and one that follows its log and forwards writes to it.
type Pair struct {
	Nodes [2]*Env // Writers are those of the primary

	primary atomic.Int32
	leaders [2][]*leader
	hook    atomic.Pointer[func(op string) Fault]
	tap     atomic.Pointer[func(op string, req []byte)]
	links   sync.WaitGroup
	cut     context.CancelFunc
}

// Fault is what goes wrong with a forwarded write.
type Fault struct {
	Unsent     bool // it does not reach the primary
	Unanswered bool // the answer does not come back
	Garbled    bool // the answer is not what the primary sent
	Old        bool // the primary is of a release that knows no marks in answers
}

// leader appends to the log while its node is the primary.
type leader struct {
	atomic.Pointer[eventlog.Writer]
}

// Append implements mailstore.Appender.
func (l *leader) Append(ctx context.Context, unit ...event.Entry) (eventlog.Receipt, error) {
	w := l.Load()
	if w == nil {
		return eventlog.Receipt{}, fmt.Errorf("%w: not the primary", eventlog.ErrUnavailable)
	}
	return w.Append(ctx, unit...)
}

// NewPair makes a pair of nodes, of which the first is the primary. At the end of the test both replicas are checked.
func NewPair(t testing.TB, shards int, opts mailstore.Options) *Pair {
	t.Helper()
	p := &Pair{}
	for n := range p.Nodes {
		env, opts := &Env{}, opts
		p.Nodes[n] = env
		for i := range shards {
			env.Logs = append(env.Logs, memlog.New())
			env.Replicas = append(env.Replicas, follow(t, i, env.Logs[i]))
			l := &leader{}
			p.leaders[n] = append(p.leaders[n], l)
			opts.Shards = append(opts.Shards, mailstore.Shard{Replica: env.Replicas[i], Log: l, Remote: p.way(n), Holds: env.holds(i)})
		}
		var err error
		if env.Store, err = mailstore.New(opts); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.lead(context.Background(), 0); err != nil {
		t.Fatal(err)
	}
	p.Mend(t)
	t.Cleanup(func() {
		p.Cut()
		for _, w := range p.Primary().Writers {
			if err := w.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	return p
}

// Primary is the node that is the primary now.
func (p *Pair) Primary() *Env { return p.Nodes[p.primary.Load()] }

// Replica is the other node.
func (p *Pair) Replica() *Env { return p.Nodes[1-p.primary.Load()] }

// SetHook has a hook asked on every forwarded write from now on; nil for none.
func (p *Pair) SetHook(hook func(op string) Fault) {
	if hook == nil {
		p.hook.Store(nil)
		return
	}
	p.hook.Store(&hook)
}

// SetTap has a function see every forwarded write from now on; nil for none.
func (p *Pair) SetTap(tap func(op string, req []byte)) {
	if tap == nil {
		p.tap.Store(nil)
		return
	}
	p.tap.Store(&tap)
}

// holds says whether a node's log has an envelope.
func (e *Env) holds(shard int) func(context.Context, eventlog.Mark) error {
	return func(ctx context.Context, at eventlog.Mark) error { return eventlog.Check(ctx, e.Logs[shard], at) }
}

// way is what a node's shards are told about where the primary is.
func (p *Pair) way(node int) func() mailstore.Forwarder {
	return func() mailstore.Forwarder {
		if int(p.primary.Load()) == node {
			return nil
		}
		return p
	}
}

// Forward implements mailstore.Forwarder.
func (p *Pair) Forward(ctx context.Context, shard int, op string, req []byte) ([]byte, error) {
	name, marked := strings.CutSuffix(op, "#mark")
	if tap := p.tap.Load(); tap != nil {
		(*tap)(name, req)
	}
	var fault Fault
	if hook := p.hook.Load(); hook != nil {
		fault = (*hook)(name)
	}
	if fault.Old && marked {
		op = "no such write"
	}
	if fault.Unsent {
		return nil, fmt.Errorf("%w: the link is down", eventlog.ErrUnavailable)
	}
	resp, err := p.Primary().Store.Serve(ctx, shard, op, req)
	switch {
	case fault.Unanswered:
		return nil, errors.New("the link broke")
	case fault.Garbled:
		return []byte("garbled"), nil
	}
	return resp, err
}

// Cut ends the flow of the log from the primary to the replica.
func (p *Pair) Cut() {
	if p.cut != nil {
		p.cut()
		p.links.Wait()
	}
	p.cut = nil
}

// Mend lets the log flow from the primary to the replica again.
func (p *Pair) Mend(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	p.cut = cancel
	from, to := p.Primary().Logs, p.Replica().Logs
	for i := range from {
		p.links.Go(func() {
			if err := pump(ctx, from[i], to[i]); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}

// pump appends to one log what comes in another.
func pump(ctx context.Context, from, to *memlog.Log) error {
	after, err := mark(ctx, to)
	if err != nil {
		return err
	}
	tail, err := from.Tail(ctx, after.Position+1)
	if err != nil {
		return err
	}
	defer tail.Close()
	for {
		m, err := tail.Next(ctx)
		if err != nil {
			return err
		}
		if err := <-to.Append(context.WithoutCancel(ctx), after, m.Payload); err != nil {
			return err
		}
		after = behind(after, m.Payload)
	}
}

// lead makes a node the primary of all shards.
func (p *Pair) lead(ctx context.Context, node int) error {
	env := p.Nodes[node]
	env.Writers = nil
	for i, log := range env.Logs {
		w, err := lead(ctx, log, env.Replicas[i])
		if err != nil {
			return err
		}
		env.Writers = append(env.Writers, w)
		p.leaders[node][i].Store(w)
	}
	p.primary.Store(int32(node))
	return nil
}

// Handover makes the replica the primary, as planned: writes wait meanwhile, and none is lost.
func (p *Pair) Handover(ctx context.Context, t testing.TB) error {
	old, next := p.Primary(), p.Replica()
	for i, w := range old.Writers {
		thaw, err := old.Store.Freeze(ctx, i)
		if err != nil {
			return err
		}
		defer thaw()
		if err := w.Close(ctx); err != nil {
			return err
		}
		p.leaders[p.primary.Load()][i].Store(nil)
		if err := next.Replicas[i].Wait(ctx, w.State().Position); err != nil {
			return err
		}
	}
	p.Cut()
	if err := p.lead(ctx, int(1-p.primary.Load())); err != nil {
		return err
	}
	p.Mend(t)
	return nil
}
