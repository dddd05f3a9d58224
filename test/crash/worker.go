package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

const (
	keywords    = 40  // how many keywords the clients use, and one mailbox can have
	ownBoxes    = 6   // names of mailboxes that a worker makes, deletes and makes again
	claimed     = 5   // messages of INBOX that a worker makes its own at a time
	fullAccount = 400 // messages from which on workers remove more than they add
)

// worker is an IMAP client. It changes only messages and mailboxes that it owns.
type worker struct {
	id   int // from 1 on, over all accounts
	m    *model
	a    *account
	rng  *rand.Rand
	conn *imapConn
	name string
}

// act is a thing that workers do, as often as weight says.
type act struct {
	weight int
	do     func(*worker) error
}

func acts() []act {
	return []act{
		{20, func(w *worker) error { return w.append(1) }}, {8, func(w *worker) error { return w.append(2 + w.rng.IntN(4)) }},
		{25, (*worker).store}, {10, func(w *worker) error { return w.transfer("COPY") }}, {10, func(w *worker) error { return w.transfer("MOVE") }},
		{8, (*worker).expungeUIDs}, {3, (*worker).expungeAll}, {6, (*worker).look}, {6, (*worker).create}, {4, (*worker).rename}, {3, (*worker).delete},
	}
}

// work acts until the connection breaks.
func (w *worker) work() error {
	list, sum := acts(), 0
	for _, a := range list {
		sum += a.weight
	}
	for {
		if w.full() {
			if err := w.expungeUIDs(); err != nil {
				return err
			}
		}
		n := w.rng.IntN(sum)
		for _, a := range list {
			if n -= a.weight; n < 0 {
				if err := a.do(w); err != nil {
					return err
				}
				break
			}
		}
	}
}

func (w *worker) full() bool {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	n := 0
	for _, b := range w.a.boxes {
		n += len(b.live)
	}
	return n > fullAccount
}

// carryOut sends a command and applies what it changes once it was acknowledged. acked takes over what the server told.
func (w *worker) carryOut(o *op, acked func(*response) error, command ...any) error {
	w.m.mu.Lock()
	o.note("sent by %s", w.name)
	w.m.mu.Unlock()
	res, err := w.conn.cmd(command...)
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if err != nil {
		w.m.pending = append(w.m.pending, o)
		return err
	}
	if err := res.err(); err != nil {
		return fmt.Errorf("%s: %w", o.what, err)
	}
	if acked != nil {
		if err := acked(res); err != nil {
			return fmt.Errorf("%s: [%s] %s: %w", o.what, res.code, res.text, err)
		}
	}
	o.note("acknowledged: [%s] %s", res.code, res.text)
	o.apply()
	return nil
}

// pick chooses a mailbox and some messages of the worker's own in it. It returns no mailbox if the one it chose has none.
func (w *worker) pick(n int) (*box, []*message) {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	w.claim()
	names := w.names(func(b *box) bool { return b.owner == 0 || b.owner == w.id })
	b := w.a.boxes[names[w.rng.IntN(len(names))]]
	if len(b.live) == 0 {
		return nil, nil
	}
	msgs := b.owned(w.id, w.rng.IntN(len(b.live)), n)
	slices.SortFunc(msgs, func(x, y *message) int { return int(x.uid) - int(y.uid) })
	if len(msgs) == 0 {
		return nil, nil
	}
	return b, msgs
}

