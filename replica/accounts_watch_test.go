package replica

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// mirror is what somebody knows of an account who reads it once and then follows its news.
type mirror struct {
	boxes      map[event.MailboxID]*state.Mailbox
	subscribed map[string]bool
}

func readMirror(r state.Reader, account string) (*mirror, error) {
	m := &mirror{map[event.MailboxID]*state.Mailbox{}, map[string]bool{}}
	boxes, err := state.Mailboxes(r, account)
	if err != nil {
		return nil, err
	}
	for _, b := range boxes {
		m.boxes[b.ID] = b
	}
	names, err := state.Subscriptions(r, account)
	for _, n := range names {
		m.subscribed[n] = true
	}
	return m, err
}

// follow takes in news. strict says that the mirror has seen nothing yet of what the news tell.
func (m *mirror) follow(news AccountNews, strict bool) error {
	for _, c := range news.Mailboxes {
		before := ""
		if b := m.boxes[c.ID]; b != nil {
			before = b.Name
		}
		if strict && before != c.Before {
			return fmt.Errorf("mailbox %s was called %q, the news says %q", c.ID, before, c.Before)
		}
		delete(m.boxes, c.ID)
		if c.Mailbox != nil {
			m.boxes[c.ID] = c.Mailbox
		}
	}
	for _, c := range news.Subscriptions {
		delete(m.subscribed, c.Name)
		if c.Subscribed {
			m.subscribed[c.Name] = true
		}
	}
	return nil
}

// differs says how a mirror differs from another: in names, counters and subscriptions.
func (m *mirror) differs(want *mirror) error {
	describe := func(boxes map[event.MailboxID]*state.Mailbox) map[event.MailboxID]string {
		all := map[event.MailboxID]string{}
		for id, b := range boxes {
			all[id] = fmt.Sprintf("%s %d/%d/%d/%d", b.Name, b.Messages, b.Unseen, b.UIDNext, b.UIDValidity)
		}
		return all
	}
	if got, want := describe(m.boxes), describe(want.boxes); !maps.Equal(got, want) {
		return fmt.Errorf("mailboxes %v, want %v", got, want)
	}
	if !maps.Equal(m.subscribed, want.subscribed) {
		return fmt.Errorf("subscriptions %v, want %v", m.subscribed, want.subscribed)
	}
	return nil
}

// newAccountStory is a history that is mostly about mailboxes, and the names of its accounts.
func newAccountStory(t *testing.T, seed uint64, envelopes int) (*story, []string) {
	s := newStory(t, seed)
	s.Weights = map[event.Kind]int{
		event.KindMailboxCreated: 20, event.KindMailboxRenamed: 20, event.KindMailboxDeleted: 8, event.KindSubscriptionSet: 20,
		event.KindAccountCreated: 2, event.KindAccountDeleted: 0,
	}
	s.tell(t, envelopes)
	var accounts []string
	for name := range s.Model.Accounts {
		accounts = append(accounts, name)
	}
	return s, accounts
}

func TestAccountNewsSayWhatBecameOfAnAccount(t *testing.T) {
	noLeaks(t)
	for seed := range uint64(4) {
		s, accounts := newAccountStory(t, 100+seed, 300)
		r := mustOpen(t, testOptions(vfs.NewMem(), s.rnd))
		watchers, mirrors := map[string]*AccountWatcher{}, map[string]*mirror{}
		for _, a := range accounts {
			w, err := r.WatchAccount(t.Context(), a, "nobody", 1000)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			watchers[a], mirrors[a] = w, &mirror{map[event.MailboxID]*state.Mailbox{}, map[string]bool{}}
		}
		for at := 0; at < len(s.envs); {
			at = min(len(s.envs), at+1+s.rnd.IntN(12))
			if err := s.apply(r, at); err != nil {
				t.Fatal(err)
			}
			for _, a := range accounts {
				if err := mirrors[a].follow(watchers[a].Take(), true); err != nil {
					t.Fatalf("seed %d, at %d, account %s: %v", seed, at, a, err)
				}
				want, err := readMirror(r.Reader(), a)
				if err != nil {
					t.Fatal(err)
				}
				if err := mirrors[a].differs(want); err != nil {
					t.Fatalf("seed %d, at %d, account %s: %v", seed, at, a, err)
				}
			}
		}
	}
}

