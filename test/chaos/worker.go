package main

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

const (
	// commandTimeout is how long a client waits for an answer.
	commandTimeout = 60 * time.Second
	// fullBox is from how many messages on a worker mostly expunges.
	fullBox = 120
)

// worker is an IMAP client. It changes only messages that it owns.
type worker struct {
	client
	id      int // from 1 on, over all accounts
	account string
	conn    *imapclient.Client
	box     *box   // that is selected
	seen    uint32 // UIDs of INBOX up to this one it has looked at
}

func (w *worker) run() {
	for w.ctx.Err() == nil {
		if err := w.session(); err != nil {
			w.failed("connection", err)
			if !w.rest(retryPause) {
				return
			}
		}
	}
}

func (w *worker) session() (err error) {
	if w.conn, err = dialIMAP(w.addr, w.account); err != nil {
		return err
	}
	defer w.conn.Close()
	stop := closeAfter(w.load, w.conn)
	defer stop()
	w.box = nil
	for w.ctx.Err() == nil {
		if err := w.act(); err != nil {
			if w.conn.State() == imap.ConnStateLogout {
				return err
			}
			w.failed("command", err)
			w.rest(retryPause)
		}
		if !w.rest(time.Duration(w.rng.Int64N(int64(w.opts.Pause)))) {
			break
		}
	}
	return nil
}

// act does one thing.
func (w *worker) act() error {
	b := w.l.boxes[place{w.account, []string{inbox, shared}[w.rng.IntN(2)]}]
	if w.box != b {
		w.box = nil
		if err := w.do(func() error { return w.selectBox(b) }); err != nil {
			return fmt.Errorf("SELECT %s: %w", b.name, err)
		}
	}
	v := w.view()
	if v.branch == noBranch {
		return w.append(v)
	}
	switch n := w.rng.IntN(100); {
	case w.owned(v.branch) > fullBox && n < 60:
		return w.expunge(v)
	case n < 40:
		return w.append(v)
	case n < 70:
		return w.store(v)
	case n < 80:
		return w.expunge(v)
	}
	return w.lookAround(v)
}

func (w *worker) do(command func() error) error { return within(w.conn, commandTimeout, command) }

func (w *worker) selectBox(b *box) error {
	d, err := w.conn.Select(b.name, &imap.SelectOptions{CondStore: true}).Wait()
	if err != nil {
		return err
	}
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	b.told(d.UIDValidity)
	w.box, w.seen = b, 0
	return nil
}

// owned counts the worker's messages in the selected mailbox.
func (w *worker) owned(br branch) int { return len(w.pick(br, 1<<20)) }

// pick chooses up to n of the worker's messages whose fate is certain.
func (w *worker) pick(br branch, n int) []*message {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	var list []*message
	for _, m := range w.box.messages {
		if m.owner == w.id && m.fate == must && m.uid[br] != 0 {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b *message) int { return int(a.uid[br]) - int(b.uid[br]) }) // so that choices follow from the seed
	w.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:min(n, len(list))]
}

func (w *worker) append(v *view) error {
	flag := pickFlag(w.rng)
	w.l.mu.Lock()
	key := w.l.newKey(w.name)
	raw, text := compose(w.rng, key)
	m := w.box.add(key, text, w.id, flag)
	w.l.mu.Unlock()
	sent := time.Now()
	var d *imap.AppendData
	err := w.do(func() error {
		c := w.conn.Append(w.box.name, int64(len(raw)), &imap.AppendOptions{Flags: []imap.Flag{imap.Flag(flag)}})
		if _, err := bytes.NewReader(raw).WriteTo(c); err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return err
		}
		var err error
		d, err = c.Wait()
		return err
	})
	if err != nil {
		return fmt.Errorf("APPEND %s: %w", key, err)
	}
	w.done(sent, &w.l.counts.appends, func(now time.Time) {
		m.acknowledged(now)
		m.told(w.since(v), uint32(d.UID), d.UIDValidity, sent, now)
	})
	return w.readBack(v, m, false, flag)
}

// done notes that a write was acknowledged.
func (w *worker) done(sent time.Time, count *int, note func(now time.Time)) {
	now := time.Now()
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	*count++
	note(now)
	w.acked(sent, now)
}

