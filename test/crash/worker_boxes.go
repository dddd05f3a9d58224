package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// append appends n messages with one command.
func (w *worker) append(n int) error {
	w.m.mu.Lock()
	names := w.names(func(b *box) bool { return b.owner == 0 || b.owner == w.id })
	b := w.a.boxes[names[w.rng.IntN(len(names))]]
	o := &op{what: fmt.Sprintf("APPEND %s (%d)", b.name, n)}
	command := []any{"APPEND", quote(b.name)}
	for range n {
		key := w.m.newKey(w.name)
		flags := w.flags()
		command = append(command, "("+strings.Join(flags, " ")+")", literal(w.m.compose(w.rng, key)))
		b.keys[key] = true
		slices.Sort(flags)
		o.changes = append(o.changes, &addition{box: b, key: key, flags: flags, owner: w.id})
	}
	w.m.mu.Unlock()
	return w.carryOut(o, func(res *response) error { return tellUIDs(b, o, strings.Fields(res.code), "APPENDUID") }, command...)
}

// tellUIDs takes over the UIDs of APPENDUID and COPYUID into the additions of a command.
func tellUIDs(b *box, o *op, code []string, name string) error {
	if len(code) < 3 || code[0] != name {
		return fmt.Errorf("no %s", name)
	}
	validity, err := strconv.ParseUint(code[1], 10, 32)
	if err != nil {
		return err
	}
	b.validity(uint32(validity))
	uids, err := parseUIDSet(code[len(code)-1])
	if err != nil {
		return err
	}
	for _, c := range o.changes {
		add, ok := c.(*addition)
		if !ok {
			continue
		}
		if len(uids) == 0 {
			return fmt.Errorf("%s tells too few UIDs", name)
		}
		add.uid, uids = uids[0], uids[1:]
	}
	if len(uids) > 0 {
		return fmt.Errorf("%s tells too many UIDs", name)
	}
	return nil
}

// transfer copies or moves messages into another mailbox, where they never were before.
func (w *worker) transfer(command string) error {
	from, msgs := w.pick(1 + w.rng.IntN(6))
	if from == nil {
		return nil
	}
	w.m.mu.Lock()
	names := w.names(func(b *box) bool { return b != from && (b.owner == 0 || b.owner == w.id) })
	var to *box
	if len(names) > 0 {
		to = w.a.boxes[names[w.rng.IntN(len(names))]]
		msgs = slices.DeleteFunc(msgs, func(m *message) bool { return to.keys[m.key] })
	}
	w.m.mu.Unlock()
	if to == nil || len(msgs) == 0 {
		return nil
	}
	o := &op{what: fmt.Sprintf("%s %s %s to %s", command, from.name, uidSet(msgs), to.name)}
	w.m.mu.Lock()
	for _, m := range msgs {
		to.keys[m.key] = true
		if command == "MOVE" {
			o.changes = append(o.changes, &removal{m})
		}
		o.changes = append(o.changes, &addition{box: to, key: m.key, flags: m.flags, owner: w.id, emailID: m.emailID})
	}
	w.m.mu.Unlock()
	if err := w.conn.selectBox(from.name); err != nil {
		return err
	}
	return w.carryOut(o, func(res *response) error { return w.tellCopied(to, o, res, msgs) }, "UID "+command, uidSet(msgs), quote(to.name))
}

// tellCopied finds COPYUID in the tagged response of COPY, or in an untagged one of MOVE (RFC 6851, section 4.3).
func (w *worker) tellCopied(to *box, o *op, res *response, msgs []*message) error {
	code := strings.Fields(res.code)
	for _, l := range res.untagged {
		if _, c, _ := splitStatus(l.status); strings.HasPrefix(c, "COPYUID ") {
			code = strings.Fields(c)
		}
	}
	if len(code) != 4 {
		return fmt.Errorf("no COPYUID")
	}
	source, err := parseUIDSet(code[2])
	if err != nil {
		return err
	}
	if !slices.EqualFunc(source, msgs, func(uid uint32, m *message) bool { return uid == m.uid }) {
		return fmt.Errorf("COPYUID tells of other messages")
	}
	return tellUIDs(to, o, code, "COPYUID")
}

// create makes a mailbox under a name that may have been in use before, at times one level down.
func (w *worker) create() error {
	w.m.mu.Lock()
	name := w.freeName()
	o := &op{what: "CREATE " + name}
	if name != "" {
		o.changes = []change{&creation{newBox(w.a, name, w.id)}}
	}
	w.m.mu.Unlock()
	if name == "" {
		return nil
	}
	return w.carryOut(o, nil, "CREATE", quote(name))
}

// freeName chooses a name for a mailbox of the worker's; "" if the one it chose is taken.
func (w *worker) freeName() string {
	name := fmt.Sprintf("W%d-%d", w.id, w.rng.IntN(ownBoxes))
	if w.a.boxes[name] != nil && w.rng.IntN(2) == 0 {
		name += "/sub"
	}
	if w.a.boxes[name] != nil {
		return ""
	}
	return name
}

// ownBox chooses a mailbox that the worker may rename or delete.
func (w *worker) ownBox(ok func(*box) bool) *box {
	names := w.names(func(b *box) bool { return b.owner == w.id && ok(b) })
	if len(names) == 0 {
		return nil
	}
	return w.a.boxes[names[w.rng.IntN(len(names))]]
}

func (w *worker) rename() error {
	w.m.mu.Lock()
	b := w.ownBox(func(b *box) bool { return !strings.Contains(b.name, "/") })
	to := fmt.Sprintf("W%d-%d", w.id, w.rng.IntN(ownBoxes))
	o := new(op)
	if b != nil {
		o.what = "RENAME " + b.name + " to " + to
		o.changes = w.renamings(b, to)
	}
	w.m.mu.Unlock()
	if o.changes == nil {
		return nil
	}
	if err := w.conn.unselect(); err != nil {
		return err
	}
	return w.carryOut(o, nil, "RENAME", quote(b.name), quote(to))
}

// renamings says what a renaming changes: nothing if a name is taken.
func (w *worker) renamings(b *box, to string) []change {
	below := w.names(func(o *box) bool { return strings.HasPrefix(o.name, b.name+"/") })
	taken := w.names(func(o *box) bool { return o.name == to || strings.HasPrefix(o.name, to+"/") })
	if len(taken) > 0 {
		return nil
	}
	changes := []change{&renaming{b, to}}
	for _, name := range below {
		changes = append(changes, &renaming{w.a.boxes[name], to + strings.TrimPrefix(name, b.name)})
	}
	return changes
}

func (w *worker) delete() error {
	w.m.mu.Lock()
	b := w.ownBox(func(*box) bool { return true })
	w.m.mu.Unlock()
	if b == nil {
		return nil
	}
	if err := w.conn.unselect(); err != nil {
		return err
	}
	return w.carryOut(&op{what: "DELETE " + b.name, changes: []change{&deletion{b}}}, nil, "DELETE", quote(b.name))
}
