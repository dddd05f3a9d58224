package mailstore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/replica/state"
)

// naive is an account as the IMAP documents describe it.
type naive struct {
	boxes  map[string]*naiveBox
	subs   map[string]bool
	modseq uint64 // only compared with itself: every change is above all before
}

type naiveBox struct {
	next uint32
	uses []string
	msgs []naiveMessage
}

type naiveMessage struct {
	uid    uint32
	modseq uint64
	flags  map[string]bool
	body   string
}

func (n *naive) tick() uint64 { n.modseq++; return n.modseq }

func (n *naive) taken(use, except string) bool {
	for name, b := range n.boxes {
		if name != except && slices.Contains(b.uses, use) {
			return true
		}
	}
	return false
}

// rename gives the names after a rename, or why it cannot be.
func (n *naive) rename(from, to string) error {
	below := func(name, of string) bool { return name == of || strings.HasPrefix(name, of+"/") }
	if n.boxes[to] != nil {
		return mailstore.ErrMailboxExists
	}
	if from == "INBOX" { // RFC 9051, section 6.3.6
		n.boxes[to] = &naiveBox{next: 1}
		n.transfer(n.boxes[from], n.boxes[to], func(naiveMessage) bool { return true }, true)
		return nil
	}
	if strings.HasPrefix(to, from+"/") {
		return mailstore.ErrNotAllowed
	}
	after := map[string]*naiveBox{}
	moved := 0
	for name, b := range n.boxes {
		if below(name, from) {
			moved++
			name = to + strings.TrimPrefix(name, from)
		}
		if after[name] != nil {
			return mailstore.ErrMailboxExists
		}
		after[name] = b
	}
	if moved == 0 {
		return mailstore.ErrNoMailbox
	}
	n.boxes = after
	return nil
}

func (n *naive) transfer(from, to *naiveBox, which func(naiveMessage) bool, move bool) (count int) {
	modseq := n.tick()
	var kept []naiveMessage
	for _, m := range slices.Clone(from.msgs) {
		if which(m) {
			count++
			c := m
			c.uid, c.modseq, c.flags = to.next, modseq, maps.Clone(m.flags)
			to.next++
			to.msgs = append(to.msgs, c)
		}
	}
	if move {
		for _, m := range from.msgs {
			if from == to && m.modseq == modseq || !which(m) {
				kept = append(kept, m)
			}
		}
		from.msgs = kept
	}
	return count
}

// world is the store and the model of one account.
type world struct {
	*naive
	env     *storetest.Env
	account string
}

var levels = []string{"a", "b", "a/b", "a/b/c", "b/a", "INBOX", "c"}

func anyName(t *rapid.T) string { return rapid.SampledFrom(levels).Draw(t, "name") }

func anyUIDs(t *rapid.T) event.UIDSet {
	first := rapid.Uint32Range(1, 12).Draw(t, "first UID")
	return event.UIDSet{{First: first, Last: first + rapid.Uint32Range(0, 6).Draw(t, "more UIDs")}}
}

func anyFlags(t *rapid.T) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom([]string{`\Seen`, `\Deleted`, `\Flagged`, "Work", "$Junk"}), 0, 3, rapid.ID).Draw(t, "flags")
}

func wantErr(t *rapid.T, got, want error) bool {
	if (want == nil) != (got == nil) || !errors.Is(got, want) {
		t.Fatalf("error %v, want %v", got, want)
	}
	return got == nil
}

