package channel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/logtest"
	"angarium/eventlog/memlog"
)

// seedOf gives the seed of a random test, which it prints, and which ANGARIUM_SEED sets.
func seedOf(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ANGARIUM_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("ANGARIUM_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

func TestFollowCopiesTheLogVerbatim(t *testing.T) {
	for _, dialler := range []string{"follower", "followed"} {
		t.Run(dialler+" has dialled", func(t *testing.T) {
			a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
			var toA *Peer
			if dialler == "follower" {
				_, toA = join(t, a, b, "")
			} else {
				toA, _ = join(t, b, a, "")
			}
			builder := new(logtest.Builder)
			fill(t, a, builder, 1000)
			if err := toA.Follow(0); err != nil {
				t.Fatal(err)
			}
			sameLogs(t, a, b)
			fill(t, a, builder, 10) // what comes later comes too
			sameLogs(t, a, b)
			if err := a.hub.Acks().Wait(testContext(t), 0, 1010, 1); err != nil {
				t.Fatal(err)
			}
			ack := a.hub.Acks().Peers(0)["west"]
			if ack.Position != 1010 {
				t.Errorf("acknowledged: %d, want 1010", ack.Position)
			}
		})
	}
}

func TestFollowCarriesTheLargestEnvelope(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	_, toA := join(t, a, b, "")
	builder := new(logtest.Builder)
	after, payload := builder.Epoch(t)
	put(t, a.log, after, payload)
	noise := rand.NewChaCha8([32]byte{1})
	for range 2 {
		entry := logtest.Body(1, 0)
		data := make([]byte, eventlog.MaxUnitBytes-256)
		noise.Read(data)
		chunk := entry.Event.(*event.BodyChunk)
		chunk.Data, chunk.Size, chunk.Stored = data, uint64(len(data)), uint64(len(data))
		after, payload = builder.Next(t, entry)
		put(t, a.log, after, payload)
	}
	if err := toA.Follow(0); err != nil {
		t.Fatal(err)
	}
	sameLogs(t, a, b)
}

func TestFollowSurvivesCutsUnderLoad(t *testing.T) {
	r := seedOf(t)
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	cable := newProxy(t, a.address)
	_, toA := join(t, a, b, cable.address())
	if err := toA.Follow(0); err != nil {
		t.Fatal(err)
	}
	builder := new(logtest.Builder)
	const rounds = 8
	for range rounds {
		cable.cutAfter(1 + r.Int64N(8_000))
		for range 200 {
			fill(t, a, builder, 1)
		}
		sameLogs(t, a, b)
	}
	if n := cable.cuts.Load(); n < rounds/2 {
		t.Errorf("%d cuts in %d rounds", n, rounds)
	}
	got := toA.Status(testContext(t)).Shards[0].Follow.Received
	if got != rounds*200 {
		t.Errorf("%d envelopes were received, the log has %d: some were sent again", got, rounds*200)
	}
}

func TestFollowResumesWithoutResending(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	cable := newProxy(t, a.address)
	_, toA := join(t, a, b, cable.address())
	builder := new(logtest.Builder)
	fill(t, a, builder, 1)
	noise := rand.NewChaCha8([32]byte{2})
	for i := range 64 {
		entry := logtest.Body(i, 32<<10)
		noise.Read(entry.Event.(*event.BodyChunk).Data)
		after, payload := builder.Next(t, entry)
		put(t, a.log, after, payload)
	}
	if err := toA.Follow(0); err != nil {
		t.Fatal(err)
	}
	sameLogs(t, a, b)
	if n := cable.passed.Load(); n < 64*32<<10 {
		t.Fatalf("%d bytes for more than that many of noise", n)
	}
	cable.passed.Store(0)
	cable.cut()
	fill(t, a, builder, 1)
	sameLogs(t, a, b)
	if n := cable.passed.Load(); n > 32<<10 {
		t.Errorf("%d bytes passed for one small envelope", n)
	}
}

func TestFollowTellsWhyItCannot(t *testing.T) {
	other := func(t *testing.T, n *node) { // another history of three envelopes
		builder := new(logtest.Builder)
		fill(t, n, builder, 1)
		for i := range 2 {
			after, payload := builder.Next(t, logtest.Entry(100+i))
			put(t, n.log, after, payload)
		}
	}
	own := func(count int) func(t *testing.T, n *node) {
		return func(t *testing.T, n *node) { fill(t, n, new(logtest.Builder), count) }
	}
	tests := []struct {
		name  string
		ahead func(t *testing.T, n *node) // fills the log that is followed
		local func(t *testing.T, n *node)
		state FollowState
		is    error
	}{
		{"another history", own(5), other, FollowDiverged, ErrDiverged},
		{"its end is not reached", own(2), own(4), FollowBehind, ErrBehind},
		{"purged", func(t *testing.T, n *node) {
			own(9)(t, n)
			if err := n.log.Purge(testContext(t), 6); err != nil {
				t.Fatal(err)
			}
		}, own(3), FollowNeedsSeed, ErrPurged},
		{"another history behind what is purged", func(t *testing.T, n *node) {
			own(9)(t, n)
			if err := n.log.Purge(testContext(t), 4); err != nil {
				t.Fatal(err)
			}
		}, other, FollowDiverged, eventlog.ErrHash},
		{"damaged", func(t *testing.T, n *node) {
			own(9)(t, n)
			n.log.FlipBit(6, 40)
		}, own(3), FollowHalted, eventlog.ErrCorrupt},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
			test.ahead(t, a)
			test.local(t, b)
			_, toA := join(t, a, b, "")
			if err := toA.Follow(0); err != nil {
				t.Fatal(err)
			}
			b.until(t, string(test.state), func() bool { return toA.Status(testContext(t)).Shards[0].Follow.State == test.state })
			toA.mu.Lock()
			r := toA.receivers[0]
			toA.mu.Unlock()
			r.mu.Lock()
			err := r.err
			r.mu.Unlock()
			if !errors.Is(err, test.is) {
				t.Errorf("error %v, want one that is %v", err, test.is)
			}
			var answer *RemoteError
			if errors.As(err, &answer) && answer.Code == CodeDiverged {
				payload, _ := a.log.Read(testContext(t), 3)
				if want := eventlog.Hash(payload[len(payload)-32:]); answer.Mark != (eventlog.Mark{Position: 3, Hash: want}) {
					t.Errorf("the peer's mark is %s", answer.Mark)
				}
			}
		})
	}
}

