package node

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"angarium/eventlog"
	"angarium/mailstore"
)

const (
	// partBytes is how much of a forwarded write goes in one message.
	partBytes = 4 << 20
	// maxParts bounds the parts of one write, maxAssembling the writes that are being put together.
	maxParts      = 32
	maxAssembling = 64
	// partTime bounds the wait for the next part, callTime that for the answer.
	partTime = 10 * time.Second
	callTime = time.Minute
)

// Headers of a forwarded write.
const (
	headerCall  = "Angarium-Call"
	headerPart  = "Angarium-Part" // "2/3"
	headerShard = "Angarium-Shard"
	headerOp    = "Angarium-Op"
	headerError = "Angarium-Error" // of an answer
)

const (
	refusedNotPrimary = "not-primary"
	refusedBusy       = "busy"
	refusedBroken     = "broken"
)

// mailSubject is where a node takes forwarded writes. Names may hold what a subject may not.
func mailSubject(node string) string {
	return "angarium.mail." + base64.RawURLEncoding.EncodeToString([]byte(node))
}

type clusterForwarder struct{ node *Node }

// Forward implements mailstore.Forwarder.
func (f clusterForwarder) Forward(ctx context.Context, shard int, op string, data []byte) ([]byte, error) {
	c := f.node.cluster
	if c == nil {
		return nil, fmt.Errorf("%w: this node is starting", eventlog.ErrUnavailable)
	}
	if by := c.supersededBy(); by != "" {
		return nil, fmt.Errorf("%w: node %s leads in the cluster's place", eventlog.ErrUnavailable, by)
	}
	leader := c.leader(shard)
	if leader == "" || leader == f.node.name {
		return nil, fmt.Errorf("%w: shard %d has no primary now", mailstore.ErrNotPrimary, shard)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	defer c.whileLeads(leader, shard, cancel)()
	id, total := nuid.Next(), max((len(data)+partBytes-1)/partBytes, 1)
	for part := 1; ; part++ {
		m := nats.NewMsg(mailSubject(leader))
		m.Header = nats.Header{
			headerCall: {id}, headerPart: {fmt.Sprintf("%d/%d", part, total)}, headerShard: {strconv.Itoa(shard)}, headerOp: {op},
		}
		m.Data = data[(part-1)*partBytes : min(part*partBytes, len(data))]
		answer, err := f.node.conn.NATS().RequestMsgWithContext(ctx, m)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			return nil, fmt.Errorf("%w: node %s does not answer", mailstore.ErrNotPrimary, leader)
		case err != nil && part < total:
			return nil, fmt.Errorf("%w: node %s: %w", eventlog.ErrUnavailable, leader, err) // it never had all of it
		case err != nil:
			return nil, fmt.Errorf("%w: %w: node %s: %w", eventlog.ErrUnavailable, eventlog.ErrUnknown, leader, err)
		}
		switch answer.Header.Get(headerError) {
		case "":
		case refusedNotPrimary:
			return nil, fmt.Errorf("%w: node %s does not lead shard %d", mailstore.ErrNotPrimary, leader, shard)
		default:
			return nil, fmt.Errorf("%w: node %s: %s", eventlog.ErrUnavailable, leader, answer.Header.Get(headerError))
		}
		if part == total {
			return answer.Data, nil
		}
	}
}

// whileLeads cancels a call to a node that has stopped leading: if it took the write, its answer will not come. The function that it
// returns ends that.
func (c *cluster) whileLeads(leader string, shard int, cancel func()) (stop func()) {
	t := time.NewTicker(renewEvery)
	done := make(chan struct{})
	go func() {
		defer t.Stop()
		for moved := 0; ; {
			select {
			case <-done:
				return
			case <-t.C:
			}
			if c.leader(shard) == leader {
				continue
			}
			if moved++; moved > 2 { // it may be answering
				cancel()
				return
			}
		}
	}()
	return func() { close(done) }
}

// parts puts together what comes in several messages.
type parts struct {
	mu   sync.Mutex
	open map[string]*assembling
}

type assembling struct {
	data  []byte
	next  int
	timer *time.Timer
}

// add takes a part; whole is true with the last one.
func (p *parts) add(id string, part, total int, data []byte) (all []byte, whole bool, err error) {
	if part < 1 || part > total || total > maxParts {
		return nil, false, fmt.Errorf("part %d of %d", part, total)
	}
	if total == 1 {
		return data, true, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.open[id]
	if part == 1 {
		if len(p.open) >= maxAssembling {
			return nil, false, errors.New("too many large writes at a time")
		}
		if p.open == nil {
			p.open = map[string]*assembling{}
		}
		a = &assembling{next: 1, timer: time.AfterFunc(partTime, func() { p.drop(id) })}
		p.open[id] = a
	}
	if a == nil || a.next != part {
		return nil, false, fmt.Errorf("part %d came out of turn", part)
	}
	a.data = append(a.data, data...)
	a.next++
	a.timer.Reset(partTime)
	if part < total {
		return nil, false, nil
	}
	a.timer.Stop()
	delete(p.open, id)
	return a.data, true, nil
}

func (p *parts) drop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, id)
}

// receive takes a message of a forwarded write.
func (c *cluster) receive(m *nats.Msg) {
	refuse := func(code string) {
		answer := nats.NewMsg(m.Reply)
		answer.Header = nats.Header{headerError: {code}}
		_ = m.RespondMsg(answer) // the asker gives up by itself
	}
	shard, err := strconv.Atoi(m.Header.Get(headerShard))
	var part, total int
	if _, scanErr := fmt.Sscanf(m.Header.Get(headerPart), "%d/%d", &part, &total); err != nil || scanErr != nil || shard < 0 || shard >= len(c.node.shards) {
		refuse(refusedBroken)
		return
	}
	if c.node.shards[shard].writer.Load() == nil {
		refuse(refusedNotPrimary)
		return
	}
	data, whole, err := c.parts.add(m.Header.Get(headerCall), part, total, m.Data)
	switch {
	case err != nil:
		refuse(refusedBusy + ": " + err.Error())
	case !whole:
		_ = m.Respond(nil) // likewise
	default:
		c.calls.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), callTime) // what was begun is answered, also at a stop
			defer cancel()
			answer, err := c.serve(ctx, shard, m.Header.Get(headerOp), data)
			if err != nil {
				refuse(refusedBroken + ": " + err.Error())
				return
			}
			_ = m.Respond(answer) // likewise
		})
	}
}
