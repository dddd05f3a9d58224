package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// boxes is what a snapshot of each mailbox must hold at each of its modseqs.
type boxes map[event.MailboxID]map[uint64]string

func listed(list []state.Live) string {
	var s string
	for _, l := range list {
		s += fmt.Sprintf("%d/%d/%x ", l.UID, l.Modseq, l.Flags)
	}
	return s
}

func liveOf(r state.Reader, id event.MailboxID) (list []state.Live, err error) {
	return list, state.ScanPages(r, id, func(_ uint32, p state.Page) (bool, error) { list = append(list, p...); return true, nil })
}

// checkSnapshot says what is wrong with a snapshot by itself, and against what its mailbox held at that modseq.
func checkSnapshot(s *Snapshot, want map[uint64]string) error {
	var list []state.Live
	for _, l := range s.List.All() {
		list = append(list, l)
	}
	if len(list) != int(s.Mailbox.Messages) || s.List.LastUID() >= s.Mailbox.UIDNext {
		return fmt.Errorf("%d messages up to UID %d in a snapshot of %+v", len(list), s.List.LastUID(), s.Mailbox)
	}
	if got := listed(list); got != want[s.Mailbox.HighestModseq] {
		return fmt.Errorf("at modseq %d: %s, want %s", s.Mailbox.HighestModseq, got, want[s.Mailbox.HighestModseq])
	}
	return nil
}

// tellBoxes is tell with what each mailbox held at each modseq.
func (s *story) tellBoxes(t *testing.T, events int) boxes {
	all := boxes{}
	for range events {
		entry, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range s.Changes {
			if c.Mailbox == nil {
				continue
			}
			list, err := liveOf(s.State, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			if all[c.ID] == nil {
				all[c.ID] = map[uint64]string{}
			}
			all[c.ID][c.Mailbox.HighestModseq] = listed(list)
		}
		s.append(t, entry)
	}
	return all
}

// TestBoxesAreWhatThePagesAre opens, watches and releases boxes while the replica applies what comes.
func TestBoxesAreWhatThePagesAre(t *testing.T) {
	noLeaks(t)
	s := newStory(t, 11)
	want := s.tellBoxes(t, 1200)
	opts := testOptions(vfs.NewMem(), s.rnd)
	opts.BoxMessages = 60
	r := mustOpen(t, opts)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if err := useBoxes(r, want, stop, rand.New(rand.NewPCG(uint64(i), 1))); err != nil {
				t.Errorf("session %d: %v", i, err)
			}
		})
	}
	if err := s.apply(r, len(s.envs)); err != nil {
		t.Fatal(err)
	}
	close(stop)
	wg.Wait()
	if err := s.verify(r); err != nil {
		t.Fatal(err)
	}
	checkIdle(t, r)
}

// useBoxes is a session that goes from mailbox to mailbox.
func useBoxes(r *Replica, want boxes, stop <-chan struct{}, rnd *rand.Rand) error {
	var ids []event.MailboxID
	for id := range want {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b event.MailboxID) int { return slices.Compare(a[:], b[:]) })
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		id := ids[rnd.IntN(len(ids))]
		box, err := r.OpenBox(context.Background(), id)
		if errors.Is(err, ErrNoMailbox) {
			continue
		}
		if err != nil {
			return err
		}
		w := box.Watch()
		last := box.Snapshot()
		for range rnd.IntN(20) {
			snap := box.Snapshot()
			if err := checkSnapshot(snap, want[id]); err != nil {
				return err
			}
			if snap.Mailbox.HighestModseq < last.Mailbox.HighestModseq {
				return fmt.Errorf("snapshot of modseq %d after one of %d", snap.Mailbox.HighestModseq, last.Mailbox.HighestModseq)
			}
			last = snap
		}
		w.Close()
		box.Release()
	}
}