func TestFollowGoesOnWhenTheCauseIsGone(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	builder := new(logtest.Builder)
	fill(t, a, builder, 5)
	fill(t, b, new(logtest.Builder), 1)
	stray := &logtest.Builder{State: builder.State}
	*stray = logtest.Builder{}
	stray.Epoch(t)
	after, payload := stray.Next(t, logtest.Entry(77))
	put(t, b.log, after, payload)
	_, toA := join(t, a, b, "")
	if err := toA.Follow(0); err != nil {
		t.Fatal(err)
	}
	b.until(t, "diverged", func() bool { return toA.Status(testContext(t)).Shards[0].Follow.State == FollowDiverged })
	b.log.Truncate(1)
	if err := toA.Follow(0); err != nil { // try at once
		t.Fatal(err)
	}
	sameLogs(t, a, b)
}

func TestFollowOutlastsTroubleOfItsOwnLog(t *testing.T) {
	tests := map[string]memlog.Fault{
		"outcome unknown": {Lose: true},
		"no space":        {Refuse: eventlog.ErrNoSpace},
		"unavailable":     {Refuse: eventlog.ErrUnavailable},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
			fill(t, a, new(logtest.Builder), 50)
			count := 0
			b.log.SetHook(func(eventlog.Mark, []byte) memlog.Fault {
				if count++; count%20 == 7 {
					return fault
				}
				return memlog.Fault{}
			})
			_, toA := join(t, a, b, "")
			if err := toA.Follow(0); err != nil {
				t.Fatal(err)
			}
			sameLogs(t, a, b)
		})
	}
}