// Whoever watches an account and then reads it misses nothing, at whatever moment of a batch he comes.
func TestWatchingBeginsBetweenBatches(t *testing.T) {
	noLeaks(t)
	s, accounts := newAccountStory(t, 7, 600)
	r := mustOpen(t, testOptions(vfs.NewMem(), s.rnd))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 5))
			for more := true; more; {
				select {
				case <-done:
					more = false // once more, to the end
				default:
				}
				if err := watchFor(r, accounts[rnd.IntN(len(accounts))], rnd.IntN(20), done); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	if err := s.apply(r, len(s.envs)); err != nil {
		t.Fatal(err)
	}
	close(done)
	wg.Wait()
	if len(r.watches.byAccount) != 0 || r.watches.batch != nil {
		t.Errorf("%d accounts are still watched", len(r.watches.byAccount))
	}
}

// watchFor follows an account for so many news, and then compares what it knows with what can be read.
func watchFor(r *Replica, account string, lots int, done <-chan struct{}) error {
	w, err := r.WatchAccount(context.Background(), account, "nobody", 1000)
	if err != nil {
		return err
	}
	defer w.Close()
	m, err := readMirror(r.Reader(), account)
	if err != nil {
		return err
	}
	for range lots {
		select {
		case <-w.C:
		case <-done:
		}
		if err := m.follow(w.Take(), false); err != nil {
			return err
		}
	}
	for {
		compared, err := m.compare(r, w, account)
		if compared || err != nil {
			return err
		}
	}
}

// compare holds a mirror against what can be read, unless something happened meanwhile.
func (m *mirror) compare(r *Replica, w *AccountWatcher, account string) (compared bool, err error) {
	at := r.Applied().Position
	if err := m.follow(w.Take(), false); err != nil {
		return false, err
	}
	snap := r.db.NewSnapshot()
	defer func() { err = errors.Join(err, snap.Close()) }()
	place, err := readPlace(snap)
	if err != nil || place.Position != at {
		return false, err
	}
	want, err := readMirror(reader{snap}, account)
	if err != nil {
		return false, err
	}
	// News of a later batch may have been among those taken.
	if now := r.Applied().Position; now != at {
		return false, nil
	}
	return true, m.differs(want)
}

func TestNewsThatNobodyTakesAreBounded(t *testing.T) {
	const most = 5
	s, accounts := newAccountStory(t, 9, 200)
	r := mustOpen(t, testOptions(vfs.NewMem(), s.rnd))
	var watchers []*AccountWatcher
	for _, a := range accounts {
		w, err := r.WatchAccount(t.Context(), a, "nobody", most)
		if err != nil {
			t.Fatal(err)
		}
		watchers = append(watchers, w)
	}
	if err := s.apply(r, len(s.envs)); err != nil {
		t.Fatal(err)
	}
	lost := 0
	for _, w := range watchers {
		<-w.C
		news := w.Take()
		if n := len(news.Mailboxes) + len(news.Subscriptions); n > most || news.Lost && n > 0 {
			t.Errorf("%+v", news)
		}
		if news.Lost {
			lost++
		}
		if again := w.Take(); !again.IsEmpty() {
			t.Errorf("a second time: %+v", again)
		}
		w.Close()
	}
	if lost == 0 {
		t.Error("nothing was lost")
	}
}

func TestWatchingAnAccountWaitsNoLongerThanAsked(t *testing.T) {
	s, _ := newAccountStory(t, 1, 1)
	r := mustOpen(t, testOptions(vfs.NewMem(), s.rnd))
	_, end := r.watches.begin(r.Reader())
	defer end()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if w, err := r.WatchAccount(ctx, "ann", "nobody", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", w, err)
	}
	if len(r.watches.byAccount) != 0 {
		t.Error("the account is watched all the same")
	}
}
