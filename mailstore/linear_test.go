package mailstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/memlog"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/replica/state"
)

// The sequential account that concurrent histories must look like: two mailboxes and the modseq they share.
type (
	seqAccount struct {
		modseq uint64
		boxes  [2]seqBox
	}
	seqBox struct {
		next   uint32
		modseq uint64
		list   []seqMessage
	}
	seqMessage struct {
		uid     uint32
		modseq  uint64
		deleted bool
	}
	// call is one operation on box; to is the destination of a copy or move.
	call struct {
		op      string
		box, to int
		count   int
		uids    event.UIDSet
		deleted bool
	}
	// reply is what it returned.
	reply struct {
		first  uint32
		modseq uint64
		uids   string
		box    string
	}
)

func (b seqBox) String() string { return fmt.Sprint(b.next, b.modseq, b.list) }

func (a seqAccount) equal(b seqAccount) bool {
	if a.modseq != b.modseq {
		return false
	}
	for i := range a.boxes {
		x, y := &a.boxes[i], &b.boxes[i]
		if x.next != y.next || x.modseq != y.modseq || !slices.Equal(x.list, y.list) {
			return false
		}
	}
	return true
}

// step is the specification: what a call returns and what it leaves, one call after another.
func step(a seqAccount, c call) (reply, seqAccount) {
	b := &a.boxes[c.box]
	b.list = slices.Clone(b.list)
	var chosen event.UIDSet
	switch c.op {
	case "look":
		return reply{box: b.String()}, a
	case "append":
		r := reply{first: b.next}
		a.modseq++
		b.add(a.modseq, make([]seqMessage, c.count))
		return r, a
	case "store":
		for i := range b.list {
			if m := &b.list[i]; c.uids.Contains(m.uid) && m.deleted != c.deleted {
				chosen = chosen.Add(m.uid)
				m.deleted, m.modseq = c.deleted, a.modseq+1
			}
		}
	case "expunge":
		for _, m := range b.list {
			if m.deleted {
				chosen = chosen.Add(m.uid)
			}
		}
		b.remove(chosen)
	case "copy", "move":
		var taken []seqMessage
		for _, m := range b.list {
			if c.uids.Contains(m.uid) {
				chosen, taken = chosen.Add(m.uid), append(taken, m)
			}
		}
		if len(chosen) == 0 {
			return reply{}, a
		}
		to := &a.boxes[c.to]
		to.list = slices.Clone(to.list)
		r := reply{first: to.next, uids: chosen.String()}
		a.modseq++
		to.add(a.modseq, taken)
		if c.op == "move" {
			b.remove(chosen)
			b.modseq = a.modseq
		}
		return r, a
	}
	if len(chosen) == 0 {
		return reply{}, a
	}
	a.modseq++
	b.modseq = a.modseq
	return reply{modseq: a.modseq, uids: chosen.String()}, a
}

func (b *seqBox) add(modseq uint64, msgs []seqMessage) {
	b.modseq = modseq
	for _, m := range msgs {
		b.list = append(b.list, seqMessage{b.next, modseq, m.deleted})
		b.next++
	}
}

func (b *seqBox) remove(uids event.UIDSet) {
	b.list = slices.DeleteFunc(b.list, func(m seqMessage) bool { return uids.Contains(m.uid) })
}

// client is one session with both mailboxes open.
type client struct {
	store *mailstore.Store
	boxes [2]*mailstore.Mailbox
	body  *mailstore.Body
	names [2]string
}

// do carries out a call.
func (c *client) do(ctx context.Context, k call) (r reply, err error) {
	b := c.boxes[k.box]
	switch k.op {
	case "look":
		s := b.Snapshot()
		box := seqBox{next: s.Mailbox.UIDNext, modseq: s.Mailbox.HighestModseq}
		for _, l := range s.List.All() {
			box.list = append(box.list, seqMessage{l.UID, l.Modseq, l.Flags.Has(state.Deleted)})
		}
		return reply{box: box.String()}, nil
	case "append":
		if k.count == 1 && k.box == 0 {
			d := c.store.Deliver(ctx, storetest.Admin, c.body, []mailstore.Recipient{{Account: "ann"}})
			return reply{first: d[0].UID}, d[0].Err
		}
		a, err := c.store.Append(ctx, storetest.User("ann"), "ann", c.names[k.box], slices.Repeat([]mailstore.NewMessage{{Body: c.body}}, k.count))
		return reply{first: a.First}, err
	case "store":
		op := mailstore.RemoveFlags
		if k.deleted {
			op = mailstore.AddFlags
		}
		res, err := b.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: k.uids, Op: op, Flags: []string{`\Deleted`}})
		return reply{modseq: res.Modseq, uids: res.Changed.String()}, err
	case "expunge":
		gone, modseq, err := b.Expunge(ctx, nil)
		return reply{modseq: modseq, uids: gone.String()}, err
	}
	transfer := b.Copy
	if k.op == "move" {
		transfer = b.Move
	}
	res, err := transfer(ctx, k.uids, c.names[k.to])
	return reply{first: res.First, uids: res.Source.String()}, err
}