// checkIdle holds the count of messages in idle boxes against the boxes.
func checkIdle(t *testing.T, r *Replica) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for e := r.idle.list.Front(); e != nil; e = e.Next() {
		b := e.Value.(*Box)
		n += b.next.List.Len()
		if r.boxes[b.id] != b || b.refs != 0 || b.idle != e {
			t.Errorf("mailbox %s is idle with %d users", b.id, b.refs)
		}
	}
	if n != r.idle.messages || n > r.opts.BoxMessages || r.idle.list.Len() > maxIdleBoxes {
		t.Errorf("%d messages in %d idle boxes, counted %d, limit %d", n, r.idle.list.Len(), r.idle.messages, r.opts.BoxMessages)
	}
	if len(r.boxes) != r.idle.list.Len() {
		t.Errorf("%d boxes in memory, %d of them idle, and nobody has one open", len(r.boxes), r.idle.list.Len())
	}
}

// Mailboxes in memory grow, shrink and vanish while nobody has them open: the bound on them holds all the same.
func TestIdleBoxesStayWithinTheirBound(t *testing.T) {
	noLeaks(t)
	s := newStory(t, 5)
	s.Weights = map[event.Kind]int{event.KindMessagesAppended: 80, event.KindMessagesExpunged: 20, event.KindMailboxDeleted: 2, event.KindAccountDeleted: 1}
	s.tell(t, 400)
	opts := testOptions(vfs.NewMem(), s.rnd)
	opts.BoxMessages = 40
	r := mustOpen(t, opts)
	for at := range s.envs {
		if err := s.apply(r, at+1); err != nil {
			t.Fatal(err)
		}
		checkIdle(t, r)
		var ids []event.MailboxID
		err := state.ScanAllMailboxes(r.Reader(), func(m *state.Mailbox) (bool, error) { ids = append(ids, m.ID); return true, nil })
		if err != nil {
			t.Fatal(err)
		}
		for range min(2, len(ids)) {
			box, err := r.OpenBox(context.Background(), ids[s.rnd.IntN(len(ids))])
			if err != nil {
				t.Fatal(err)
			}
			box.Release()
		}
		checkIdle(t, r)
	}
}

func TestWatchersAreWoken(t *testing.T) {
	noLeaks(t)
	s := newStory(t, 1)
	s.tell(t, 80)
	r := mustOpen(t, testOptions(vfs.NewMem(), s.rnd))
	if err := s.apply(r, 80); err != nil {
		t.Fatal(err)
	}
	var id event.MailboxID
	for _, b := range s.Model.Mailboxes {
		id = b.ID
	}
	box, err := r.OpenBox(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	w, other := box.Watch(), box.Watch()
	told := func(w *Watcher) bool {
		select {
		case <-w.C:
			return true
		default:
			return false
		}
	}
	if told(w) {
		t.Error("told of nothing")
	}
	change := func() {
		b := s.Model.Mailboxes[id]
		ev := event.Entry{Event: &event.SpecialUseSet{Account: b.Account, Mailbox: id, Modseq: s.Model.Accounts[b.Account].Modseq + 1}}
		if err := s.Apply(ev); err != nil {
			t.Fatal(err)
		}
		s.append(t, ev)
		if err := s.apply(r, len(s.envs)); err != nil {
			t.Fatal(err)
		}
	}
	change()
	change()
	if !told(w) || told(w) {
		t.Error("two changes are not one value")
	}
	change()
	w.Close()
	change()
	if !told(w) || told(w) {
		t.Error("told after the end of the watch")
	}
	b := s.Model.Mailboxes[id]
	ev := event.Entry{Event: &event.MailboxDeleted{Account: b.Account, Mailbox: id, Modseq: s.Model.Accounts[b.Account].Modseq + 1}}
	if err := s.Apply(ev); err != nil {
		t.Fatal(err)
	}
	s.append(t, ev)
	if !told(other) {
		t.Error("the other was not told")
	}
	if err := s.apply(r, len(s.envs)); err != nil {
		t.Fatal(err)
	}
	if !told(other) || !box.Snapshot().Deleted {
		t.Errorf("told of the end: %+v", box.Snapshot())
	}
	other.Close()
	box.Release()
	if _, err := r.OpenBox(context.Background(), id); !errors.Is(err, ErrNoMailbox) {
		t.Error(err)
	}
	checkIdle(t, r)
}