func TestFollowAcknowledgesOnlyWhatIsDurable(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	fill(t, a, new(logtest.Builder), 20)
	hold := make(chan struct{})
	b.log.SetHook(func(after eventlog.Mark, _ []byte) memlog.Fault {
		if after.Position == 9 {
			return memlog.Fault{HoldAck: hold}
		}
		return memlog.Fault{}
	})
	toB, toA := join(t, a, b, "")
	if err := toA.Follow(0); err != nil {
		t.Fatal(err)
	}
	sameLogs(t, a, b) // all are stored, the tenth is not answered
	acks := a.hub.Acks()
	a.until(t, "nine acknowledged", func() bool { return acks.Reached(0, 1) == 9 })
	ctx, cancel := context.WithTimeout(testContext(t), 50*time.Millisecond)
	defer cancel()
	if err := acks.Wait(ctx, 0, 10, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("position 10 counts as acknowledged: %v", err)
	}
	send := toB.Status(testContext(t)).Shards[0].Send
	if send.Acked != 9 || send.LagPositions != 11 || send.LagEvents != 11 || send.LagBytes == 0 || send.LagTime < time.Hour {
		t.Errorf("lag: %+v", send)
	}
	close(hold)
	if err := acks.Wait(testContext(t), 0, 20, 1); err != nil {
		t.Fatal(err)
	}
	if send = toB.Status(testContext(t)).Shards[0].Send; send.LagPositions != 0 || send.LagTime != 0 {
		t.Errorf("lag when all is acknowledged: %+v", send)
	}
}

func TestFollowBoundsWhatIsNotAcknowledged(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	builder := new(logtest.Builder)
	fill(t, a, builder, 1)
	for i := range 24 {
		after, payload := builder.Next(t, logtest.Body(i, 1<<20))
		put(t, a.log, after, payload)
	}
	hold := make(chan struct{})
	b.log.SetHook(func(after eventlog.Mark, _ []byte) memlog.Fault { return memlog.Fault{HoldAck: hold} })
	toB, toA := join(t, a, b, "")
	if err := toA.Follow(0); err != nil {
		t.Fatal(err)
	}
	unacked := func() int {
		toB.mu.Lock()
		defer toB.mu.Unlock()
		if toB.senders[0] == nil {
			return 0
		}
		_, n := toB.senders[0].window.unacked()
		return n
	}
	a.until(t, "the window full", func() bool { return unacked() >= followWindowBytes })
	if n := unacked(); n > followWindowBytes+maxBatchBytes {
		t.Errorf("%d bytes are not acknowledged", n)
	}
	close(hold)
	sameLogs(t, a, b)
}

func TestRolesFlipOnTheSameLink(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	toB, toA := join(t, a, b, "")
	builder := new(logtest.Builder)
	follower, leader, peer := b, a, toA
	for round := range 4 {
		if err := peer.Follow(0); err != nil {
			t.Fatal(err)
		}
		fill(t, leader, builder, 25)
		sameLogs(t, leader, follower)
		if err := leader.hub.Acks().Wait(testContext(t), 0, eventlog.Position(25*(round+1)), 1); err != nil {
			t.Fatal(err)
		}
		peer.Unfollow(0)
		if follower, leader, peer = a, b, toB; round%2 == 1 {
			follower, leader, peer = b, a, toA
		}
	}
	if up := toA.Status(testContext(t)).Since; time.Since(up) > testTimeout || !toA.Connected() {
		t.Errorf("the link was not up all the time: since %v", up)
	}
}

func TestChainOfReplicas(t *testing.T) {
	a, b, c := newNode(t, "east", Options{}), newNode(t, "west", Options{}), newNode(t, "far", Options{})
	_, bToA := join(t, a, b, "")
	_, cToB := join(t, b, c, "")
	for _, p := range []*Peer{bToA, cToB} {
		if err := p.Follow(0); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, a, new(logtest.Builder), 300)
	sameLogs(t, a, c)
	if err := b.hub.Acks().Wait(testContext(t), 0, 300, 1); err != nil {
		t.Fatal(err)
	}
}