// readBack looks on the same connection for a message that the worker just changed, for a flag of it, or that it is expunged.
func (w *worker) readBack(v *view, m *message, expunged bool, flag string) error {
	br := w.since(v)
	if br == noBranch {
		return nil
	}
	w.l.mu.Lock()
	uid := m.uid[br]
	w.l.mu.Unlock()
	var list []*imapclient.FetchMessageBuffer
	err := w.do(func() (err error) {
		opts := fetchKeys()
		opts.Flags = true
		list, err = w.conn.Fetch(imap.UIDSetNum(imap.UID(uid)), opts).Collect()
		return err
	})
	if err != nil {
		return fmt.Errorf("UID FETCH %d: %w", uid, err)
	}
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	if w.since(v) == noBranch {
		return nil
	}
	there := len(list) == 1 && keyOf(list[0]) == m.key
	switch {
	case expunged && there:
		m.box.violation(m.key, "UID %d is there for %s, which was told that it is expunged", uid, w.name)
	case !expunged && !there:
		m.box.violation(m.key, "UID %d is not there for %s, which was told that it is", uid, w.name)
	case !expunged:
		is := flagsOf(list[0].Flags)
		for _, f := range flagNames() {
			if w.addOnly && f != flag {
				continue // it may have been set in a history that is gone for a while
			}
			if known := m.flags[f]; known == must && !slices.Contains(is, f) || known == gone && slices.Contains(is, f) {
				m.box.violation(m.key, "UID %d has flags %v for %s, contrary to what it was told of %s", uid, is, w.name, f)
			}
		}
	}
	w.l.counts.readBack++
	return nil
}

// store sets or clears a flag of some messages of which it is certain whether they have it.
func (w *worker) store(v *view) error {
	flag, set := pickFlag(w.rng), w.addOnly || w.rng.IntN(3) > 0
	list := w.pick(v.branch, 1+w.rng.IntN(4))
	w.l.mu.Lock()
	var uids imap.UIDSet
	list = slices.DeleteFunc(list, func(m *message) bool { return m.flags[flag] == maybe })
	for _, m := range list {
		uids.AddNum(imap.UID(m.uid[v.branch]))
		if (m.flags[flag] == must) != set {
			m.flags[flag] = maybe
		}
	}
	w.l.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	op, after := imap.StoreFlagsDel, gone
	if set {
		op, after = imap.StoreFlagsAdd, must
	}
	sent := time.Now()
	if err := w.storeFlags(uids, op, flag); err != nil {
		return err
	}
	w.done(sent, &w.l.counts.stores, func(time.Time) {
		for _, m := range list {
			m.flags[flag] = after
		}
	})
	return w.readBack(v, list[0], false, flag)
}

func (w *worker) storeFlags(uids imap.UIDSet, op imap.StoreFlagsOp, flag string) error {
	err := w.do(func() error {
		return w.conn.Store(uids, &imap.StoreFlags{Op: op, Silent: w.rng.IntN(2) == 0, Flags: []imap.Flag{imap.Flag(flag)}}, nil).Close()
	})
	if err != nil {
		return fmt.Errorf("UID STORE %v %s: %w", uids, flag, err)
	}
	return nil
}

func (w *worker) expunge(v *view) error {
	list := w.pick(v.branch, 1+w.rng.IntN(4))
	if len(list) == 0 {
		return nil
	}
	var uids imap.UIDSet
	w.l.mu.Lock()
	for _, m := range list {
		uids.AddNum(imap.UID(m.uid[v.branch]))
		m.fate, m.flags[`\Deleted`] = maybe, maybe
	}
	w.l.mu.Unlock()
	if err := w.storeFlags(uids, imap.StoreFlagsAdd, `\Deleted`); err != nil {
		return err
	}
	sent := time.Now()
	if err := w.do(w.conn.UIDExpunge(uids).Close); err != nil {
		return fmt.Errorf("UID EXPUNGE %v: %w", uids, err)
	}
	w.done(sent, &w.l.counts.expunges, func(time.Time) {
		for _, m := range list {
			m.expunged(w.since(v))
		}
	})
	return w.readBack(v, list[0], true, "")
}

// lookAround reads what came into the selected mailbox, and owns what nobody does.
func (w *worker) lookAround(v *view) error {
	var list []*imapclient.FetchMessageBuffer
	err := w.do(func() (err error) {
		list, err = w.conn.Fetch(imap.UIDSet{{Start: imap.UID(w.seen + 1), Stop: 0}}, fetchKeys()).Collect()
		return err
	})
	if err != nil {
		return fmt.Errorf("UID FETCH %d:*: %w", w.seen+1, err)
	}
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	if w.since(v) == noBranch {
		return nil
	}
	for _, f := range list {
		key := keyOf(f)
		m := w.box.messages[key]
		switch {
		case key == "": // flags that changed
			continue
		case m == nil:
			w.box.violation(key, "nobody sent it: UID %d", f.UID)
			continue
		}
		m.identified(v.branch, uint32(f.UID))
		if m.owner == 0 {
			m.owner = w.id
		}
		w.seen = max(w.seen, uint32(f.UID))
	}
	return nil
}