// names lists the mailboxes for which ok says yes, in order, so that choices follow from the seed.
func (w *worker) names(ok func(*box) bool) []string {
	var names []string
	for name, b := range w.a.boxes {
		if ok(b) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// claim makes some messages of INBOX that nobody owns the worker's own.
func (w *worker) claim() {
	n := 0
	for _, m := range w.a.boxes["INBOX"].live {
		if m.owner == 0 && m.uid != 0 && n < claimed {
			m.owner = w.id
			n++
		}
	}
}

func (w *worker) store() error {
	b, msgs := w.pick(1 + w.rng.IntN(8))
	if b == nil {
		return nil
	}
	if err := w.conn.selectBox(b.name); err != nil {
		return err
	}
	return w.storeFlags(b, msgs, w.rng.IntN(3) > 0, w.flags())
}

func (w *worker) storeFlags(b *box, msgs []*message, add bool, flags []string) error {
	item := "-FLAGS"
	if add {
		item = "+FLAGS"
	}
	if w.rng.IntN(2) == 0 {
		item += ".SILENT"
	}
	list := "(" + strings.Join(flags, " ") + ")"
	o := &op{what: fmt.Sprintf("STORE %s %s %s %s", b.name, uidSet(msgs), item, list)}
	changes := map[uint32]*flagging{}
	for _, m := range msgs {
		f := newFlagging(m, add, flags)
		changes[m.uid] = f
		o.changes = append(o.changes, f)
	}
	return w.carryOut(o, func(res *response) error {
		for _, l := range res.untagged {
			items := l.fetched()
			if f := changes[uint32(items["UID"].number())]; f != nil {
				f.modseq = items["MODSEQ"].number()
			}
		}
		return nil
	}, "UID STORE", uidSet(msgs), item, list)
}

// flags chooses one to three flags, without \Deleted.
func (w *worker) flags() []string {
	system := []string{`\Seen`, `\Answered`, `\Flagged`, `\Draft`}
	var flags []string
	for range 1 + w.rng.IntN(3) {
		f := "kw" + strconv.Itoa(w.rng.IntN(keywords))
		if w.rng.IntN(2) == 0 {
			f = system[w.rng.IntN(len(system))]
		}
		if !slices.Contains(flags, f) {
			flags = append(flags, f)
		}
	}
	return flags
}

func (w *worker) expungeUIDs() error {
	b, msgs := w.pick(1 + w.rng.IntN(10))
	if b == nil {
		return nil
	}
	if err := w.conn.selectBox(b.name); err != nil {
		return err
	}
	if err := w.storeFlags(b, msgs, true, []string{`\Deleted`}); err != nil {
		return err
	}
	return w.carryOut(expunge(b, msgs), nil, "UID EXPUNGE", uidSet(msgs))
}

// expungeAll expunges what is deleted in a mailbox that only this worker changes.
func (w *worker) expungeAll() error {
	b, msgs := w.pick(3)
	if b == nil || b.owner != w.id {
		return nil
	}
	if err := w.conn.selectBox(b.name); err != nil {
		return err
	}
	if err := w.storeFlags(b, msgs, true, []string{`\Deleted`}); err != nil {
		return err
	}
	w.m.mu.Lock()
	deleted := slices.DeleteFunc(slices.Clone(b.live), func(m *message) bool { return !slices.Contains(m.flags, `\Deleted`) })
	w.m.mu.Unlock()
	return w.carryOut(expunge(b, deleted), nil, "EXPUNGE")
}

func expunge(b *box, msgs []*message) *op {
	o := &op{what: "EXPUNGE " + b.name + " " + uidSet(msgs)}
	for _, m := range msgs {
		o.changes = append(o.changes, &removal{m})
	}
	return o
}

// look reads what came into INBOX since the last check. What a client has seen must stay.
func (w *worker) look() error {
	w.m.mu.Lock()
	inbox := w.a.boxes["INBOX"]
	set := strconv.FormatUint(uint64(inbox.uidnext), 10) + ":*"
	w.m.mu.Unlock()
	if err := w.conn.selectBox(inbox.name); err != nil {
		return err
	}
	res, err := w.conn.cmd("UID FETCH", set, "(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
	if err != nil {
		return err
	}
	if err := res.err(); err != nil {
		return err
	}
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	unknown := map[string]*message{}
	for _, m := range inbox.live {
		if m.uid == 0 {
			unknown[m.key] = m
		}
	}
	for _, l := range res.untagged {
		items := l.fetched()
		uid, key := uint32(items["UID"].number()), messageID(items)
		if uid == 0 || key == "" {
			continue // an update, or another response
		}
		if _, known := inbox.ledger[uid]; !known {
			w.a.note(key, "%s saw it in INBOX with UID %d", w.name, uid)
		}
		inbox.identify(uid, key)
		if m := unknown[key]; m != nil {
			m.uid = uid
		}
	}
	return nil
}

func uidSet(msgs []*message) string {
	var list []string
	for _, m := range msgs {
		list = append(list, strconv.FormatUint(uint64(m.uid), 10))
	}
	return strings.Join(list, ",")
}

// parseUIDSet gives the UIDs of a set in the order in which they stand.
func parseUIDSet(s string) ([]uint32, error) {
	var uids []uint32
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, ":")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 32)
		to, err2 := strconv.ParseUint(last, 10, 32)
		if err = errors.Join(err, err2); err != nil {
			return nil, err
		}
		if from == 0 || to < from || to-from > 1<<20 {
			return nil, fmt.Errorf("UID set %q", s)
		}
		for u := from; u <= to; u++ {
			uids = append(uids, uint32(u))
		}
	}
	return uids, nil
}