func TestPauseAtEitherEnd(t *testing.T) {
	for _, end := range []string{"sender", "receiver"} {
		t.Run(end, func(t *testing.T) {
			a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
			_, toA := join(t, a, b, "")
			builder := new(logtest.Builder)
			if err := toA.Follow(0); err != nil {
				t.Fatal(err)
			}
			fill(t, a, builder, 10)
			sameLogs(t, a, b)
			pausing, name := a, "west"
			if end == "receiver" {
				pausing, name = b, "east"
			}
			if err := pausing.hub.SetPaused(name, true); err != nil {
				t.Fatal(err)
			}
			b.until(t, "paused", func() bool { return toA.Status(testContext(t)).Shards[0].Follow.State == FollowPaused })
			b.until(t, "no attempt", func() bool {
				toA.mu.Lock()
				defer toA.mu.Unlock()
				r := toA.receivers[0]
				r.mu.Lock()
				defer r.mu.Unlock()
				return r.stop == nil
			})
			fill(t, a, builder, 10)
			if head, err := b.log.Head(testContext(t)); err != nil || head.Last != 10 {
				t.Errorf("the log of a paused follower ends at %d: %v", head.Last, err)
			}
			if rec, _ := pausing.hub.registry.Get(name); !rec.Paused {
				t.Error("that the channel is paused is not kept")
			}
			if err := pausing.hub.SetPaused(name, false); err != nil {
				t.Fatal(err)
			}
			sameLogs(t, a, b)
		})
	}
}

func TestFollowRefusesAnAcknowledgementOfWhatWasNotSent(t *testing.T) {
	w := newWindow(10)
	w.sent(15, 5, 100)
	if _, err := w.ack(16); !errors.Is(err, ErrProtocol) {
		t.Errorf("ack of 16: %v", err)
	}
	for _, step := range []struct{ ack, freed int }{{12, 0}, {15, 100}, {15, 0}, {11, 0}} {
		if freed, err := w.ack(eventlog.Position(step.ack)); err != nil || freed != step.freed {
			t.Errorf("ack of %d frees %d, %v, want %d", step.ack, freed, err, step.freed)
		}
	}
}

func TestUnfollowLeavesTheLogAlone(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	_, toA := join(t, a, b, "")
	if err := toA.Follow(0); err != nil {
		t.Fatal(err)
	}
	builder := new(logtest.Builder)
	for i := range 20 {
		fill(t, a, builder, 50)
		toA.Unfollow(0)
		before, _ := b.log.Head(testContext(t))
		fill(t, a, builder, 5)
		if after, _ := b.log.Head(testContext(t)); after != before {
			t.Fatalf("round %d: appended after Unfollow: %v, %v", i, before, after)
		}
		if err := toA.Follow(0); err != nil {
			t.Fatal(err)
		}
	}
	sameLogs(t, a, b)
}

func TestFollowOfAShardThatIsNotThere(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	_, toA := join(t, a, b, "")
	for _, shard := range []int{-1, 1, 1 << 20} {
		if err := toA.Follow(shard); err == nil {
			t.Errorf("shard %d can be followed", shard)
		}
	}
	for _, query := range []string{"", "shard=0", "shard=5&position=0&hash=" + fmt.Sprintf("%064d", 0), "shard=0&position=-1&hash=00",
		"shard=0&position=1&hash=00"} {
		_, err := toA.current().post(testContext(t), pathFollow+"?"+query, nil, 0)
		var answer *RemoteError
		if !errors.As(err, &answer) {
			t.Errorf("follow with %q: %v", query, err)
		}
	}
}

func TestRemoveEndsFollowingBothWays(t *testing.T) {
	for _, remover := range []string{"east", "west"} {
		t.Run("removed at "+remover, func(t *testing.T) {
			a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
			toB, toA := join(t, a, b, "")
			if err := toA.Follow(0); err != nil {
				t.Fatal(err)
			}
			builder := new(logtest.Builder)
			fill(t, a, builder, 100)
			b.until(t, "under way", func() bool { head, _ := b.log.Head(testContext(t)); return head.Last > 0 })
			at, other := a, "west"
			if remover == "west" {
				at, other = b, "east"
			}
			if err := at.hub.Remove(other); err != nil {
				t.Fatal(err)
			}
			b.until(t, "disconnected", func() bool { return !toA.Connected() && !toB.Connected() })
			if remover == "west" {
				before, _ := b.log.Head(testContext(t))
				fill(t, a, builder, 5)
				if after, _ := b.log.Head(testContext(t)); after != before {
					t.Errorf("appended after Remove: %v, %v", before, after)
				}
				if err := toA.Follow(0); !errors.Is(err, ErrClosed) {
					t.Errorf("follow a removed peer: %v", err)
				}
			} else if acks := a.hub.Acks().Peers(0); len(acks) > 0 {
				t.Errorf("acknowledgements are left: %v", acks)
			}
		})
	}
}