// open opens a mailbox and calls fn, if it is there.
func (w *world) open(t *rapid.T, fn func(*naiveBox, *mailstore.Mailbox)) {
	name := anyName(t)
	box, err := w.env.Store.Open(context.Background(), storetest.User(w.account), w.account, name, false)
	b := w.boxes[name]
	if b == nil {
		wantErr(t, err, mailstore.ErrNoMailbox)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	fn(b, box)
}

// TestStoreBehavesAsIMAPSays runs random calls on an account and on a naive model of one, and compares all that can be seen.
func TestStoreBehavesAsIMAPSays(t *testing.T) {
	env := storetest.New(t, 3, mailstore.Options{MaxMailboxes: 6})
	accounts := 0
	rapid.Check(t, func(t *rapid.T) {
		accounts++
		w := &world{&naive{boxes: map[string]*naiveBox{"INBOX": {next: 1}}, subs: map[string]bool{}}, env, fmt.Sprintf("u%d", accounts)}
		cred := event.Credential{Iterations: 1, Salt: []byte("salt"), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
		if err := env.Store.CreateAccount(context.Background(), storetest.Admin, w.account, cred); err != nil {
			t.Fatal(err)
		}
		t.Repeat(map[string]func(*rapid.T){
			"create": w.create, "delete": w.delete, "rename": w.renameBox, "subscribe": w.subscribe, "special use": w.specialUse,
			"append": w.append, "store": w.storeFlags, "copy": w.copy, "move": w.move, "expunge": w.expunge, "": w.compare,
		})
	})
}

func (w *world) create(t *rapid.T) {
	name := anyName(t)
	uses := rapid.SliceOfN(rapid.SampledFrom([]string{`\Sent`, `\Trash`, `\Nonsense`}), 0, 1).Draw(t, "uses")
	var want error
	switch {
	case w.boxes[name] != nil:
		want = mailstore.ErrMailboxExists
	case len(w.boxes) >= 6:
		want = mailstore.ErrLimit
	case len(uses) > 0 && (uses[0] == `\Nonsense` || w.taken(uses[0], "")):
		want = mailstore.ErrSpecialUse
	}
	_, err := w.env.Store.CreateMailbox(context.Background(), storetest.User(w.account), w.account, mailstore.NewMailbox{Name: name + "/", SpecialUse: uses})
	if wantErr(t, err, want) {
		w.boxes[name] = &naiveBox{next: 1, uses: uses}
	}
}

func (w *world) delete(t *rapid.T) {
	name := anyName(t)
	var want error
	switch {
	case w.boxes[name] == nil:
		want = mailstore.ErrNoMailbox
	case name == "INBOX":
		want = mailstore.ErrNotAllowed
	}
	if wantErr(t, w.env.Store.DeleteMailbox(context.Background(), storetest.User(w.account), w.account, name), want) {
		delete(w.boxes, name)
	}
}

func (w *world) renameBox(t *rapid.T) {
	from, to := anyName(t), anyName(t)
	var want error
	if from == "INBOX" && w.boxes[to] == nil && len(w.boxes) >= 6 {
		want = mailstore.ErrLimit
	} else {
		want = w.rename(from, to)
	}
	wantErr(t, w.env.Store.RenameMailbox(context.Background(), storetest.User(w.account), w.account, from, to), want)
}

func (w *world) subscribe(t *rapid.T) {
	name, on := anyName(t), rapid.Bool().Draw(t, "on")
	wantErr(t, w.env.Store.Subscribe(context.Background(), storetest.User(w.account), w.account, name, on), nil)
	delete(w.subs, name)
	if on {
		w.subs[name] = true
	}
}

func (w *world) specialUse(t *rapid.T) {
	name, use := anyName(t), rapid.SampledFrom([]string{`\Sent`, `\Trash`, `\Inbox`}).Draw(t, "use")
	var want error
	switch {
	case w.boxes[name] == nil:
		want = mailstore.ErrNoMailbox
	case use == `\Inbox` || w.taken(use, name):
		want = mailstore.ErrSpecialUse
	}
	if wantErr(t, w.env.Store.SetSpecialUse(context.Background(), storetest.User(w.account), w.account, name, []string{use}), want) {
		w.boxes[name].uses = []string{use}
	}
}

func (w *world) append(t *rapid.T) {
	name, raw := anyName(t), rapid.StringMatching("Subject: [a-z]{1,3}\r\n\r\n").Draw(t, "raw")
	flags := anyFlags(t)
	var want error
	if w.boxes[name] == nil {
		want = mailstore.ErrNoMailbox
	}
	b, err := w.env.Store.Prepare([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	n := rapid.IntRange(1, 3).Draw(t, "messages")
	msgs := slices.Repeat([]mailstore.NewMessage{{Body: b, Flags: append(flags, `\recent`)}}, n)
	res, err := w.env.Store.Append(context.Background(), storetest.User(w.account), w.account, name, msgs)
	if !wantErr(t, err, want) {
		return
	}
	box, modseq := w.boxes[name], w.tick()
	if res.First != box.next || res.Count != n {
		t.Fatalf("%+v, want UID %d", res, box.next)
	}
	for range n {
		m := naiveMessage{box.next, modseq, map[string]bool{}, raw}
		for _, f := range flags {
			m.flags[f] = true
		}
		box.msgs = append(box.msgs, m)
		box.next++
	}
}

// storeFlags is STORE, half of the time with UNCHANGEDSINCE of one of the messages.
func (w *world) storeFlags(t *rapid.T) {
	w.open(t, func(b *naiveBox, box *mailstore.Mailbox) {
		up := mailstore.FlagUpdate{UIDs: anyUIDs(t), Op: mailstore.FlagOp(rapid.IntRange(0, 2).Draw(t, "op")), Flags: anyFlags(t)}
		var since uint64 // in the model's numbers
		if rapid.Bool().Draw(t, "conditional") {
			real := uint64(0)
			if len(b.msgs) > 0 {
				i := rapid.IntRange(0, len(b.msgs)-1).Draw(t, "since that of")
				live, _ := box.Snapshot().List.Get(b.msgs[i].uid)
				real, since = live.Modseq, b.msgs[i].modseq
			}
			up.UnchangedSince = &real
		}
		res, err := box.StoreFlags(context.Background(), up)
		if err != nil {
			t.Fatal(err)
		}
		var changed, modified event.UIDSet
		modseq := w.tick()
		for i := range b.msgs {
			m := &b.msgs[i]
			if !up.UIDs.Contains(m.uid) {
				continue
			}
			if up.UnchangedSince != nil && m.modseq > since {
				modified = modified.Add(m.uid)
				continue
			}
			next := maps.Clone(m.flags)
			if up.Op == mailstore.SetFlags {
				clear(next)
			}
			for _, f := range up.Flags {
				if up.Op == mailstore.RemoveFlags {
					delete(next, f)
				} else {
					next[f] = true
				}
			}
			if !maps.Equal(next, m.flags) {
				changed = changed.Add(m.uid)
				m.flags, m.modseq = next, modseq
			}
		}
		if changed.String() != res.Changed.String() || modified.String() != res.Modified.String() || (res.Modseq == 0) != (len(changed) == 0) {
			t.Fatalf("%+v, want changed %s, modified %s", res, changed, modified)
		}
	})
}

func (w *world) copy(t *rapid.T) { w.transferSome(t, false) }
func (w *world) move(t *rapid.T) { w.transferSome(t, true) }

func (w *world) transferSome(t *rapid.T, move bool) {
	w.open(t, func(b *naiveBox, box *mailstore.Mailbox) {
		to, uids := anyName(t), anyUIDs(t)
		do := box.Copy
		if move {
			do = box.Move
		}
		res, err := do(context.Background(), uids, to)
		dest := w.boxes[to]
		if dest == nil {
			wantErr(t, err, mailstore.ErrNoMailbox)
			return
		}
		first := dest.next
		n := w.transfer(b, dest, func(m naiveMessage) bool { return uids.Contains(m.uid) && (m.uid < first || b != dest) }, move)
		if err != nil || res.Source.Len() != n || (n > 0 && res.First != first) {
			t.Fatalf("%+v, %v; want %d from UID %d", res, err, n, first)
		}
	})
}

func (w *world) expunge(t *rapid.T) {
	w.open(t, func(b *naiveBox, box *mailstore.Mailbox) {
		var uids event.UIDSet
		if rapid.Bool().Draw(t, "UID EXPUNGE") {
			uids = anyUIDs(t)
		}
		gone, modseq, err := box.Expunge(context.Background(), uids)
		var want event.UIDSet
		b.msgs = slices.DeleteFunc(b.msgs, func(m naiveMessage) bool {
			out := m.flags[`\Deleted`] && (uids == nil || uids.Contains(m.uid))
			if out {
				want = want.Add(m.uid)
			}
			return out
		})
		if err != nil || gone.String() != want.String() || (modseq == 0) != (len(want) == 0) {
			t.Fatalf("%v at %d, %v; want %v", gone, modseq, err, want)
		}
	})
}

func (w *world) compare(t *rapid.T) {
	ctx, id := context.Background(), storetest.User(w.account)
	rows, err := w.env.Store.Mailboxes(ctx, id, w.account)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, name := range slices.Sorted(maps.Keys(w.boxes)) {
		want = append(want, w.boxes[name].show(name))
	}
	for _, row := range rows {
		got = append(got, showRow(t, w, row))
	}
	subs, err := w.env.Store.Subscriptions(ctx, id, w.account)
	if err != nil {
		t.Fatal(err)
	}
	got, want = append(got, fmt.Sprint(subs)), append(want, fmt.Sprint(slices.Sorted(maps.Keys(w.subs))))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

// show puts a mailbox into words; modseqs by their order alone.
func (b *naiveBox) show(name string) string {
	unseen, modseqs := 0, []uint64{}
	for _, m := range b.msgs {
		modseqs = append(modseqs, m.modseq)
		if !m.flags[`\Seen`] {
			unseen++
		}
	}
	s := fmt.Sprintf("%s next %d, %d messages, %d unseen, uses %v:", name, b.next, len(b.msgs), unseen, b.uses)
	for i, m := range b.msgs {
		s += fmt.Sprintf(" %d@%d%v %q", m.uid, rank(modseqs, modseqs[i]), slices.Sorted(maps.Keys(m.flags)), m.body)
	}
	return s
}

func rank(all []uint64, n uint64) int {
	sorted := slices.Compact(slices.Sorted(slices.Values(all)))
	return slices.Index(sorted, n)
}

func showRow(t *rapid.T, w *world, row *state.Mailbox) string {
	box, err := w.env.Store.Open(context.Background(), storetest.User(w.account), w.account, row.Name, true)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	snap := box.Snapshot()
	b := naiveBox{next: row.UIDNext, uses: row.SpecialUse}
	for _, l := range snap.List.All() {
		m, ok, err := box.Message(l.UID)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		raw, err := box.Body(m.GUID)
		if err != nil {
			t.Fatal(err)
		}
		flags := map[string]bool{}
		for _, f := range l.Flags.Names(snap.Mailbox.Keywords) {
			flags[f] = true
		}
		b.msgs = append(b.msgs, naiveMessage{l.UID, l.Modseq, flags, string(raw)})
	}
	return b.show(row.Name)
}

func TestKeywordsAreLimited(t *testing.T) {
	env := storetest.New(t, 1, mailstore.Options{})
	env.Account(t, "ann")
	for i := range state.MaxKeywords {
		env.Append(t, "ann", "INBOX", mail, fmt.Sprintf("k%d", i))
	}
	env.Append(t, "ann", "INBOX", mail, "K7")
	box, err := env.Store.Open(context.Background(), storetest.User("ann"), "ann", "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	add := func(f string) error {
		_, err := box.StoreFlags(context.Background(), mailstore.FlagUpdate{UIDs: event.UIDsOf(1), Op: mailstore.AddFlags, Flags: []string{f}})
		return err
	}
	for f, want := range map[string]error{
		"one-more": mailstore.ErrLimit, `\Unheard`: mailstore.ErrNotAllowed, strings.Repeat("k", mailstore.MaxKeywordBytes+1): mailstore.ErrLimit, "K9": nil,
	} {
		if err := add(f); !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("%q: %v, want %v", f, err, want)
		}
	}
	if _, err := env.Store.CreateMailbox(context.Background(), storetest.User("ann"), "ann", mailstore.NewMailbox{Name: "B"}); err != nil {
		t.Fatal(err)
	}
	env.Append(t, "ann", "B", mail, "other")
	if _, err := box.Copy(context.Background(), event.UIDSet{{First: 1, Last: 1000}}, "B"); !errors.Is(err, mailstore.ErrLimit) {
		t.Errorf("copy of more keywords than fit: %v", err)
	}
}