func randomCall(rnd *rand.Rand) call {
	k := call{
		op:  []string{"look", "look", "append", "append", "append", "store", "store", "store", "expunge", "copy", "move"}[rnd.IntN(11)],
		box: rnd.IntN(2), count: 1 + rnd.IntN(3), deleted: rnd.IntN(3) > 0,
	}
	k.to = 1 - k.box
	first := 1 + rnd.Uint32N(30)
	k.uids = event.UIDSet{{First: first, Last: first + rnd.Uint32N(8)}}
	return k
}

// faulty makes a log refuse appends for lack of space, lose answers, and be slow.
func faulty(rnd *rand.Rand, release <-chan struct{}) memlog.Hook {
	return func(eventlog.Mark, []byte) memlog.Fault {
		switch rnd.IntN(10) {
		case 0:
			return memlog.Fault{Refuse: eventlog.ErrNoSpace}
		case 1:
			return memlog.Fault{Lose: true}
		case 2:
			return memlog.Fault{Hold: release}
		case 3:
			return memlog.Fault{HoldAck: release}
		}
		return memlog.Fault{}
	}
}

// TestSessionsAreLinearizable has sessions work on one account at once, on a log with faults, and looks for one order of all calls
// that explains what each was told.
func TestSessionsAreLinearizable(t *testing.T) {
	const sessions, calls = 8, 16
	for seed := range uint64(6 * simFactor(t)) {
		ops, first := runSessions(t, seed, sessions, calls)
		model := porcupine.Model{
			Init: func() any { return first },
			Step: func(s, in, out any) (bool, any) {
				want, next := step(s.(seqAccount), in.(call))
				return want == out.(reply), next
			},
			Equal: func(a, b any) bool { return a.(seqAccount).equal(b.(seqAccount)) },
		}
		if res := porcupine.CheckOperationsTimeout(model, ops, 20*time.Second); res != porcupine.Ok {
			t.Fatalf("seed %d: %d calls are %s", seed, len(ops), res)
		}
	}
}

func runSessions(t *testing.T, seed uint64, sessions, calls int) (ops []porcupine.Operation, first seqAccount) {
	ctx := context.Background()
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	if _, err := env.Store.CreateMailbox(ctx, storetest.User("ann"), "ann", mailstore.NewMailbox{Name: "B"}); err != nil {
		t.Fatal(err)
	}
	a, err := env.Store.Account(ctx, "ann")
	if err != nil {
		t.Fatal(err)
	}
	first = seqAccount{modseq: a.Modseq}
	names := [2]string{"INBOX", "B"}
	for i, n := range names {
		m, err := env.Store.Mailbox(ctx, storetest.User("ann"), "ann", n)
		if err != nil {
			t.Fatal(err)
		}
		first.boxes[i] = seqBox{next: 1, modseq: m.HighestModseq}
	}
	release, stop := make(chan struct{}), make(chan struct{})
	var ticker sync.WaitGroup
	ticker.Go(func() { // lets go of what the log holds, one after another
		for {
			select {
			case release <- struct{}{}:
			case <-stop:
				return
			}
		}
	})
	env.Logs[0].SetHook(faulty(rand.New(rand.NewPCG(seed, 1)), release))
	body, err := env.Store.Prepare([]byte(mail))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	begin := time.Now()
	for s := range sessions {
		c := &client{store: env.Store, body: body, names: names}
		for i, n := range names {
			if c.boxes[i], err = env.Store.Open(ctx, storetest.User("ann"), "ann", n, false); err != nil {
				t.Fatal(err)
			}
			defer c.boxes[i].Close()
		}
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(s)+10))
			for range calls {
				k := randomCall(rnd)
				op := porcupine.Operation{ClientId: s, Input: k, Call: int64(time.Since(begin))}
				r, err := c.do(ctx, k)
				op.Return, op.Output = int64(time.Since(begin)), r
				switch {
				case errors.Is(err, eventlog.ErrUnknown) || (err != nil && !errors.Is(err, mailstore.ErrUnavailable)):
					t.Errorf("%+v: %v", k, err)
				case err == nil:
					mu.Lock()
					ops = append(ops, op)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	env.Logs[0].SetHook(nil)
	close(stop)
	ticker.Wait()
	if len(ops) < sessions*calls/3 {
		t.Errorf("seed %d: only %d calls succeeded", seed, len(ops))
	}
	return ops, first
}
